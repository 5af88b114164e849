"""A seeded load of any size for one channel: orders that come, rest a while and leave, packed into frames as a feed cuts them.

Invariant: equal arguments give equal frames; each instrument's book is whole from its first tick, with about ``RESTING`` orders.
Rejected: the scenario's simulator (five instruments at a rate of their own; a plan asks about thousands).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from feeds.blocks import EventBlock
from feeds.framing import frames_of
from schemas.events import Kind
from schemas.frames import Frame
from schemas.units import NS_PER_S, PRICE_SCALE

START_NS: Final = 1_768_487_400 * NS_PER_S
TICK_SIZE: Final = PRICE_SCALE // 100
MID_TICKS: Final = 10_000
RESTING: Final = 20
EXECUTED_SHARE: Final = 0.2
CHANNEL: Final = "PLAN"


@dataclass(frozen=True, slots=True)
class Load:
    """How much one channel carries.

    Attributes:
        instruments: Instruments of the channel.
        events_per_s: Events of all of them together.
        seconds: Event time.
        seed: Of the stream.
    """

    instruments: int
    events_per_s: int
    seconds: float
    seed: int = 7


def frames_of_load(load: Load) -> list[Frame]:
    """Return the frames of ``load``: definitions first, then its events at even distances."""
    end_ns = START_NS + int(load.seconds * NS_PER_S)
    return list(frames_of([_opening(load), _flow(load)], CHANNEL, start_ns=START_NS, end_ns=end_ns))


def _opening(load: Load) -> EventBlock:
    count = 2 * load.instruments
    return EventBlock(
        {
            "ts_event_ns": np.full(count, START_NS, np.int64),
            "instrument_id": np.repeat(np.arange(1, load.instruments + 1, dtype=np.uint32), 2),
            "kind": np.tile(np.array([Kind.DEFINE, Kind.CLEAR], np.uint8), load.instruments),
            "side": np.zeros(count, np.int8),
            "order_id": np.zeros(count, np.uint64),
            "price": np.full(count, TICK_SIZE, np.int64),
            "qty": np.full(count, PRICE_SCALE, np.int64),
        }
    )


def _flow(load: Load) -> EventBlock:
    chance = np.random.default_rng(load.seed)
    events = int(load.events_per_s * load.seconds)
    orders = events  # more than enough: of each that comes, its departure may lie beyond the end
    born = np.arange(orders, dtype=np.int64)
    gone = born + chance.integers(1, 2 * RESTING * load.instruments, orders)
    side = chance.choice(np.array([1, -1], np.int8), orders)
    order = {
        "instrument_id": chance.integers(1, load.instruments + 1, orders).astype(np.uint32),
        "side": side,
        "order_id": np.arange(1, orders + 1, dtype=np.uint64),
        "price": (MID_TICKS - side.astype(np.int64) * chance.geometric(0.2, orders)) * TICK_SIZE,
        "qty": chance.integers(1, 100, orders),
    }
    columns = {name: np.concatenate([column, column]) for name, column in order.items()}
    leave = np.where(chance.random(orders) < EXECUTED_SHARE, Kind.EXECUTE, Kind.DELETE).astype(np.uint8)
    columns["kind"] = np.concatenate([np.full(orders, Kind.ADD, np.uint8), leave])
    when = np.argsort(np.concatenate([born, gone]), kind="stable")[:events]
    columns = {name: column[when] for name, column in columns.items()}
    columns["ts_event_ns"] = START_NS + np.arange(events, dtype=np.int64) * int(load.seconds * NS_PER_S) // max(
        events, 1
    )
    return EventBlock(columns)
