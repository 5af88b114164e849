"""What a feature should foretell: how far the mid will have moved, or will have moved at worst, a horizon from now.

Invariant: a row has a target only when every tick that the target needs is there; what is left out is counted by cause.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from schemas.units import TICK_NS

Vector = npt.NDArray[np.float64]
Target = Literal["absolute_move", "adverse_move"]

TARGETS: Final[tuple[Target, ...]] = ("absolute_move", "adverse_move")
"""``absolute_move``: |log(mid(t + h) / mid(t))|. ``adverse_move``: the largest of the same over all ticks in (t, t + h], the
maximum adverse excursion of whichever side turns out wrong. Both in bp, floored, then logged."""

MOVE_FLOOR_BPS: Final = 0.1
"""Moves below count as this: about the smallest step of the mid of a stock of 500 with ticks of 0.01. Without a floor a mid
that ends where it began, one row in eight, would have no logarithm."""

PAST_THE_DATA: Final = "past the data or a hole in it"
NO_PRICE: Final = "no mid now or at a tick that the target needs"


@dataclass(frozen=True, slots=True, eq=False)
class TickTable:
    """Ticks of any number of instruments; the ticks of each are in time order.

    Attributes:
        names: Features, in the order of the columns of ``values``.
        values: ``(n, features)`` float64, NaN = null.
        instrument_id: ``(n,)`` uint32.
        tick_ns: ``(n,)`` int64, on the grid of ``TICK_NS``.
        ref_price: ``(n,)`` int64, mid in 1e-9 currency, 0 = none.

    Raises:
        ValueError: Shapes that differ, a tick off the grid, or an instrument whose ticks do not rise; with the row.
    """

    names: tuple[str, ...]
    values: Vector = field(repr=False)
    instrument_id: npt.NDArray[np.uint32] = field(repr=False)
    tick_ns: npt.NDArray[np.int64] = field(repr=False)
    ref_price: npt.NDArray[np.int64] = field(repr=False)

    def __post_init__(self) -> None:
        """Check what the rest relies on."""
        rows = len(self.tick_ns)
        if self.values.shape != (rows, len(self.names)) or not len(self.instrument_id) == len(self.ref_price) == rows:
            raise ValueError(f"{rows} ticks, but values of shape {self.values.shape} for {len(self.names)} names")
        if len(off := np.flatnonzero(self.tick_ns % TICK_NS)):
            raise ValueError(f"row {off[0]}: {self.tick_ns[off[0]]} ns is not on the grid of {TICK_NS} ns")
        if len(infinite := np.flatnonzero(np.isinf(self.values).any(axis=1))):
            raise ValueError(f"row {infinite[0]}: an infinite value")
        for rows_of_one in self.by_instrument():
            if len(back := np.flatnonzero(np.diff(self.tick_ns[rows_of_one]) <= 0)):
                raise ValueError(f"row {rows_of_one[back[0] + 1]}: its instrument's ticks do not rise")

    def by_instrument(self) -> Iterator[npt.NDArray[np.int64]]:
        """Yield the rows of each instrument, by rising id."""
        for instrument in np.unique(self.instrument_id):
            yield np.flatnonzero(self.instrument_id == instrument)


def log_moves(table: TickTable, target: Target, horizon_ns: int) -> tuple[Vector, dict[str, int]]:
    """Return the target of every row, and how many rows have none by cause.

    Args:
        table: The ticks.
        target: Which.
        horizon_ns: How far ahead, a whole number of ticks.

    Returns:
        ``(n,)`` float64, natural logarithm of bp, NaN = none; cause → rows.
    """
    if horizon_ns <= 0 or horizon_ns % TICK_NS:
        raise ValueError(f"a horizon of {horizon_ns} ns is not a whole number of ticks")
    steps = horizon_ns // TICK_NS
    moves = np.full(len(table.tick_ns), np.nan)
    reaching_past = 0
    for rows in table.by_instrument():
        holes = np.flatnonzero(np.diff(table.tick_ns[rows]) != TICK_NS) + 1
        for run in np.split(rows, holes):
            reaching_past += min(steps, len(run))
            if len(run) > steps:
                moves[run[:-steps]] = _moves(table.ref_price[run], target, steps)
    without = int(np.isnan(moves).sum())
    logged: Vector = np.log(np.maximum(moves * 1e4, MOVE_FLOOR_BPS))
    return logged, {PAST_THE_DATA: reaching_past, NO_PRICE: without - reaching_past}


def _moves(ref_price: npt.NDArray[np.int64], target: Target, steps: int) -> Vector:
    log_mid = np.log(np.where(ref_price > 0, ref_price, np.nan))
    now = log_mid[:-steps]
    if target == "absolute_move":
        end: Vector = np.abs(log_mid[steps:] - now)
        return end
    ahead = np.lib.stride_tricks.sliding_window_view(log_mid[1:], steps)
    worst: Vector = np.maximum(ahead.max(axis=1) - now, now - ahead.min(axis=1))
    return worst
