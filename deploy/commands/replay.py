"""`tidegate replay`."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np

from deploy.channels import refuse_past
from deploy.commands.shared_options import frame_producer, plain_errors, state_option
from deploy.local.stack import Stack
from deploy.observe import Tail, record_in
from deploy.signal_files import SignalFiles, SubjectError
from feeds.blocks import EventBlock, FeedError
from feeds.formats import FORMATS, RecordedSession, open_recording
from feeds.framing import frames_of
from feeds.merging import with_signals
from feeds.producer import FrameProducer, Sent
from history.client import query
from schemas import topics
from schemas.exposition import ProcessMetrics
from schemas.frames import ChannelFrame
from schemas.records import RiskState
from schemas.ticks import read_batch
from schemas.units import NS_PER_S, TICK_NS

QUIET_S = 20.0
"""A pipeline that shows no new tick for so long has lost the rest."""

STATES_QUIET_S = 5.0
"""Scoring works behind the ticks; an instrument that the model does not know yet has no states at all."""


@click.command()
@click.argument("form", metavar="FORMAT", type=click.Choice(sorted(FORMATS)))
@click.argument("path", type=click.Path(path_type=Path, exists=True))
@click.option("--speed", default="1", show_default=True, help="Times real time, or `max`.")
@click.option("--seconds", type=float, default=None, help="Only so much of the session; all of it if absent.")
@click.option(
    "--signals",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    multiple=True,
    help="Headlines or own orders to send among the events; may be repeated.",
)
@click.option("--subject", "subjects", multiple=True, help="SUBJECT=SYMBOL: whom headlines concern; may be repeated.")
@state_option
@plain_errors
def command(
    form: str,
    path: Path,
    *,
    speed: str,
    seconds: float | None,
    signals: tuple[Path, ...],
    subjects: tuple[str, ...],
    state: Path,
) -> None:
    """Replay recorded data into the running stack, then count what came out and what history holds."""
    stack = Stack(state)
    layout = stack.require_up()
    try:
        session = open_recording(form, path)
        if seconds is not None:
            session.end_ns = min(session.end_ns, session.start_ns + int(seconds * NS_PER_S) // TICK_NS * TICK_NS)
        files = SignalFiles(signals, subjects, session)
        refuse_past(stack, session.channel_id, session.start_ns)
        wanted = (session.end_ns - session.start_ns) // TICK_NS
        with (
            Tail(layout.bootstrap_servers, (topics.FEATURES_TICKS, topics.RISK_STATES), from_start=False) as tail,
            ProcessMetrics("feeds").serve("127.0.0.1", stack.metrics_ports().get("feeds", 0)) as told,
        ):
            producer = frame_producer(stack, told)
            counted, sent, wall_s = _run(tail, producer, _frames(session, files), session, speed=speed)
    except (FeedError, SubjectError) as error:
        raise click.ClickException(str(error)) from error
    report = _report(session, sent, counted, wanted)
    if signals:
        report["signals"] = {"sent": sent.signals, "files": files.report()}
    report["events_per_s"] = round(sent.events / wall_s)
    report["wall_s"] = round(wall_s, 1)
    report["history"] = _history(stack, session.channel_id, wanted)
    click.echo(json.dumps(report))
    if report["lost"] or report["history"] != {"rows": counted.rows, "ticks": wanted}:
        raise SystemExit(1)


def _until(session: RecordedSession) -> Iterator[EventBlock]:
    """Yield the session's events before its end."""
    for block in session.blocks():
        count = int(np.searchsorted(block.columns["ts_event_ns"], session.end_ns))
        yield EventBlock({name: column[:count] for name, column in block.columns.items()})
        if count < len(block):
            return


def _frames(session: RecordedSession, files: SignalFiles) -> Iterator[ChannelFrame]:
    frames = frames_of(_until(session), session.channel_id, start_ns=session.start_ns, end_ns=session.end_ns)
    return with_signals(frames, files.signals())


class _Counted:
    """Ticks and tiers as they come out."""

    def __init__(self, session: RecordedSession) -> None:
        self.ticks: dict[int, int] = {}  # tick → instruments in it
        self.tiers: Counter[str] = Counter()
        self.last_state_ns = 0
        self._session = session

    @property
    def rows(self) -> int:
        """Rows of features, each once."""
        return sum(self.ticks.values())

    def take(self, tail: Tail, timeout_s: float) -> bool:
        seen = False
        for message in tail.poll(timeout_s):
            if message.place.topic == topics.FEATURES_TICKS:
                if message.key.decode() == self._session.channel_id:
                    self.ticks |= Counter(read_batch(message.value).column(0).to_pylist())
                    seen = True
            else:
                risk = record_in(topics.RISK_STATES, message.value)
                if isinstance(risk, RiskState) and risk.instrument_id in self._session.symbols:
                    self.tiers[risk.tier.name] += 1
                    self.last_state_ns = max(self.last_state_ns, risk.tick_ns)
                    seen = True
        return seen


def _run(
    tail: Tail, producer: FrameProducer, frames: Iterator[ChannelFrame], session: RecordedSession, *, speed: str
) -> tuple[_Counted, Sent, float]:
    counted = _Counted(session)
    started = time.monotonic()
    shown = [started]

    def look(_frame: Any, _due_ns: int) -> None:
        if time.monotonic() - shown[0] > 2.0:
            shown[0] = time.monotonic()
            counted.take(tail, 0)
            click.echo(f"[tidegate] {session.messages} messages sent, {len(counted.ticks)} ticks back", err=True)

    factor = None if speed == "max" else float(speed)
    sent = producer.replay(frames, speed=factor, on_sent=look)
    last_tick = session.end_ns // TICK_NS * TICK_NS
    _drain(tail, counted, lambda: last_tick in counted.ticks, QUIET_S)
    wall_s = time.monotonic() - started
    _drain(tail, counted, lambda: counted.last_state_ns > last_tick - NS_PER_S, STATES_QUIET_S)
    return counted, sent, wall_s


def _drain(tail: Tail, counted: _Counted, done: Callable[[], bool], quiet_s: float) -> None:
    """Take what comes until it is all there, or nothing has come for a while."""
    quiet_since = time.monotonic()
    while not done() and time.monotonic() - quiet_since < quiet_s:
        if counted.take(tail, 0.2):
            quiet_since = time.monotonic()


def _report(session: RecordedSession, sent: Sent, counted: _Counted, wanted: int) -> dict[str, Any]:
    return {
        "channel": session.channel_id,
        "messages": session.messages,
        "events": sent.events,
        "frames": sent.frames,
        "heartbeats": sent.heartbeats,
        "ticks": len(counted.ticks),
        "lost": wanted - len(counted.ticks),
        "rows": counted.rows,
        "states_by_tier": dict(counted.tiers),
        "unknown": session.unknown,
    }


def _history(stack: Stack, channel_id: str, wanted: int) -> dict[str, int]:
    """Return rows and distinct ticks of the channel once the writer has stored all, or what is there after a while."""
    sql = f"SELECT count(), uniqExact(tick_ns) FROM ticks_once WHERE channel_id = '{channel_id}'"  # noqa: S608 - our own id
    deadline = time.monotonic() + 60
    while True:
        rows, ticks = query(sql, status_dir=stack.state).rows[0]
        if int(ticks) >= wanted or time.monotonic() > deadline:
            return {"rows": int(rows), "ticks": int(ticks)}
        time.sleep(0.5)
