"""The load of ``bench_path``: channels of simulated order flow on an exact grid of frames, and a dense backlog.

Invariant: equal arguments give equal frames, so the process that sends and the process that watches both know when each
frame was due without a word between them. Run as a process of its own: whoever measures must not share an interpreter
with the load.
"""

import argparse
import heapq
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from deploy.instruments import Instrument, load_instruments
from deploy.local.flink import repository
from feeds.blocks import EventBlock
from feeds.framing import FrameCutter
from feeds.producer import FrameProducer
from feeds.simulator.session import simulate
from models.folder import read_folder, write_folder
from schemas.events import FrameFlag
from schemas.frames import Frame
from schemas.units import FRAME_EVENTS_MAX, NS_PER_MS, NS_PER_S

CELL_NS: Final = 10 * NS_PER_MS
FRAMES_PER_CHANNEL_S: Final = NS_PER_S // CELL_NS
DENSITY: Final = 2
"""Simulated time runs so many times faster than event time: a busy market, about 14 events a frame."""

STRIDE: Final = 10_000
"""Instrument ids of channel ``k`` start at ``k * STRIDE``; channel 0 holds the instruments that the model knows."""

LOADS: Final = {100: range(1, 2), 400: range(2, 6)}
"""Frames per second → channels, each of which sends 100; numbered so that no run continues another."""

WARM_UP_S: Final = 150.0
"""Event time that is sent before the measurement, as fast as the path takes it: what happens ten times a second needs
minutes of traffic before a JVM compiles it."""


def channel_name(channel: int) -> str:
    """Return the name of the channel with number ``channel``."""
    return f"BENCH-{channel}"


def instruments_of(channels: range) -> dict[int, Instrument]:
    """Return the instruments of some channels, with the envelopes of the simulated ones."""
    made = {}
    for channel in channels:
        for known in load_instruments().values():
            if known.channel_id == "SIM":
                number = channel * STRIDE + known.id
                made[number] = replace(known, id=number, channel_id=channel_name(channel))
    return made


def write_model(folder: Path) -> Path:
    """Write the default model as if it had been fitted on the instruments of the bench too, and return its folder.

    An instrument that the model does not know has no state in its first two minutes.
    """
    model = read_folder(repository() / "models" / "default")
    past, start = model.stack.past, model.stack.start
    numbers = [n for channels in LOADS.values() for n in instruments_of(channels)]
    priors = past.priors | {n: past.priors[n % STRIDE] for n in numbers}
    own = start.own | {n: start.own[n % STRIDE] for n in numbers}
    model.stack.restore(replace(past, priors=priors), replace(start, own=own))
    write_folder(replace(model, path=folder))
    return folder


def frames_on_grid(channel: int, seconds: float, *, shift_ns: int = 0) -> Iterator[Frame]:
    """Yield one frame per 10 ms of one channel; a cell without events gives a heartbeat.

    Args:
        channel: Number of the channel and seed of its flow.
        seconds: Length in event time.
        shift_ns: Moves the grid, so that channels do not all send at the same instant.
    """
    block, start_ns = _flow(channel, seconds * DENSITY, DENSITY)
    ts = block.columns["ts_event_ns"]
    edges = np.arange(start_ns + shift_ns, start_ns + int(seconds * NS_PER_S) + shift_ns, CELL_NS)
    bounds = np.searchsorted(ts, edges)
    bounds[0] = 0
    seq = 1
    for first, last, edge in zip(bounds[:-1], bounds[1:], edges[1:].tolist(), strict=True):
        count = int(last - first)
        columns = {name: column[first:last] for name, column in block.columns.items()}
        columns["seq"] = np.arange(seq, seq + count, dtype=np.int64)
        flags = FrameFlag(0) if count else FrameFlag.HEARTBEAT
        ts_first = int(columns["ts_event_ns"][0]) if count else edge
        yield Frame(channel_name(channel), seq, seq + count - 1, ts_first, edge, flags, columns)
        seq += count


def grid_of(channels: range, seconds: float) -> Iterator[Frame]:
    """Yield the frames of some channels in the order in which they are due."""
    step = CELL_NS // len(channels)
    grids = [frames_on_grid(channel, seconds, shift_ns=n * step) for n, channel in enumerate(channels)]
    return heapq.merge(*grids, key=lambda frame: frame.ts_last_ns)


def dense_frames(channel: int, frames: int) -> Iterator[Frame]:
    """Yield ``frames`` frames of 1,000 events each within 10 ms: as much as a frame may hold.

    One simulated minute, compressed, is repeated; each repeat starts with the definitions and a cleared book.
    """
    block, start_ns = _flow(channel, 60.0, 1)
    cutter = FrameCutter(channel_name(channel), start_ns)
    length = len(block) // FRAME_EVENTS_MAX * FRAME_EVENTS_MAX
    spacing_ns = CELL_NS // FRAME_EVENTS_MAX
    made = 0
    while True:
        repeat_ns = start_ns + (made // (length // FRAME_EVENTS_MAX)) * length * spacing_ns
        columns = {name: column[:length] for name, column in block.columns.items()}
        columns["ts_event_ns"] = repeat_ns + np.arange(length, dtype=np.int64) * spacing_ns
        for frame in cutter.cut(EventBlock(columns)):
            if made == frames:
                return
            made += 1
            yield frame


def _flow(channel: int, seconds: float, density: int) -> tuple[EventBlock, int]:
    session = simulate("calm", channel, duration_s=seconds)
    start_ns = session.scenario.start_ns
    columns = dict(session.block.columns)
    columns["ts_event_ns"] = start_ns + (columns["ts_event_ns"].astype(np.int64) - start_ns) // density
    columns["instrument_id"] = columns["instrument_id"].astype(np.uint32) + np.uint32(channel * STRIDE)
    return EventBlock(columns), start_ns


def main() -> None:
    """Send the warm-up, then the measured frames in real time from a monotonic time on that is read from standard input."""
    parser = argparse.ArgumentParser(prog="benchmarks.path_load", description=main.__doc__)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--first-channel", type=int, required=True)
    parser.add_argument("--channels", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True, help="measured length")
    arguments = parser.parse_args()
    channels = range(arguments.first_channel, arguments.first_channel + arguments.channels)
    frames = list(grid_of(channels, WARM_UP_S + arguments.seconds))
    first = next(n for n, frame in enumerate(frames) if frame.ts_last_ns >= measured_from(frames))
    producer = FrameProducer(arguments.bootstrap)
    producer.replay(frames[:first], speed=None)
    print("ready", flush=True)
    begin_ns = int(input())
    producer.replay(frames[first:], speed=1.0, start_monotonic_ns=begin_ns)
    print("sent", flush=True)


def measured_from(frames: list[Frame]) -> int:
    """Return the event time at which the measurement starts."""
    return frames[0].ts_last_ns + int(WARM_UP_S * NS_PER_S)


if __name__ == "__main__":
    main()
