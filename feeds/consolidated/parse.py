"""Lines of Lean tick files → quotes and trades. Pure.

A line is comma-separated, times are milliseconds after New York's midnight (up to six decimals), prices 1e-4 dollars, sizes
shares, conditions hexadecimal flags. Trade: time, price, size, exchange, condition, suspicious. Quote: time, bid price, bid
size, ask price, ask size, exchange, condition, suspicious; a side with price and size 0 is not spoken of.
"""

import re
from dataclasses import dataclass
from enum import IntFlag
from pathlib import Path
from typing import Final

from feeds.blocks import FeedError
from schemas.units import NS_PER_MS, PRICE_SCALE

Place = tuple[Path | str, int]
"""File and line, from 1."""

PRICE_UNIT: Final = PRICE_SCALE // 10_000
TICK_SIZE: Final = PRICE_SCALE // 100
"""One cent, the tick of US shares above one dollar."""

DAY_NS: Final = 24 * 3600 * 1_000 * NS_PER_MS

_NUMBER: Final = rb"([0-9]{1,12})"
_TIME: Final = rb"([0-9]{1,8})(?:\.([0-9]{1,6}))?"
_TAIL: Final = rb"([A-Z]),([0-9A-Fa-f]{1,8}),([01])\r?\n?"
_QUOTE: Final = re.compile(b",".join((_TIME, _NUMBER, _NUMBER, _NUMBER, _NUMBER, _TAIL)))
_TRADE: Final = re.compile(b",".join((_TIME, _NUMBER, _NUMBER, _TAIL)))


class QuoteCondition(IntFlag):
    """Quote conditions, as Lean's ``QuoteConditionFlags`` numbers them."""

    REGULAR = 0x1
    SLOW = 0x2
    GAP = 0x4
    CLOSING = 0x8
    NEWS_DISSEMINATION = 0x10
    NEWS_PENDING = 0x20
    TRADING_RANGE_INDICATION = 0x40
    ORDER_IMBALANCE = 0x80
    CLOSED_MARKET_MAKER = 0x100
    VOLATILITY_PAUSE = 0x200
    NON_FIRM = 0x400
    OPENING = 0x800
    RELATED_SECURITY = 0x1000
    RESUME = 0x2000
    IN_VIEW_OF_COMMON = 0x4000
    EQUIPMENT_CHANGEOVER = 0x8000
    SUB_PENNY = 0x10000
    NO_OPEN_NO_RESUME = 0x20000


class TradeCondition(IntFlag):
    """Trade conditions that matter here, as Lean's ``TradeConditionFlags`` numbers them."""

    CASH = 0x2
    NEXT_DAY = 0x4
    SELLER = 0x8
    OPENING_PRINT = 0x40
    CLOSING_PRINT = 0x80
    REOPENING_PRINT = 0x100
    DERIVATIVELY_PRICED = 0x200
    SOLD_LAST = 0x800
    STOPPED = 0x1000
    OUT_OF_SEQUENCE = 0x4000
    SPLIT = 0x8000
    ACQUISITION = 0x10000
    BUNCHED = 0x20000
    STOCK_OPTION = 0x40000
    DISTRIBUTION = 0x80000
    AVERAGE_PRICE = 0x100000
    CROSS = 0x200000
    OFFICIAL_CLOSE = 0x1000000
    PRIOR_REFERENCE = 0x2000000
    OFFICIAL_OPEN = 0x4000000


@dataclass(frozen=True, slots=True)
class Quote:
    """One quote line; ``ts_ns`` after midnight, prices 1e-9 dollars, sizes shares."""

    ts_ns: int
    bid_price: int
    bid_size: int
    ask_price: int
    ask_size: int
    exchange: str
    condition: int
    suspicious: bool


@dataclass(frozen=True, slots=True)
class Trade:
    """One trade line; ``ts_ns`` after midnight, ``price`` 1e-9 dollars, ``size`` shares."""

    ts_ns: int
    price: int
    size: int
    exchange: str
    condition: int
    suspicious: bool


def parse_quote(line: bytes, place: Place) -> Quote:
    """Return the quote in one line.

    Raises:
        FeedError: Not the eight fields of a quote, or a time beyond the day.
    """
    found = _QUOTE.fullmatch(line)
    if found is None:
        raise FeedError(*place, f"not a quote: {line[:80]!r}")
    ms, fraction, bid_price, bid_size, ask_price, ask_size, exchange, condition, suspicious = found.groups()
    return Quote(
        _time_ns(ms, fraction, place),
        int(bid_price) * PRICE_UNIT,
        int(bid_size),
        int(ask_price) * PRICE_UNIT,
        int(ask_size),
        exchange.decode(),
        int(condition, 16),
        suspicious == b"1",
    )


def parse_trade(line: bytes, place: Place) -> Trade:
    """Return the trade in one line.

    Raises:
        FeedError: Not the six fields of a trade, or a time beyond the day.
    """
    found = _TRADE.fullmatch(line)
    if found is None:
        raise FeedError(*place, f"not a trade: {line[:80]!r}")
    ms, fraction, price, size, exchange, condition, suspicious = found.groups()
    return Trade(
        _time_ns(ms, fraction, place),
        int(price) * PRICE_UNIT,
        int(size),
        exchange.decode(),
        int(condition, 16),
        suspicious == b"1",
    )


def _time_ns(ms: bytes, fraction: bytes | None, place: Place) -> int:
    ts_ns = int(ms) * NS_PER_MS + (int(fraction.ljust(6, b"0")) if fraction else 0)
    if ts_ns >= DAY_NS:
        raise FeedError(*place, f"time beyond the day: {ms.decode()} ms")
    return ts_ns
