"""Binance messages → events: which updates make a book, by the venue's own rules. Pure.

Invariant: between ``SNAPSHOT_END`` and the next ``SNAPSHOT_BEGIN`` the levels are a snapshot and every update since. A
book starts only where a snapshot and an update of the stream meet: a snapshot alone proves nothing about the stream.
While there is no book, updates wait (REST answers later than the stream), the oldest leave when the room is full.

A gap becomes ``SNAPSHOT_BEGIN``: it makes this instrument stale and drops its book in every consumer, travels as an event
wherever frames are cut, and ends with the next snapshot. Rejected: the frame's gap flag (it stales all instruments of
the channel, and blocks cannot carry it) and a skipped sequence number (``seq`` is the cutter's own, and never skips).

Source: "How to manage a local order book correctly", spot and USD-M.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from feeds.binance.parse import DepthSnapshot, DepthUpdate, Levels, Message, Other, Quote, Recording, Trade
from feeds.blocks import Row
from schemas.events import Kind, Side
from schemas.units import NS_PER_MS

WAITING_MAX: Final = 1_000
"""Updates kept while there is no book: over 20 s of the fastest stream; REST answers within one."""

_NAMES_MAX: Final = 64
_NAME_CHARS_MAX: Final = 80
_REST: Final = "further kinds"
_COUNTED: Final = (
    "updates", "updates_applied", "updates_repeated", "gaps", "snapshots", "snapshots_too_old", "books_started", "trades",
    "quotes", "late", "late_ms_max",
)  # fmt: skip


@dataclass(slots=True)
class BinanceEvents:
    """Turns the messages of one instrument into events.

    Attributes:
        instrument_id: Instrument of all events.
        recording: Market, tick and lot size.
        now_ns: Time of the last event; a message of an earlier time is late and takes this one.
        book_id: Last update in the book, ``None`` while there is none.
        counts: What was done with messages: see ``_COUNTED`` for the names.
        unknown: What was not understood or not wanted → how often.
    """

    instrument_id: int
    recording: Recording
    now_ns: int
    book_id: int | None = None
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_COUNTED, 0))
    unknown: dict[str, int] = field(default_factory=dict)
    _snapshot: DepthSnapshot | None = None
    _waiting: deque[DepthUpdate] = field(default_factory=lambda: deque(maxlen=WAITING_MAX))
    _depth_stream: str | None = None
    _trade_stream: str | None = None

    def opening(self) -> list[Row]:
        """Return the definition of the instrument, and that its book is not known yet."""
        tick_size, lot_size = self.recording.tick_size, self.recording.lot_size
        define = (self.now_ns, self.instrument_id, Kind.DEFINE, Side.NONE, 0, tick_size, lot_size)
        return [define, self._mark(Kind.SNAPSHOT_BEGIN)]

    def message(self, message: Message) -> list[Row]:
        """Return the events of one message."""
        match message:
            case DepthUpdate():
                return self._update(message)
            case DepthSnapshot():
                self.counts["snapshots"] += 1
                self._snapshot = message  # the newest; also beside a whole book, which may yet prove to lack an update
                return self._start() if self.book_id is None else []
            case Trade():
                return self._trade(message)
            case Quote():
                self.counts["quotes"] += 1
            case Other():
                self._count_unknown(message.name)
        return []

    def _update(self, update: DepthUpdate) -> list[Row]:
        self._depth_stream = self._depth_stream or update.stream
        if update.stream != self._depth_stream:
            self._count_unknown(f"{update.stream} beside {self._depth_stream}")
            return []
        self.counts["updates"] += 1
        last_id = self.book_id if self.book_id is not None else self._waiting[-1].last_id if self._waiting else None
        if last_id is not None and update.last_id <= last_id:
            self.counts["updates_repeated"] += 1
            return []
        self._reach(update.ts_ns)
        gap = last_id is not None and not self._follows(update, last_id)
        rows: list[Row] = []
        if gap:
            self.counts["gaps"] += 1
            self._waiting.clear()
            if self.book_id is not None:
                self.book_id = None
                rows.append(self._mark(Kind.SNAPSHOT_BEGIN))
        if self.book_id is not None:
            return self._apply(update)
        self._waiting.append(update)
        return rows + self._start()

    def _follows(self, update: DepthUpdate, last_id: int) -> bool:
        return update.first_id == last_id + 1 if update.previous_id is None else update.previous_id == last_id

    def _start(self) -> list[Row]:
        """Return the book and the updates since, once snapshot and stream meet; nothing before."""
        snapshot, waiting = self._snapshot, self._waiting
        if snapshot is None:
            return []
        # Spot: U <= lastUpdateId + 1 <= u of the first update; futures: U <= lastUpdateId <= u.
        meeting_id = snapshot.last_id + (self.recording.market == "spot")
        while waiting and waiting[0].last_id < meeting_id:
            waiting.popleft()
        if not waiting:
            return []
        self._snapshot = None
        if waiting[0].first_id > meeting_id:
            self.counts["snapshots_too_old"] += 1
            return []
        self.counts["books_started"] += 1
        rows = [self._mark(Kind.SNAPSHOT_BEGIN)]
        rows += self._levels(Side.BID, snapshot.bids) + self._levels(Side.ASK, snapshot.asks)
        rows.append(self._mark(Kind.SNAPSHOT_END))
        while waiting:
            rows += self._apply(waiting.popleft())
        return rows

    def _apply(self, update: DepthUpdate) -> list[Row]:
        self.book_id = update.last_id
        self.counts["updates_applied"] += 1
        return self._levels(Side.BID, update.bids) + self._levels(Side.ASK, update.asks)

    def _levels(self, side: Side, levels: Levels) -> list[Row]:
        """Return the levels of one side so that the best level moves once: set best first, then remove worst first.

        Order-flow imbalance is summed event by event, and would otherwise count the order within a message as flow.
        """
        ts, instrument_id = self.now_ns, self.instrument_id
        prices = sorted(levels, reverse=side is Side.BID)
        placed = [price for price in prices if levels[price]] + [
            price for price in reversed(prices) if not levels[price]
        ]
        return [(ts, instrument_id, Kind.LEVEL_SET, side, 0, price, levels[price]) for price in placed]

    def _trade(self, trade: Trade) -> list[Row]:
        self._trade_stream = self._trade_stream or trade.stream
        if trade.stream != self._trade_stream:  # the same trades once more, aggregated or not
            self._count_unknown(f"{trade.stream} beside {self._trade_stream}")
            return []
        self.counts["trades"] += 1
        self._reach(trade.ts_ns)
        return [(self.now_ns, self.instrument_id, Kind.TRADE, trade.side, 0, trade.price, trade.qty_lots)]

    def _mark(self, kind: Kind) -> Row:
        return (self.now_ns, self.instrument_id, kind, Side.NONE, 0, 0, 0)

    def _reach(self, ts_ns: int) -> None:
        if ts_ns < self.now_ns:
            self.counts["late"] += 1
            self.counts["late_ms_max"] = max(self.counts["late_ms_max"], (self.now_ns - ts_ns) // NS_PER_MS)
        else:
            self.now_ns = ts_ns

    def _count_unknown(self, name: str) -> None:
        name = name[:_NAME_CHARS_MAX]
        known = name if name in self.unknown or len(self.unknown) < _NAMES_MAX else _REST
        self.unknown[known] = self.unknown.get(known, 0) + 1
