"""LOBSTER: message i, applied to the book of row i - 1, must give row i on every level that was known before.

A recording of N levels shows a level that lay beyond the N-th only when it comes into view; such a level is adopted, and
counted. A level that the venue no longer shows must lie beyond its N-th. Everything else is a mismatch.
"""

from pathlib import Path

from deploy.book_oracles.report import BookReport
from deploy.book_oracles.stepper import Levels, Stepper
from feeds.blocks import FeedError
from feeds.lobster.reader import open_session
from schemas.events import Side


def check(path: Path) -> BookReport:
    """Compare every state of a recording.

    Raises:
        FeedError: A malformed line, or no orderbook file.
    """
    session = open_session(path)
    stepper = Stepper(session.channel_id)
    report = BookReport()
    stepper.apply(session.events.opening(session.start_ns - session.events.midnight_ns))
    for place, message, row in session.states():
        if row is None:
            raise FeedError(path, 0, "holds no orderbook file: there is nothing to compare with")
        stepper.apply(session.events.message(message))
        found = stepper.levels(session.instrument_id, LEVELS_MAX)
        if report.states:
            report.compare(place, *_differences(found, row))
        else:
            report.states = report.exact = 1  # the first row is where the book begins: it is adopted whole
        stepper.apply(session.events.book(message, *row))
    report.adopted = session.events.adopted
    counters = stepper.kernel.counters()
    report.counts = {
        "messages": session.messages,
        "unknown_types": session.unknown,
        "unknown_orders": counters["unknown_order"],
        "ended_on_venue_book": stepper.levels(session.instrument_id, len(row[0])) == row if row else False,
    }
    return report


LEVELS_MAX = 64
"""More than any recording shows."""


def _differences(found: tuple[Levels, Levels], row: tuple[Levels, Levels]) -> tuple[Levels, Levels]:
    """Return what differs on known levels: ours and the venue's; both empty when the state is exact."""
    ours: Levels = {}
    theirs: Levels = {}
    for side, held, shown in zip((Side.BID, Side.ASK), found, row, strict=True):
        worst_shown = min((side * price for price in shown), default=None)
        worst_held = min((side * price for price in held), default=None)
        for price in held.keys() | shown.keys():
            if held.get(price) == shown.get(price):
                continue
            out_of_view = price not in shown and worst_shown is not None and side * price < worst_shown
            into_view = price not in held and (worst_held is None or side * price < worst_held)
            if not out_of_view and not into_view:
                ours[side * price], theirs[side * price] = held.get(price, 0), shown.get(price, 0)
    return ours, theirs
