"""The features of one instrument in plain Python, each beside its definition in ``features.spec``.

Invariant: histories are kept whole and windows are slices of them; what has a half-life is a sum that fades by the same
part at every tick. ``None``, or no entry, is null.
"""

import math
from dataclasses import dataclass, field
from typing import Final

from features.reference.book import PlainBook, Top
from features.reference.moves import PlainMoves, Traded
from features.reference.shape import SIDES, mid_of, shape
from features.reference.trades import PlainArrivals, PlainTrades
from features.reference.windows import TICK_S, Fading, Features, over, saturated
from features.spec import FEATURE_NAMES
from schemas.events import Side

HALF_LIVES_S: Final = (1, 10, 60)
OF_SIDE: Final = ((Side.BID, "bid"), (Side.ASK, "ask"))

Best = dict[Side, list[tuple[int, int]]]
"""``(price, lots)`` of the best ten levels, best first."""


def _by_side(half_life_s: float) -> dict[Side, Fading]:
    return {side: Fading(half_life_s) for side in SIDES}


@dataclass(frozen=True, slots=True)
class Definition:
    """Tick size in 1e-9 currency and lot size in 1e-9 units; 0 = not defined."""

    tick_size: int = 0
    lot_size: int = 0


@dataclass(slots=True)
class Shock:
    """A side whose best level a trade emptied and which lost over a fifth of its usual depth; lots of 5 levels."""

    usual: float
    lowest: float


@dataclass(slots=True)
class Counts:
    """What the running tick has seen."""

    added: int = 0
    cancelled: int = 0
    traded: int = 0
    lots: int = 0
    signed_lots: int = 0
    ofi: int = 0
    events: int = 0
    requotes: int = 0
    depleted: dict[Side, int] = field(default_factory=lambda: dict.fromkeys(SIDES, 0))
    hit: set[Side] = field(default_factory=set)
    renewed: bool = False


@dataclass(slots=True)
class PlainFlow:
    """Counts of the running tick and the history of closed ticks of one instrument."""

    now: Counts = field(default_factory=lambda: Counts(renewed=True))
    trades: PlainTrades = field(default_factory=PlainTrades)
    arrivals: PlainArrivals = field(default_factory=PlainArrivals)
    moves: PlainMoves = field(default_factory=PlainMoves)
    closed: list[Counts] = field(default_factory=list)
    deep: list[int] = field(default_factory=list)
    seen: Best = field(default_factory=lambda: {side: [] for side in SIDES})
    added: dict[int, Fading] = field(default_factory=lambda: {s: Fading(s) for s in HALF_LIVES_S})
    cancelled: dict[int, Fading] = field(default_factory=lambda: {s: Fading(s) for s in HALF_LIVES_S})
    traded: dict[int, Fading] = field(default_factory=lambda: {s: Fading(s) for s in HALF_LIVES_S})
    signed: Fading = field(default_factory=lambda: Fading(10))
    requotes: Fading = field(default_factory=lambda: Fading(10))
    top_depth: Fading = field(default_factory=lambda: Fading(10))
    deep_depth: Fading = field(default_factory=lambda: Fading(10))
    top_qty: dict[Side, Fading] = field(default_factory=lambda: _by_side(10))
    depleted: dict[Side, Fading] = field(default_factory=lambda: _by_side(10))
    usual_depth: dict[Side, Fading] = field(default_factory=lambda: _by_side(30))
    shocks: dict[Side, Shock] = field(default_factory=dict)
    at_risk_s: Fading = field(default_factory=lambda: Fading(60))
    at_risk_events: Fading = field(default_factory=lambda: Fading(60))
    recoveries: Fading = field(default_factory=lambda: Fading(60))

    def book_changed(self, before: dict[Side, Top], after: dict[Side, Top]) -> None:
        """Add ``e_n`` of Cont, Kukanov, Stoikov 2014, (4); an empty side stands at the worst price with size 0."""
        change = 0
        for side in SIDES:
            old, new = _rank(side, before[side]), _rank(side, after[side])
            change += int(side) * ((after[side].qty if new >= old else 0) - (before[side].qty if new <= old else 0))
            self.now.requotes += new != old
            if new <= old:
                gone = before[side].qty - (after[side].qty if new == old else 0)
                self.now.depleted[side] = saturated(self.now.depleted[side] + gone)
        self.now.ofi = saturated(self.now.ofi + change)

    def trade(self, side: Side, qty: int) -> None:
        """Count a trade against a resting ``side``: whoever hit a bid sold."""
        self.now.traded += 1
        self.now.lots = saturated(self.now.lots + qty)
        self.now.signed_lots = saturated(self.now.signed_lots - int(side) * qty)
        self.trades.trade(qty, -int(side) * qty)

    def close(self, book: PlainBook, definition: Definition, *, is_whole: bool) -> Features:
        """Close a tick; return the values by name, without those across instruments.

        Args:
            book: The book at the tick's end.
            definition: Of the instrument.
            is_whole: The book can be trusted.
        """
        found = shape(book, definition.tick_size, self.trades.clip())
        now, mid = self.now, mid_of(book)
        self.closed.append(now)
        self._deep(book, is_flow=is_whole and not now.renewed)
        self._fade(book)
        self._resilience(book)
        value = None
        if mid is not None and definition.tick_size > 0:
            value = mid * definition.lot_size * 1e-24
        traded = Traded(sum(tick.signed_lots for tick in self.closed[-10:]), now.lots, value)
        found |= self.moves.tick(mid, traded, self.traded[60])
        found |= self._windows() | self._rates() | self._liquidity_decay()
        found |= {"vpin": self.trades.vpin(), "burstiness": self.arrivals.burstiness()}
        self.now = Counts()
        return found

    def _deep(self, book: PlainBook, *, is_flow: bool) -> None:
        """Cont, Cucuringu, Zhang 2023: the rule of one level for each of the best ten, between two ticks."""
        best: Best = {side: book.best_first(side)[:10] for side in SIDES}
        total = 0
        for side in SIDES:
            change = 0
            for n in range(10):
                before, after = (
                    Top(*levels[n]) if n < len(levels) else Top(None, 0) for levels in (self.seen[side], best[side])
                )
                old, new = _rank(side, before), _rank(side, after)
                change += (after.qty if new >= old else 0) - (before.qty if new <= old else 0)
            total = saturated(total + int(side) * change)
        self.deep.append(total if is_flow else 0)
        self.seen = best

    def _fade(self, book: PlainBook) -> None:
        now = self.now
        for half_life_s in HALF_LIVES_S:
            self.added[half_life_s].tick(now.added)
            self.cancelled[half_life_s].tick(now.cancelled)
            self.traded[half_life_s].tick(now.traded)
        self.signed.tick(now.signed_lots)
        self.requotes.tick(now.requotes)
        tops = {side: float(book.top(side).qty) for side in SIDES}
        self.top_depth.tick((tops[Side.BID] + tops[Side.ASK]) / 2)
        self.deep_depth.tick((float(book.depth(Side.BID, 10)) + float(book.depth(Side.ASK, 10))) / 2)
        for side in SIDES:
            self.top_qty[side].tick(tops[side])
            self.depleted[side].tick(now.depleted[side])

    def _windows(self) -> Features:
        found: Features = {}
        for seconds in (1, 10):
            last = self.closed[-10 * seconds :]
            bought, lots = float(sum(tick.signed_lots for tick in last)), float(sum(tick.lots for tick in last))
            found[f"ofi_{seconds}s"] = over(float(sum(tick.ofi for tick in last)), self.top_depth.mean())
            found[f"ofi_deep_{seconds}s"] = over(float(sum(self.deep[-10 * seconds :])), self.deep_depth.mean())
            found[f"trade_imbalance_{seconds}s"] = over(bought, lots)
        return found

    def _rates(self) -> Features:
        added, cancelled, traded = (
            {half_life_s: faded.total for half_life_s, faded in counts.items()}
            for counts in (self.added, self.cancelled, self.traded)
        )
        found: Features = {
            f"trade_to_order_{s}s": (traded[s] + 1) / (added[s] + cancelled[s] + 10) for s in HALF_LIVES_S
        }
        found["trade_to_order"] = found.pop("trade_to_order_10s")
        found |= {f"cancel_to_trade_{s}s": (cancelled[s] + 1) / (traded[s] + 1) for s in HALF_LIVES_S}
        if len(self.closed) < 100:
            return found
        seconds = self.signed.ticks * TICK_S
        found |= {
            "add_rate": added[10] / seconds,
            "cancel_rate": cancelled[10] / seconds,
            "trade_rate": traded[10] / seconds,
            "signed_trade_rate": self.signed.total / seconds,
            "quote_lifetime_s": 2 * seconds / (self.requotes.total + 1),
        }
        for side, name in OF_SIDE:
            found[f"queue_depletion_{name}"] = over(self.depleted[side].total, self.top_qty[side].total * TICK_S)
        return found

    def _resilience(self, book: PlainBook) -> None:
        at_risk_s, events, recovered = 0.0, 0, 0
        for side in SIDES:
            at_risk_s += TICK_S if side in self.shocks else 0.0
            events += self.now.events if side in self.shocks else 0
            recovered += self._follow(side, float(book.depth(side, 5)))
        self.at_risk_s.tick(at_risk_s)
        self.at_risk_events.tick(events)
        self.recoveries.tick(recovered)

    def _liquidity_decay(self) -> Features:
        """Half-life of an exponential law from censored times, with one recovery in 1 s or 20 events as the prior."""
        if len(self.closed) < 600:
            return {}
        recoveries = self.recoveries.total + 1
        return {
            "liquidity_decay_s": math.log(2) * (self.at_risk_s.total + 1) / recoveries,
            "liquidity_decay_events": math.log(2) * (self.at_risk_events.total + 20) / recoveries,
        }

    def _follow(self, side: Side, depth: float) -> bool:
        """Open, follow or close a side's shock; return whether it recovered."""
        usual = self.usual_depth[side].mean()
        shock = self.shocks.get(side)
        recovered = False
        if shock is not None:
            shock.lowest = min(shock.lowest, depth)
            if depth > shock.lowest and depth >= shock.lowest + (shock.usual - shock.lowest) / 2:
                recovered = True
                del self.shocks[side]
        if side in self.now.hit and depth < 0.8 * usual:
            self.shocks[side] = Shock(usual, depth)
        self.usual_depth[side].tick(depth)
        return recovered


def in_order(found: Features) -> list[float]:
    """Return the values in the order of ``features.spec``, NaN where null."""
    assert found.keys() <= set(FEATURE_NAMES)
    return [math.nan if (value := found.get(name)) is None else value for name in FEATURE_NAMES]


def _rank(side: Side, top: Top) -> float:
    """Return how good a price is for its side: larger is better."""
    return -math.inf if top.price is None else float(int(side) * top.price)
