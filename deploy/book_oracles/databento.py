"""Databento books against the vendor's word, as far as a file has one.

MBP-1 and MBP-10: each record shows the levels after it. MBO: after each event (F_LAST) the kernel's book, which took the
fills as executions, must be the book of the vendor's documented rule (A, C, M, R change it, T and F do not), kept here
apart; at the end the whole depth. A fill must be at the best price of its side. Where an MBP-1 file of the instrument and
time lies beside the MBO file, best bid and offer are compared with it by sequence number. Trades have no book: they are counted.
"""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from databento_dbn import F_LAST, F_SNAPSHOT, F_TOB, UNDEF_PRICE, Action, MBOMsg, MBP1Msg, MBP10Msg, Side

from deploy.book_oracles.report import BookReport
from features.channel import ChannelKernel
from feeds.blocks import FeedError, Row, block_of
from feeds.databento.reader import DbnSession, metadata_of, numbered, open_session
from feeds.framing import FrameCutter

LEVELS_COMPARED: Final = 10
_ALL: Final = 1 << 16
_Levels = list[tuple[int, int]]
_Top = tuple[_Levels, _Levels]


def check(path: Path) -> BookReport:
    """Return the comparison for one file; prices in 1e-9 currency.

    Raises:
        FeedError: The file cannot be read, or has a schema without a book.
    """
    session = open_session(path)
    report = BookReport()
    oracle = _Oracle(session, report, _best_beside(path, session))
    for record, rows in session.rows():
        oracle.take(record, rows)
    oracle.apply()
    for instrument_id, book in oracle.books.items():
        report.compare(f"end of {instrument_id}", oracle.kernel.levels(instrument_id, _ALL), book.levels(_ALL))
    report.counts = {
        "records": session.messages,
        "actions": dict(oracle.actions),
        "unknown": session.unknown,
        "held_back": session.events.held_back,
        "fills": oracle.fills,
        "fills_at_best": oracle.fills_at_best,
        "mbp_1_of_same_instrument_and_time": len(oracle.best_beside) or "none",
        "mbp_1_states_compared": oracle.met_beside,
        "kernel": oracle.kernel.counters(),
        "end": {
            symbol: dict(zip(("bid", "ask"), oracle.kernel.levels(instrument_id, 1), strict=True))
            for instrument_id, symbol in session.symbols.items()
        },
        "live_orders": {key: len(book.orders) for key, book in oracle.books.items()},
    }
    return report


@dataclass(slots=True)
class _VendorBook:
    """The documented rule, one instrument."""

    orders: dict[Any, tuple[Any, int, int]] = field(default_factory=dict)

    def take(self, record: MBOMsg) -> None:
        key = record.side if record.flags & F_TOB else record.order_id  # a best price is one order of its side
        if record.action == Action.CLEAR:
            self.orders.clear()
        elif record.action in (Action.ADD, Action.MODIFY):
            self.orders[key] = (record.side, record.price, record.size)
            if record.price == UNDEF_PRICE:
                del self.orders[key]
        elif record.action == Action.CANCEL and key in self.orders:
            side, price, size = self.orders.pop(key)
            if size > record.size:
                self.orders[key] = (side, price, size - record.size)

    def levels(self, levels_max: int) -> _Top:
        sums: dict[Any, dict[int, int]] = {Side.BID: {}, Side.ASK: {}}
        for side, price, size in self.orders.values():
            sums[side][price] = sums[side].get(price, 0) + size
        return (
            sorted(sums[Side.BID].items(), reverse=True)[:levels_max],
            sorted(sums[Side.ASK].items())[:levels_max],
        )


class _Oracle:
    def __init__(self, session: DbnSession, report: BookReport, best_beside: dict[tuple[int, int], _Top]) -> None:
        self.kernel = ChannelKernel(session.channel_id)
        self.books: dict[int, _VendorBook] = {}
        self.actions: Counter[str] = Counter()
        self.fills = self.fills_at_best = self.met_beside = 0
        self.best_beside = best_beside
        self._report = report
        self._cutter = FrameCutter(session.channel_id, session.start_ns)
        self._held: list[Row] = []

    def apply(self) -> None:
        for frame in self._cutter.cut(block_of(self._held)):
            self.kernel.apply(frame)
        self._held.clear()

    def take(self, record: Any, rows: list[Row]) -> None:
        if record is not None:
            self.actions[str(getattr(record, "action", type(record).__name__))] += 1
        if isinstance(record, MBOMsg):
            if record.action == Action.FILL:
                self._fill(record)
            self._held += rows
            self._order(record)
        elif isinstance(record, (MBP1Msg, MBP10Msg)):
            self._held += rows
            self.apply()
            ours = self.kernel.levels(record.instrument_id, len(record.levels))
            self._report.compare(f"sequence {record.sequence}", ours, _shown(record))
        else:
            self._held += rows

    def _fill(self, record: MBOMsg) -> None:
        self.apply()
        bids, asks = self.kernel.levels(record.instrument_id, 1)
        best = bids if record.side == Side.BID else asks
        self.fills += 1
        self.fills_at_best += bool(best) and best[0][0] == record.price

    def _order(self, record: MBOMsg) -> None:
        book = self.books.setdefault(record.instrument_id, _VendorBook())
        book.take(record)
        if record.flags & F_LAST == 0:
            return
        self.apply()
        place = f"sequence {record.sequence}"
        ours = self.kernel.levels(record.instrument_id, LEVELS_COMPARED)
        self._report.compare(place, ours, book.levels(LEVELS_COMPARED))
        shown = self.best_beside.get((record.instrument_id, record.sequence))
        if shown is not None and not record.flags & F_SNAPSHOT:
            self.met_beside += 1
            self._report.compare(f"{place}, MBP-1", (ours[0][:1], ours[1][:1]), shown)


def _shown(record: MBP1Msg | MBP10Msg) -> _Top:
    return (
        [(level.bid_px, level.bid_sz) for level in record.levels if level.bid_sz and level.bid_px != UNDEF_PRICE],
        [(level.ask_px, level.ask_sz) for level in record.levels if level.ask_sz and level.ask_px != UNDEF_PRICE],
    )


def _best_beside(path: Path, session: DbnSession) -> dict[tuple[int, int], _Top]:
    """Return ``(instrument, sequence)`` → best bid and offer of the MBP-1 files of the same dataset and time beside the file."""
    found: dict[tuple[int, int], _Top] = {}
    if str(session.metadata.schema) != "mbo":
        return found
    for beside in sorted([*path.parent.glob("*.dbn"), *path.parent.glob("*.dbn.zst")]):
        try:
            head = metadata_of(beside)
            if str(head.schema) != "mbp-1" or head.dataset != session.metadata.dataset:
                continue
            for _, record in numbered(beside):
                alike = isinstance(record, MBP1Msg) and record.instrument_id in session.instrument_ids
                if alike and record.flags & F_LAST and session.start_ns <= record.ts_event < session.end_ns:
                    found[record.instrument_id, record.sequence] = _shown(record)
        except FeedError:
            continue  # the session counted it
    return found
