"""National best bid and offer (NBBO) of one instrument from quotes. Pure.

The files come in two kinds that no header tells apart:

- ``PER_EXCHANGE``: a line is an exchange's own quote. The last one of each exchange is kept; the NBBO is the best price with
  the sizes of all exchanges at that price added up.
- ``NATIONAL``: the tape's own NBBO. Each change is told as a pair of lines of one time, bid then ask, each with the exchange
  that set it and that exchange's size; the side that did not change is told again. An exchange that loses the best price is
  not told of again, so reading such a file as per-exchange quotes keeps dead quotes and crosses the book nearly always.

``kind_of`` tells them apart. A locked or crossed NBBO is a state of the market, not an error.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from feeds.consolidated.parse import Quote, QuoteCondition
from schemas.events import Side


class QuoteKind(Enum):
    """What the lines of a quote file say."""

    PER_EXCHANGE = "per exchange"
    NATIONAL = "national"


REMOVING: Final = int(
    QuoteCondition.GAP
    | QuoteCondition.CLOSING
    | QuoteCondition.NEWS_DISSEMINATION
    | QuoteCondition.NEWS_PENDING
    | QuoteCondition.TRADING_RANGE_INDICATION
    | QuoteCondition.ORDER_IMBALANCE
    | QuoteCondition.CLOSED_MARKET_MAKER
    | QuoteCondition.VOLATILITY_PAUSE
    | QuoteCondition.NON_FIRM
    | QuoteCondition.RELATED_SECURITY
    | QuoteCondition.RESUME
    | QuoteCondition.IN_VIEW_OF_COMMON
    | QuoteCondition.EQUIPMENT_CHANGEOVER
    | QuoteCondition.SUB_PENNY
    | QuoteCondition.NO_OPEN_NO_RESUME
)
"""An exchange's quote under any of these is no firm quote, so not part of the NBBO (CQS specification, quote conditions)."""

_KNOWN: Final = REMOVING | int(QuoteCondition.REGULAR | QuoteCondition.SLOW | QuoteCondition.OPENING)

PAIRS_MIN: Final = 500
"""Unbroken pairs that no file of per-exchange quotes begins with by chance."""

_REGULAR: Final = int(QuoteCondition.REGULAR)
_NATION: Final = ""
_NONE: Final = (0, 0)

Change = tuple[Side, int, int]
"""Side, price, and all shares now at it; 0 shares remove the level."""


def kind_of(quotes: Iterable[Quote]) -> QuoteKind:
    """Return what the lines of a file say, reading on until that is certain.

    National lines come in pairs, bid then ask, of one time (before the first pair a lone ask may stand), and in some pair the
    two sides are of different exchanges: before the market opens one exchange may stand alone for hours. A line out of its
    pair, or pairs of one exchange to the end, say that each line is its exchange's own.
    """
    lines = iter(quotes)
    bid: Quote | None = None
    mixed, pairs = False, 0
    for number, quote in enumerate(lines):
        if bid is None:
            if quote.bid_price and not quote.ask_price:
                bid = quote
            elif number or quote.bid_price:
                return QuoteKind.PER_EXCHANGE
            continue
        if quote.bid_price or not quote.ask_price or quote.ts_ns != bid.ts_ns:
            return QuoteKind.PER_EXCHANGE
        mixed, pairs, bid = mixed or quote.exchange != bid.exchange, pairs + 1, None
        if mixed and pairs >= PAIRS_MIN:
            break
    return QuoteKind.NATIONAL if mixed else QuoteKind.PER_EXCHANGE


@dataclass(slots=True)
class Best:
    """One side's quotes and the level they make; all prices 1e-9 dollars, sizes shares.

    The sizes are kept per price, so a quote costs a search only where the best price itself empties.

    Attributes:
        side: Side of the market.
        level: Best price and all shares at it; zeros when there is none.
    """

    side: Side
    level: tuple[int, int] = _NONE
    _quotes: dict[str, tuple[int, int]] = field(default_factory=dict)
    _shares: dict[int, int] = field(default_factory=dict)

    def put(self, exchange: str, price: int, size: int) -> list[Change]:
        """Take an exchange's quote, a size of 0 withdrawing it, and return what changes in the NBBO.

        The new level stands before the old one goes: a side that is empty in between would count as an order flow of its
        own (Cont, Kukanov, Stoikov 2014 count the change from one best level to the next).
        """
        held_price, held_size = self._quotes.pop(exchange, _NONE)
        if held_size:
            self._shares[held_price] -= held_size
            if not self._shares[held_price]:
                del self._shares[held_price]
        if size:
            self._quotes[exchange] = price, size
            self._shares[price] = self._shares.get(price, 0) + size
        before = self.level
        best = before[0]
        if size and (not best or self.side * (price - best) > 0):
            best = price
        elif best not in self._shares:
            best = max(self._shares, key=lambda price: self.side * price, default=0)
        self.level = (best, self._shares[best]) if best else _NONE
        if self.level == before:
            return []
        changes: list[Change] = [(self.side, *self.level)] if best else []
        if before[0] and before[0] != best:
            changes.append((self.side, before[0], 0))
        return changes


@dataclass(slots=True)
class Nbbo:
    """The NBBO of one instrument.

    Attributes:
        kind: What the quotes say.
        counts: Conditions, zero sizes and flags seen → how often.
        unknown: What was not understood → how often.
    """

    kind: QuoteKind
    counts: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    _bid: Best = field(default_factory=lambda: Best(Side.BID))
    _ask: Best = field(default_factory=lambda: Best(Side.ASK))
    _previous: Quote | None = None

    @property
    def bid(self) -> tuple[int, int]:
        """Best bid and shares; zeros when there is none."""
        return self._bid.level

    @property
    def ask(self) -> tuple[int, int]:
        """Best offer and shares; zeros when there is none."""
        return self._ask.level

    def quote(self, quote: Quote) -> list[Change]:
        """Take a quote and return what changes in the NBBO.

        The suspicious flag is the vendor's hindsight, which no live feed has: it is counted and nothing more. In national
        lines the condition is that of the quote which caused the change, which need not stand in the line: counted too.
        """
        removing = self._look(quote)
        changes: list[Change] = []
        national = self.kind is QuoteKind.NATIONAL
        exchange = _NATION if national else quote.exchange
        silent = not quote.bid_price and not quote.ask_price
        if silent and not removing:
            self.unknown["quote of no side"] += 1
        for best, price, size in (
            (self._bid, quote.bid_price, quote.bid_size),
            (self._ask, quote.ask_price, quote.ask_size),
        ):
            if not price and size:
                self.unknown["size without a price"] += 1
            elif removing and (price or silent):
                changes += best.put(exchange, 0, 0)
            elif price:
                self.counts["zero sizes"] += not size
                changes += best.put(exchange, price, size)
        return changes

    def _look(self, quote: Quote) -> bool:
        """Count what is out of the ordinary, and return whether the quote is none of the NBBO."""
        if quote.suspicious:
            self.counts["suspicious quotes"] += 1
        national = self.kind is QuoteKind.NATIONAL
        if national:
            self._expect_pair(quote)
        if quote.condition <= _REGULAR:
            return False
        if quote.condition & ~_KNOWN:
            self.unknown[f"quote condition {quote.condition & ~_KNOWN:x}"] += 1
        self.counts[f"quote condition {quote.condition:x}"] += 1
        removing = bool(quote.condition & REMOVING) and not national
        self.counts["removed by condition"] += removing
        return removing

    def _expect_pair(self, quote: Quote) -> None:
        """Count the lines that do not belong to a pair: too many would say that the file is not a national one."""
        before, self._previous = self._previous, quote
        if before is None:
            return
        starts, ends = bool(quote.bid_price), bool(before.ask_price)
        if starts != ends or (not starts and before.ts_ns != quote.ts_ns):
            self.unknown["national line out of its pair"] += 1
