"""Lines of a tape → trades. Pure.

Two layouts, told apart by the file's name. *Trades*: a header, then ``exchange,symbol,timestamp,local_timestamp,id,side,price,
amount``, times in microseconds UTC, ``side`` that of the aggressor. *aggTrades* (Binance): ``id,price,amount,first,last,time,
buyer is maker,best match``, times in milliseconds or, since 2025, microseconds; a header may come first. Numbers are exact: decimal
text to integers, never through floats; ``8e-8`` is written by some venues and read.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from feeds.blocks import FeedError
from schemas.events import Side

Place = tuple[Path | str, int]
"""File and line, from 1."""

NS_PER_US: Final = 1_000
NANO: Final = 9
"""Decimal places of prices and amounts, here and in ``schemas.units``."""

TRADES_HEADER: Final = b"exchange,symbol,timestamp,local_timestamp,id,side,price,amount"
_DECIMAL: Final = rb"([0-9]{1,18}(?:\.[0-9]{1,18})?(?:[eE]-?[0-9]{1,2})?)"
_PARTS: Final = re.compile(rb"([0-9]+)(?:\.([0-9]+))?(?:[eE](-?[0-9]+))?")
_TIME: Final = rb"([0-9]{13,17})"
_NAME: Final = rb"([A-Za-z0-9_.-]{1,40})"
_TRADE: Final = re.compile(
    rb",".join((_NAME, _NAME, _TIME, _TIME, rb"[^,]{0,40}", rb"(buy|sell|unknown)", _DECIMAL, _DECIMAL)) + rb"\r?\n?"
)
_AGGREGATE: Final = re.compile(
    rb",".join((rb"[0-9]{1,19}", _DECIMAL, _DECIMAL, rb"[0-9]{1,19}", rb"[0-9]{1,19}", _TIME,
                rb"([Tt]rue|[Ff]alse)", rb"(?:[Tt]rue|[Ff]alse)")) + rb"\r?\n?"
)  # fmt: skip
_RESTED: Final = {b"buy": Side.ASK, b"sell": Side.BID, b"unknown": Side.NONE}
_MS_BELOW: Final = 10**14
"""A time with fewer digits is in milliseconds: in microseconds it would lie in 1973."""


@dataclass(frozen=True, slots=True)
class Trade:
    """One trade.

    Attributes:
        ts_ns: The venue's time, UTC.
        price: 1e-9 currency.
        qty: 1e-9 units.
        side: Side that rested; ``NONE`` where the venue does not tell.
    """

    ts_ns: int
    price: int
    qty: int
    side: Side


def parse_trade(line: bytes, place: Place, told: tuple[str, str]) -> Trade:
    """Return the trade in a line of the trades layout; ``told`` is the venue and symbol of the file's name.

    Raises:
        FeedError: Not such a line, or of another instrument than the file's name says.
    """
    found = _TRADE.fullmatch(line)
    if found is None:
        raise FeedError(*place, f"not a trade: {line[:80]!r}")
    exchange, name, ts_us, _, side, price, amount = found.groups()
    if (exchange.decode(), name.decode()) != told:
        raise FeedError(*place, f"a trade of {exchange.decode()} {name.decode()} in a file of {' '.join(told)}")
    return Trade(int(ts_us) * NS_PER_US, nano_of(price, place), nano_of(amount, place), _RESTED[side])


def parse_aggregate(line: bytes, place: Place) -> Trade:
    """Return the trade in a line of the aggTrades layout.

    Raises:
        FeedError: Not such a line.
    """
    found = _AGGREGATE.fullmatch(line)
    if found is None:
        raise FeedError(*place, f"not an aggregated trade: {line[:80]!r}")
    price, amount, time, buyer_rested = found.groups()
    ts = int(time)
    ts_ns = ts * NS_PER_US * (1_000 if ts < _MS_BELOW else 1)
    side = Side.BID if buyer_rested.lower() == b"true" else Side.ASK
    return Trade(ts_ns, nano_of(price, place), nano_of(amount, place), side)


def nano_of(text: bytes, place: Place) -> int:
    """Return a non-negative decimal in units of 1e-9.

    Raises:
        FeedError: Not a decimal, or finer than that.
    """
    found = _PARTS.fullmatch(text)
    if found is None:
        raise FeedError(*place, f"not a decimal: {text[:40]!r}")
    whole, fraction, power = found.groups()
    digits, exponent = int(whole + (fraction or b"")), int(power or 0) - len(fraction or b"") + NANO
    if exponent >= 0:
        return digits * int(10**exponent)
    value, rest = divmod(digits, int(10**-exponent))
    if rest:
        raise FeedError(*place, f"finer than 1e-9: {text.decode()}")
    return value
