"""What trades alone can tell, where no book was recorded: volatility of trade prices, pace, one-sidedness, and the largest of them.

Volatility takes returns of 1 s, never of trade to trade, which bounce between bid and ask.
"""

from collections.abc import Sequence

import numpy as np

from models.evaluation.blocks import TICKS_PER_S, TickBlock, Vector

SCALE_MIN = 0.1
MAD_TO_SD = 1.4826
VOLATILITY_S = 60
FLOOR_BPS = 1.0


def trade_volatility(block: TickBlock) -> Vector:
    """Return ``(n,)`` root of the sum of squared 1 s log returns of the last 60 s, bp; NaN before the first is whole."""
    log_price = np.log(np.where(block.ref_price > 0, block.ref_price, np.nan))
    squared = np.full(len(block), np.nan)
    squared[TICKS_PER_S:] = (log_price[TICKS_PER_S:] - log_price[:-TICKS_PER_S]) ** 2
    known = np.cumsum(np.nan_to_num(squared))
    window = VOLATILITY_S * TICKS_PER_S
    total = np.full(len(block), np.nan)
    # Ten overlapping grids of 1 s returns, averaged.
    total[window:] = np.maximum(known[window:] - known[:-window], 0.0) / TICKS_PER_S
    blind = np.isnan(squared)
    unseen = np.cumsum(blind)
    total[window:][unseen[window:] > unseen[:-window]] = np.nan
    volatility: Vector = 1e4 * np.sqrt(total)
    return volatility


class _AgainstThePast:
    """A quantity against what is usual for the instrument: its median and median deviation over the past; of all where it is new.

    Against the past and not against the last minutes: a cascade builds up over an hour, and a ruler of minutes gets used to it.
    """

    tried = 2
    """A ruler of the last minutes was tried first, on two of the tapes: it got used to the build-up."""

    def __init__(self) -> None:
        self._usual: dict[int, tuple[float, float]] = {}
        self._usual_of_all = (0.0, 1.0)

    def fit(self, past: Sequence[TickBlock]) -> None:
        """Learn what is usual."""
        held: dict[int, list[Vector]] = {}
        for block in past:
            held.setdefault(block.instrument_id, []).append(self.quantity(block))
        self._usual = {one: _ruler(np.concatenate(parts)) for one, parts in held.items()}
        if self._usual:
            location, scale = np.median(list(self._usual.values()), axis=0)
            self._usual_of_all = float(location), float(scale)

    def score(self, block: TickBlock) -> Vector:
        """Return the deviation; NaN while the quantity is unknown."""
        location, scale = self._usual.get(block.instrument_id, self._usual_of_all)
        deviation: Vector = (self.quantity(block) - location) / scale
        return deviation

    def quantity(self, block: TickBlock) -> Vector:
        """Return what is watched, ``(n,)``."""
        raise AssertionError(f"{type(self).__name__} watches nothing, {block.name} least of all")


class TapeVolatility(_AgainstThePast):
    """Log volatility of trade prices."""

    name = "tape: volatility"

    def quantity(self, block: TickBlock) -> Vector:
        """Return the log of the volatility."""
        logged: Vector = np.log(np.maximum(trade_volatility(block), FLOOR_BPS))
        return logged


class TapePace(_AgainstThePast):
    """Log rate of trades."""

    name = "tape: trade rate"

    def quantity(self, block: TickBlock) -> Vector:
        """Return the log rate."""
        return _pace(block)


class TapeSide(_AgainstThePast):
    """How one-sided the last 10 s were, weighted by their pace: many trades in one direction."""

    name = "tape: one-sided flow"

    def quantity(self, block: TickBlock) -> Vector:
        """Return |imbalance| times the log rate."""
        one_sided = np.abs(np.nan_to_num(block.column("trade_imbalance_10s"), nan=0.0))
        weighted: Vector = one_sided * _pace(block)
        return weighted


class TapeLargest:
    """The largest of the three."""

    name = "tape: largest of three"

    def __init__(self) -> None:
        self._parts = (TapeVolatility(), TapePace(), TapeSide())

    def fit(self, past: Sequence[TickBlock]) -> None:
        """Let each learn."""
        for part in self._parts:
            part.fit(past)

    def score(self, block: TickBlock) -> Vector:
        """Return the largest deviation that is known."""
        largest: Vector = np.fmax.reduce([part.score(block) for part in self._parts])
        return largest


def _pace(block: TickBlock) -> Vector:
    pace: Vector = np.log1p(block.column("trade_rate"))
    return pace


def _ruler(values: Vector) -> tuple[float, float]:
    known = values[~np.isnan(values)]
    if not len(known):
        return 0.0, 1.0
    location = float(np.median(known))
    return location, max(float(np.median(np.abs(known - location))) * MAD_TO_SD, SCALE_MIN)
