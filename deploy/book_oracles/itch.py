"""ITCH books against the venue's matching: an order can only be executed at the best price of its side.

The feed shows no book, so the venue's own word is taken from its executions: before each one at the order's own price (E), the
kernel's best price on that side must be that price. At the end the kernel's levels must be the sums of the live orders.
"""

from pathlib import Path
from typing import Final

from deploy.book_oracles.report import BookReport
from features.channel import ChannelKernel
from feeds.blocks import BLOCK_EVENTS, Row, block_of
from feeds.framing import FrameCutter
from feeds.itch.parse import Order
from feeds.itch.reader import open_session
from schemas.events import Kind, Side

_ALL: Final = 1 << 16
_EXECUTED: Final = "E"
Levels = list[tuple[int, int]]


def check(path: Path) -> BookReport:
    """Return the comparison for one file; prices in 1e-9 currency.

    Raises:
        FeedError: The file cannot be read.
    """
    session = open_session(path)
    kernel = ChannelKernel(session.channel_id)
    cutter = FrameCutter(session.channel_id, session.start_ns)
    report = BookReport()
    held: list[Row] = []
    crossed = 0

    def apply() -> None:
        for frame in cutter.cut(block_of(held)):
            kernel.apply(frame)
        held.clear()

    for kind, rows in session.rows():
        if kind == _EXECUTED and rows and rows[-1][2] == Kind.EXECUTE:
            apply()
            _, instrument_id, _, side, order_id, price, _ = rows[-1]
            bids, asks = kernel.levels(instrument_id, 1)
            crossed += bool(bids and asks and bids[0][0] >= asks[0][0])
            best = bids if side == Side.BID else asks
            report.compare(f"execution of order {order_id}", best[0][0] if best else None, price)
        held += rows
        if len(held) >= BLOCK_EVENTS:
            apply()
    apply()
    ends = {}
    for instrument_id, symbol in session.symbols.items():
        bids, asks = kernel.levels(instrument_id, _ALL)
        live = [order for order in session.events.orders.values() if order.instrument_id == instrument_id]
        report.compare(f"end of {symbol}", (bids, asks), (_levels(live, Side.BID), _levels(live, Side.ASK)))
        ends[symbol] = {"best_bid": bids[:1], "best_ask": asks[:1], "live_orders": len(live)}
    report.counts = {
        "venue_book": "none in the feed: executions must be at the best price, the end must equal the live orders",
        "messages": session.messages,
        "by_type": dict(session.events.counts),
        "unknown": session.unknown,
        "held_back": session.events.held_back,
        "executions_in_a_crossed_book": crossed,
        "kernel": kernel.counters(),
        "end": ends,
    }
    return report


def _levels(orders: list[Order], side: Side) -> Levels:
    sums: dict[int, int] = {}
    for order in orders:
        if order.side == side:
            sums[order.price] = sums.get(order.price, 0) + order.qty
    return sorted(sums.items(), reverse=side is Side.BID)
