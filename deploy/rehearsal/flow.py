"""Own orders of a few desks, and a venue that fills them: simulated, from a seed, at the prices of the session.

Each desk sends at random times (Poisson), mostly orders of ordinary size, now and then one too large or priced far away. The venue
fills what meets the market at the cost that the book shows (feature ``buy_cost_bps`` or ``sell_cost_bps``, of a standard clip), so
slippage moves with the market. Rejected: fills at the mid, as `deploy.desk` makes them (slippage would be nought by construction).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from schemas.orders import (
    ExecutionKind,
    ExecutionSource,
    OrderAction,
    OrderDecision,
    OrderExecution,
    OrderRequest,
    OrderSide,
    OrderType,
    Verdict,
)
from schemas.units import NS_PER_MS, NS_PER_S

VENUE: Final = "SIM"
FILL_AFTER_NS: Final = 3 * NS_PER_MS
ORDINARY: Final = (10, 20, 40, 80, 150, 250, 400)
TOO_LARGE: Final = 900
TOO_LARGE_SHARE: Final = 0.03
FAR_SHARE: Final = 0.03
FAR_BPS: Final = 900
MARKET_SHARE: Final = 0.5
LIMIT_BPS: Final = 3.0
BPS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Trader:
    """Who sends orders.

    Attributes:
        account_id: Account.
        desk_id: Desk.
        trader_id: Person or algorithm.
        strategy_id: Strategy.
        orders_per_s: Mean rate over all instruments.
    """

    account_id: str
    desk_id: str
    trader_id: str
    strategy_id: str
    orders_per_s: float


TRADERS: Final = (
    Trader("DESK-1", "cash", "ada", "vwap", 1.0),
    Trader("DESK-1", "cash", "ben", "close", 0.5),
    Trader("DESK-2", "market-making", "mm-1", "quotes", 2.0),
)


@dataclass(frozen=True, slots=True)
class Quote:
    """The market of one instrument as of its last tick.

    Attributes:
        mid: 1e-9 currency.
        tick_size: 1e-9 currency.
        buy_cost_bps: What buying a standard clip costs above the mid, bp.
        sell_cost_bps: What selling it costs below the mid, bp.
    """

    mid: int
    tick_size: int
    buy_cost_bps: float
    sell_cost_bps: float

    def filled_at(self, side: OrderSide) -> int:
        """Return the price that a market order gets, on the grid, never better than the mid."""
        if side is OrderSide.BUY:
            return -(-int(self.mid * (1 + self.buy_cost_bps / BPS)) // self.tick_size) * self.tick_size
        return int(self.mid * (1 - self.sell_cost_bps / BPS)) // self.tick_size * self.tick_size


class OrderFlow:
    """Orders of all traders from a start on; equal seeds and quotes give equal orders."""

    def __init__(self, seed: int, start_ns: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._next_ns = [start_ns + self._wait_ns(trader) for trader in TRADERS]
        self._count = 0

    def due(self, until_ns: int, quotes: Mapping[int, Quote]) -> Iterator[OrderRequest]:
        """Yield the orders before ``until_ns`` in order of time; while nothing is quoted, nobody trades."""
        while min(self._next_ns) < until_ns:
            number = int(np.argmin(self._next_ns))
            at_ns = self._next_ns[number]
            self._next_ns[number] += self._wait_ns(TRADERS[number])
            if quotes:
                yield self._order(TRADERS[number], at_ns, quotes)

    def _order(self, trader: Trader, at_ns: int, quotes: Mapping[int, Quote]) -> OrderRequest:
        instrument_id = int(self._rng.choice(sorted(quotes)))
        side = OrderSide.BUY if self._rng.random() < 0.5 else OrderSide.SELL
        qty = TOO_LARGE if self._rng.random() < TOO_LARGE_SHARE else int(self._rng.choice(ORDINARY))
        self._count += 1
        return OrderRequest(
            order_id=f"r-{self._count}",
            account_id=trader.account_id,
            instrument_id=instrument_id,
            ts_event_ns=at_ns,
            action=OrderAction.NEW,
            side=side,
            order_type=OrderType.LIMIT if (price := self._price(quotes[instrument_id], side)) else OrderType.MARKET,
            qty=qty,
            price=price,
            desk_id=trader.desk_id,
            trader_id=trader.trader_id,
            strategy_id=trader.strategy_id,
            venue_id=VENUE,
        )

    def _price(self, quote: Quote, side: OrderSide) -> int | None:
        drawn, towards = self._rng.random(), 1 if side is OrderSide.BUY else -1
        if drawn < MARKET_SHARE:
            return None
        bps = FAR_BPS if drawn > 1 - FAR_SHARE else self._rng.normal(0.0, LIMIT_BPS)
        return round(quote.mid * (1 + towards * bps / BPS) / quote.tick_size) * quote.tick_size

    def _wait_ns(self, trader: Trader) -> int:
        return int(self._rng.exponential(NS_PER_S / trader.orders_per_s)) + 1


def executions_of(order: OrderRequest, decision: OrderDecision, quote: Quote | None) -> list[OrderExecution]:
    """Return what the venue and its drop copy say of an order; nothing of one that never gets there."""
    if decision.verdict is not Verdict.ACCEPT or order.action is not OrderAction.NEW or quote is None:
        return []
    price = quote.filled_at(order.side)
    limit = order.price if order.price is not None else decision.worst_price
    is_buy = order.side is OrderSide.BUY
    meets = limit is None or (limit >= price if is_buy else limit <= price)
    venue = OrderExecution(
        exec_id=f"{order.order_id}.1",
        order_id=order.order_id,
        account_id=order.account_id,
        instrument_id=order.instrument_id,
        ts_event_ns=order.ts_event_ns + FILL_AFTER_NS,
        kind=ExecutionKind.FILLED if meets else ExecutionKind.EXPIRED,
        side=order.side,
        qty=order.qty,
        price=price if meets else None,
        venue_id=VENUE,
        source=ExecutionSource.VENUE,
    )
    return [venue]
