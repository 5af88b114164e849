"""Consolidated quotes: the kernel's best levels against the NBBO, looked up in a plain table after every quote.

Where a file tells the tape's own NBBO (``QuoteKind.NATIONAL``), the venue's word is its last bid line and its last ask line.
Where it tells each exchange's quotes there is no such word: the NBBO is recomputed from the last quote of each exchange, the
whole table searched each time. Either way the kernel must hold that one level a side, and no other.
"""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from deploy.book_oracles.report import BookReport
from deploy.book_oracles.stepper import Stepper
from feeds.consolidated.nbbo import REMOVING, QuoteKind
from feeds.consolidated.parse import Quote, Trade
from feeds.consolidated.reader import ConsolidatedSession, open_session
from schemas.events import Side

Levels = list[tuple[int, int]]


def check(path: Path) -> BookReport:
    """Return the comparison over the session at ``path``; prices in 1e-9 dollars.

    ``counts`` holds what the reader counted (``counted``) and did not understand (``unknown``), what the kernel counted
    of its events (``kernel``; its clock runs without heartbeats here), what each quote file says (``kinds``), and

    - ``quotes``, ``trades``: lines; ``traded_lots``: lots of the trades by resting side;
    - ``moments``: times at which quotes were told, ``locked`` and ``crossed`` of them by the state they left;
    - ``crossed_if_per_exchange``: national files only, moments that the other reading of the file would have crossed.

    Raises:
        FeedError: The session cannot be read.
    """
    session = open_session(path)
    stepper = Stepper(session.channel_id)
    report = BookReport()
    tables: dict[int, Table] = {}
    moments: Counter[str] = Counter()
    tally: Counter[str] = Counter()
    lots: Counter[str] = Counter()
    for (file, line), instrument_id, message, rows in session.steps():
        stepper.apply(rows)
        if message is None:  # a day begins
            if instrument_id in tables:
                tables[instrument_id].leave(moments)
            tables[instrument_id] = Table(_is_national(session, instrument_id))
        elif isinstance(message, Trade):
            tally["trades"] += 1
            for row in rows:
                lots[Side(row[3]).name.lower()] += row[6]
        else:
            tally["quotes"] += 1
            table = tables[instrument_id]
            table.put(message, moments)
            found = stepper.kernel.levels(instrument_id, 3)
            report.compare(f"{file}:{line}", found, (table.best(Side.BID), table.best(Side.ASK)))
    for table in tables.values():
        table.leave(moments)
    kernel = stepper.kernel.counters()
    report.counts = {
        "messages": session.messages,
        **{name: tally[name] for name in ("quotes", "trades")},
        "traded_lots": dict(lots),
        **{name: moments[name] for name in ("moments", "locked", "crossed", "crossed_if_per_exchange")},
        "kinds": {name: kind.value for name, kind in session.kinds.items()},
        "counted": dict(+session.counts),
        "unknown": session.unknown,
        "kernel": {name: kernel[name] for name in ("events", "bad_event", "bound_hit")},
    }
    return report


@dataclass(slots=True)
class Table:
    """The last quotes of one instrument, by side and exchange."""

    national: bool
    _quotes: dict[tuple[Side, str], tuple[int, int]] = field(default_factory=dict)
    _last: dict[Side, tuple[int, int]] = field(default_factory=dict)
    _ts_ns: int | None = None

    def put(self, quote: Quote, moments: Counter[str]) -> None:
        """Take a quote; the state that the quotes of an earlier time left is counted."""
        if self._ts_ns not in (None, quote.ts_ns):
            self.leave(moments)
        self._ts_ns = quote.ts_ns
        gone = not self.national and bool(quote.condition & REMOVING)
        silent = not quote.bid_price and not quote.ask_price
        for side, price, size in (
            (Side.BID, quote.bid_price, quote.bid_size),
            (Side.ASK, quote.ask_price, quote.ask_size),
        ):
            if price or (gone and silent and not size):
                self._quotes[side, quote.exchange] = self._last[side] = (price, 0 if gone else size)

    def best(self, side: Side) -> Levels:
        """Return the one level of a side, none when nobody quotes it."""
        return _alive([self._last[side]]) if self.national and side in self._last else self._over_exchanges(side)

    def leave(self, moments: Counter[str]) -> None:
        """Count the state at the end of a time."""
        if self._ts_ns is None:
            return
        moments["moments"] += 1
        bid, ask = self.best(Side.BID), self.best(Side.ASK)
        if bid and ask:
            moments["locked"] += bid[0][0] == ask[0][0]
            moments["crossed"] += bid[0][0] > ask[0][0]
        if self.national:
            bid, ask = self._over_exchanges(Side.BID), self._over_exchanges(Side.ASK)
            moments["crossed_if_per_exchange"] += bool(bid and ask and bid[0][0] > ask[0][0])

    def _over_exchanges(self, side: Side) -> Levels:
        alive = [level for (of, _), level in self._quotes.items() if of is side and level[1]]
        if not alive:
            return []
        best = max(alive, key=lambda level: side * level[0])[0]
        return [(best, sum(size for price, size in alive if price == best))]


def _alive(levels: Levels) -> Levels:
    return [level for level in levels if level[1]]


def _is_national(session: ConsolidatedSession, instrument_id: int) -> bool:
    nbbo = session.books[instrument_id].nbbo
    return nbbo is not None and nbbo.kind is QuoteKind.NATIONAL
