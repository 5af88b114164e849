"""Binance lines → messages. Pure.

A line is the recorder's stamp (digits), a blank and what came over the wire: a combined-stream envelope, a bare event, or
the answer of REST ``depth``. Invariant: numbers are exact (decimal strings to integers, never through floats), and a
message is whole or the line is refused. Rejected: the recorder's stamp as event time (its clock is 1.5 s off in places).

Source: the venue's documentation of market streams and of "How to manage a local order book correctly".
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from feeds.blocks import FeedError
from schemas.events import Side
from schemas.units import NS_PER_MS, PRICE_SCALE

Levels = dict[int, int]
"""Price (1e-9 currency) → lots; 0 removes the level."""
Place = tuple[Path | str, int]

_INT64_MAX: Final = 2**63 - 1
_DECIMAL: Final = re.compile(r"([0-9]{1,18})(?:\.([0-9]{1,9}))?", re.ASCII)
_EVENT_MS: Final = re.compile(rb'"E":\s?([0-9]{1,18})[,}]')
_DIFF_STREAM: Final = re.compile(r"[^@]+@depth(@[0-9]+ms)?")
_TRADES: Final = ("trade", "aggTrade")
_ON_MARKET: Final = (None, "MARKET")


@dataclass(frozen=True, slots=True)
class Recording:
    """What every line of one file shares.

    Attributes:
        market: ``spot`` or ``usdm``.
        symbol: Symbol in the venue's upper case.
        tick_size: 1e-9 currency.
        lot_size: 1e-9 units of the base asset.
        first_ns: No event of the file is earlier, UTC.
        last_ns: No event of the file is later, UTC. The two keep a damaged time from running the clock away.
    """

    market: str
    symbol: str
    tick_size: int
    lot_size: int
    first_ns: int
    last_ns: int


@dataclass(frozen=True, slots=True)
class DepthUpdate:
    """Levels changed by the updates ``first_id`` to ``last_id`` (U, u); ``previous_id`` (pu) is ``None`` on spot."""

    stream: str
    ts_ns: int
    first_id: int
    last_id: int
    previous_id: int | None
    bids: Levels
    asks: Levels


@dataclass(frozen=True, slots=True)
class DepthSnapshot:
    """The book by REST after update ``last_id``: at most as many levels as were asked for."""

    last_id: int
    bids: Levels
    asks: Levels


@dataclass(frozen=True, slots=True)
class Trade:
    """A trade, single or aggregated; ``side`` is the side that rested."""

    stream: str
    ts_ns: int
    side: Side
    price: int
    qty_lots: int


@dataclass(frozen=True, slots=True)
class Quote:
    """The venue's best bid and offer after update ``update_id``: ``(price, lots)``, zeros for an empty side."""

    update_id: int
    bid: tuple[int, int]
    ask: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Other:
    """A line that says nothing about book or trades, by what names it."""

    name: str


Message = DepthUpdate | DepthSnapshot | Trade | Quote | Other


def units_of(text: object, place: Place) -> int:
    """Return a non-negative decimal string in units of 1e-9.

    Raises:
        FeedError: Not digits with at most nine decimals.
    """
    found = _DECIMAL.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise FeedError(*place, f"not a decimal of at most nine places: {str(text)[:40]!r}")
    whole, fraction = found.groups()
    return int(whole) * PRICE_SCALE + (int(fraction.ljust(9, "0")) if fraction else 0)


def event_times_ns(lines: Iterator[tuple[Place, bytes]], recording: Recording) -> Iterator[int]:
    """Yield the venue's time of each line that has one, ns UTC, without reading the rest of the line.

    Raises:
        FeedError: A time outside the recording's day.
    """
    for place, line in lines:
        for found in _EVENT_MS.finditer(line):  # a damaged line may hold two
            yield _checked_ns(int(found[1]), recording, place)


def parse_line(line: bytes, recording: Recording, place: Place) -> Message:
    """Return the message in one line.

    Raises:
        FeedError: No stamp, no JSON object, a field that is missing or of the wrong kind, another symbol, a time outside
            the recording's day, or a quantity that is not whole lots.
    """
    stamp, _, body = line.partition(b" ")
    if not stamp.isdigit():
        raise FeedError(*place, f"no recorder's stamp: {line[:40]!r}")
    try:
        envelope = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise FeedError(*place, f"not JSON ({error}): {body[:40]!r}") from error
    stream = envelope.get("stream", "") if isinstance(envelope, dict) else None
    event = envelope.get("data", envelope) if stream else envelope
    if not isinstance(event, dict) or not isinstance(stream, str):
        raise FeedError(*place, f"not an event: {body[:40]!r}")
    return _message(event, stream, _Fields(event, recording, place))


@dataclass(frozen=True, slots=True)
class _Fields:
    """Checked access to one event's fields."""

    event: dict[str, Any]
    recording: Recording
    place: Place

    def number(self, name: str) -> int:
        value = self.event.get(name)
        if type(value) is not int or not 0 <= value <= _INT64_MAX:
            raise FeedError(*self.place, f"{name} is not an id or time: {str(value)[:40]!r}")
        return value

    def event_ns(self) -> int:
        return _checked_ns(self.number("E"), self.recording, self.place)

    def price(self, text: object) -> int:
        price = units_of(text, self.place)
        if price > _INT64_MAX:
            raise FeedError(*self.place, f"price is out of range: {text}")
        return price

    def lots(self, text: object) -> int:
        lots, rest = divmod(units_of(text, self.place), self.recording.lot_size)
        if rest or lots > _INT64_MAX:
            raise FeedError(*self.place, f"quantity {text} is not whole lots of {self.recording.lot_size}e-9")
        return lots

    def traded(self, price: str, qty: str) -> tuple[int, int]:
        found = self.price(self.event.get(price)), self.lots(self.event.get(qty))
        if 0 in found:
            raise FeedError(*self.place, f"a trade of {self.event[qty]} at {self.event[price]}")
        return found

    def levels(self, name: str) -> Levels:
        rows = self.event.get(name)
        if not isinstance(rows, list):
            raise FeedError(*self.place, f"{name} is not a list of levels")
        levels: Levels = {}
        for row in rows:
            if not isinstance(row, list) or len(row) != 2:
                raise FeedError(*self.place, f"not a price and a quantity: {str(row)[:40]}")
            price = self.price(row[0])
            if price == 0:
                raise FeedError(*self.place, f"a level at price 0 in {name}")
            levels[price] = self.lots(row[1])  # the last word on a price counts
        return levels

    def check_symbol(self) -> None:
        if self.event.get("s") != self.recording.symbol:
            raise FeedError(*self.place, f"symbol {str(self.event.get('s'))[:40]!r}, not {self.recording.symbol}")


def _message(event: dict[str, Any], stream: str, fields: _Fields) -> Message:
    kind = event.get("e")
    suffix = stream.partition("@")[2]
    if kind == "depthUpdate" and (not stream or _DIFF_STREAM.fullmatch(stream)):
        return _depth_update(stream, fields)
    if kind in _TRADES:
        return _trade(event, kind, fields)
    if kind == "bookTicker" or (kind is None and suffix == "bookTicker"):
        fields.check_symbol()
        bid = fields.price(event.get("b")), fields.lots(event.get("B"))
        ask = fields.price(event.get("a")), fields.lots(event.get("A"))
        return Quote(fields.number("u"), bid, ask)
    # The first levels as a stream have the fields of a REST answer; only the whole book starts a book.
    if kind is None and not stream and "lastUpdateId" in event:
        return DepthSnapshot(fields.number("lastUpdateId"), fields.levels("bids"), fields.levels("asks"))
    name = suffix if kind == "depthUpdate" else kind or suffix
    return Other(name if isinstance(name, str) and name else "without an event type")


def _depth_update(stream: str, fields: _Fields) -> DepthUpdate:
    fields.check_symbol()
    first_id, last_id = fields.number("U"), fields.number("u")
    if first_id > last_id:
        raise FeedError(*fields.place, f"U {first_id} is above u {last_id}")
    return DepthUpdate(
        stream=stream,
        ts_ns=fields.event_ns(),
        first_id=first_id,
        last_id=last_id,
        previous_id=fields.number("pu") if fields.recording.market == "usdm" else None,
        bids=fields.levels("b"),
        asks=fields.levels("a"),
    )


def _trade(event: dict[str, Any], kind: str, fields: _Fields) -> Message:
    fields.check_symbol()
    origin = event.get("X")
    if origin not in _ON_MARKET:  # INSURANCE_FUND, ADL, NA: no order of the book was hit, the price may be far off
        return Other(f"{kind} X={origin}")
    buyer_rested = event.get("m")
    if not isinstance(buyer_rested, bool):
        raise FeedError(*fields.place, f"m is neither true nor false: {str(buyer_rested)[:40]!r}")
    price, qty_lots = fields.traded("p", "q")
    return Trade(kind, fields.event_ns(), Side.BID if buyer_rested else Side.ASK, price, qty_lots)


def _checked_ns(event_ms: int, recording: Recording, place: Place) -> int:
    ts_ns = event_ms * NS_PER_MS
    if not recording.first_ns <= ts_ns <= recording.last_ns:
        raise FeedError(*place, f"event time {event_ms} ms is not within the recording's day")
    return ts_ns
