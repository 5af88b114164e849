"""Events per second through the channel kernel: decoded frames in, rows of closed ticks out, on one thread.

Invariant: every repeat feeds a fresh kernel the same frames, and nothing but ``apply`` is timed; building and decoding frames,
Kafka and Flink are left out. Percentiles are per frame: its time over its events, so small frames carry the cost of a
call, and a quiet recording mostly that of closing ticks. ``packed`` is the same stream in frames of 1,000 events, which
is what the C code costs. The twin in plain Python runs on the head of each stream beside it. Run as
``python -m benchmarks.bench_kernel``; the last line is JSON.
"""

import argparse
import dataclasses
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from features.channel import ChannelKernel, FrameResult
from features.reference.channel import PlainChannel
from feeds.framing import frames_of
from feeds.lobster.reader import open_session
from feeds.simulator.session import simulate
from schemas.frames import Frame
from schemas.units import FRAME_EVENTS_MAX, NS_PER_S

RECORDING: Final = Path("lobster") / "LOBSTER_SampleFile_GOOG_2012-06-21_1.zip"

Apply = Callable[[Frame], FrameResult]
Figures = dict[str, float | int]


def main(argv: list[str] | None = None) -> int:
    """Measure and print; return the exit status."""
    parser = argparse.ArgumentParser(prog="benchmarks.bench_kernel", description="Speed of the channel kernel.")
    parser.add_argument("--quick", action="store_true", help="a short stream, to see that it runs")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args(argv)
    repeats = 2 if arguments.quick else arguments.repeats
    cpus = os.cpu_count()
    print(f"{platform.machine()}, {cpus} processors, Python {platform.python_version()}, load {os.getloadavg()[0]:.2f}")
    streams = {"simulator": _simulated(arguments.seed, duration_s=5 if arguments.quick else 120)}
    folder = Path(os.environ.get("TIDEGATE_MARKETDATA", Path(__file__).parents[2] / "shared" / "marketdata"))
    if arguments.quick:
        print("the recording is left out: a quick run")
    elif (folder / RECORDING).exists():
        streams["lobster"] = _recorded(folder / RECORDING)
    else:
        print(f"no recording at {folder / RECORDING}: set TIDEGATE_MARKETDATA")
    figures: dict[str, Figures] = {}
    for name, frames in streams.items():
        figures[name] = _measure(frames, repeats, twin_frames=300 if arguments.quick else 10_000)
        print(f"{name}: {figures[name]['events_per_s_best']:,} events/s at best, {figures[name]}")
    print(f"load at the end: {os.getloadavg()[0]:.2f}")
    print(json.dumps({**figures, "load": round(os.getloadavg()[0], 2), "repeats": repeats}))
    return 0


def _measure(frames: list[Frame], repeats: int, *, twin_frames: int) -> Figures:
    events = sum(frame.event_count for frame in frames)
    runs = [_timed(ChannelKernel("B").apply, frames) for _ in range(repeats)]
    spent_s = sorted(seconds for seconds, _ in runs)
    rows = runs[0][1]
    packed = _packed(frames)
    packed_s = sorted(_timed(ChannelKernel("B").apply, packed)[0] for _ in range(repeats))
    head = frames[:twin_frames]
    twin_s, twin_rows = _timed(PlainChannel().apply, head)
    head_s, head_rows = min(_timed(ChannelKernel("B").apply, head) for _ in range(repeats))
    assert twin_rows == head_rows, "the twin closed other ticks"
    p50, p99, p999 = np.percentile(_per_event_ns(frames), [50, 99, 99.9])
    return {
        "events": events,
        "frames": len(frames),
        "rows": rows,
        "events_per_s_best": round(events / spent_s[0]),
        "events_per_s_median": round(events / spent_s[len(spent_s) // 2]),
        "rows_per_s_best": round(rows / spent_s[0]),
        "times_real_time": round((frames[-1].ts_last_ns - frames[0].ts_first_ns) / NS_PER_S / spent_s[0]),
        "ns_per_event_p50": round(float(p50)),
        "ns_per_event_p99": round(float(p99)),
        "ns_per_event_p999": round(float(p999)),
        "packed_events_per_s_best": round(events / packed_s[0]),
        "packed_events_per_s_median": round(events / packed_s[len(packed_s) // 2]),
        "twin_events_per_s": round(sum(frame.event_count for frame in head) / twin_s),
        "c_over_twin": round(twin_s / head_s, 1),
    }


def _timed(apply: Apply, frames: list[Frame]) -> tuple[float, int]:
    """Return the seconds for all frames and the rows that they closed."""
    rows = 0
    start = time.perf_counter()
    for frame in frames:
        rows += len(apply(frame).tick_ns)
    return time.perf_counter() - start, rows


def _per_event_ns(frames: list[Frame]) -> list[float]:
    """Return each frame's time over its events, heartbeats left out; the clock's own cost is in it."""
    apply = ChannelKernel("B").apply
    lengths = []
    for frame in frames:
        start = time.perf_counter_ns()
        apply(frame)
        spent_ns = time.perf_counter_ns() - start
        if frame.event_count:
            lengths.append(spent_ns / frame.event_count)
    return lengths


def _packed(frames: list[Frame]) -> list[Frame]:
    """Return the same events in frames of ``FRAME_EVENTS_MAX``, closing the same ticks by the events alone."""
    full = [frame for frame in frames if frame.event_count]
    joined = {name: np.concatenate([frame.columns[name] for frame in full]) for name in full[0].columns}
    packed = []
    for at in range(0, len(joined["seq"]), FRAME_EVENTS_MAX):
        columns = {name: column[at : at + FRAME_EVENTS_MAX] for name, column in joined.items()}
        seq, ts = columns["seq"].tolist(), columns["ts_event_ns"].tolist()
        made = dataclasses.replace(full[0], seq_first=seq[0], seq_last=seq[-1], ts_first_ns=ts[0], ts_last_ns=ts[-1])
        packed.append(dataclasses.replace(made, columns=columns))
    return packed


def _simulated(seed: int, *, duration_s: float) -> list[Frame]:
    session = simulate("flash_crash", seed, duration_s=duration_s)
    plan = session.scenario
    return list(frames_of([session.block], plan.channel_id, start_ns=plan.start_ns, end_ns=plan.end_ns))


def _recorded(path: Path) -> list[Frame]:
    session = open_session(path)
    return list(frames_of(session.blocks(), session.channel_id, start_ns=session.start_ns, end_ns=session.end_ns))


if __name__ == "__main__":
    raise SystemExit(main())
