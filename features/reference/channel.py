"""The channel in plain Python: sequence numbers, the clock that closes ticks, and what each kind of event means.

Invariant: a tick T holds the events before T and closes when an event, or the end of a frame, is at or past T.
"""

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from features.channel import FrameResult
from features.reference.book import PlainBook, PlainOrder
from features.reference.cross import Member, first_factor_share, lead_correlations
from features.reference.flow import Definition, PlainFlow, in_order
from features.reference.shape import SIDES
from features.reference.signals import PlainSignals
from features.reference.windows import Features
from features.spec import FEATURE_NAMES
from schemas.events import FrameFlag, Kind, Side, TickStatus
from schemas.frames import ChannelFrame, Frame, SignalFrame
from schemas.signals import Signal, signals_in
from schemas.units import NS_PER_S, TICK_NS

CLOCK_JUMP_NS: Final = 60 * NS_PER_S
TS_NS_MAX: Final = 2**62
_KINDS: Final = frozenset(int(kind) for kind in Kind)
_TRADES: Final = (Kind.EXECUTE_HIDDEN, Kind.TRADE)
_ABOUT_THE_BOOK: Final = (Kind.SNAPSHOT_BEGIN, Kind.SNAPSHOT_END, Kind.HALT, Kind.RESUME, Kind.CLEAR)
_COUNTED: Final = (
    "events", "ticks", "frames", "duplicates", "gaps", "clock_back", "clock_jump", "bound_hit", "unknown_order",
    "clamped_level", "duplicate_order", "bad_event", "signals", "signals_refused",
)  # fmt: skip

TickRow = tuple[int, int, TickStatus, int, Features]
"""``(tick_ns, instrument_id, status, ref_price, values)``."""


@dataclass(frozen=True, slots=True)
class PlainEvent:
    """One event in the numbers of ``schemas.events``."""

    ts_event_ns: int
    instrument_id: int
    kind: int
    side: int
    order_id: int
    price: int
    qty: int


@dataclass(slots=True)
class PlainInstrument:
    """One instrument's book, flow and lasting status; stale until its book is known to be whole."""

    book: PlainBook
    flow: PlainFlow = field(default_factory=PlainFlow)
    status: TickStatus = TickStatus.STALE
    definition: Definition = field(default_factory=Definition)
    rebuilding: bool = False


class PlainChannel:
    """What ``features.channel.ChannelKernel`` is, without snapshots and memory bounds."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.instruments: dict[int, PlainInstrument] = {}
        self.last_seq = -1
        self.last_ts_ns = -1
        self._next_tick_ns = 0
        self._across: dict[int, Features] = {}  # of the last whole second
        self._share: float | None = None
        self._signals = PlainSignals()
        self._waiting: deque[Signal] = deque()  # of the frame in hand

    def apply(self, frame: Frame | SignalFrame) -> FrameResult:
        """Apply one frame and return the rows that it closed."""
        if frame.event_count and self.last_seq >= max(0, frame.seq_last):
            self.counts["duplicates"] += 1
            return _result([], gap=None, duplicate=True)
        gap = self._missing_before(frame)
        rows: list[TickRow] = []
        if isinstance(frame, SignalFrame):
            signals = enumerate(signals_in(frame.columns), frame.seq_first)
            self._waiting.extend(signal for seq, signal in signals if seq > self.last_seq)
        else:
            for seq, event in enumerate(_events(frame), frame.seq_first):
                if seq > self.last_seq:
                    rows += self._reach(event.ts_event_ns)
                    self._apply_event(event)
        self.counts["frames"] += 1
        self.last_seq = max(self.last_seq, frame.seq_last)
        if frame.ts_last_ns > self.last_ts_ns:
            rows += self._reach(frame.ts_last_ns)
        self._take_signals(TS_NS_MAX + 1)
        return _result(rows, gap=gap, duplicate=False)

    def counters(self) -> dict[str, int]:
        """Return what was counted since the channel began."""
        return {name: self.counts[name] for name in _COUNTED} | {"instruments": len(self.instruments)}

    def levels(self, instrument_id: int, levels_max: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Return the best bids and asks of an instrument as ``(price, qty)``, best first."""
        if instrument_id not in self.instruments:
            return [], []
        book = self.instruments[instrument_id].book
        return book.best_first(Side.BID)[:levels_max], book.best_first(Side.ASK)[:levels_max]

    def _missing_before(self, frame: ChannelFrame) -> tuple[int, int] | None:
        expected = self.last_seq + 1
        known_by_feed = bool(frame.flags & FrameFlag.GAP)
        if not known_by_feed and (self.last_seq < 0 or frame.seq_first <= expected):
            return None
        self.counts["gaps"] += 1
        for instrument in self.instruments.values():
            instrument.status |= TickStatus.STALE | TickStatus.GAP
        return expected, frame.seq_first

    def _reach(self, ts_ns: int) -> list[TickRow]:
        """Move the clock to ``ts_ns``; return the rows of every tick on the way. It never moves back."""
        if not max(0, self.last_ts_ns) <= ts_ns <= TS_NS_MAX:
            self.counts["clock_back"] += 1
            return []
        started = self.last_ts_ns >= 0
        if started and ts_ns - self.last_ts_ns > CLOCK_JUMP_NS:
            self.counts["clock_jump"] += 1
            started = False
            for instrument in self.instruments.values():  # no window may reach over the silence
                instrument.flow = PlainFlow()
            self._across, self._share = {}, None
        if not started:
            self._next_tick_ns = (ts_ns // TICK_NS + 1) * TICK_NS
        rows = []
        while self._next_tick_ns <= ts_ns:
            rows += self._close(self._next_tick_ns)
            self._next_tick_ns += TICK_NS
            self.counts["ticks"] += 1
        self.last_ts_ns = ts_ns
        return rows

    def _take_signals(self, before_ns: int) -> None:
        """Take what stands first in the frame, up to the first signal that is not before ``before_ns``."""
        while self._waiting and self._waiting[0].ts_event_ns < before_ns:
            self._signals.apply(self._waiting.popleft())
            self.counts["signals"] += 1

    def _close(self, tick_ns: int) -> list[TickRow]:
        self._take_signals(tick_ns)
        rows = [_closed(tick_ns, *item) for item in sorted(self.instruments.items())]
        if tick_ns % NS_PER_S == 0:
            first = tick_ns // NS_PER_S - 59
            members = {}
            for id_, instrument in sorted(self.instruments.items()):
                steps = instrument.flow.moves.steps
                ago = [(tick_ns // NS_PER_S - second) * 10 for second in range(first, first + 60)]
                returns = [steps[-1 - ticks] if ticks < len(steps) else None for ticks in ago]
                members[id_] = Member(instrument.flow.traded[60].total, returns)
            correlations, share = lead_correlations(members), first_factor_share(members)
            self._across = {
                id_: {"lead_correlation": correlations[id_], "first_factor_share": share} for id_ in members
            }
            self._share = share
        for _, id_, _, _, found in rows:
            found.update(self._across.get(id_, {"first_factor_share": self._share}))
            found.update(self._signals.features(id_, tick_ns))
        return rows

    def _apply_event(self, event: PlainEvent) -> None:
        self.counts["events"] += 1
        if not _is_sound(event):
            self.counts["bad_event"] += 1
            return
        if event.instrument_id not in self.instruments:
            self.instruments[event.instrument_id] = PlainInstrument(PlainBook(self.counts))
        instrument = self.instruments[event.instrument_id]
        if event.kind in _ABOUT_THE_BOOK or event.kind == Kind.DEFINE:
            _apply_to_whole(instrument, event)
            return
        book, flow = instrument.book, instrument.flow
        before = {side: book.top(side) for side in SIDES}
        _apply_to_flow(instrument, event)
        _apply_to_book(book, event)
        if TickStatus.STALE in instrument.status:  # a book under repair says nothing about flow
            return
        flow.now.events += 1
        flow.arrivals.arrive(self.last_ts_ns)
        after = {side: book.top(side) for side in SIDES}
        flow.book_changed(before, after)
        if event.kind == Kind.EXECUTE:
            side = Side(event.side)
            if before[side].price is not None and after[side].price != before[side].price:
                flow.now.hit.add(side)


def _events(frame: Frame) -> Iterator[PlainEvent]:
    names = PlainEvent.__slots__
    columns = [frame.columns[name].tolist() for name in names]
    return (PlainEvent(*values) for values in zip(*columns, strict=True))


def _is_sound(event: PlainEvent) -> bool:
    if event.kind in _ABOUT_THE_BOOK:
        return True
    if event.kind == Kind.DEFINE:
        return event.price > 0 and event.qty > 0
    if event.kind not in _KINDS or event.price <= 0:
        return False
    sided = event.side in SIDES or (event.side == Side.NONE and event.kind in _TRADES)
    return sided and (event.qty >= 0 if event.kind == Kind.LEVEL_SET else event.qty > 0)


def _apply_to_whole(instrument: PlainInstrument, event: PlainEvent) -> None:
    whole = ~(TickStatus.STALE | TickStatus.GAP)
    match event.kind:
        case Kind.SNAPSHOT_BEGIN:
            instrument.book.clear()
            instrument.flow.now.renewed = True
            instrument.status |= TickStatus.STALE
            instrument.rebuilding = True
        case Kind.SNAPSHOT_END:
            instrument.status &= whole
            instrument.rebuilding = False
        case Kind.CLEAR:
            instrument.book.clear()
            instrument.flow.now.renewed = True
            instrument.status &= whole
            instrument.rebuilding = False
        case Kind.HALT:
            instrument.status |= TickStatus.HALTED
        case Kind.RESUME:
            instrument.status &= ~TickStatus.HALTED
        case Kind.DEFINE:
            instrument.definition = Definition(event.price, event.qty)


def _apply_to_flow(instrument: PlainInstrument, event: PlainEvent) -> None:
    now = instrument.flow.now
    if event.kind == Kind.ADD and not instrument.rebuilding:  # an order that a snapshot lists was added before
        now.added += 1
    elif event.kind == Kind.REPLACE:
        now.added += 1
        now.cancelled += 1
    elif event.kind in (Kind.REDUCE, Kind.DELETE):
        now.cancelled += 1
    elif event.kind == Kind.EXECUTE or event.kind in _TRADES:
        instrument.flow.trade(Side(event.side), event.qty)


def _apply_to_book(book: PlainBook, event: PlainEvent) -> None:
    order = PlainOrder(Side(event.side), event.price, event.qty)
    match event.kind:
        case Kind.ADD:
            book.add(event.order_id, order)
        case Kind.REDUCE | Kind.EXECUTE:
            book.reduce(event.order_id, order)
        case Kind.DELETE:
            book.delete(event.order_id, order)
        case Kind.REPLACE:
            book.replace(event.order_id, order)
        case Kind.LEVEL_SET:
            book.set_level(order)


def _closed(tick_ns: int, instrument_id: int, instrument: PlainInstrument) -> TickRow:
    status, mid = instrument.status, 0
    bid, ask = (instrument.book.top(side).price for side in SIDES)
    status |= TickStatus.BID_EMPTY if bid is None else TickStatus(0)
    status |= TickStatus.ASK_EMPTY if ask is None else TickStatus(0)
    if bid is not None and ask is not None:
        mid = bid + abs(ask - bid) // 2 * (1 if ask >= bid else -1)  # half a unit is rounded towards the bid
        status |= TickStatus.LOCKED if bid == ask else TickStatus(0)
        status |= TickStatus.CROSSED if bid > ask else TickStatus(0)
    found = instrument.flow.close(
        instrument.book, instrument.definition, is_whole=TickStatus.STALE not in instrument.status
    )
    return tick_ns, instrument_id, status, mid, found


def _result(rows: list[TickRow], *, gap: tuple[int, int] | None, duplicate: bool) -> FrameResult:
    return FrameResult(
        tick_ns=np.array([row[0] for row in rows], np.int64),
        instrument_id=np.array([row[1] for row in rows], np.uint32),
        status=np.array([int(row[2]) for row in rows], np.uint32),
        ref_price=np.array([row[3] for row in rows], np.int64),
        values=np.array([in_order(row[4]) for row in rows], np.float64).reshape(-1, len(FEATURE_NAMES)),
        gap=gap,
        duplicate=duplicate,
    )
