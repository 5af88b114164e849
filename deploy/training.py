"""Ticks to train on, straight through the kernel: no broker and no Flink, the same bytes as in production."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from features.channel import ChannelKernel
from features.spec import FEATURE_NAMES, SPEC_HASH
from feeds.framing import frames_of
from feeds.lobster.reader import open_session
from feeds.simulator.session import simulate
from quality.guarding import counts_of, faults_of
from schemas.frames import Frame
from schemas.ticks import Ticks

CALM_SESSION_S = 300.0
FAULTS_SHOWN = 10


class BadDataError(ValueError):
    """Data that a model must not learn from; the message says which rows break which expectation."""


def ticks_of(frames: Iterable[Frame], channel_id: str) -> Iterator[Ticks]:
    """Yield the tick messages that a channel's frames close."""
    kernel = ChannelKernel(channel_id)
    for frame in frames:
        result = kernel.apply(frame)
        if len(result.tick_ns):
            yield Ticks(
                channel_id=channel_id,
                epoch=0,
                spec_hash=SPEC_HASH,
                feature_names=FEATURE_NAMES,
                tick_ns=result.tick_ns,
                instrument_id=result.instrument_id,
                status=result.status,
                ref_price=result.ref_price,
                values=result.values,
            )


def simulated_ticks(scenario: str, seed: int, *, duration_s: float | None = None) -> list[Ticks]:
    """Return the ticks of one simulated session."""
    session = simulate(scenario, seed, duration_s=duration_s)
    plan = session.scenario
    return list(
        ticks_of(
            frames_of([session.block], plan.channel_id, start_ns=plan.start_ns, end_ns=plan.end_ns), plan.channel_id
        )
    )


def calm_sessions(seed: int, count: int) -> list[list[Ticks]]:
    """Return ``count`` calm simulated sessions, each of its own seed that follows from ``seed``."""
    return [simulated_ticks("calm", seed * 1_000 + number, duration_s=CALM_SESSION_S) for number in range(count)]


def lobster_sessions(path: Path, parts: int) -> list[list[Ticks]]:
    """Return a recorded day cut into ``parts`` sessions of equal length, in time order.

    Raises:
        FeedError: A file that is not a LOBSTER recording.
    """
    session = open_session(path)
    frames = frames_of(session.blocks(), session.channel_id, start_ns=session.start_ns, end_ns=session.end_ns)
    messages = list(ticks_of(frames, session.channel_id))
    size = -(-len(messages) // parts)
    return [messages[start : start + size] for start in range(0, len(messages), size)]


def guarded(sessions: list[list[Ticks]], *, accepted: str = "") -> str:
    """Check every row of ``sessions`` and return what the model's card says of it.

    Args:
        sessions: Messages of ticks.
        accepted: Why faults are accepted all the same; empty = they are not.

    Raises:
        BadDataError: A critical expectation fails, and nobody accepted that.
    """
    faults = faults_of(sessions)
    critical = [fault for fault in faults if fault.is_critical]
    if critical and not accepted:
        counts = ", ".join(f"{law} {rows}" for law, rows in counts_of(critical).items())
        shown = "\n".join(f"  {fault}" for fault in critical[:FAULTS_SHOWN])
        left = f"\n  and {len(critical) - FAULTS_SHOWN} more" if len(critical) > FAULTS_SHOWN else ""
        raise BadDataError(f"rows that break expectations: {counts}\n{shown}{left}")
    if not faults:
        return "Every expectation on ticks held in every row."
    told = ", ".join(f"`{law}` in {rows:,} rows" for law, rows in counts_of(faults).items())
    why = f" Accepted on purpose: {accepted}." if critical else ""
    return f"Expectations that failed: {told}.{why}"
