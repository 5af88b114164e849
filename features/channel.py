"""The channel kernel as the jobs and the tests use it: frames in, rows of closed ticks out.

Invariant: the kernel owns all state; this class only converts. ``restore(snapshot())`` continues bit for bit.
"""

from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from features._native import FEATURE_COUNT, Kernel
from schemas.frames import Frame

_DUPLICATE: Final = 1
_GAP: Final = 2
_COLUMNS: Final = itemgetter("ts_event_ns", "instrument_id", "kind", "side", "order_id", "price", "qty")


@dataclass(frozen=True, slots=True, eq=False)
class FrameResult:
    """What one frame led to; rows are ordered by ``(tick_ns, instrument_id)``.

    Attributes:
        tick_ns: ``(rows,)`` int64; several ticks when the frame ended a silence, none when no boundary was passed.
        instrument_id: ``(rows,)`` uint32.
        status: ``(rows,)`` uint32, ``TickStatus`` bits.
        ref_price: ``(rows,)`` int64, mid in 1e-9 currency; 0 when a side is empty.
        values: ``(rows, features)`` float64 in the order of ``features.spec``; NaN = null.
        gap: ``(expected, seen)`` sequence numbers when messages are missing before this frame.
        duplicate: The frame was seen before and changed nothing.
    """

    tick_ns: npt.NDArray[np.int64] = field(repr=False)
    instrument_id: npt.NDArray[np.uint32] = field(repr=False)
    status: npt.NDArray[np.uint32] = field(repr=False)
    ref_price: npt.NDArray[np.int64] = field(repr=False)
    values: npt.NDArray[np.float64] = field(repr=False)
    gap: tuple[int, int] | None
    duplicate: bool


_NOTHING: Final = FrameResult(
    np.empty(0, np.int64), np.empty(0, np.uint32), np.empty(0, np.uint32), np.empty(0, np.int64),
    np.empty((0, FEATURE_COUNT)), None, duplicate=False,
)  # fmt: skip
"""What most frames lead to."""


class ChannelKernel:
    """Books, features and clock of one channel."""

    def __init__(self, channel_id: str) -> None:
        self.channel_id = channel_id
        self._kernel = Kernel()

    @classmethod
    def restore(cls, channel_id: str, raw: bytes) -> Self:
        """Return the kernel that wrote ``raw``.

        Raises:
            ValueError: Not a snapshot of this version, cut short, or damaged.
        """
        made = cls(channel_id)
        made._kernel = Kernel.restore(raw)
        return made

    def apply(self, frame: Frame) -> FrameResult:
        """Apply one frame; columns must have the dtypes of ``schemas.frames.COLUMNS`` and be contiguous."""
        apply: Any = self._kernel.apply
        result, expected, *rows = apply(
            *_COLUMNS(frame.columns), frame.seq_first, frame.seq_last, frame.ts_last_ns, frame.flags
        )
        tick_ns, instrument_id, status, ref_price, values = rows
        if not tick_ns and not result:
            return _NOTHING
        return FrameResult(
            tick_ns=np.frombuffer(tick_ns, np.int64),
            instrument_id=np.frombuffer(instrument_id, np.uint32),
            status=np.frombuffer(status, np.uint32),
            ref_price=np.frombuffer(ref_price, np.int64),
            values=np.frombuffer(values, np.float64).reshape(-1, FEATURE_COUNT),
            gap=(expected, frame.seq_first) if result == _GAP else None,
            duplicate=result == _DUPLICATE,
        )

    def apply_timed(self, frame: Frame) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
        """Apply one frame event by event, for benchmarks: rows are dropped, and no event's memory is asked for ahead.

        Returns:
            Nanoseconds of each event, the reading of the clock among them, and the rows that it closed; uint32.
        """
        apply: Any = self._kernel.apply_timed
        spent_ns, rows = apply(*_COLUMNS(frame.columns), frame.seq_first, frame.seq_last, frame.ts_last_ns, frame.flags)
        return np.frombuffer(spent_ns, np.uint32), np.frombuffer(rows, np.uint32)

    def snapshot(self) -> bytes:
        """Return the whole state as bytes."""
        return self._kernel.snapshot()

    def counters(self) -> dict[str, int]:
        """Return what was counted since the channel began: events, ticks, gaps, unknown orders, ..."""
        return self._kernel.counters()

    def levels(self, instrument_id: int, levels_max: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Return the best bids and asks of an instrument as ``(price, qty)``, best first."""
        return self._kernel.levels(instrument_id, levels_max)

    @property
    def last_ts_ns(self) -> int:
        """Event time that the channel has reached, -1 before the first frame."""
        return self._kernel.last_ts_ns

    @property
    def last_seq(self) -> int:
        """Sequence number of the last event, -1 before the first frame."""
        return self._kernel.last_seq
