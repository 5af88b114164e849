"""DBN records → events of a session with many instruments. Pure.

A record's event time is the venue's (``ts_event``); a snapshot's and a definition's is when it was made (``ts_recv``), since theirs
can be days old. The vendor does not promise that ``ts_event`` never goes back, so an event before what the
channel has reached takes the channel's time and is counted.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from databento_dbn import (
    F_SNAPSHOT,
    UNDEF_PRICE,
    Action,
    DBNError,
    InstrumentDefMsg,
    MBOMsg,
    MBP1Msg,
    MBP10Msg,
    TradeMsg,
)

from feeds.blocks import FeedError, Row
from feeds.databento.orders import AGAINST, SIDES, Event, OrderBookEvents
from schemas.events import Kind, Side
from schemas.units import PRICE_SCALE

TIME_NS_MAX: Final = 2**62
LOT_SIZE: Final = PRICE_SCALE
"""DBN sizes count what the venue trades, contracts or shares: one lot."""

Levels = dict[int, int]


@dataclass(frozen=True, slots=True)
class Definition:
    """What an instrument is called and its tick, ``None`` where the venue's definition leaves it open."""

    symbol: str
    tick_size: int | None


def time_of(record: Any, place: tuple[str, int]) -> int:
    """Return the event time of a record, ns.

    Raises:
        FeedError: It has none.
    """
    made = isinstance(record, InstrumentDefMsg) or getattr(record, "flags", 0) & F_SNAPSHOT
    ts = record.ts_recv if made else record.ts_event
    if not 0 <= ts < TIME_NS_MAX:
        raise FeedError(*place, f"time was {ts}")
    return int(ts)


def definition_of(record: InstrumentDefMsg, place: tuple[str, int]) -> Definition:
    """Return what a definition says.

    Raises:
        FeedError: Its symbol is no text.
    """
    try:
        symbol = record.raw_symbol
    except (DBNError, ValueError) as error:
        raise FeedError(*place, f"symbol: {error}") from error
    tick_size = record.min_price_increment
    return Definition(symbol, tick_size if 0 < tick_size != UNDEF_PRICE else None)


@dataclass(slots=True)
class DbnEvents:
    """Turns the records of a session into events.

    Attributes:
        definitions: Instrument id → definition; those in the stream are added.
        unknown: What was not understood → how often.
        held_back: Events whose venue time lay before the channel's.
        books: Instrument id → its order book, in an MBO session.
    """

    definitions: dict[int, Definition] = field(default_factory=dict)
    unknown: Counter[str] = field(default_factory=Counter)
    held_back: int = 0
    books: dict[int, OrderBookEvents] = field(default_factory=dict)
    _reached_ns: int = 0
    _opened: set[int] = field(default_factory=set)
    _shown: dict[tuple[int, Side], Levels] = field(default_factory=dict)

    def record(self, record: Any, place: tuple[str, int]) -> list[Row]:
        """Return the events of one record; the first of an instrument come after its definition and a state of its book.

        Raises:
            FeedError: A time or symbol that is none.
        """
        if not isinstance(record, (MBOMsg, MBP1Msg, MBP10Msg, TradeMsg, InstrumentDefMsg)):
            self.unknown[type(record).__name__] += 1
            return []
        ts = time_of(record, place)
        if ts < self._reached_ns:
            self.held_back += 1
        self._reached_ns = ts = max(ts, self._reached_ns)
        instrument_id = record.instrument_id
        events: list[Event]
        if isinstance(record, InstrumentDefMsg):
            self.definitions[instrument_id] = definition_of(record, place)
            events = self._definition(instrument_id)
        else:
            events = self._opening(instrument_id, record)
            if isinstance(record, MBOMsg):
                events += self.books.setdefault(instrument_id, OrderBookEvents(self.unknown)).record(record)
            elif isinstance(record, TradeMsg):
                events += self._print(record)
            else:
                events += self._levels(record)
        return [(ts, instrument_id, *event) for event in events]

    def finish(self) -> list[Row]:
        """Return the events that waited for a record that will not come."""
        return [(self._reached_ns, key, *event) for key, book in self.books.items() for event in book.flush()]

    def _definition(self, instrument_id: int) -> list[Event]:
        found = self.definitions.get(instrument_id)
        if found is None or found.tick_size is None:
            self.unknown["instrument without a definition" if found is None else "definition without a tick size"] += 1
            return []
        return [(Kind.DEFINE, Side.NONE, 0, found.tick_size, LOT_SIZE)]

    def _opening(self, instrument_id: int, record: MBOMsg | MBP1Msg | MBP10Msg | TradeMsg) -> list[Event]:
        if instrument_id in self._opened:
            return []
        self._opened.add(instrument_id)
        events = self._definition(instrument_id)
        if isinstance(record, MBOMsg):
            if record.action == Action.CLEAR:
                return events
            self.unknown["book that begins without a snapshot"] += 1
        return [*events, (Kind.CLEAR, Side.NONE, 0, 0, 0)]

    def _print(self, record: MBP1Msg | MBP10Msg | TradeMsg) -> list[Event]:
        if record.action != Action.TRADE:
            self.unknown[f"action {record.action} in a trade"] += 1
            return []
        if record.price <= 0 or record.price == UNDEF_PRICE or record.size == 0:
            self.unknown["trade without size or price above 0"] += 1
            return []
        return [(Kind.TRADE, AGAINST[SIDES.get(record.side, Side.NONE)], 0, record.price, record.size)]

    def _levels(self, record: MBP1Msg | MBP10Msg) -> list[Event]:
        events: list[Event] = []
        if record.action == Action.TRADE:
            events = self._print(record)
        elif record.action == Action.CLEAR:
            self._shown.pop((record.instrument_id, Side.BID), None)
            self._shown.pop((record.instrument_id, Side.ASK), None)
            events = [(Kind.CLEAR, Side.NONE, 0, 0, 0)]
        bids = {level.bid_px: level.bid_sz for level in record.levels}
        asks = {level.ask_px: level.ask_sz for level in record.levels}
        return events + self._show(record, Side.BID, bids) + self._show(record, Side.ASK, asks)

    def _show(self, record: MBP1Msg | MBP10Msg, side: Side, levels: Levels) -> list[Event]:
        key = (record.instrument_id, side)
        held = self._shown.get(key, {})
        wanted = {price: qty for price, qty in levels.items() if qty and 0 < price != UNDEF_PRICE}
        self.unknown["level with a price of 0 or below"] += sum(qty > 0 >= price for price, qty in levels.items())
        if held == wanted:
            return []
        changed = dict.fromkeys(held.keys() - wanted.keys(), 0)
        changed |= {price: qty for price, qty in wanted.items() if held.get(price) != qty}
        self._shown[key] = wanted
        return [(Kind.LEVEL_SET, side, 0, price, changed[price]) for price in sorted(changed)]
