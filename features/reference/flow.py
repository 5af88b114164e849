"""The features of one instrument in plain Python, each beside its definition in ``features.spec``.

Invariant: histories are kept whole and windows are slices of them; what has a half-life is a sum that fades by the same
part at every tick. ``None`` is null.
"""

import math
from dataclasses import dataclass, field
from typing import Final

from features.reference.book import PlainBook, Top
from features.spec import FEATURE_NAMES
from schemas.events import Side

TICK_S: Final = 0.1
SIDES: Final = (Side.BID, Side.ASK)
LOTS_MAX: Final = 2**55
"""Most lots that a tick can count."""

FADED: Final = 1e-200
"""Below this a fading sum is nothing."""

Features = dict[str, float | None]


@dataclass(slots=True)
class Fading:
    """A sum over ticks in which a tick of one half-life ago counts half."""

    half_life_s: float
    total: float = 0.0
    ticks: float = 0.0

    def tick(self, value: float) -> None:
        """Let one more tick pass, which brought ``value``."""
        keep = 2.0 ** (-TICK_S / self.half_life_s)
        total = self.total * keep + value
        self.total = 0.0 if abs(total) < FADED else total
        self.ticks = self.ticks * keep + 1

    def mean(self) -> float:
        """Return the mean per tick, 0 before the first."""
        return self.total / self.ticks if self.ticks else 0.0


@dataclass(slots=True)
class Shock:
    """A side whose best level a trade emptied and which lost over a fifth of its usual depth; lots of 5 levels."""

    usual: float
    lowest: float


@dataclass(slots=True)
class PlainFlow:
    """Counts of the running tick and the history of closed ticks of one instrument."""

    added: int = 0
    cancelled: int = 0
    traded: int = 0
    signed_lots: int = 0
    ofi: int = 0
    hit: set[Side] = field(default_factory=set)

    ofi_closed: list[int] = field(default_factory=list)
    log_mids: list[float | None] = field(default_factory=list)
    returns_1s: list[float | None] = field(default_factory=list)
    adds: Fading = field(default_factory=lambda: Fading(10))
    cancels: Fading = field(default_factory=lambda: Fading(10))
    trades: Fading = field(default_factory=lambda: Fading(10))
    signed: Fading = field(default_factory=lambda: Fading(10))
    top_depth: Fading = field(default_factory=lambda: Fading(10))
    usual_depth: dict[Side, Fading] = field(default_factory=lambda: {side: Fading(30) for side in SIDES})
    shocks: dict[Side, Shock] = field(default_factory=dict)
    at_risk_s: Fading = field(default_factory=lambda: Fading(60))
    recoveries: Fading = field(default_factory=lambda: Fading(60))

    def book_changed(self, before: dict[Side, Top], after: dict[Side, Top]) -> None:
        """Add ``e_n`` of Cont, Kukanov, Stoikov 2014, (4); an empty side stands at the worst price with size 0."""
        bid, ask = _price(before[Side.BID], -math.inf), _price(before[Side.ASK], math.inf)
        new_bid, new_ask = _price(after[Side.BID], -math.inf), _price(after[Side.ASK], math.inf)
        change = after[Side.BID].qty if new_bid >= bid else 0
        change -= before[Side.BID].qty if new_bid <= bid else 0
        change -= after[Side.ASK].qty if new_ask <= ask else 0
        change += before[Side.ASK].qty if new_ask >= ask else 0
        self.ofi = _saturated(self.ofi + change)

    def trade(self, side: Side, qty: int) -> None:
        """Count a trade against a resting ``side``: whoever hit a bid sold."""
        self.traded += 1
        self.signed_lots = _saturated(self.signed_lots - int(side) * qty)

    def close(self, book: PlainBook, tick_size: int) -> list[float]:
        """Close a tick; return the values in the order of ``features.spec``, NaN where null.

        Args:
            book: The book at the tick's end.
            tick_size: In 1e-9 currency, 0 while the instrument is not defined.
        """
        bid, ask = book.top(Side.BID), book.top(Side.ASK)
        self._count(bid, ask)
        found = _sizes(book, bid, ask) | self._prices(bid, ask, tick_size)
        found["book_pressure"] = _pressure(book, tick_size) if found["spread_ticks"] is not None else None
        found |= self._rates() | {"realised_vol_60s": self._realised_vol()}
        found |= {"ofi_1s": self._ofi(10), "ofi_10s": self._ofi(100)}
        found["liquidity_decay_s"] = self._liquidity_decay(book)
        return [math.nan if (value := found[name]) is None else value for name in FEATURE_NAMES]

    def _count(self, bid: Top, ask: Top) -> None:
        self.adds.tick(self.added)
        self.cancels.tick(self.cancelled)
        self.trades.tick(self.traded)
        self.signed.tick(self.signed_lots)
        self.top_depth.tick((float(bid.qty) + float(ask.qty)) / 2)
        self.ofi_closed.append(self.ofi)
        self.added = self.cancelled = self.traded = self.signed_lots = self.ofi = 0

    def _prices(self, bid: Top, ask: Top, tick_size: int) -> Features:
        if bid.price is None or ask.price is None:
            mid = spread = None
        else:
            mid, spread = (float(bid.price) + float(ask.price)) / 2, float(ask.price - bid.price)
        log_mid = None if mid is None else math.log(mid)
        returns = {seconds: _less(log_mid, _ago(self.log_mids, 10 * seconds)) for seconds in (1, 10)}
        self.log_mids.append(log_mid)
        self.returns_1s.append(returns[1])
        return {
            "spread_bps": None if mid is None or spread is None else 1e4 * spread / mid,
            "spread_ticks": None if spread is None or tick_size == 0 else spread / tick_size,
            "mid_return_1s_bps": None if returns[1] is None else 1e4 * returns[1],
            "mid_return_10s_bps": None if returns[10] is None else 1e4 * returns[10],
        }

    def _rates(self) -> Features:
        seconds = self.adds.ticks * TICK_S
        known = len(self.log_mids) >= 100
        return {
            "trade_to_order": (self.trades.total + 1) / (self.adds.total + self.cancels.total + 10),
            "add_rate": self.adds.total / seconds if known else None,
            "cancel_rate": self.cancels.total / seconds if known else None,
            "trade_rate": self.trades.total / seconds if known else None,
            "signed_trade_rate": self.signed.total / seconds if known else None,
        }

    def _ofi(self, ticks: int) -> float | None:
        depth = self.top_depth.mean()
        return float(sum(self.ofi_closed[-ticks:])) / depth if depth > 0 else None

    def _realised_vol(self) -> float | None:
        """Ten grids of 60 returns of 1 s, offset by a tick: their mean sum is 60 times the mean square of all."""
        squares = [step * step for step in self.returns_1s[-600:] if step is not None]
        return 1e4 * math.sqrt(math.fsum(squares) / len(squares) * 60) if len(squares) >= 100 else None

    def _liquidity_decay(self, book: PlainBook) -> float | None:
        """Half-life of an exponential law from censored times, with one recovery in one second as the prior."""
        at_risk_s, recovered = 0.0, 0
        for side in SIDES:
            at_risk_s += TICK_S if side in self.shocks else 0.0
            recovered += self._follow(side, float(book.depth(side, 5)))
        self.at_risk_s.tick(at_risk_s)
        self.recoveries.tick(recovered)
        self.hit.clear()
        if len(self.log_mids) < 600:
            return None
        return math.log(2) * (self.at_risk_s.total + 1) / (self.recoveries.total + 1)

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
        if side in self.hit and depth < 0.8 * usual:
            self.shocks[side] = Shock(usual, depth)
        self.usual_depth[side].tick(depth)
        return recovered


def _sizes(book: PlainBook, bid: Top, ask: Top) -> Features:
    five = {side: float(book.depth(side, 5)) for side in SIDES}
    return {
        "bid_qty_top": float(bid.qty),
        "ask_qty_top": float(ask.qty),
        "depth_bid_5": five[Side.BID],
        "depth_ask_5": five[Side.ASK],
        "depth_total_10": float(book.depth(Side.BID, 10)) + float(book.depth(Side.ASK, 10)),
        "imbalance_l1": _imbalance(float(bid.qty), float(ask.qty)),
        "imbalance_l5": _imbalance(five[Side.BID], five[Side.ASK]),
    }


def _pressure(book: PlainBook, tick_size: int) -> float | None:
    """Cao, Hansch, Wang 2009; the nearest level's weight is factored out, lest a wide spread make all of them 0."""
    levels = {side: book.best_first(side)[:10] for side in SIDES}
    mid = (float(levels[Side.BID][0][0]) + float(levels[Side.ASK][0][0])) / 2
    nearest = min(abs(price - mid) for side in SIDES for price, _ in levels[side])
    weighed = dict.fromkeys(SIDES, 0.0)
    for side in SIDES:
        for price, qty in levels[side]:
            weighed[side] += math.exp(-0.5 * ((abs(price - mid) - nearest) / tick_size)) * qty
    return _imbalance(weighed[Side.BID], weighed[Side.ASK])


def _imbalance(bid: float, ask: float) -> float | None:
    return (bid - ask) / (bid + ask) if bid + ask > 0 else None


def _ago(history: list[float | None], ticks: int) -> float | None:
    return history[-ticks] if len(history) >= ticks else None


def _less(now: float | None, then: float | None) -> float | None:
    return None if now is None or then is None else now - then


def _price(top: Top, empty: float) -> float:
    return empty if top.price is None else top.price


def _saturated(value: int) -> int:
    return min(max(value, -LOTS_MAX), LOTS_MAX)
