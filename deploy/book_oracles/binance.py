"""Binance: the kernel's best bid and offer against the venue's ``bookTicker``, after every depth update.

The rule: the book after the update that ends at id u must show, in price and quantity, the last ``bookTicker`` with an id of
at most u. ``bookTicker`` tells every change of the best levels and depth updates gather them, so the other direction (each
quote against the update before it) would ask a book for what it cannot know yet.
"""

from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from deploy.book_oracles.report import BookReport
from features.channel import ChannelKernel, FrameResult
from feeds.binance.parse import Quote
from feeds.binance.reader import open_session
from feeds.blocks import block_of
from feeds.framing import FrameCutter
from schemas.events import TickStatus

_WAITING_MAX: Final = 10_000
_EMPTY: Final = (0, 0)

Top = tuple[tuple[int, int], tuple[int, int]]
"""Best bid and best offer, each ``(price, lots)``; zeros for an empty side."""


def check(path: Path) -> BookReport:
    """Return the comparison over the session at ``path``; without a snapshot it has no states and every tick is stale.

    ``counts`` holds what the reader counted and did not understand (``unknown``), what the kernel counted (``kernel``), and

    - ``price_differs``: states that differ in a price, not only in a quantity;
    - ``fresh``: states with a quote since the book before, the ones that could have moved;
    - ``undecided``: books before the first quote, or with no quote beyond them;
    - ``ticks``, ``ticks_stale``: ticks closed, and those without a trustworthy book.

    Raises:
        FeedError: The session cannot be read.
    """
    session = open_session(path)
    instrument_id = next(iter(session.symbols))
    kernel = ChannelKernel(session.channel_id)
    cutter = FrameCutter(session.channel_id, session.start_ns)
    comparison = Comparison()
    results: list[FrameResult] = []
    ticks, stale = 0, 0
    seen_id: int | None = None
    for message, rows in session.steps():
        results = [kernel.apply(frame) for frame in cutter.cut(block_of(rows))] if rows else []
        ticks, stale = ticks + _ticks(results), stale + _stale(results)
        book_id = session.events.book_id
        if isinstance(message, Quote):
            comparison.quote(message)
        elif book_id is not None and book_id != seen_id:
            bids, asks = kernel.levels(instrument_id, 1)
            comparison.book(book_id, (bids[0] if bids else _EMPTY, asks[0] if asks else _EMPTY))
        seen_id = book_id
    results = [kernel.apply(frame) for frame in cutter.finish(session.end_ns)]
    ticks, stale = ticks + _ticks(results), stale + _stale(results)
    comparison.report.counts |= session.events.counts
    comparison.report.counts |= {"messages": session.messages, "undecided": comparison.undecided}
    comparison.report.counts |= {"ticks": ticks, "ticks_stale": stale}
    comparison.report.counts |= {"unknown": session.unknown, "kernel": kernel.counters()}
    return comparison.report


@dataclass(slots=True)
class Comparison:
    """Books and quotes, each in ascending ids, in whatever order the two streams arrive.

    A book waits until a quote beyond it shows that no quote up to it is still to come.
    """

    report: BookReport = field(
        default_factory=lambda: BookReport(counts={"price_differs": 0, "fresh": 0, "quotes_repeated": 0})
    )
    _books: deque[tuple[int, Top]] = field(default_factory=deque)
    _quotes: deque[Quote] = field(default_factory=lambda: deque(maxlen=_WAITING_MAX))
    _early: int = 0
    _before_id: int = -1

    @property
    def undecided(self) -> int:
        """Books that no quote speaks of."""
        return self._early + len(self._books)

    def quote(self, quote: Quote) -> None:
        """Take the venue's word after ``quote.update_id``."""
        if self._quotes and quote.update_id <= self._quotes[-1].update_id:
            self.report.counts["quotes_repeated"] += 1
            return
        self._quotes.append(quote)
        self._decide()

    def book(self, book_id: int, top: Top) -> None:
        """Take the kernel's best levels after ``book_id``."""
        self._books.append((book_id, top))
        if len(self._books) > _WAITING_MAX:  # a recording whose quotes stopped
            self._books.popleft()
            self._early += 1
        self._decide()

    def _decide(self) -> None:
        books, quotes = self._books, self._quotes
        while books and quotes and quotes[-1].update_id > books[0][0]:
            book_id, top = books.popleft()
            while len(quotes) > 1 and quotes[1].update_id <= book_id:
                quotes.popleft()
            if quotes[0].update_id > book_id:
                self._early += 1
                continue
            self._compare(book_id, top, quotes[0])

    def _compare(self, book_id: int, top: Top, quote: Quote) -> None:
        counts = self.report.counts
        counts["price_differs"] += (top[0][0], top[1][0]) != (quote.bid[0], quote.ask[0])
        counts["fresh"] += quote.update_id > self._before_id
        self._before_id = book_id
        self.report.compare(f"update {book_id}, bookTicker {quote.update_id}", top, (quote.bid, quote.ask))


def _ticks(results: list[FrameResult]) -> int:
    return sum(len(result.status) for result in results)


def _stale(results: list[FrameResult]) -> int:
    return sum(int(np.count_nonzero(result.status & TickStatus.STALE)) for result in results)
