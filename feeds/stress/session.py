"""One session simulated: events, and frames of any span.

Invariant: equal sessions give byte-equal frames, and how events are cut into frames changes no tick, which a test holds through
the kernel; so a benchmark takes frames of a second, where a feed sends at most 10 ms.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np

from feeds.blocks import EventBlock
from feeds.framing import frames_of
from feeds.stress.ambient import metaorders, time_of_day, wander
from feeds.stress.market import Market
from feeds.stress.plan import DAY_NS, MECHANISMS, OPEN_NS, StressSession
from feeds.stress.script import STEPS_PER_S, Fault, Script
from feeds.stress.streams import Integers, draw_orders, draw_takers, fair_path
from schemas.events import FrameFlag, Kind, Side
from schemas.frames import Columns, Frame, empty_columns
from schemas.units import NS_PER_S

_TIME, _KIND, _SIDE, _ORDER, _PRICE, _QTY = range(6)
_HOUR_NS: Final = 3600 * NS_PER_S


def simulate(session: StressSession) -> EventBlock:
    """Return the session's events as its feed shows them; they open with a definition and an empty book."""
    traits = session.traits
    script = script_of(session)
    rng = np.random.Generator(np.random.PCG64([session.seed, 5]))
    fair = fair_path(script, rng)
    orders = draw_orders(script, fair, rng)
    rows = Market(script, fair.tolist(), orders, draw_takers(script, rng)).run()
    for fault in script.faults:
        rows = _faulty(rows, fault)
    opening = np.zeros((2, rows.shape[1]), np.int64)
    opening[0, [_KIND, _PRICE, _QTY]] = Kind.DEFINE, 1, traits.lot_size
    opening[1, _KIND] = Kind.CLEAR
    rows = np.concatenate([opening, rows])
    columns: Columns = {
        "ts_event_ns": rows[:, _TIME] + session.start_ns,
        "instrument_id": np.full(len(rows), traits.instrument_id, np.uint32),
        "kind": rows[:, _KIND].astype(np.uint8),
        "side": rows[:, _SIDE].astype(np.int8),
        "order_id": rows[:, _ORDER].astype(np.uint64),
        "price": rows[:, _PRICE] * traits.tick_size,
        "qty": rows[:, _QTY].copy(),
    }
    return EventBlock(columns)


def script_of(session: StressSession) -> Script:
    """Return what the session's market is told."""
    rng = np.random.Generator(np.random.PCG64([session.seed, 4]))
    script = Script(session.traits, round(session.duration_s * STEPS_PER_S))
    wander(script, rng)
    time_of_day(script, max(0.0, (session.start_ns % DAY_NS - OPEN_NS) / _HOUR_NS))
    metaorders(script, rng)
    MECHANISMS[session.mechanism].bend(script, session.story, rng)
    return script


def feed_frames(session: StressSession, block: EventBlock) -> Iterator[Frame]:
    """Yield the frames that a feed would send: at most 10 ms each, and heartbeats."""
    return frames_of([block], session.channel_id, start_ns=session.start_ns, end_ns=session.end_ns)


def long_frames(session: StressSession, block: EventBlock, *, span_ns: int = NS_PER_S) -> Iterator[Frame]:
    """Yield the same events in frames of ``span_ns``, each of which says that the channel reached its end."""
    ts = block.columns["ts_event_ns"]
    bounds = np.arange(session.start_ns, session.end_ns + 1, span_ns, dtype=np.int64)[1:]
    places = np.searchsorted(ts, bounds)
    first = 0
    for bound, place in zip(bounds.tolist(), places.tolist(), strict=True):
        if place > first:
            columns = {name: column[first:place] for name, column in block.columns.items()}
            columns["seq"] = np.arange(first + 1, place + 1, dtype=np.int64)
            yield Frame(session.channel_id, first + 1, place, int(ts[first]), bound, FrameFlag(0), columns)
        else:
            yield Frame(session.channel_id, first + 1, first, bound, bound, FrameFlag.HEARTBEAT, empty_columns())
        first = place


def _faulty(rows: Integers, fault: Fault) -> Integers:
    """Return the events as a feed shows them that was silent for a while: flushed late, or listed anew at the end."""
    start, end = round(fault.from_s * NS_PER_S), round(fault.until_s * NS_PER_S)
    first, last = np.searchsorted(rows[:, _TIME], [start, end]).tolist()
    if fault.flush:
        late = rows.copy()
        late[first:last, _TIME] = end
        return late
    listed = _book_at(rows[:last])
    snapshot = np.zeros((len(listed) + 2, rows.shape[1]), np.int64)
    snapshot[:, _TIME] = end
    snapshot[0, _KIND], snapshot[-1, _KIND] = Kind.SNAPSHOT_BEGIN, Kind.SNAPSHOT_END
    for place, (order_id, (side, price, qty)) in enumerate(listed.items(), 1):
        snapshot[place, 1:] = Kind.ADD, side, order_id, price, qty
    return np.concatenate([rows[:first], snapshot, rows[last:]])


def _book_at(rows: Integers) -> dict[int, tuple[int, int, int]]:
    """Return order id → side, price, lots of what rests after ``rows``, in the order of arrival."""
    book: dict[int, tuple[int, int, int]] = {}
    for _, kind, side, order_id, price, qty in rows.tolist():
        if kind == Kind.ADD:
            book[order_id] = (side, price, qty)
        elif kind == Kind.DELETE:
            del book[order_id]
        elif kind in (Kind.EXECUTE, Kind.REDUCE):
            rest = book[order_id][2] - qty
            if rest:
                book[order_id] = (side, price, rest)
            else:
                del book[order_id]
    assert all(side in (Side.BID, Side.ASK) for side, _, _ in book.values())
    return book
