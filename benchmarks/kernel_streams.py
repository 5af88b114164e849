"""What the kernel benchmark feeds: recorded and simulated frames, and seeded streams of many instruments."""

import dataclasses
from pathlib import Path
from typing import Final

import numpy as np

from feeds.framing import frames_of
from feeds.lobster.reader import open_session
from feeds.simulator.session import simulate
from schemas.events import FrameFlag, Kind
from schemas.frames import Columns, Frame
from schemas.units import FRAME_EVENTS_MAX, NS_PER_S, PRICE_SCALE, TICK_NS

START_NS: Final = 1_000_000 * NS_PER_S
TICK_SIZE: Final = PRICE_SCALE // 100
RESTING: Final = 20
"""Orders per instrument that rest at any time in a seeded stream."""


def simulated(seed: int, *, duration_s: float) -> list[Frame]:
    """Return the frames of a simulated crash."""
    session = simulate("flash_crash", seed, duration_s=duration_s)
    plan = session.scenario
    return list(frames_of([session.block], plan.channel_id, start_ns=plan.start_ns, end_ns=plan.end_ns))


def recorded(path: Path) -> list[Frame]:
    """Return the frames of a recorded day."""
    session = open_session(path)
    return list(frames_of(session.blocks(), session.channel_id, start_ns=session.start_ns, end_ns=session.end_ns))


def packed(frames: list[Frame]) -> list[Frame]:
    """Return the same events in frames of ``FRAME_EVENTS_MAX``, closing the same ticks by the events alone."""
    full = [frame for frame in frames if frame.event_count]
    joined = {name: np.concatenate([frame.columns[name] for frame in full]) for name in full[0].columns}
    return cut({name: column for name, column in joined.items() if name != "seq"})


def cut(columns: Columns) -> list[Frame]:
    """Return events in order of time as frames of ``FRAME_EVENTS_MAX``."""
    frames = []
    for at in range(0, len(columns["kind"]), FRAME_EVENTS_MAX):
        part = {name: np.ascontiguousarray(column[at : at + FRAME_EVENTS_MAX]) for name, column in columns.items()}
        ts, count = part["ts_event_ns"], len(part["kind"])
        part["seq"] = np.arange(at + 1, at + count + 1)
        frames.append(Frame("B", at + 1, at + count, int(ts[0]), int(ts[-1]), FrameFlag(0), part))
    return frames


def opening(instruments: int) -> list[Frame]:
    """Return a definition and an empty, whole book for every instrument."""
    count = 2 * instruments
    return cut(
        {
            "ts_event_ns": np.full(count, START_NS),
            "instrument_id": np.repeat(np.arange(1, instruments + 1, dtype=np.uint32), 2),
            "kind": np.tile(np.array([Kind.DEFINE, Kind.CLEAR], np.uint8), instruments),
            "side": np.zeros(count, np.int8),
            "order_id": np.zeros(count, np.uint64),
            "price": np.full(count, TICK_SIZE),
            "qty": np.full(count, PRICE_SCALE),
        }
    )


def crowd(instruments: int, events: int, *, within_ns: int, seed: int) -> list[Frame]:
    """Return orders added to random instruments; each leaves after ``RESTING`` more per instrument, a fifth by trade.

    Args:
        instruments: Ids 1 to this; open them with :func:`opening`.
        events: Additions and departures together.
        within_ns: Event time that all of it takes, from one tick after the opening.
        seed: Of the stream.
    """
    chance = np.random.default_rng(seed)
    orders = events // 2
    born = np.arange(orders, dtype=np.int64)
    gone = born + chance.integers(1, 2 * RESTING * instruments, orders)
    side = chance.choice(np.array([1, -1], np.int8), orders)
    order = {
        "instrument_id": chance.integers(1, instruments + 1, orders).astype(np.uint32),
        "side": side,
        "order_id": np.arange(1, orders + 1, dtype=np.uint64),
        "price": (10_000 - side * chance.geometric(0.2, orders)) * TICK_SIZE,
        "qty": chance.integers(1, 100, orders),
    }
    columns = {name: np.concatenate([column, column]) for name, column in order.items()}
    leave = np.where(chance.random(orders) < 0.2, Kind.EXECUTE, Kind.DELETE).astype(np.uint8)
    columns["kind"] = np.concatenate([np.full(orders, Kind.ADD, np.uint8), leave])
    when = np.argsort(np.concatenate([born, gone]), kind="stable")[:events]
    columns = {name: column[when] for name, column in columns.items()}
    columns["ts_event_ns"] = START_NS + TICK_NS + np.arange(len(when)) * within_ns // len(when)
    return cut(columns)


def resting(orders: int, *, seed: int) -> list[Frame]:
    """Return orders of instrument 1 that stay."""
    chance = np.random.default_rng(seed)
    side = chance.choice(np.array([1, -1], np.int8), orders)
    return cut(
        {
            "ts_event_ns": np.full(orders, START_NS),
            "instrument_id": np.ones(orders, np.uint32),
            "kind": np.full(orders, Kind.ADD, np.uint8),
            "side": side,
            "order_id": np.arange(1, orders + 1, dtype=np.uint64),
            "price": (10_000 - side * chance.geometric(0.01, orders)) * TICK_SIZE,
            "qty": chance.integers(1, 100, orders),
        }
    )


def after(frames: list[Frame], earlier: list[Frame]) -> list[Frame]:
    """Return frames numbered on from earlier ones."""
    shift = earlier[-1].seq_last
    return [
        dataclasses.replace(
            frame,
            seq_first=frame.seq_first + shift,
            seq_last=frame.seq_last + shift,
            columns={**frame.columns, "seq": np.arange(frame.seq_first, frame.seq_last + 1) + shift},
        )
        for frame in frames
    ]
