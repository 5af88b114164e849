"""Running the demonstration: a fresh stack, one session at some speed, a person who releases the breaker, the verdict."""

import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import confluent_kafka

from deploy.demo import report as reports
from deploy.demo.expectations import judge
from deploy.demo.observer import TOPICS, Observer
from deploy.demo.story import Story, clock
from deploy.desk import FOLDER, Desk
from deploy.instruments import load_instruments
from deploy.local.console import links
from deploy.local.stack import Layout, Stack
from deploy.observe import Tail, TickClock
from feeds.framing import frames_of
from feeds.producer import FrameProducer
from feeds.simulator.session import Session, simulate
from history.client import query
from history.queries import DECISIONS_ONCE
from schemas import codec, topics
from schemas.frames import ChannelFrame, Frame
from schemas.records import CommandKind, RiskCommand
from schemas.units import NS_PER_S

SCENARIO: Final = "flash_crash"
KEY_ORDER: Final = "market-200"
RELEASE_AHEAD_NS: Final = 2 * NS_PER_S
"""The command is sent so long before it takes effect, so that its place among the ticks does not depend on the machine."""

SETTLE_TIMEOUT_S: Final = 30.0
LEAD_IN_S: Final = 1.0

Tell = Callable[[str], None]


def run_demo(folder: Path, *, seed: int, speed: float, tell: Tell, keep: bool = False) -> dict[str, Any]:
    """Run the scenario on a stack of its own and return the report; the stack is ended unless ``keep`` leaves it up.

    Raises:
        StackError: The stack did not come up.
    """
    stack = Stack(folder / "state", tell=lambda line: tell(f"[tidegate] {line}"))
    stack.down()
    shutil.rmtree(folder / "state", ignore_errors=True)
    tell("[tidegate] starting broker, Flink cluster, gate and history")
    layout = stack.up()
    is_kept = False
    try:
        tell(f"[tidegate] console: {links(stack.state, layout.ports['api'])['viewer']}")
        report = _play(stack, layout, simulate(SCENARIO, seed), options=(seed, speed, tell))
        is_kept = keep
    finally:
        if not is_kept:
            stack.down()
            tell("[tidegate] everything is ended")
    return report


def _play(stack: Stack, layout: Layout, session: Session, *, options: tuple[int, float, Tell]) -> dict[str, Any]:
    seed, speed, tell = options
    plan = session.scenario
    instruments = load_instruments()
    crash = next(i for i in plan.instruments if i.shapes)
    story = Story(
        seed=seed,
        crash_instrument_id=crash.id,
        crash_start_ns=plan.marks["calm_until"],
        reference_price=crash.price,
        release_ns=plan.marks["release"],
        key_order_id=KEY_ORDER,
        orders=session.orders,
        symbols={instrument.id: instrument.symbol for instrument in instruments.values()},
        static_max_order_qty=instruments[crash.id].envelope.limits.max_order_qty or 0,
    )
    tell(
        f"[tidegate] {SCENARIO}, seed {seed}, {clock(plan.start_ns)} to {clock(plan.end_ns)} at {speed:g}x real time\n"
    )
    ticks: list[bytes] = []
    with (
        Desk(layout.bootstrap_servers, Path(layout.table_path), stack.state / FOLDER) as desk,
        Tail(layout.bootstrap_servers, TOPICS, from_start=False) as tail,
    ):
        clock_of_ticks = TickClock()
        observer = Observer(story, clock_of_ticks, desk, tell=tell)
        begin_ns = time.monotonic_ns() + int(LEAD_IN_S * NS_PER_S)
        frames = frames_of([session.block], plan.channel_id, start_ns=plan.start_ns, end_ns=plan.end_ns)
        begin = {"begin_ns": begin_ns}
        timing = {"timing": (begin_ns, clock_of_ticks)}
        person = {"timing": (plan.start_ns, begin_ns, speed), "tell": tell}
        workers = [
            threading.Thread(target=_feed, args=(layout, list(frames), speed), kwargs=timing, daemon=True),
            threading.Thread(target=desk.trade, args=(session.orders, plan.start_ns, speed), kwargs=begin, daemon=True),
            threading.Thread(target=_release, args=(layout, story), kwargs=person, daemon=True),
        ]
        for worker in workers:
            worker.start()
        _observe(tail, observer, workers, until=(plan.end_ns, len(session.orders) * 2, ticks))
    history = _history(stack, len(session.orders) * 2)
    return reports.report_of(story, judge(story, history), history, ticks_digest=reports.digest_of(ticks))


def _observe(
    tail: Tail, observer: Observer, workers: list[threading.Thread], *, until: tuple[int, int, list[bytes]]
) -> None:
    """Watch until the last tick, every decision and every worker are done, or nothing more comes."""
    end_ns, decisions, ticks = until
    deadline: float | None = None
    while True:
        for message in tail.poll(0.002):
            observer.take(message)
            if message.place.topic == topics.FEATURES_TICKS:
                ticks.append(message.value)
        observer.look_at_gate()
        if any(worker.is_alive() for worker in workers):
            continue
        deadline = deadline or time.monotonic() + SETTLE_TIMEOUT_S
        if (observer.last_tick_ns >= end_ns and observer.decision_count >= decisions) or time.monotonic() > deadline:
            return


def _feed(layout: Layout, frames: list[Frame], speed: float, *, timing: tuple[int, TickClock]) -> None:
    begin_ns, clock_of_ticks = timing

    def note(frame: ChannelFrame, due_ns: int) -> None:
        clock_of_ticks.record(frame.ts_last_ns, due_ns)

    FrameProducer(layout.bootstrap_servers).replay(frames, speed=speed, start_monotonic_ns=begin_ns, on_sent=note)


def _release(layout: Layout, story: Story, *, timing: tuple[int, int, float], tell: Tell) -> None:
    """Be the risk officer: two people release the breaker once the market has calmed down."""
    start_ns, begin_ns, speed = timing
    due_ns = begin_ns + int((story.release_ns - RELEASE_AHEAD_NS - start_ns) / speed)
    time.sleep(max(0.0, (due_ns - time.monotonic_ns()) / 1e9))
    command = RiskCommand(
        command_id=f"release-{story.seed}",
        kind=CommandKind.RELEASE,
        scope=f"instrument:{story.crash_instrument_id}",
        ts_ns=story.release_ns,
        maker="risk-desk",
        checker="risk-head",
        reason="makers are back, book is deep again",
        expires_ns=story.release_ns + 60 * NS_PER_S,
        envelope=None,
    )
    producer = confluent_kafka.Producer({"bootstrap.servers": layout.bootstrap_servers, "log_level": 2})
    producer.produce(topics.RISK_COMMANDS, codec.encode(topics.RISK_COMMANDS, command), key=command.scope)
    producer.flush(30)
    name = story.symbols[story.crash_instrument_id]
    tell(
        f"{clock(story.release_ns)}  {name}  RELEASE     by {command.maker}, approved by {command.checker}: {command.reason}"
    )


def _history(stack: Stack, wanted: int) -> dict[str, int]:
    deadline = time.monotonic() + SETTLE_TIMEOUT_S
    while True:
        (row,) = query(DECISIONS_ONCE, status_dir=stack.state).dicts()
        (ticks,) = query("SELECT count() AS tick_rows FROM ticks_once", status_dir=stack.state).dicts()
        found = {name: int(value) for name, value in {**row, **ticks}.items()}
        if found["decisions"] >= wanted or time.monotonic() > deadline:
            return found
        time.sleep(0.2)
