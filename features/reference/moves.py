"""How the mid moves: returns, volatility and its parts, and what trading does to it."""

import math
from dataclasses import dataclass, field

from features.reference.windows import Fading, Features, over


@dataclass(frozen=True, slots=True)
class Traded:
    """What a tick traded.

    Attributes:
        signed_1s: Lots bought less lots sold in the last second, this tick included.
        lots: Lots of this tick.
        value_per_lot: 1e6 currency, null without a mid or a definition.
    """

    signed_1s: int
    lots: int
    value_per_lot: float | None


@dataclass(slots=True)
class PlainMoves:
    """The history of the mid and of its 1 s log returns, a value per closed tick."""

    log_mids: list[float | None] = field(default_factory=list)
    steps: list[float | None] = field(default_factory=list)
    last_mid: float | None = None
    run: int = 0
    squares: dict[int, Fading] = field(default_factory=lambda: {s: Fading(s) for s in (10, 30, 60)})
    returns: dict[int, Fading] = field(default_factory=lambda: {s: Fading(s) for s in (10, 30, 60)})
    pair: Fading = field(default_factory=lambda: Fading(30))
    pairs: Fading = field(default_factory=lambda: Fading(30))
    move: Fading = field(default_factory=lambda: Fading(60))
    notional: Fading = field(default_factory=lambda: Fading(60))
    flow_move: Fading = field(default_factory=lambda: Fading(60))
    flow_square: Fading = field(default_factory=lambda: Fading(60))

    def tick(self, mid: float | None, traded: Traded, trades: Fading) -> Features:
        """Close a tick; ``trades`` is the number of trades of half-life 60 s, this tick included."""
        log_mid = None if mid is None else math.log(mid)
        step = _less(log_mid, _ago(self.log_mids, 10))
        ten = _less(log_mid, _ago(self.log_mids, 100))
        before = _ago(self.steps, 10)
        self.log_mids.append(log_mid)
        self.steps.append(step)
        self._turn(mid)
        for seconds, squares in self.squares.items():
            squares.tick(0.0 if step is None else step * step)
            self.returns[seconds].tick(0.0 if step is None else 1.0)
        known = step is not None and before is not None
        self.pair.tick(abs(step) * abs(before) if step is not None and before is not None else 0.0)
        self.pairs.tick(1.0 if known else 0.0)
        self.move.tick(0.0 if step is None else 1e4 * abs(step))
        value = traded.value_per_lot
        flow = None if value is None or step is None else traded.signed_1s * value
        self.notional.tick(0.0 if value is None else traded.lots * value)
        self.flow_move.tick(0.0 if flow is None or step is None else flow * (1e4 * step))
        self.flow_square.tick(0.0 if flow is None else flow * flow)
        lately = trades.total >= 1 / 16
        return {
            "mid_return_1s_bps": None if step is None else 1e4 * step,
            "mid_return_10s_bps": None if ten is None else 1e4 * ten,
            "mid_run": float(self.run),
            "kyle_lambda": over(self.flow_move.total, self.flow_square.total) if lately else None,
            "amihud": over(self.move.total, 10 * self.notional.total) if lately else None,
        } | self._volatility()

    def _turn(self, mid: float | None) -> None:
        if mid is None:
            return
        if self.last_mid is not None and mid > self.last_mid:
            self.run = max(self.run, 0) + 1
        elif self.last_mid is not None and mid < self.last_mid:
            self.run = min(self.run, 0) - 1
        self.last_mid = mid

    def _volatility(self) -> Features:
        """Ten grids of 60 returns of 1 s, offset by a tick: their mean sum is 60 times the mean square of all."""
        squares = [step * step for step in self.steps[-600:] if step is not None]
        if len(squares) < 100:
            return {}
        found: Features = {"realised_vol_60s": 1e4 * math.sqrt(math.fsum(squares) / len(squares) * 60)}
        if self.squares[30].total > 0 and self.pairs.total > 0:
            whole = self.squares[30].total / self.returns[30].total
            smooth = math.pi / 2 * (self.pair.total / self.pairs.total)
            found["jump_share"] = max(0.0, 1 - smooth / whole)
        if self.squares[60].total > 0:
            lately = self.squares[10].total / self.returns[10].total
            found["vol_ratio"] = math.sqrt(lately / (self.squares[60].total / self.returns[60].total))
        return found


def _ago(history: list[float | None], ticks: int) -> float | None:
    return history[-ticks] if len(history) >= ticks else None


def _less(now: float | None, then: float | None) -> float | None:
    return None if now is None or then is None else now - then
