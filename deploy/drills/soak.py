"""The soak: a whole stack under a steady load for half an hour, and does anything in it grow?

Every ten seconds the resident memory, open handles and threads of each process are noted. After a third of the time, for
warming up, the growth of each is the median of all slopes between two samples (Theil and Sen), times what is left. Heaps of JVMs
are touched whole at the start, so what grows there is memory beside the heap: Python in a TaskManager, native buffers, classes.
*Not taken:* the last sample less the first, which one garbage collection decides. A short run sees only a fast leak.
"""

import itertools
import os
import re
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from deploy.desk import FOLDER, Desk
from deploy.drills.report import Tell
from deploy.instruments import load_instruments
from deploy.local.processes import Started, alive
from deploy.local.stack import Layout, Stack
from feeds.framing import frames_of
from feeds.producer import FrameProducer
from feeds.simulator.session import simulate
from history.client import QueryError, StoreError, query
from schemas.frames import ChannelFrame
from schemas.orders import OrderAction, OrderRequest, OrderSide, OrderType

SAMPLE_S: Final = 10.0
ORDER_S: Final = 0.5
WARM_UP_PART: Final = 1 / 3
SEED: Final = 5
_THREAD: Final = re.compile(r"/proc/\d+/task/")
MEASURES: Final = ("rss_mib", "handles", "threads")
GROWTH_MAX: Final = {"rss_mib": (24.0, 0.08), "handles": (10.0, 0.10), "threads": (8.0, 0.10)}
"""What may be gained after the warm-up: so much, or this part of the median, whichever is more."""

_PRETOUCH: Final = "-XX:+AlwaysPreTouch"


@dataclass(frozen=True, slots=True)
class Sample:
    """One process at one time.

    Attributes:
        at_s: Seconds since the load began.
        rss_mib: Resident memory, MiB.
        handles: Open file descriptors, without those that watch a thread (the history's engine opens three of them with the first
            work of each thread it has, for good: they are bounded by the threads, which are counted beside).
        threads: Threads.
    """

    at_s: float
    rss_mib: float
    handles: float
    threads: float


@dataclass(slots=True)
class SoakReport:
    """What was seen.

    Attributes:
        minutes: Of load.
        samples: Process to its samples, in order.
        grown: Process, measure, growth after the warm-up and what was allowed, where it was more.
        died: Processes that did not live to the end.
        sent: Orders and frames that were sent, and rows of the history at the end.
    """

    minutes: float
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    grown: list[tuple[str, str, float, float]] = field(default_factory=list)
    died: list[str] = field(default_factory=list)
    sent: dict[str, int] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Return whether nothing grew and nothing died."""
        return not self.grown and not self.died

    def plain(self) -> dict[str, Any]:
        """Return the report for JSON; first, median and last value of each measure stand for its samples."""
        processes = {
            name: {
                measure: {
                    "first": values[0],
                    "median": statistics.median(values),
                    "last": values[-1],
                    "growth": round(growth(_settled(samples, measure)), 2),
                }
                for measure in MEASURES
                if (values := [getattr(one, measure) for one in samples])
            }
            for name, samples in self.samples.items()
        }
        grown = [dict(zip(("process", "measure", "growth", "allowed"), one, strict=True)) for one in self.grown]
        whole = {"drill": "soak", "passed": self.passed, "minutes": self.minutes, "sent": self.sent}
        return {**whole, "processes": processes, "grown": grown, "died": self.died}


def growth(series: list[tuple[float, float]]) -> float:
    """Return the growth of a series of (time, value) over its whole time: the median slope of all pairs, times the time.

    Source: Sen, "Estimates of the regression coefficient based on Kendall's tau", 1968. Fewer than two samples: 0.
    """
    slopes = [(b - a) / (t - s) for (s, a), (t, b) in itertools.combinations(series, 2) if t > s]
    return statistics.median(slopes) * (series[-1][0] - series[0][0]) if slopes else 0.0


def verdict(samples: dict[str, list[Sample]]) -> list[tuple[str, str, float, float]]:
    """Return process, measure, growth and what was allowed, where a process grew by more."""
    found = []
    for name, own in samples.items():
        for measure, (least, part) in GROWTH_MAX.items():
            series = _settled(own, measure)
            gained = growth(series)
            allowed = max(least, part * statistics.median(value for _, value in series)) if series else least
            if gained > allowed:
                found.append((name, measure, round(gained, 1), round(allowed, 1)))
    return found


def open_handles(folder: Path) -> int:
    """Return the open file descriptors in ``/proc/<pid>/fd``, without those that watch a thread.

    Raises:
        FileNotFoundError: The process is gone.
    """
    count = 0
    for name in os.listdir(folder):  # noqa: PTH208 - names alone
        with suppress(FileNotFoundError):  # one may be gone before it is looked at
            count += _THREAD.match(os.readlink(folder / name)) is None  # noqa: PTH115 - the text as it stands
    return count


def sample_of(process: Started, at_s: float) -> Sample | None:
    """Return what a process holds now; ``None`` when it is gone."""
    folder = Path(f"/proc/{process.pid}")
    try:
        status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
        handles = open_handles(folder / "fd")
    except (FileNotFoundError, ProcessLookupError):
        return None
    if not alive(process) or "VmRSS" not in status:
        return None
    return Sample(at_s, int(status["VmRSS"].split()[0]) / 1024, handles, int(status["Threads"]))


def run_soak(folder: Path, minutes: float, tell: Tell) -> SoakReport:
    """Bring a whole stack up, load it for ``minutes``, and tell how every process fared; nothing is left running.

    Raises:
        StackError: The stack did not come up.
    """
    report = SoakReport(minutes)
    session = simulate("calm", SEED, duration_s=minutes * 60 + SAMPLE_S)
    plan = session.scenario
    frames = list(frames_of([session.block], plan.channel_id, start_ns=plan.start_ns, end_ns=plan.end_ns))
    stack = Stack(folder, tell=tell)
    stack.down()
    with _pretouched():
        layout = stack.up()
    stopping, sent = threading.Event(), {"frames": 0, "orders": 0}
    ending = {"stopping": stopping}
    try:
        workers = [
            threading.Thread(target=_feed, args=(layout, frames, sent), kwargs=ending, daemon=True),
            threading.Thread(target=_trade, args=(stack, plan.start_ns, sent), kwargs=ending, daemon=True),
        ]
        for worker in workers:
            worker.start()
        _watch(stack, report, tell)
        stopping.set()
        for worker in workers:
            worker.join(30)
        report.sent = {**sent, "history_ticks": _stored(stack)}
    finally:
        stopping.set()
        stack.down()
    report.grown = verdict(report.samples)
    return report


def _watch(stack: Stack, report: SoakReport, tell: Tell) -> None:
    processes, begun = stack.book.all(), time.monotonic()
    while (at_s := time.monotonic() - begun) < report.minutes * 60:
        for process in processes:
            found = sample_of(process, at_s)
            if found is not None:
                report.samples.setdefault(process.name, []).append(found)
            elif process.name not in report.died:
                report.died.append(process.name)
        _stored(stack)  # readers are part of the load
        last = {name: own[-1] for name, own in report.samples.items()}
        words = "  ".join(f"{name} {one.rss_mib:.0f} MiB {one.handles:.0f}h" for name, one in last.items())
        tell(f"[soak] {at_s:6.0f} s  {words}")
        time.sleep(max(0.0, SAMPLE_S - (time.monotonic() - begun - at_s)))


def _feed(layout: Layout, frames: list[ChannelFrame], sent: dict[str, int], *, stopping: threading.Event) -> None:
    def note(_frame: ChannelFrame, _due_ns: int) -> None:
        sent["frames"] += 1
        if stopping.is_set():
            raise _EndedError

    with suppress(_EndedError):
        FrameProducer(layout.bootstrap_servers).replay(frames, speed=1.0, on_sent=note)


def _trade(stack: Stack, start_ns: int, sent: dict[str, int], *, stopping: threading.Event) -> None:
    """Send an order each half second, sides in turn, over the instruments that reference data knows."""
    layout, instruments, begun = stack.layout, sorted(load_instruments()), time.monotonic_ns()
    with Desk(layout.bootstrap_servers, Path(layout.table_path), stack.state / FOLDER) as desk:
        while not stopping.wait(ORDER_S):
            number = sent["orders"] = sent["orders"] + 1
            order = OrderRequest(
                order_id=f"soak-{number}",
                account_id="DESK-1",
                instrument_id=instruments[number // 2 % len(instruments)],
                ts_event_ns=start_ns + time.monotonic_ns() - begun,
                action=OrderAction.NEW,
                side=OrderSide.BUY if number % 2 else OrderSide.SELL,
                order_type=OrderType.MARKET,
                qty=10,
                price=None,
            )
            desk.send(order)


def _stored(stack: Stack) -> int:
    try:
        return int(query("SELECT count() AS n FROM ticks_once", status_dir=stack.state).rows[0][0])
    except (QueryError, StoreError):
        return 0


def _settled(samples: list[Sample], measure: str) -> list[tuple[float, float]]:
    """Return time and value of the samples after the warm-up."""
    from_s = samples[-1].at_s * WARM_UP_PART if samples else 0.0
    return [(one.at_s, getattr(one, measure)) for one in samples if one.at_s >= from_s]


class _EndedError(Exception):
    """The load is over."""


@contextmanager
def _pretouched() -> Iterator[None]:
    """Let every JVM that is started meanwhile touch its heap at once."""
    before = os.environ.get("JAVA_TOOL_OPTIONS")
    os.environ["JAVA_TOOL_OPTIONS"] = f"{before or ''} {_PRETOUCH}".strip()
    try:
        yield
    finally:
        if before is None:
            del os.environ["JAVA_TOOL_OPTIONS"]
        else:
            os.environ["JAVA_TOOL_OPTIONS"] = before
