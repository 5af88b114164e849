"""What a measure sees of an instrument: its last ticks, how far its slow averages left their baseline, and how long it is silent.

Erosion of liquidity over seconds to minutes drowns in the noise of single ticks; an average over seconds less a baseline over
minutes shows it. Both are exponentially weighted means of transformed values whose weights sum to one from the first value on,
so a young baseline is a plain mean of what was seen. The baseline is the instrument's own last minutes and not a prior of other
days: levels differ from day to day by more than a crisis begins with. Invariant: a session at once (``views_of``) and row by row
(``Viewer.step``) go through the same arithmetic and give equal bits. Rejected: rolling windows (memory times horizon), and
robust scores averaged (they carry the error of a prior's location into every average).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from features.spec import FEATURES, SCORED, SCORED_NAMES
from models.scaling import MOVED_MAX
from models.wire import ScaledTicks
from schemas.events import TickStatus

WINDOW: Final = 8
"""Ticks of a window, the newest last."""

PIECE: Final = 8_192
"""Rows that are measured in one call."""

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
Ids = npt.NDArray[np.uint32]
Bools = npt.NDArray[np.bool_]
Slots = npt.NDArray[np.intp]

EXTRA_NAMES: Final = (
    "depth_bid_10bp", "depth_ask_10bp", "depth_bid_25bp", "depth_ask_25bp", "book_slope_bid", "book_slope_ask",
    "buy_cost_bps", "sell_cost_bps",
)  # fmt: skip
"""Features beyond the scored ones: what can be traded near the mid, and what trading costs."""

VIEWED_NAMES: Final = (*SCORED_NAMES, *EXTRA_NAMES)
"""Columns of slow views, and of the parts of every measure's error."""

SILENCE: Final = VIEWED_NAMES.index("add_rate")
"""Column that stands for silence: nothing is added."""

HALF_LIVES_S: Final = (2.0, 5.0, 20.0)
BASELINE_S: Final = 600.0
"""Half-lives of the slow averages, and of the baseline that each is compared with."""

SETTLED_TICKS: Final = 200
"""A baseline of less than 20 s says nothing; one little older lies near what it is compared with, and errs to calm."""

TICKS_PER_S: Final = 10
HORIZONS: Final = len(HALF_LIVES_S)

_VERSION: Final = 1
_HEADER: Final = struct.Struct("<HHHHI")
_PLACE: Final = {feature.name: place for place, feature in enumerate(FEATURES)}
_COLUMNS: Final = np.array([_PLACE[name] for name in VIEWED_NAMES])
_LOG: Final = np.array([FEATURES[place].transform == "log1p" for place in _COLUMNS])
_ASINH: Final = np.array([FEATURES[place].transform == "asinh" for place in _COLUMNS])
_RATES: Final = np.array([_PLACE[name] for name in ("add_rate", "cancel_rate", "trade_rate")])
_KEEP: Final = np.exp2(-1.0 / (TICKS_PER_S * np.array([*HALF_LIVES_S, BASELINE_S])))[:, None]
_RATES_KEEP: Final = 2.0 ** (-1.0 / (10.0 * TICKS_PER_S))
"""What a rate of half-life 10 s keeps in a tick without an event."""

_SAME: Final = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Views:
    """What measures see; one row a row of ticks, in order.

    Attributes:
        instrument_id: ``(k,)`` uint32.
        window: ``(k, WINDOW, scored features)`` float32 robust scores, the newest last.
        slow: ``(k, HORIZONS, viewed features)`` float32 slow averages less the baseline, transformed units. A null
            changes nothing: what was last known stands; 0 where nothing ever was.
        missed: ``(k,)`` float32 events that would have come since the last one, had they come as before; 0 = none is due.
        settled: ``(k,)`` bool: the baseline is old enough; measures of slow views have no answer before.
        opined: ``(k,)`` bool: scored, and the window is full. The other rows are not measured.
    """

    instrument_id: Ids
    window: F32 = field(repr=False)
    slow: F32 = field(repr=False)
    missed: F32 = field(repr=False)
    settled: Bools = field(repr=False)
    opined: Bools = field(repr=False)

    def __len__(self) -> int:
        """Return the rows."""
        return len(self.instrument_id)

    def of(self, rows: Any) -> "Views":
        """Return some rows."""
        return Views(
            self.instrument_id[rows],
            self.window[rows],
            self.slow[rows],
            self.missed[rows],
            self.settled[rows],
            self.opined[rows],
        )


@dataclass(frozen=True, slots=True, eq=False)
class ViewedBlock:
    """A session of one instrument as measures see it.

    Attributes:
        instrument_id: The instrument.
        z: ``(n, scored features)`` float32 robust scores, clipped; 0 where null or not scored.
        slow: ``(n, HORIZONS, viewed features)`` float32.
        missed: ``(n,)`` float32.
        settled: ``(n,)`` bool.
        opined: ``(n,)`` bool.
    """

    instrument_id: int
    z: F32 = field(repr=False)
    slow: F32 = field(repr=False)
    missed: F32 = field(repr=False)
    settled: Bools = field(repr=False)
    opined: Bools = field(repr=False)

    def pieces(self) -> Iterator[Views]:
        """Return the views of the rows that have an opinion, in order, at most ``PIECE`` at once.

        In pieces: a day's windows at once would weigh as much as its book.
        """
        ends = np.flatnonzero(self.opined)
        for first in range(0, len(ends), PIECE):
            rows = ends[first : first + PIECE]
            windows = self.z[rows[:, None] + np.arange(1 - WINDOW, 1)]
            ids = np.full(len(rows), self.instrument_id, dtype=np.uint32)
            yield Views(ids, windows, self.slow[rows], self.missed[rows], self.settled[rows], self.opined[rows])


class _Slow:
    """Averages and silence of some instruments; a row each. ``values`` are raw, of all features."""

    def __init__(self) -> None:
        self.mean, self.weight = np.zeros((2, 0, HORIZONS + 1, len(VIEWED_NAMES)))
        self.rates = np.zeros((0, len(_RATES)))
        self.due, self.missed = np.zeros((2, 0))
        self.ticks = np.zeros(0, dtype=np.int64)

    def columns(self) -> list[npt.NDArray[Any]]:
        """Return everything, in the order of the state's bytes."""
        return [self.mean, self.weight, self.rates, self.due, self.missed, self.ticks]

    def grow(self, rows: int) -> None:
        """Add instruments that nothing is known of."""
        self.mean, self.weight, self.rates, self.due, self.missed, self.ticks = (
            np.concatenate([column, np.zeros((rows, *column.shape[1:]), dtype=column.dtype)])
            for column in self.columns()
        )

    def step(self, rows: Any, values: F64, *, halted: Bools) -> tuple[F32, F32]:
        """Take one tick of distinct instruments, none of them stale; return slow views and missed events."""
        moved = transformed(values)[:, None]
        known = ~np.isnan(moved)
        weight = self.weight[rows] * np.where(known, _KEEP, 1.0) + known
        mean = self.mean[rows]
        mean = mean + np.where(known, moved - mean, 0.0) / np.maximum(weight, 1.0)
        self.weight[rows], self.mean[rows] = weight, mean
        self.ticks[rows] += 1
        slow = (mean[:, :-1] - mean[:, -1:]).astype(np.float32)
        return slow, self._silence(rows, values[:, _RATES], halted=halted)

    def _silence(self, rows: Any, rates: F64, *, halted: Bools) -> F32:
        before = self.rates[rows]
        faded = before * _RATES_KEEP
        with np.errstate(invalid="ignore"):
            still = (np.abs(rates - faded) <= _SAME * faded).all(axis=1) & ~halted
        missed = self.missed[rows]
        due = np.where(missed > 0, self.due[rows], np.nan_to_num(before).sum(axis=1))
        missed = np.where(still, missed + due / TICKS_PER_S, 0.0)
        self.rates[rows], self.due[rows], self.missed[rows] = rates, due, missed
        return missed.astype(np.float32)


class Viewer:
    """The views of one channel's instruments."""

    def __init__(self) -> None:
        self._slots: dict[int, int] = {}
        self._slow = _Slow()
        self._windows = np.zeros((0, WINDOW, len(SCORED)), dtype=np.float32)
        self._scored = np.zeros(0, dtype=np.int64)

    def step(self, ticks: ScaledTicks, values: F64) -> Views:
        """Return the views of scaled rows, in time order, of one or more ticks.

        Args:
            ticks: What the scaler made of them.
            values: ``(rows, all features)`` raw values of the same rows.

        Raises:
            ValueError: Other rows than those of ``ticks``.
        """
        rows = len(ticks.tick_ns)
        if values.shape != (rows, len(FEATURES)):
            raise ValueError(f"values of shape {values.shape} for {rows} rows of {len(FEATURES)} features")
        slots = self._slots_of(ticks.instrument_id)
        made = Views(
            ticks.instrument_id,
            np.zeros((rows, WINDOW, len(SCORED)), dtype=np.float32),
            np.zeros((rows, HORIZONS, len(VIEWED_NAMES)), dtype=np.float32),
            np.zeros(rows, dtype=np.float32),
            np.zeros(rows, dtype=np.bool_),
            np.zeros(rows, dtype=np.bool_),
        )
        for group in _groups(ticks.tick_ns, slots):
            self._tick(group, slots[group], ticks, values=values, made=made)
        return made

    def to_bytes(self) -> bytes:
        """Return the whole state."""
        ids = np.array(list(self._slots), dtype=np.uint32)
        head = _HEADER.pack(_VERSION, len(VIEWED_NAMES), HORIZONS, WINDOW, len(ids))
        columns: list[npt.NDArray[Any]] = [ids, self._windows, self._scored, *self._slow.columns()]
        return head + b"".join(column.tobytes() for column in columns)

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self:
        """Return the viewer that wrote ``raw``.

        Raises:
            ValueError: Another version, other views, or cut short.
        """
        if len(raw) < _HEADER.size:
            raise ValueError("state of views is cut short")
        *shape, count = _HEADER.unpack_from(raw)
        if shape != [_VERSION, len(VIEWED_NAMES), HORIZONS, WINDOW]:
            raise ValueError(f"state of views of version, features, horizons and window {shape}")
        made = cls()
        made._grow(count)
        ids = np.zeros(count, dtype=np.uint32)
        columns: list[npt.NDArray[Any]] = [ids, made._windows, made._scored, *made._slow.columns()]
        if len(raw) != _HEADER.size + sum(column.nbytes for column in columns):
            raise ValueError(f"state of views of {count} instruments has {len(raw)} bytes")
        start = _HEADER.size
        for column in columns:
            column[...] = np.frombuffer(raw, column.dtype, column.size, start).reshape(column.shape)
            start += column.nbytes
        made._slots = {one: slot for slot, one in enumerate(ids.tolist())}
        return made

    def _tick(self, rows: Slots, slots: Slots, ticks: ScaledTicks, *, values: F64, made: Views) -> None:
        windows = self._windows[slots]
        windows[:, :-1] = windows[:, 1:]
        windows[:, -1] = ticks.z[rows]
        self._windows[slots] = windows
        self._scored[slots] += ticks.scored[rows]
        made.window[rows] = windows
        live = ticks.status[rows] & TickStatus.STALE == 0
        shown, own = rows[live], slots[live]
        halted = ticks.status[shown] & TickStatus.HALTED != 0
        made.slow[shown], made.missed[shown] = self._slow.step(own, values[shown], halted=halted)
        made.settled[shown] = self._slow.ticks[own] >= SETTLED_TICKS
        made.opined[shown] = ticks.scored[shown] & (self._scored[own] >= WINDOW)

    def _slots_of(self, instrument_id: Ids) -> Slots:
        ids = instrument_id.tolist()
        new = [one for one in dict.fromkeys(ids) if one not in self._slots]
        if new:
            self._slots |= {one: len(self._slots) + n for n, one in enumerate(new)}
            self._grow(len(new))
        return np.array([self._slots[one] for one in ids], dtype=np.intp)

    def _grow(self, rows: int) -> None:
        self._slow.grow(rows)
        self._windows = np.concatenate([self._windows, np.zeros((rows, *self._windows.shape[1:]), dtype=np.float32)])
        self._scored = np.append(self._scored, np.zeros(rows, dtype=np.int64))


def views_of(ticks: ScaledTicks, values: F64) -> ViewedBlock:
    """Return a whole session of one instrument, which starts with it; the bits are those of :class:`Viewer`.

    Args:
        ticks: The session's scaled rows, at least one.
        values: ``(rows, all features)`` raw values of the same rows.
    """
    rows = len(ticks.tick_ns)
    slow = np.zeros((rows, HORIZONS, len(VIEWED_NAMES)), dtype=np.float32)
    missed = np.zeros(rows, dtype=np.float32)
    kept = _Slow()
    kept.grow(1)
    whole = slice(0, 1)
    live = np.flatnonzero(ticks.status & TickStatus.STALE == 0)
    halted = ticks.status & TickStatus.HALTED != 0
    for row in live.tolist():
        one = slice(row, row + 1)
        slow[one], missed[one] = kept.step(whole, values[one], halted=halted[one])
    shown = ticks.status & TickStatus.STALE == 0
    settled = shown & (np.cumsum(shown) >= SETTLED_TICKS)
    opined = ticks.scored & (np.cumsum(ticks.scored) >= WINDOW)
    return ViewedBlock(int(ticks.instrument_id[0]), ticks.z, slow, missed, settled, opined)


def transformed(values: F64) -> F64:
    """Return ``(rows, viewed features)`` raw values of all features in the scale of ``features.spec``; NaN stays NaN."""
    viewed = values[:, _COLUMNS]
    out = np.where(_LOG, np.log1p(np.maximum(viewed, 0.0)), viewed)
    return np.clip(np.where(_ASINH, np.arcsinh(viewed), out), -MOVED_MAX, MOVED_MAX)


def _groups(tick_ns: npt.NDArray[np.int64], slots: Slots) -> Iterator[Slots]:
    """Return rows tick by tick; in a malformed tick, where an instrument comes twice, each row alone."""
    cuts = np.flatnonzero(np.diff(tick_ns)) + 1
    for rows in np.split(np.arange(len(slots)), cuts):
        if len(set(slots[rows].tolist())) == len(rows):
            yield rows
        else:
            yield from (rows[n : n + 1] for n in range(len(rows)))
