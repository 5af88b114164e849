"""Speed and size of the channel kernel: decoded frames in, rows of closed ticks out, on one thread.

Invariant: every repeat feeds a fresh kernel the same frames, and nothing but ``apply`` is timed; building and decoding frames,
Kafka and Flink are left out. ``framed`` is the stream as a feed cuts it (a frame spans 10 ms, so a quiet recording is mostly
heartbeats and the glue's cost); ``packed`` is the same in frames of 1,000 events, which is what the C code costs. Nanoseconds
of single events are taken inside C with the clock's own reading (its floor is printed), nothing asked for ahead; an event
that closes ticks carries them, so percentiles are given with and without those. The twin in plain Python runs on the head of each
stream beside it. On a shared machine read the figures per CPU second: time in which the thread ran, whatever else ran. Run as
``python -m benchmarks.bench_kernel``; ``--plot`` writes the cost by number of instruments to ``benchmarks/results``; the
last line is JSON.
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.instruments_plot import plot
from benchmarks.kernel_streams import START_NS, after, crowd, opening, packed, recorded, resting, simulated
from features.channel import ChannelKernel, FrameResult
from features.reference.channel import PlainChannel
from features.spec import FEATURES
from schemas.events import FrameFlag
from schemas.frames import Frame, empty_columns
from schemas.units import FRAME_EVENTS_MAX, NS_PER_S, TICK_NS

RECORDING: Final = Path("lobster") / "LOBSTER_SampleFile_GOOG_2012-06-21_10.zip"
INSTRUMENTS: Final = (10, 100, 1_000, 5_000)
BURST: Final = 200_000
"""Events that are timed at each number of instruments, all within one tick."""

BURST_NS: Final = TICK_NS * 4 // 5
ORDERS: Final = 10_300
"""Just more than 5/8 of 16,384: the table of orders has doubled."""


@dataclass(frozen=True, slots=True)
class Timed:
    """Time on the wall and on the processor for a run, and the rows that it closed."""

    wall_s: float
    cpu_s: float
    rows: int


Apply = Callable[[Frame], FrameResult]
Figures = dict[str, float | int]


def main(argv: list[str] | None = None) -> int:
    """Measure and print; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.bench_kernel", description="Speed and size of the channel kernel."
    )
    parser.add_argument("--quick", action="store_true", help="short streams, to see that it runs")
    parser.add_argument("--plot", action="store_true", help="write the cost by number of instruments as a picture")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args(argv)
    repeats = 2 if arguments.quick else arguments.repeats
    load = os.getloadavg()[0]
    print(f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}, load {load:.2f}")
    print(f"{len(FEATURES)} features; the clock's floor is {_floor_ns()} ns")
    figures: dict[str, Any] = {}
    for name, frames in _streams(quick=arguments.quick, seed=arguments.seed).items():
        figures[name] = _measure(frames, repeats, twin_frames=300 if arguments.quick else 3_000)
        print(f"{name}: {figures[name]}")
    figures["size"] = _size(repeats)
    print(f"size: {figures['size']}")
    counts = INSTRUMENTS[:2] if arguments.quick else INSTRUMENTS
    figures["instruments"] = [_crowded(count, repeats, seed=arguments.seed) for count in counts]
    for row in figures["instruments"]:
        print(f"instruments: {row}")
    if arguments.plot:
        title = f"Cost by number of instruments in a channel, ns (load {load:.1f})"
        lines = {"ns_per_event": "event in the book", "ns_per_row": "row of a tick, all features"}
        print(f"wrote {plot('kernel_instruments', title, figures['instruments'], lines=lines)}")
    print(f"load at the end: {os.getloadavg()[0]:.2f}")
    print(json.dumps({**figures, "load": round(os.getloadavg()[0], 2), "repeats": repeats, "features": len(FEATURES)}))
    return 0


def _streams(*, quick: bool, seed: int) -> dict[str, list[Frame]]:
    streams = {"simulator": simulated(seed, duration_s=5 if quick else 120)}
    folder = Path(os.environ.get("TIDEGATE_MARKETDATA", Path(__file__).parents[2] / "shared" / "marketdata"))
    if quick:
        print("the recording is left out: a quick run")
    elif (folder / RECORDING).exists():
        streams["lobster"] = recorded(folder / RECORDING)
    else:
        print(f"no recording at {folder / RECORDING}: set TIDEGATE_MARKETDATA")
    return streams


def _measure(frames: list[Frame], repeats: int, *, twin_frames: int) -> Figures:
    events = sum(frame.event_count for frame in frames)
    framed = [_timed(ChannelKernel("B").apply, frames) for _ in range(repeats)]
    full = packed(frames)
    runs = [_timed(ChannelKernel("B").apply, full) for _ in range(repeats)]
    head = frames[:twin_frames]
    twin = _timed(PlainChannel().apply, head)
    own = [_timed(ChannelKernel("B").apply, head) for _ in range(repeats)]
    assert twin.rows == own[0].rows, "the twin closed other ticks"
    framed_s, framed_cpu_s = sorted(t.wall_s for t in framed), min(t.cpu_s for t in framed)
    runs_s, runs_cpu_s = sorted(t.wall_s for t in runs), min(t.cpu_s for t in runs)
    return {
        "events": events,
        "frames": len(frames),
        "rows": runs[0].rows,
        "framed_events_per_s_best": round(events / framed_s[0]),
        "framed_events_per_s_median": round(events / framed_s[len(framed_s) // 2]),
        "framed_events_per_cpu_s": round(events / framed_cpu_s),
        "framed_cpu_ns_per_frame": round(1e9 * framed_cpu_s / len(frames)),
        "times_real_time": round((frames[-1].ts_last_ns - frames[0].ts_first_ns) / NS_PER_S / framed_s[0]),
        "packed_events_per_s_best": round(events / runs_s[0]),
        "packed_events_per_s_median": round(events / runs_s[len(runs_s) // 2]),
        "packed_events_per_cpu_s": round(events / runs_cpu_s),
        "packed_cpu_ns_per_row": round(1e9 * runs_cpu_s / max(1, runs[0].rows)),
        "twin_events_per_cpu_s": round(sum(frame.event_count for frame in head) / twin.cpu_s),
        "c_over_twin": round(twin.cpu_s / min(t.cpu_s for t in own), 1),
        **_single(full),
    }


def _single(frames: list[Frame]) -> Figures:
    """Return percentiles of single events, inside C."""
    kernel = ChannelKernel("B")
    parts = [kernel.apply_timed(frame) for frame in frames]
    spent_ns, rows = (np.concatenate(column) for column in zip(*parts, strict=True))
    alone, closing = spent_ns[rows == 0], spent_ns[rows > 0].astype(np.float64) / rows[rows > 0]
    figures: Figures = {}
    for name, column in (("event", alone), ("event_with_ticks", spent_ns), ("row", closing)):
        for percent in (50, 99, 99.9):
            figures[f"ns_per_{name}_p{percent:g}"] = round(float(np.percentile(column, percent)))
    figures["ns_per_row_mean"] = round(float(spent_ns[rows > 0].sum() / max(1, rows.sum())))
    return figures


def _size(repeats: int) -> Figures:
    """Return size and snapshot time of an instrument whose order table has just doubled: the dearest moment per order."""
    start = opening(1)
    kernel, empty = ChannelKernel("B"), ChannelKernel("B")
    for frame in start:
        empty.apply(frame)
    for frame in [*start, *after(resting(ORDERS, seed=1), start)]:
        kernel.apply(frame)
    raw = kernel.snapshot()
    snapshot_s = min(_spent(kernel.snapshot) for _ in range(5 * repeats))
    restore_s = min(_spent(lambda: ChannelKernel.restore("B", raw)) for _ in range(5 * repeats))
    return {
        "orders": ORDERS,
        "bytes_per_live_order": round((len(raw) - len(empty.snapshot())) / ORDERS),
        "bytes_per_empty_instrument": len(empty.snapshot()),
        "snapshot_ms_per_10k_orders": round(1e3 * snapshot_s * 10_000 / ORDERS, 3),
        "restore_ms_per_10k_orders": round(1e3 * restore_s * 10_000 / ORDERS, 3),
    }


def _crowded(instruments: int, repeats: int, *, seed: int) -> Figures:
    """Return the cost of an event within a tick, and of a row, at a number of instruments.

    Rows are the first of a kernel just restored: with few instruments, much of their cost is pages of memory asked for.
    """
    start = opening(instruments)
    stream = after(crowd(instruments, 60 * instruments + BURST, within_ns=BURST_NS, seed=seed), start)
    warm, burst = stream[: -BURST // FRAME_EVENTS_MAX], stream[-BURST // FRAME_EVENTS_MAX :]
    kernel = ChannelKernel("B")
    for frame in [*start, *warm]:
        kernel.apply(frame)
    raw, seq, end_ns = kernel.snapshot(), burst[-1].seq_last, START_NS + 12 * TICK_NS
    beat = Frame("B", seq + 1, seq, end_ns, end_ns, FrameFlag.HEARTBEAT, empty_columns())
    event_s, row_s, rows = [], [], 0
    for _ in range(repeats):
        again = ChannelKernel.restore("B", raw)
        event_s.append(_timed(again.apply, burst).cpu_s)
        closing = _timed(again.apply, [beat])
        rows = closing.rows
        row_s.append(closing.cpu_s / rows)
    events = sum(frame.event_count for frame in burst)
    return {
        "instruments": instruments,
        "ns_per_event": round(1e9 * min(event_s) / events, 1),
        "ns_per_row": round(1e9 * min(row_s), 1),
        "rows": rows,
        "state_bytes_per_instrument": round(len(raw) / instruments),
    }


def _floor_ns() -> int:
    """Return the least time between two readings of the clock."""
    stamps = [time.perf_counter_ns() for _ in range(10_000)]
    return int(np.diff(stamps).min())


def _spent(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _timed(apply: Apply, frames: list[Frame]) -> Timed:
    """Apply all frames."""
    rows = 0
    start, start_cpu = time.perf_counter(), time.thread_time()
    for frame in frames:
        rows += len(apply(frame).tick_ns)
    return Timed(time.perf_counter() - start, time.thread_time() - start_cpu, rows)


if __name__ == "__main__":
    raise SystemExit(main())
