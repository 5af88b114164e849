"""Signals of instruments → three features at any tick. Pure, no clock, a fixed cost per signal and per reading.

Every feature is a sum over the past signals, each weighing ``2 ** -(age / half-life)``:

- ``sentiment_ew`` (1): the weighted mean of the scores, half-life 30 min. Null before the first headline. A mean does not
  fade in silence; the rate says how much stands behind it.
- ``headline_rate`` (1/h): ``ln 2`` times the weights, half-life 1 h, which is the rate where it is steady. Never null: it
  begins at 0 and needs some half-lives to reach a steady rate.
- ``own_fill_ratio`` (1): ``(fills + 1) / (orders + 2)``, half-life 60 s, so 0.5 when nothing is known (Laplace 1814, the rule
  of succession). An execution counts as the share of its order that it filled, so that partial fills of one order add up to
  one. Above 1 when many older orders fill at once, for those weigh less by then. Never null.

Invariant: the order of arrival does not matter beyond rounding: a late signal weighs by its own age. Nothing is subtracted, so
nothing drifts. Rejected: windows (a ring per instrument, and a jump when a headline leaves it), and C (signals are few, and
rows without any cost nothing here: the kernel writes what holds without them).
"""

import math
import struct
from dataclasses import dataclass, field
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from schemas.signals import SCORE_SCALE, Signal, SignalKind
from schemas.units import NS_PER_S

SENTIMENT_HALF_LIFE_NS: Final = 30 * 60 * NS_PER_S
HEADLINE_HALF_LIFE_NS: Final = 3600 * NS_PER_S
FILL_HALF_LIFE_NS: Final = 60 * NS_PER_S

FEATURE_NAMES: Final = ("sentiment_ew", "headline_rate", "own_fill_ratio")

INSTRUMENTS_MAX: Final = 1 << 14
"""As many as the kernel holds; signals of more are refused and counted."""

_VERSION: Final = b"SIG2"
_COUNTS: Final = struct.Struct("<qq")
_ROW: Final = struct.Struct("<Iqddddd")


class FutureSignalError(ValueError):
    """A reading was asked for a time before a signal that was already applied."""


@dataclass(slots=True)
class _Instrument:
    """Sums as of ``last_ns``, the largest signal time so far."""

    last_ns: int
    score_mean: float = math.nan
    score_weight: float = 0.0
    headlines: float = 0.0
    orders: float = 0.0
    fills: float = 0.0

    def advance(self, ts_ns: int) -> None:
        age_ns = ts_ns - self.last_ns
        self.last_ns = ts_ns
        self.score_weight *= _weight(age_ns, SENTIMENT_HALF_LIFE_NS)
        self.headlines *= _weight(age_ns, HEADLINE_HALF_LIFE_NS)
        fade = _weight(age_ns, FILL_HALF_LIFE_NS)
        self.orders *= fade
        self.fills *= fade


@dataclass(slots=True)
class SignalState:
    """The signal features of a channel's instruments.

    Attributes:
        applied: Signals taken.
        refused: Signals of instruments beyond ``INSTRUMENTS_MAX``.
    """

    applied: int = 0
    refused: int = 0
    _instruments: dict[int, _Instrument] = field(default_factory=dict)
    _ids: npt.NDArray[np.uint32] = field(default_factory=lambda: np.empty(0, np.uint32))  # of _instruments, ascending

    def __bool__(self) -> bool:
        """Return whether any signal came."""
        return self.applied + self.refused > 0

    def apply(self, signal: Signal) -> None:
        """Take one signal, in any order of time."""
        held = self._instruments.get(signal.instrument_id)
        if held is None:
            if len(self._instruments) >= INSTRUMENTS_MAX:
                self.refused += 1
                return
            held = self._instruments[signal.instrument_id] = _Instrument(signal.ts_event_ns)
        self.applied += 1
        if signal.ts_event_ns > held.last_ns:
            held.advance(signal.ts_event_ns)
        age_ns = held.last_ns - signal.ts_event_ns
        if signal.kind is SignalKind.HEADLINE:
            _add_score(held, signal.score / SCORE_SCALE, _weight(age_ns, SENTIMENT_HALF_LIFE_NS))
            held.headlines += _weight(age_ns, HEADLINE_HALF_LIFE_NS)
        elif signal.kind is SignalKind.ORDER:
            held.orders += _weight(age_ns, FILL_HALF_LIFE_NS)
        else:
            held.fills += signal.fill_qty / signal.order_qty * _weight(age_ns, FILL_HALF_LIFE_NS)

    def values(self, instrument_id: int, tick_ns: int) -> tuple[float, float, float]:
        """Return the features of ``FEATURE_NAMES`` at ``tick_ns``; NaN = null. Reading changes nothing.

        Raises:
            FutureSignalError: ``tick_ns`` lies before a signal that was applied.
        """
        held = self._instruments.get(instrument_id)
        if held is None:
            return math.nan, 0.0, 0.5
        age_ns = tick_ns - held.last_ns
        if age_ns < 0:
            raise FutureSignalError(f"instrument {instrument_id}: tick {tick_ns} lies before signal {held.last_ns}")
        per_hour = math.log(2) * (3600 * NS_PER_S / HEADLINE_HALF_LIFE_NS)
        fade = _weight(age_ns, FILL_HALF_LIFE_NS)
        return (
            held.score_mean,
            per_hour * held.headlines * _weight(age_ns, HEADLINE_HALF_LIFE_NS),
            (held.fills * fade + 1.0) / (held.orders * fade + 2.0),
        )

    def write(self, tick_ns: int, instrument_id: npt.NDArray[np.uint32], out: npt.NDArray[np.float64]) -> None:
        """Write the features at ``tick_ns`` of those instruments that have signals; the other rows stay as they are.

        Args:
            tick_ns: Tick.
            instrument_id: ``(rows,)``, ascending.
            out: ``(rows, 3)``, in the order of ``FEATURE_NAMES``.

        Raises:
            FutureSignalError: As :meth:`values`.
        """
        if len(self._ids) != len(self._instruments):
            self._ids = np.array(sorted(self._instruments), np.uint32)
        places = np.searchsorted(instrument_id, self._ids)
        places = places[places < len(instrument_id)]  # of the smallest ids: both ascend
        ids = self._ids[: len(places)]
        has_row = instrument_id[places] == ids
        for row, held in zip(places[has_row].tolist(), ids[has_row].tolist(), strict=True):
            out[row] = self.values(held, tick_ns)

    def snapshot(self) -> bytes:
        """Return the whole state; equal states give equal bytes."""
        rows = (
            _ROW.pack(key, h.last_ns, h.score_mean, h.score_weight, h.headlines, h.orders, h.fills)
            for key, h in sorted(self._instruments.items())
        )
        return _VERSION + _COUNTS.pack(self.applied, self.refused) + b"".join(rows)

    @classmethod
    def restore(cls, raw: bytes) -> Self:
        """Return the state that wrote ``raw``; it continues bit for bit.

        Raises:
            ValueError: Not a snapshot of this version, or cut short.
        """
        head = len(_VERSION) + _COUNTS.size
        if raw[: len(_VERSION)] != _VERSION or len(raw) < head or (len(raw) - head) % _ROW.size:
            raise ValueError("not a snapshot of signal states")
        applied, refused = _COUNTS.unpack(raw[len(_VERSION) : head])
        held = {key: _Instrument(*numbers) for key, *numbers in _ROW.iter_unpack(raw[head:])}
        return cls(applied, refused, held)


def _add_score(held: _Instrument, score: float, weight: float) -> None:
    """Move the mean; the newest headline may be so old that all weights are 0: then it starts anew."""
    total = held.score_weight + weight
    if math.isnan(held.score_mean) or total <= 0.0:
        held.score_mean = score
    else:
        held.score_mean += (score - held.score_mean) * (weight / total)
    held.score_weight = total


def _weight(age_ns: int, half_life_ns: int) -> float:
    return math.exp2(-age_ns / half_life_ns)
