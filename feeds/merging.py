"""Signals into a channel's frames, by time. Pure: one writer fixes the order, once, and replays repeat it.

Invariant: the market events and the heartbeats are those of before, in their order; only their numbers move up by the signals
that stand before them, and a frame is parted where a signal falls between two of its events. Rejected: signals before or
behind whole frames (a signal just before a tick boundary would miss its tick by how events happen to be cut).
"""

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any, Final

import numpy as np

from schemas.events import FrameFlag
from schemas.frames import SIGNAL_COLUMNS, Frame, SignalFrame
from schemas.signals import Signal
from schemas.units import FRAME_EVENTS_MAX, FRAME_SPAN_NS_MAX

_DTYPES: Final = {name: kind.to_pandas_dtype() for name, kind in SIGNAL_COLUMNS}


def with_signals(frames: Iterable[Frame], signals: Iterable[Signal]) -> Iterator[Frame | SignalFrame]:
    """Yield a channel's frames with signals among them.

    A signal stands behind the events of its own time. One that comes late, in the order of ``signals``, stands where the channel
    is by then; those of before the session stand before its first event. What is left when the frames end is not sent, for no
    tick follows.

    Args:
        frames: Of one channel, in order.
        signals: Those of the channel's instruments, in the order in which they came.
    """
    merger = _Merger(iter(signals))
    for frame in frames:
        yield from merger.take(frame)


class _Merger:
    """The place in both streams."""

    def __init__(self, signals: Iterator[Signal]) -> None:
        self._signals = signals
        self._head = next(signals, None)
        self._sent = 0  # signals so far: what the market's numbers move up by
        self._reached_ns = -1

    def take(self, frame: Frame) -> Iterator[Frame | SignalFrame]:
        """Yield one frame in its parts, and the signals before and between them."""
        if self._reached_ns < 0:
            self._reached_ns = frame.ts_first_ns
        ts = frame.columns["ts_event_ns"]
        first, last_ns = 0, int(ts[-1]) if len(ts) else frame.ts_last_ns
        while self._head is not None and self._head.ts_event_ns < last_ns:
            cut = max(first, int(np.searchsorted(ts, self._head.ts_event_ns, side="right")))
            if cut > first:
                yield self._part(frame, first, cut)
            first = cut
            next_ns = int(ts[cut]) if len(ts) else last_ns
            yield self._signal_frame(self._batch(next_ns), frame.channel_id, frame.seq_first + cut)
        yield self._part(frame, first, len(ts))

    def _part(self, frame: Frame, first: int, end: int) -> Frame:
        """Return some events of a frame under their new numbers; the flag of a gap stays with the first."""
        is_rest = end == frame.event_count
        self._reached_ns = frame.ts_last_ns if is_rest else int(frame.columns["ts_event_ns"][end - 1])
        if is_rest and not first and not self._sent:
            return frame
        columns = {name: column[first:end] for name, column in frame.columns.items()}
        columns["seq"] = frame.columns["seq"][first:end].astype(np.int64) + self._sent
        seq_first = frame.seq_first + first + self._sent
        return dataclasses.replace(
            frame,
            seq_first=seq_first,
            seq_last=seq_first + end - first - 1,
            ts_first_ns=int(frame.columns["ts_event_ns"][first]) if first else frame.ts_first_ns,
            ts_last_ns=self._reached_ns,
            flags=frame.flags & ~FrameFlag.GAP if first else frame.flags,
            columns=columns,
        )

    def _batch(self, next_ns: int) -> list[Signal]:
        """Take the signals that stand before the event at ``next_ns``: one at least, no more than a frame may hold."""
        batch: list[Signal] = []
        until_ns = next_ns
        while self._head is not None and self._head.ts_event_ns < until_ns and len(batch) < FRAME_EVENTS_MAX:
            if not batch:
                until_ns = min(next_ns, max(self._reached_ns, self._head.ts_event_ns) + FRAME_SPAN_NS_MAX)
            batch.append(self._head)
            self._head = next(self._signals, None)
        return batch

    def _signal_frame(self, batch: list[Signal], channel_id: str, seq: int) -> SignalFrame:
        seq_first = seq + self._sent
        self._sent += len(batch)
        self._reached_ns = max(self._reached_ns, *(signal.ts_event_ns for signal in batch))
        columns: dict[str, Any] = {
            name: np.array([getattr(signal, name) for signal in batch], dtype)
            for name, dtype in _DTYPES.items()
            if name != "seq"
        }
        columns["seq"] = np.arange(seq_first, seq_first + len(batch), dtype=np.int64)
        return SignalFrame(
            channel_id,
            seq_first,
            seq_first + len(batch) - 1,
            batch[0].ts_event_ns,
            self._reached_ns,
            FrameFlag(0),
            columns,
        )
