"""What must hold of every input of a reader: it is refused by ``FeedError``, or its events are sound and the kernel takes them."""

import importlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import numpy as np

from features.channel import ChannelKernel
from feeds.blocks import NAMES, EventBlock, FeedError
from feeds.formats import FORMATS, RecordedSession
from feeds.framing import frames_of
from schemas.events import FrameFlag, Kind, Side
from schemas.frames import COLUMNS, Columns, Frame
from schemas.units import FRAME_EVENTS_MAX, NS_PER_S

EVENTS_MAX: Final = 1_000_000
SESSION_NS_MAX: Final = 8 * 24 * 3600 * NS_PER_S
"""A venue's week and a day; a longer session is heartbeats up to a damaged time."""

FRAMES_MAX: Final = 400
"""Frames taken of ``frames_of``, heartbeats among them; the events of a longer session are applied without its heartbeats."""

_DTYPES: Final = {name: np.dtype(kind.to_pandas_dtype()) for name, kind in COLUMNS}


class LawBrokenError(Exception):
    """Events that no reader may give.

    Attributes:
        law: Short name of what was broken.
    """

    def __init__(self, law: str, detail: str) -> None:
        super().__init__(f"{law}: {detail}")
        self.law = law


@dataclass(slots=True)
class Verdict:
    """An input that broke nothing: how many events it gave, and whether it was refused."""

    events: int = 0
    refused: bool = False


def judge(form: str, path: Path) -> Verdict:
    """Read a recording to its end and feed it to the kernel.

    Raises:
        LawBrokenError: The events are not sound.
        Exception: Whatever the reader, the frame cutter or the kernel raises but ``FeedError``.
    """
    verdict = Verdict()
    try:
        session: RecordedSession = importlib.import_module(FORMATS.get(form, f"feeds.{form}.reader")).open_session(path)
    except FeedError as error:
        _check_error(error)
        verdict.refused = True
        return verdict
    if session.end_ns - session.start_ns > SESSION_NS_MAX:
        raise LawBrokenError(
            "session-length", f"{(session.end_ns - session.start_ns) // NS_PER_S} s from start_ns to end_ns"
        )
    blocks = list(_sound(session, verdict))
    _feed(session, blocks)
    known = isinstance(session.messages, int) and all(isinstance(name, str) for name in session.symbols.values())
    if not known or not all(isinstance(what, str) and count > 0 for what, count in session.unknown.items()):
        raise LawBrokenError("report", f"{session.messages} {session.symbols} {session.unknown}")
    return verdict


def _check_error(error: FeedError) -> None:
    if not error.reason or not isinstance(error.line, int) or error.line < 0:
        raise LawBrokenError("error-place", f"{error.path!r} {error.line!r} {error.reason!r}")


def _sound(session: RecordedSession, verdict: Verdict) -> Iterator[EventBlock]:
    reached = session.start_ns
    try:
        for block in session.blocks():
            if not len(block):
                continue
            _check_columns(block.columns)
            ts = cast("np.ndarray[tuple[int], np.dtype[np.int64]]", block.columns["ts_event_ns"])
            if ts[0] < reached or bool(np.any(ts[1:] < ts[:-1])):
                raise LawBrokenError(
                    "time-order", f"events go back to {int(ts.min())} ns, the channel had reached {reached} ns"
                )
            reached = int(ts[-1])
            verdict.events += len(ts)
            if verdict.events > EVENTS_MAX:
                raise LawBrokenError("event-count", f"more than {EVENTS_MAX} events")
            yield block
    except FeedError as error:
        _check_error(error)
        verdict.refused = True
        return
    if not 0 <= session.start_ns <= max(reached, session.start_ns) <= session.end_ns:
        raise LawBrokenError("span", f"{session.start_ns} to {session.end_ns} ns, the last event at {reached} ns")


def _check_columns(columns: Columns) -> None:
    lengths = {len(column) for column in columns.values()}
    if tuple(columns) != NAMES or len(lengths) != 1:
        raise LawBrokenError("columns", f"{list(columns)} of lengths {lengths}")
    for name, column in columns.items():
        if column.dtype != _DTYPES[name] or column.ndim != 1 or not column.flags.c_contiguous:
            raise LawBrokenError("dtype", f"{name} is {column.ndim}-d {column.dtype}, wanted {_DTYPES[name]}")
    kind, side = columns["kind"], columns["side"]
    if not bool(np.all((kind >= min(Kind)) & (kind <= max(Kind)) & (side >= min(Side)) & (side <= max(Side)))):  # type: ignore[operator]
        raise LawBrokenError("kind-or-side", f"kinds {np.unique(kind).tolist()}, sides {np.unique(side).tolist()}")


def _feed(session: RecordedSession, blocks: list[EventBlock]) -> None:
    """Apply the session as it would be sent, then, where that was too long, all events without the heartbeats."""
    kernel = ChannelKernel(session.channel_id)
    frames = frames_of(blocks, session.channel_id, start_ns=session.start_ns, end_ns=session.end_ns)
    for frame in itertools.islice(frames, FRAMES_MAX):
        kernel.apply(frame)
    if next(frames, None) is not None:
        kernel = ChannelKernel(session.channel_id)
        for frame in _bare_frames(session.channel_id, blocks):
            kernel.apply(frame)
    for instrument_id in session.symbols:
        kernel.levels(instrument_id, 10)
    ChannelKernel.restore(session.channel_id, kernel.snapshot())


def _bare_frames(channel_id: str, blocks: list[EventBlock]) -> Iterator[Frame]:
    seq = 1
    for block in blocks:
        for first in range(0, len(block), FRAME_EVENTS_MAX):
            columns = {name: column[first : first + FRAME_EVENTS_MAX] for name, column in block.columns.items()}
            ts = columns["ts_event_ns"]
            last = seq + len(ts) - 1
            columns["seq"] = np.arange(seq, last + 1, dtype=np.int64)
            yield Frame(channel_id, seq, last, int(ts[0]), int(ts[-1]), FrameFlag(0), columns)
            seq = last + 1
