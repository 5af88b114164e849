"""Which side rested in a trade of the tape, which does not say it. Pure.

Lee and Ready 1991, "Inferring Trade Direction from Intraday Data", Journal of Finance 46(2): the quote rule, and the tick rule
where it is silent. A trade at or above the ask was a buyer's (the ask rested), at or below the bid a seller's; between them the
nearer side rested; at the midpoint, in a locked or crossed market where both hold, and without a quote the last change of price
decides: up is a buyer's. Their lag of five seconds was for quotes written by hand and is not used; instead a trade is judged by
the quotes before its millisecond (Holden and Jacobsen 2014, Journal of Finance 69(4)), for its own effect stands in that one.
The vendor's prices are whole cents, so a print inside a spread of one cent is judged by where it was rounded to.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from feeds.consolidated.parse import Trade, TradeCondition
from schemas.events import Side

NO_TRADE: Final = int(TradeCondition.OFFICIAL_OPEN | TradeCondition.OFFICIAL_CLOSE)
"""A market centre's official value: told like a trade, but nothing changed hands."""

NOT_AGAINST_QUOTES: Final = int(
    TradeCondition.CASH
    | TradeCondition.NEXT_DAY
    | TradeCondition.SELLER
    | TradeCondition.OPENING_PRINT
    | TradeCondition.CLOSING_PRINT
    | TradeCondition.REOPENING_PRINT
    | TradeCondition.DERIVATIVELY_PRICED
    | TradeCondition.SOLD_LAST
    | TradeCondition.STOPPED
    | TradeCondition.OUT_OF_SEQUENCE
    | TradeCondition.SPLIT
    | TradeCondition.ACQUISITION
    | TradeCondition.BUNCHED
    | TradeCondition.STOCK_OPTION
    | TradeCondition.DISTRIBUTION
    | TradeCondition.AVERAGE_PRICE
    | TradeCondition.CROSS
    | TradeCondition.PRIOR_REFERENCE
)
"""Auctions, late reports and prices made elsewhere: nobody aggressed against the quotes of the moment, so no side rested."""


@dataclass(slots=True)
class TradeSides:
    """Decides for the trades of one instrument, in time order.

    Attributes:
        counts: Rule → trades that it decided, and trades without a side.
    """

    counts: Counter[str] = field(default_factory=Counter)
    _last_price: int = 0
    _direction: Side = Side.NONE

    def side_of(self, trade: Trade, bid_price: int, ask_price: int) -> Side:
        """Return the resting side; ``NONE`` when no rule can tell. Prices 1e-9 dollars, 0 = no quote on that side."""
        if trade.condition & NOT_AGAINST_QUOTES:
            self.counts["sides: not against quotes"] += 1
            return Side.NONE
        by_tick = self._tick_rule(trade.price)
        side = _quote_rule(trade.price, bid_price, ask_price)
        if side is not Side.NONE:
            self.counts["sides: quote rule"] += 1
            return side
        self.counts["sides: tick rule" if by_tick is not Side.NONE else "sides: no earlier price"] += 1
        return by_tick

    def _tick_rule(self, price: int) -> Side:
        if self._last_price and price != self._last_price:
            self._direction = Side.ASK if price > self._last_price else Side.BID
        self._last_price = price
        return self._direction


def _quote_rule(price: int, bid_price: int, ask_price: int) -> Side:
    lifted = bool(ask_price) and price >= ask_price
    hit = bool(bid_price) and price <= bid_price
    if lifted != hit:
        return Side.ASK if lifted else Side.BID
    if lifted or not bid_price or not ask_price or 2 * price == bid_price + ask_price:
        return Side.NONE
    return Side.ASK if 2 * price > bid_price + ask_price else Side.BID
