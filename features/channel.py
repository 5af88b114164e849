"""The channel kernel as the jobs and the tests use it: frames in, rows of closed ticks out.

Invariant: the kernel owns books, flow, clock and sequence numbers, ``features.signals`` what signals left behind; this class
converts, and reads the signals at the ticks that the kernel closes. ``restore(snapshot())`` continues bit for bit.
"""

import struct
import zlib
from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from features._native import FEATURE_COUNT, Kernel
from features.signals import FEATURE_NAMES, SignalState
from schemas.frames import Frame, SignalFrame, empty_columns
from schemas.signals import Signal, signals_in

_DUPLICATE: Final = 1
_GAP: Final = 2
_COLUMNS: Final = itemgetter("ts_event_ns", "instrument_id", "kind", "side", "order_id", "price", "qty")
_NO_EVENTS: Final = empty_columns()
_OF_SIGNALS: Final = slice(FEATURE_COUNT - len(FEATURE_NAMES), FEATURE_COUNT)

_MAGIC: Final = b"TGDSIGN1"
"""Opens a snapshot that holds signals; without any it is the kernel's own, which opens otherwise."""
_HEAD: Final = struct.Struct("<8sII")
"""Magic, CRC-32 and length of the signals' part."""


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
        self._signals = SignalState()

    @classmethod
    def restore(cls, channel_id: str, raw: bytes) -> Self:
        """Return the kernel that wrote ``raw``.

        Raises:
            ValueError: Not a snapshot of this version, cut short, or damaged.
        """
        made = cls(channel_id)
        if raw[: len(_MAGIC)] == _MAGIC:
            signals, raw = _split(raw)
            made._signals = SignalState.restore(signals)
        made._kernel = Kernel.restore(raw)
        return made

    def apply(self, frame: Frame | SignalFrame) -> FrameResult:
        """Apply one frame; columns must have the dtypes of its layout and be contiguous.

        A signal counts from the first tick that closes behind it, and that its own time lies before: the clock goes on to the
        frame's ``ts_last_ns``, and late signals move none.
        """
        signals = self._new_signals(frame) if type(frame) is SignalFrame else None
        apply: Any = self._kernel.apply
        result, expected, *rows = apply(
            *_COLUMNS(frame.columns if signals is None else _NO_EVENTS),
            frame.seq_first, frame.seq_last, frame.ts_last_ns, frame.flags,
        )  # fmt: skip
        tick_ns, instrument_id, status, ref_price, values = rows
        if not tick_ns and not result and not signals:
            return _NOTHING
        found = FrameResult(
            tick_ns=np.frombuffer(tick_ns, np.int64),
            instrument_id=np.frombuffer(instrument_id, np.uint32),
            status=np.frombuffer(status, np.uint32),
            ref_price=np.frombuffer(ref_price, np.int64),
            values=np.frombuffer(values, np.float64).reshape(-1, FEATURE_COUNT),
            gap=(expected, frame.seq_first) if result == _GAP else None,
            duplicate=result == _DUPLICATE,
        )
        return self._read(found, signals or []) if signals or self._signals.applied else found

    def _new_signals(self, frame: SignalFrame) -> list[Signal]:
        """Return those that were not seen before."""
        return signals_in(frame.columns, max(0, self._kernel.last_seq - frame.seq_first + 1))

    def _read(self, found: FrameResult, signals: list[Signal]) -> FrameResult:
        """Take the signals, each behind the ticks that it is too late for, and write their features into the rows."""
        waiting = iter(signals)
        signal = next(waiting, None)
        values = found.values.copy()  # of the kernel's bytes, which are not to be written
        ticks, starts, counts = np.unique(found.tick_ns, return_index=True, return_counts=True)
        for tick_ns, start, count in zip(ticks.tolist(), starts.tolist(), counts.tolist(), strict=True):
            while signal is not None and signal.ts_event_ns < tick_ns:
                self._signals.apply(signal)
                signal = next(waiting, None)
            rows = slice(start, start + count)
            self._signals.write(tick_ns, found.instrument_id[rows], values[rows, _OF_SIGNALS])
        while signal is not None:
            self._signals.apply(signal)
            signal = next(waiting, None)
        return replace(found, values=values)

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
        raw = self._kernel.snapshot()
        if not self._signals:
            return raw
        signals = self._signals.snapshot()
        return b"".join((_HEAD.pack(_MAGIC, zlib.crc32(signals), len(signals)), signals, raw))

    def counters(self) -> dict[str, int]:
        """Return what was counted since the channel began: market events, ticks, gaps, unknown orders, ..., signals."""
        signals = {"signals": self._signals.applied, "signals_refused": self._signals.refused}
        return self._kernel.counters() | signals

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


def _split(raw: bytes) -> tuple[bytes, bytes]:
    """Return the signals' and the kernel's part of a snapshot."""
    if len(raw) < _HEAD.size:
        raise ValueError("snapshot refused: cut short")
    _, checksum, size = _HEAD.unpack_from(raw)
    signals, rest = raw[_HEAD.size : _HEAD.size + size], raw[_HEAD.size + size :]
    if len(signals) != size or zlib.crc32(signals) != checksum:
        raise ValueError("snapshot refused: damaged (checksum of the signals)")
    return signals, rest
