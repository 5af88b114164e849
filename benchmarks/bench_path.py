"""Latency and throughput of the whole path: frame → tick → risk state → limit visible in the gate.

Open loop: frames leave on a grid of 10 ms per channel whether or not the path keeps up, and every latency starts when the
frame that closes the tick was *due*. Ticks and states are timed at arrival in a subscriber of their topics, the gate at the
sidecar's write of the row. The load runs in a process of its own. The path publishes a state for every tick and
instrument, ten times what production publishes. Then the largest rate (``benchmarks.throughput``);
``--throughput`` measures that alone, with one and two TaskManagers, beside what else one could write in Flink.

Excluded: the wait of an event for the end of its tick (up to 100 ms, by design), and the network between machines.
Run as ``python -m benchmarks.bench_path``; the last line is JSON.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import confluent_kafka

from benchmarks.path_load import (
    FRAMES_PER_CHANNEL_S,
    LOADS,
    WARM_UP_S,
    grid_of,
    instruments_of,
    measured_from,
)
from benchmarks.throughput import compare, drain, fresh_stack
from deploy.desk import FOLDER, Desk
from deploy.instruments import envelope_commands
from deploy.local.stack import Layout
from deploy.observe import Seen, Tail, TickClock, percentiles
from schemas import codec, topics
from schemas.frames import Frame
from schemas.records import RiskState
from schemas.ticks import decode_ticks
from schemas.units import NS_PER_MS, NS_PER_S, TICK_NS

DENSE_CHANNELS: Final = range(1)
QUIET_S: Final = 3.0
GOAL_P50_MS: Final = 10.0
GOAL_P99_MS: Final = 50.0
HOPS: Final = ("frame_to_tick", "tick_to_state", "state_to_gate", "total")


def main(argv: list[str] | None = None) -> int:
    """Measure and print; return the exit status."""
    parser = argparse.ArgumentParser(prog="benchmarks.bench_path", description="Latency and throughput of the path.")
    parser.add_argument("--seconds", type=float, default=30.0, help="measured time per rate, after warm-up")
    parser.add_argument("--dense-frames", type=int, default=6_000, help="frames of 1,000 events for the largest rate")
    parser.add_argument(
        "--throughput", action="store_true", help="the largest rate with 1 and 2 TaskManagers, and rivals"
    )
    arguments = parser.parse_args(argv)
    if arguments.throughput:
        print(json.dumps(compare(arguments.dense_frames)))
        return 0
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.2f} before")
    figures: dict[str, Any] = {}
    with fresh_stack(state_heartbeat_ms=TICK_NS // NS_PER_MS) as (_, layout):
        _set_envelopes(layout)
        for rate, channels in LOADS.items():
            assert len(channels) * FRAMES_PER_CHANNEL_S == rate
            figures[f"at_{rate}"] = _latency(layout, channels, arguments.seconds)
            print(f"{rate} frames/s: {json.dumps(figures[f'at_{rate}'])}")
        figures["largest"] = drain(layout, DENSE_CHANNELS, arguments.dense_frames)
    top = max(LOADS)
    worst = figures[f"at_{top}"]["latency_ms"]["total"]
    figures |= {
        "frames_per_s": top,
        "total_p50_ms": worst.get("p50"),
        "total_p99_ms": worst.get("p99"),
        "events_per_s": figures["largest"]["events_per_s"],
        "goal_met": worst.get("p50", 1e9) <= GOAL_P50_MS and worst.get("p99", 1e9) <= GOAL_P99_MS,
        "load_at_end": round(os.getloadavg()[0], 2),
    }
    print(json.dumps(figures))
    return 0


def _set_envelopes(layout: Layout) -> None:
    producer = confluent_kafka.Producer({"bootstrap.servers": layout.bootstrap_servers})
    for command in envelope_commands(
        instruments_of(range(1, 1 + max(channels[-1] for channels in LOADS.values()))), ts_ns=0
    ):
        producer.produce(topics.RISK_COMMANDS, codec.encode(topics.RISK_COMMANDS, command), key=command.scope)
    assert producer.flush(30) == 0


@dataclass(slots=True)
class Watch:
    """What arrives, against what was due."""

    desk: Desk
    clocks: dict[str, TickClock]
    channel_of: dict[int, str]
    measured_from_ns: int
    samples_ms: dict[str, list[float]] = field(default_factory=lambda: {hop: [] for hop in HOPS})
    ticks_seen: dict[tuple[str, int], int] = field(default_factory=dict)
    waiting: list[tuple[RiskState, int]] = field(default_factory=list)
    states: int = 0
    overtaken: int = 0

    def take(self, message: Seen) -> None:
        """Take one message."""
        if message.place.topic == topics.FEATURES_TICKS:
            self._tick(message)
        else:
            self._state(cast("RiskState", codec.decode(topics.RISK_STATES, message.value)), message.received_ns)

    def look_at_gate(self) -> None:
        """See which states have become visible in the limit table."""
        still = []
        for state, seen_ns in self.waiting:
            row = self.desk.row(state.instrument_id)
            if row is None or row.tick_ns < state.tick_ns:
                still.append((state, seen_ns))
            elif row.tick_ns > state.tick_ns:
                self.overtaken += 1  # a newer state was written before we looked: this row's time is gone
            else:
                due_ns = self._due(self.channel_of[state.instrument_id], state.tick_ns)
                self._note("state_to_gate", state.tick_ns, max(0, row.written_ns - seen_ns))
                if due_ns is not None:
                    self._note("total", state.tick_ns, row.written_ns - due_ns)
        self.waiting = still

    def _tick(self, message: Seen) -> None:
        channel = message.key.decode()
        for tick_ns in set(decode_ticks(message.value).tick_ns.tolist()):
            due_ns = self._due(channel, tick_ns)
            self.ticks_seen[channel, tick_ns] = message.received_ns
            if due_ns is not None:
                self._note("frame_to_tick", tick_ns, message.received_ns - due_ns)

    def _state(self, state: RiskState, received_ns: int) -> None:
        channel = self.channel_of.get(state.instrument_id)
        if channel is None:
            return
        self.states += 1
        seen_ns = self.ticks_seen.get((channel, state.tick_ns))
        if seen_ns is not None:
            self._note("tick_to_state", state.tick_ns, max(0, received_ns - seen_ns))
        self.waiting.append((state, received_ns))

    def _due(self, channel: str, tick_ns: int) -> int | None:
        clock = self.clocks.get(channel)
        return None if clock is None else clock.closed_at(tick_ns)

    def _note(self, hop: str, tick_ns: int, latency_ns: int) -> None:
        if tick_ns >= self.measured_from_ns:
            self.samples_ms[hop].append(latency_ns / 1e6)


def _latency(layout: Layout, channels: range, seconds: float) -> dict[str, Any]:
    """Offer the frames of some channels and return the percentiles of every hop after the warm-up."""
    frames = list(grid_of(channels, WARM_UP_S + seconds))
    command = [sys.executable, "-m", "benchmarks.path_load", "--bootstrap", layout.bootstrap_servers]
    command += ["--first-channel", str(channels[0]), "--channels", str(len(channels)), "--seconds", str(seconds)]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as load,
        Desk(layout.bootstrap_servers, Path(layout.table_path), Path(layout.history_dir).parent / FOLDER) as desk,
    ):
        assert load.stdin is not None
        assert load.stdout is not None
        assert load.stdout.readline() == "ready\n"
        with Tail(layout.bootstrap_servers, (topics.FEATURES_TICKS, topics.RISK_STATES), from_start=False) as tail:
            _wait_until_quiet(tail)
            begin_ns = time.monotonic_ns() + NS_PER_S
            watch = Watch(
                desk,
                _clocks(frames, begin_ns),
                {number: known.channel_id for number, known in instruments_of(channels).items()},
                measured_from_ns=measured_from(frames) + TICK_NS,
            )
            load.stdin.write(f"{begin_ns}\n")
            load.stdin.close()
            _watch(tail, watch, until_ns=begin_ns + int((seconds + 1.0) * NS_PER_S))
        assert load.stdout.readline() == "sent\n"
    measured = [frame for frame in frames if frame.ts_last_ns >= watch.measured_from_ns]
    return {
        "channels": len(channels),
        "events_per_s": round(sum(frame.event_count for frame in measured) / seconds),
        "latency_ms": {hop: percentiles(samples) for hop, samples in watch.samples_ms.items()},
        "rows_overtaken": watch.overtaken,
        "rows_never_visible": len(watch.waiting),
        "load": round(os.getloadavg()[0], 2),
    }


def _wait_until_quiet(tail: Tail) -> None:
    """Wait until the path has worked off the warm-up."""
    quiet_since = time.monotonic()
    while time.monotonic() - quiet_since < QUIET_S:
        for _ in tail.poll(0.1):
            quiet_since = time.monotonic()


def _clocks(frames: list[Frame], begin_ns: int) -> dict[str, TickClock]:
    clocks: dict[str, TickClock] = {}
    origin_ns = next(frame.ts_last_ns for frame in frames if frame.ts_last_ns >= measured_from(frames))
    for frame in frames:
        clock = clocks.setdefault(frame.channel_id, TickClock())
        clock.record(frame.ts_last_ns, begin_ns + frame.ts_last_ns - origin_ns)
    return clocks


def _watch(tail: Tail, watch: Watch, *, until_ns: int) -> None:
    while time.monotonic_ns() < until_ns:
        for message in tail.poll(0.002):
            watch.take(message)
        watch.look_at_gate()


if __name__ == "__main__":
    sys.exit(main())
