"""Cutting a channel's events into frames. Pure: the same events give byte-equal frames at any replay speed.

Invariant: sequence numbers start at 1 and never skip; a frame spans at most 10 ms and 1,000 events. A heartbeat stands at
every tick boundary that no event follows within one frame's span, so a quiet market closes its ticks on time.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from feeds.blocks import EventBlock
from schemas.events import FrameFlag
from schemas.frames import Columns, Frame, empty_columns
from schemas.units import FRAME_EVENTS_MAX, FRAME_SPAN_NS_MAX, HEARTBEAT_NS


def frames_of(blocks: Iterable[EventBlock], channel_id: str, *, start_ns: int, end_ns: int) -> Iterator[Frame]:
    """Yield the frames of a session.

    Args:
        blocks: Events in time order, none before ``start_ns``.
        channel_id: Channel of all events.
        start_ns: The channel's clock starts here.
        end_ns: The channel is alive until here: a last heartbeat closes the last tick.
    """
    cutter = FrameCutter(channel_id, start_ns)
    for block in blocks:
        yield from cutter.cut(block)
    yield from cutter.finish(end_ns)


class FrameCutter:
    """Cuts block after block of one channel; a frame never waits for the next block."""

    def __init__(self, channel_id: str, start_ns: int) -> None:
        self._channel_id = channel_id
        self._next_seq = 1
        self._reached_ns = start_ns - 1

    def cut(self, block: EventBlock) -> Iterator[Frame]:
        """Yield the frames of one block, heartbeats among them.

        Raises:
            ValueError: An event lies before what the channel has reached.
        """
        ts = block.columns["ts_event_ns"]
        if not len(ts):
            return
        if int(ts[0]) < self._reached_ns or bool(np.any(np.diff(ts) < 0)):
            raise ValueError(f"channel {self._channel_id}: events are not in time order near {int(ts[0])} ns")
        first = 0
        while first < len(ts):
            yield from self._heartbeats(int(ts[first]) - FRAME_SPAN_NS_MAX)
            last = min(int(np.searchsorted(ts, ts[first] + FRAME_SPAN_NS_MAX)), first + FRAME_EVENTS_MAX)
            yield self._frame({name: column[first:last] for name, column in block.columns.items()})
            first = last

    def finish(self, end_ns: int) -> Iterator[Frame]:
        """Yield the heartbeats up to and including ``end_ns``."""
        yield from self._heartbeats(end_ns)
        if self._reached_ns < end_ns:
            yield self._heartbeat(end_ns)

    def _heartbeats(self, until_ns: int) -> Iterator[Frame]:
        boundary = (self._reached_ns // HEARTBEAT_NS + 1) * HEARTBEAT_NS
        while boundary <= until_ns:
            yield self._heartbeat(boundary)
            boundary += HEARTBEAT_NS

    def _heartbeat(self, ts_ns: int) -> Frame:
        self._reached_ns = ts_ns
        seq = self._next_seq
        return Frame(self._channel_id, seq, seq - 1, ts_ns, ts_ns, FrameFlag.HEARTBEAT, empty_columns())

    def _frame(self, columns: Columns) -> Frame:
        ts = columns["ts_event_ns"]
        count, first_seq = len(ts), self._next_seq
        self._next_seq += count
        self._reached_ns = int(ts[-1])
        numbered = {**columns, "seq": np.arange(first_seq, first_seq + count, dtype=np.int64)}
        return Frame(self._channel_id, first_seq, self._next_seq - 1, int(ts[0]), int(ts[-1]), FrameFlag(0), numbered)
