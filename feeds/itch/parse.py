"""TotalView-ITCH messages → events. Pure.

Executions, cancellations and replacements name an order and nothing else, so the live orders are held here (memory grows with
the orders that rest, never with the file). An order that was not seen added has no side and no price: its messages are
counted, not guessed.

A replacement has a new order id, and REPLACE has room for one: it becomes DELETE and ADD at one time, which the book and
the flow count alike. An execution at another price (C) takes the shares off the visible order and carries its print price,
which the book does not need: it knows where the order rests. One that is not printable will be printed by its cross, so it
only reduces. A trade against a hidden order (P) has no side since 2014-07-14: the venue writes B for all.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from feeds.blocks import FeedError, Row
from feeds.itch.messages import BODIES, SIZES, Layout, time_of_day_ns
from schemas.events import Kind, Side
from schemas.units import PRICE_SCALE

TICK_SIZE: Final = PRICE_SCALE // 100
"""One cent, the tick of US shares above one dollar; the feed does not state it."""

INSTRUMENT_IDS_FROM: Final = 2_000_000
"""Instrument id = this + stock locate: locates start at 1 and would meet the ids of other venues."""

_SIDES: Final = {b"B": Side.BID, b"S": Side.ASK}
_DIRECTORY: Final = ord("R")
_HALTED_STATES: Final = (b"H", b"P", b"Q")
_TRADING: Final = b"T"
_HALT_OF_STOCK: Final = 1
_HALT_OF_VENUE: Final = 2
_QTY_MAX: Final = 2**62


@dataclass(slots=True)
class Order:
    """A live order: prices in 1e-9 currency, ``qty`` shares left."""

    instrument_id: int
    side: Side
    price: int
    qty: int


@dataclass(slots=True)
class ItchEvents:
    """Turns the messages of one day into events.

    Attributes:
        midnight_ns: UTC time of the venue's midnight, ns.
        layout: How times and prices are written.
        trades_have_side: False from 2014-07-14 on.
        orders: Live orders by the venue's order number.
        symbols: Instrument id → symbol, for those named so far.
        counts: Message type → how many.
        unknown: What was not understood → how often.
        held_back: Events whose time lay before the channel's; they take the channel's time.
    """

    midnight_ns: int
    layout: Layout
    trades_have_side: bool
    orders: dict[int, Order] = field(default_factory=dict)
    symbols: dict[int, str] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    held_back: int = 0
    _reached_ns: int = 0
    _opened: set[int] = field(default_factory=set)
    _halts: dict[int, int] = field(default_factory=dict)

    def message(self, message: bytes, place: tuple[str, int]) -> list[Row]:
        """Return the events of one message; the first of an instrument come after its definition and an empty book.

        Raises:
            FeedError: The size is not that of its type, or the time is none.
        """
        kind = message[0]
        if kind not in SIZES:
            self.unknown[f"type {chr(kind)!r}"] += 1
            return []
        ts = self.midnight_ns + time_of_day_ns(message, self.layout.time_bytes, place)
        self.counts[chr(kind)] += 1
        read = _READERS.get(kind)
        if read is None:
            return []
        if ts < self._reached_ns:
            self.held_back += 1
        self._reached_ns = ts = max(ts, self._reached_ns)
        instrument_id = INSTRUMENT_IDS_FROM + int.from_bytes(message[1:3])
        try:
            fields = BODIES[kind].unpack_from(message, self.layout.body_at)
            events = [(ts, instrument_id, *event) for event in read(self, instrument_id, fields)]
        except UnicodeDecodeError as error:
            raise FeedError(*place, f"symbol is not ASCII: {error.object!r}") from error
        if instrument_id in self._opened or not (events or kind == _DIRECTORY):
            return events
        self._opened.add(instrument_id)
        return [
            (ts, instrument_id, Kind.DEFINE, Side.NONE, 0, TICK_SIZE, PRICE_SCALE),
            (ts, instrument_id, Kind.CLEAR, Side.NONE, 0, 0, 0),
            *events,
        ]

    def _directory(self, instrument_id: int, fields: tuple[Any, ...]) -> "list[Event]":
        self._name(instrument_id, fields[0])
        return []

    def _trading_action(self, instrument_id: int, fields: tuple[Any, ...]) -> "list[Event]":
        stock, state = fields
        self._name(instrument_id, stock)
        if state in _HALTED_STATES:
            return self._halt(instrument_id, _HALT_OF_STOCK, halted=True)
        if state == _TRADING:
            return self._halt(instrument_id, _HALT_OF_STOCK, halted=False)
        self.unknown[f"trading state {state!r}"] += 1
        return []

    def _operational_halt(self, instrument_id: int, fields: tuple[Any, ...]) -> "list[Event]":
        stock, market, action = fields
        self._name(instrument_id, stock)
        if market != b"Q":
            return []  # another market of the group: this book goes on
        return self._halt(instrument_id, _HALT_OF_VENUE, halted=action == b"H")

    def _halt(self, instrument_id: int, cause: int, *, halted: bool) -> "list[Event]":
        before = self._halts.get(instrument_id, 0)
        now = self._halts[instrument_id] = before | cause if halted else before & ~cause
        if bool(now) == bool(before):
            return []
        return [(Kind.HALT if now else Kind.RESUME, Side.NONE, 0, 0, 0)]

    def _add(self, instrument_id: int, fields: tuple[Any, ...]) -> "list[Event]":
        order_id, side, shares, stock, price = fields
        self._name(instrument_id, stock)
        if side not in _SIDES:
            self.unknown[f"side {side!r}"] += 1
            return []
        return self._rest(order_id, Order(instrument_id, _SIDES[side], price * self.layout.price_unit, shares))

    def _rest(self, order_id: int, order: Order) -> "list[Event]":
        if order.price == 0 or order.qty == 0:
            self.unknown["price or size is 0"] += 1
            return []
        if order_id in self.orders:
            self.unknown["order number added twice"] += 1
        self.orders[order_id] = order
        return [(Kind.ADD, order.side, order_id, order.price, order.qty)]

    def _take(self, order_id: int, shares: int) -> tuple[Order, int] | None:
        """Take shares off an order; return it and what was taken, or nothing where there is nothing to take."""
        order = self.orders.get(order_id)
        if order is None or shares == 0:
            self.unknown["order not seen added" if order is None else "price or size is 0"] += 1
            return None
        if shares > order.qty:
            self.unknown["more shares than the order had"] += 1
        taken = min(shares, order.qty)
        order.qty -= taken
        if order.qty == 0:
            del self.orders[order_id]
        return order, taken

    def _executed(self, _instrument_id: int, fields: tuple[Any, ...]) -> "list[Event]":
        order_id, shares = fields
        found = self._take(order_id, shares)
        return [(Kind.EXECUTE, found[0].side, order_id, found[0].price, found[1])] if found else []

    def _executed_with_price(self, _instrument_id: int, fields: tuple[Any, ...]) -> "list[Event]":
        order_id, shares, _match, printable, price = fields
        found = self._take(order_id, shares)
        if found is None:
            return []
        order, taken = found
        if printable == b"N" or price == 0:
            return [(Kind.REDUCE, order.side, order_id, order.price, taken)]
        return [(Kind.EXECUTE, order.side, order_id, price * self.layout.price_unit, taken)]

    def _cancelled(self, _instrument_id: int, fields: tuple[Any, ...]) -> "list[Event]":
        order_id, shares = fields
        found = self._take(order_id, shares)
        return [(Kind.REDUCE, found[0].side, order_id, found[0].price, found[1])] if found else []

    def _deleted(self, _instrument_id: int, fields: tuple[Any, ...]) -> "list[Event]":
        order = self.orders.pop(fields[0], None)
        if order is None:
            self.unknown["order not seen added"] += 1
            return []
        return [(Kind.DELETE, order.side, fields[0], order.price, order.qty)]

    def _replaced(self, instrument_id: int, fields: tuple[Any, ...]) -> "list[Event]":
        order_id, new_id, shares, price = fields
        order = self.orders.get(order_id)
        left = self._deleted(instrument_id, (order_id,))
        if order is None:
            return []
        return left + self._rest(new_id, Order(instrument_id, order.side, price * self.layout.price_unit, shares))

    def _hidden_trade(self, instrument_id: int, fields: tuple[Any, ...]) -> "list[Event]":
        _order_id, side, shares, stock, price = fields
        self._name(instrument_id, stock)
        resting = _SIDES.get(side, Side.NONE) if self.trades_have_side else Side.NONE
        return self._print(Kind.EXECUTE_HIDDEN, shares, price, side=resting)

    def _cross(self, instrument_id: int, fields: tuple[Any, ...]) -> "list[Event]":
        shares, stock, price = fields
        self._name(instrument_id, stock)
        if shares == 0:
            return []  # a cross that was held and matched nothing
        return self._print(Kind.TRADE, shares, price, side=Side.NONE)

    def _print(self, kind: Kind, shares: int, price: int, *, side: Side) -> "list[Event]":
        if price == 0 or not 0 < shares < _QTY_MAX:
            self.unknown["trade without price or size"] += 1
            return []
        return [(kind, side, 0, price * self.layout.price_unit, shares)]

    def _name(self, instrument_id: int, stock: bytes) -> None:
        if instrument_id not in self.symbols:
            self.symbols[instrument_id] = stock.decode("ascii").rstrip()


Event = tuple[int, int, int, int, int]
"""``(kind, side, order_id, price, qty)``."""

_Reader = Callable[[ItchEvents, int, tuple[Any, ...]], list[Event]]

_READERS: Final[dict[int, _Reader]] = {
    _DIRECTORY: ItchEvents._directory,  # noqa: SLF001 - the table of this class
    ord("H"): ItchEvents._trading_action,  # noqa: SLF001
    ord("h"): ItchEvents._operational_halt,  # noqa: SLF001
    ord("A"): ItchEvents._add,  # noqa: SLF001
    ord("F"): ItchEvents._add,  # noqa: SLF001
    ord("E"): ItchEvents._executed,  # noqa: SLF001
    ord("C"): ItchEvents._executed_with_price,  # noqa: SLF001
    ord("X"): ItchEvents._cancelled,  # noqa: SLF001
    ord("D"): ItchEvents._deleted,  # noqa: SLF001
    ord("U"): ItchEvents._replaced,  # noqa: SLF001
    ord("P"): ItchEvents._hidden_trade,  # noqa: SLF001
    ord("Q"): ItchEvents._cross,  # noqa: SLF001
}
