"""LOBSTER lines → events. Pure.

With the orderbook file the events rebuild exactly the visible levels: a recording of N levels shows a level that comes
into view only in the book row, so each difference between the row and the book that the messages gave becomes a
``LEVEL_SET``. A naive replay of the messages alone keeps ghost levels.

Message: time (s after midnight), type, order id, size, price * 10000, direction (1 = buy side rests). Orderbook: ask
price, ask size, bid price, bid size per level; a level that is not there has price ±9999999999.
"""

from dataclasses import dataclass, field
from typing import Final

from feeds.blocks import FeedError, Row
from schemas.events import Kind, Side
from schemas.units import NS_PER_S, PRICE_SCALE

PRICE_UNIT: Final = PRICE_SCALE // 10_000
TICK_SIZE: Final = PRICE_SCALE // 100
"""One cent, the tick of US shares above one dollar."""

_ABSENT: Final = 9_999_999_999
_NUMBER_MAX: Final = 2**44
"""Beyond every order id, size and price, and small enough for a price in 1e-9 currency."""

_FLOW: Final = {1: Kind.ADD, 2: Kind.REDUCE, 3: Kind.DELETE, 4: Kind.EXECUTE, 5: Kind.EXECUTE_HIDDEN, 6: Kind.TRADE}
_HALT: Final = 7
_HALTED: Final = -1
_TRADING: Final = 1

Levels = dict[int, int]
Book = tuple[Levels, Levels]
"""Bids and asks."""


@dataclass(frozen=True, slots=True)
class Message:
    """One line of the message file; ``ts_ns`` counts from midnight, ``price`` is 1e-9 currency, ``size`` shares."""

    ts_ns: int
    kind: int
    order_id: int
    size: int
    price: int
    direction: int


def parse_message(line: str, place: tuple[str, int]) -> Message:
    """Return the message in one line.

    Raises:
        FeedError: Not six numbers (further columns are refused too), or a time that is none.
    """
    parts = line.rstrip("\r\n").split(",")
    try:
        seconds, _, fraction = parts[0].partition(".")
        if len(fraction) > 9:
            raise ValueError("time is finer than nanoseconds")
        ts_ns = int(seconds) * NS_PER_S + int(fraction.ljust(9, "0") or 0)
        kind, order_id, size, price, direction = (int(part) for part in parts[1:])
        if direction not in (Side.BID, Side.ASK):
            raise ValueError("the direction is neither 1 nor -1")
        if max(abs(kind), abs(order_id), abs(size), abs(price)) >= _NUMBER_MAX:
            raise ValueError("a number is out of range")
    except ValueError as error:
        raise FeedError(*place, f"not a message ({error}): {line[:80]!r}") from error
    order_id = max(order_id, 0)  # -1 where the kind has none
    return Message(ts_ns, kind, order_id, size, price * PRICE_UNIT, direction)


def parse_book(line: str, place: tuple[str, int]) -> tuple[Levels, Levels]:
    """Return bids and asks of one book row as ``{price: size}``.

    Raises:
        FeedError: Not groups of four numbers.
    """
    try:
        numbers = [int(part) for part in line.rstrip("\r\n").split(",")]
        if max(map(abs, numbers)) >= _NUMBER_MAX:
            raise ValueError("a number is out of range")
    except ValueError as error:
        raise FeedError(*place, f"not a book row ({error}): {line[:80]!r}") from error
    if not numbers or len(numbers) % 4:
        raise FeedError(*place, f"a book row has groups of four numbers, was {len(numbers)}")
    asks = {numbers[i] * PRICE_UNIT: numbers[i + 1] for i in range(0, len(numbers), 4) if abs(numbers[i]) < _ABSENT}
    bids = {numbers[i] * PRICE_UNIT: numbers[i + 1] for i in range(2, len(numbers), 4) if abs(numbers[i]) < _ABSENT}
    return bids, asks


@dataclass(slots=True)
class LobsterEvents:
    """Turns messages, and book rows where there are some, into events of one instrument.

    Attributes:
        instrument_id: Instrument of all events.
        midnight_ns: UTC time of the venue's midnight, ns.
        unknown_types: Message type → how many were seen and left out.
        adopted: Levels set from the book rows.
    """

    instrument_id: int
    midnight_ns: int
    unknown_types: dict[int, int] = field(default_factory=dict)
    adopted: int = 0
    _bids: Levels = field(default_factory=dict)
    _asks: Levels = field(default_factory=dict)

    def opening(self, ts_ns: int) -> list[Row]:
        """Return the definition of the instrument and an empty book at ``ts_ns`` after midnight."""
        ts = self.midnight_ns + ts_ns
        return [
            (ts, self.instrument_id, Kind.DEFINE, Side.NONE, 0, TICK_SIZE, PRICE_SCALE),
            (ts, self.instrument_id, Kind.CLEAR, Side.NONE, 0, 0, 0),
        ]

    def message(self, message: Message) -> list[Row]:
        """Return the event of one message."""
        ts = self.midnight_ns + message.ts_ns
        if message.kind == _HALT:
            state = message.price // PRICE_UNIT
            if state in (_HALTED, _TRADING):
                kind = Kind.HALT if state == _HALTED else Kind.RESUME
                return [(ts, self.instrument_id, kind, Side.NONE, 0, 0, 0)]
            return []
        kind_of = _FLOW.get(message.kind)
        if kind_of is None:
            self.unknown_types[message.kind] = self.unknown_types.get(message.kind, 0) + 1
            return []
        self._follow(kind_of, message)
        order_id, side = message.order_id, message.direction
        return [(ts, self.instrument_id, kind_of, side, order_id, message.price, message.size)]

    def book(self, message: Message, bids: Levels, asks: Levels) -> list[Row]:
        """Return the events that make the book the row after ``message``."""
        rows: list[Row] = []
        ts = self.midnight_ns + message.ts_ns
        for side, held, wanted in ((Side.BID, self._bids, bids), (Side.ASK, self._asks, asks)):
            if held == wanted:
                continue
            changed = dict.fromkeys(held.keys() - wanted.keys(), 0)
            changed |= {price: size for price, size in wanted.items() if held.get(price) != size}
            rows += [(ts, self.instrument_id, Kind.LEVEL_SET, side, 0, p, changed[p]) for p in sorted(changed)]
            self.adopted += len(changed)
        self._bids, self._asks = bids, asks
        return rows

    def _follow(self, kind: Kind, message: Message) -> None:
        held = self._bids if message.direction == Side.BID else self._asks
        if kind is Kind.ADD:
            held[message.price] = held.get(message.price, 0) + message.size
        elif kind in (Kind.REDUCE, Kind.DELETE, Kind.EXECUTE) and message.price in held:
            held[message.price] -= message.size
            if held[message.price] <= 0:
                del held[message.price]
