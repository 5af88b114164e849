"""Latency of the gate: check and submit inside C with a 10 Hz writer in another process, and per call from Python.

Invariant: C percentiles are taken inside C, one sample per judgement, the timer's own cost included and printed beside
them (its floor); every control has a finite limit and every instrument a position. The figures of Python are medians over
batches, because two clock reads cost more than a call. Excluded: reading the clock for ``now_ns`` (an argument), the network,
what the venue reports. Run as ``python -m benchmarks.bench_gate``; the last line is JSON.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from benchmarks import gate_load, instruments_plot
from benchmarks.machine import machine
from gate import _native
from gate._native import DecisionRing, Gate, LimitTable

INSTRUMENTS: Final = 4096
LOAD: Final = 65_536
SCALES: Final = (1, 10, 100, 1_000, 10_000, 100_000)
TIMER, CHECK, SUBMIT, REWRITTEN, KILL, VISIBLE, BATCH = range(7)
"""Modes of ``Gate.measure``, as in ``bench.h``."""

Samples = npt.NDArray[np.uint32]
Figures = dict[str, float | int]


def main(argv: list[str] | None = None) -> int:
    """Measure and print; return the exit status."""
    parser = argparse.ArgumentParser(prog="benchmarks.bench_gate", description="Latency of the gate.")
    parser.add_argument("--quick", action="store_true", help="a few samples, to see that it runs")
    parser.add_argument("--plot", action="store_true", help="also 1 to 100,000 instruments, as a picture")
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args(argv)
    instruments, samples = (256, 20_000) if arguments.quick else (INSTRUMENTS, 5_000_000)
    print(machine())
    figures: Figures = {"instruments": instruments, "writes_hz": 10, "samples": samples}
    with tempfile.TemporaryDirectory(dir=_memory_folder()) as folder:
        path = Path(folder) / "limits"
        with _writer(path, instruments, "all"), LimitTable.attach(path) as table:
            figures |= _beside_a_writer(table, instruments, samples=samples, seed=arguments.seed)
        with _writer(path, instruments, "one"), LimitTable.attach(path) as table:
            figures |= _visible(table, 100 if arguments.quick else 20_000)
    figures |= _alone(instruments, samples // 5, arguments.seed)
    if arguments.plot:
        rows = [_scale(count, min(samples, 1_000_000), arguments.seed) for count in SCALES]
        title = f"One check by number of instruments, ns, timer included (load {os.getloadavg()[0]:.1f})"
        lines = {"p50_ns": "median", "p99_ns": "99 %"}
        print(instruments_plot.plot("gate_instruments", title, rows, lines=lines))
        figures |= {f"c_p50_ns_of_{row['instruments']}": row["p50_ns"] for row in rows}
    print(f"load at the end: {os.getloadavg()[0]:.2f}")
    print(json.dumps(figures))
    return 0


def _beside_a_writer(table: LimitTable, instruments: int, *, samples: int, seed: int) -> Figures:
    writes = table.writer_heartbeat_ns
    with Gate(table) as gate:
        gate_load.take_positions(gate, instruments)
        load, hot = gate_load.orders(instruments, LOAD, seed), gate_load.orders(1, 1, seed)
        _run(gate, CHECK, load, count=max(samples // 5, 4 * instruments))  # terms, caches, pages, branch predictors
        figures = _told("timer_floor", *_run(gate, TIMER, load, count=min(samples, 200_000))[:2])
        figures |= _told("c", *_run(gate, CHECK, load, count=samples)[:2])
        figures |= _told("c_hot", *_run(gate, CHECK, hot, count=samples // 5)[:2])
        figures |= _told("submit", *_run(gate, SUBMIT, load, count=samples // 2, refused_max=0.001)[:2])
        figures |= _batches(gate, load, samples)
        figures |= _in_python(gate, "python", calls=samples // 50)
    with DecisionRing.create(None, 65_536) as ring, Gate(table, ring=ring) as gate:
        gate_load.take_positions(gate, 1)
        figures |= _in_python(gate, "python_ring", calls=samples // 50, ring=ring)
    figures["timer_floor_ns"] = figures.pop("timer_floor_p50_ns")
    figures["writer_worked"] = int(table.writer_heartbeat_ns > writes)
    return figures


def _alone(instruments: int, samples: int, seed: int) -> Figures:
    """What needs a table that this process writes: rows just rewritten, a kill; and two threads."""
    other = gate_load.ROUTE["account"] + 1
    with LimitTable.private(instruments) as table, Gate(table) as gate:
        gate_load.fill(table, instruments, (gate_load.ROUTE["account"], other))
        gate_load.take_positions(gate, instruments)
        gate_load.take_positions(gate, instruments, other)
        load = gate_load.orders(instruments, LOAD, seed)
        figures = _told("rewritten", *_run(gate, REWRITTEN, load, count=samples)[:2])
        figures |= _told("kill_to_reject", *_run(gate, KILL, load, count=samples // 10)[:2])
        figures |= _threads(gate, [load, gate_load.orders(instruments, LOAD, seed + 1, account=other)], samples)
    return figures


def _threads(gate: Gate, loads: list[bytes], samples: int) -> Figures:
    """Checks a second of two threads, each with an account of its own, and both with one account."""
    figures: Figures = {}
    for name, both in (("2_threads", loads), ("2_threads_one_account", [loads[0], loads[0]])):
        for load in both:
            _run(gate, BATCH, load, count=LOAD)
        threads = [threading.Thread(target=_run, args=(gate, BATCH, load), kwargs={"count": samples}) for load in both]
        started = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        figures[f"{name}_checks_per_s"] = round(2 * samples / (time.perf_counter() - started))
        print(f"{name}: {figures[f'{name}_checks_per_s']:,} checks/s together")
    return figures


def _batches(gate: Gate, load: bytes, samples: int) -> Figures:
    span_ns = min(_run(gate, BATCH, load, count=samples // 5)[2] for _ in range(5))
    figures: Figures = {"checks_per_s": round(samples // 5 / span_ns * 1e9)}
    print(f"back to back: {figures['checks_per_s']:,} checks/s on one thread (best of five)")
    return figures


def _visible(table: LimitTable, samples: int) -> Figures:
    with Gate(table) as gate:
        gate_load.take_positions(gate, 1)
        load = gate_load.orders(1, 1, 7)
        return _told("publish_to_visible", *_run(gate, VISIBLE, load, count=samples, refused_max=1e-3)[:2])


def _scale(instruments: int, samples: int, seed: int) -> dict[str, float]:
    with (
        LimitTable.private(instruments) as table,
        Gate(table, accounts=4, positions=max(instruments, 64), orders=4096) as gate,
    ):
        gate_load.fill(table, instruments)
        gate_load.take_positions(gate, instruments)
        load = gate_load.orders(instruments, max(LOAD, 2 * instruments), seed)
        _run(gate, BATCH, load, count=max(LOAD, 2 * instruments))
        lengths, unit_ns, _ = _run(gate, CHECK, load, count=samples)
        p50, p99 = np.percentile(lengths, [50, 99]) * unit_ns
        return {"instruments": instruments, "p50_ns": round(float(p50), 1), "p99_ns": round(float(p99), 1)}


def _run(gate: Gate, mode: int, load: bytes, *, count: int, refused_max: float = 1e-4) -> tuple[Samples, float, int]:
    """Return samples, ns per unit of theirs, and ns of all.

    Where the writer shares processors with others it may be stopped inside a write; the row is then TORN_READ until it goes on.
    """
    lengths = np.zeros(count, dtype=np.uint32)
    ended_well, unit_ns, span_ns = gate.measure(mode, load, lengths)
    if mode != TIMER and ended_well < count * (1 - refused_max):
        raise AssertionError(f"mode {mode}: {count - ended_well} of {count} did not end as they should")
    if mode != TIMER and ended_well < count:
        print(f"mode {mode}: {count - ended_well} of {count} were refused")
    return lengths, unit_ns, span_ns


def _told(name: str, lengths: Samples, unit_ns: float) -> Figures:
    p50, p99, p999 = (round(float(value), 1) for value in np.percentile(lengths, [50, 99, 99.9]) * unit_ns)
    print(f"{name}: p50 {p50} p99 {p99} p99.9 {p999} ns ({lengths.size:,} samples)")
    return {f"{name}_p50_ns": p50, f"{name}_p99_ns": p99, f"{name}_p999_ns": p999}


def _in_python(gate: Gate, name: str, *, calls: int, ring: DecisionRing | None = None) -> Figures:
    """Medians over batches of 100 calls: check, and submit whose orders are closed between the batches."""
    route, ids = gate_load.route(gate), itertools.count(time.monotonic_ns() << 8)
    account = gate_load.ROUTE["account"]
    figures: Figures = {}
    for kind, method in (("check", route.check), ("submit", route.submit)):
        lengths, nothings = [], []
        for _ in range(max(10, calls // 100)):
            batch = [_arguments(next(ids), 1 + number % 97) for number in range(100)]
            lengths.append(_span_ns(method, batch))
            nothings.append(_span_ns(lambda *_: None, batch))
            if kind == "submit":
                for arguments in batch:
                    gate.closed(account, arguments[1])
            if ring is not None:
                ring.read(1000)
                ring.release(ring.counters()["pending"])
        key = f"{name}_p50_ns" if kind == "check" else f"{name}_submit_p50_ns"
        figures[key] = round(float(np.median(lengths)) / 100, 1)
        print(f"{key}: {figures[key]} a call (a lambda that does nothing: {np.median(nothings) / 100:.0f} ns)")
    return figures


def _arguments(order_id: int, qty: int) -> tuple[int, ...]:
    kinds = _native.ORDER_NEW, _native.ORDER_BUY, _native.ORDER_LIMIT, 0
    return (1, order_id, *kinds, qty, gate_load.REF, time.monotonic_ns())


def _span_ns(method: Callable[..., object], batch: list[tuple[int, ...]]) -> int:
    started_ns = time.perf_counter_ns()
    for arguments in batch:
        method(*arguments)
    return time.perf_counter_ns() - started_ns


@contextmanager
def _writer(path: Path, instruments: int, which: str) -> Iterator[None]:
    command = [sys.executable, "-m", "benchmarks.gate_writer", str(path), str(instruments), which]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        try:
            assert writer.stdout is not None
            if writer.stdout.readline() != "ready\n":
                raise RuntimeError("the writer did not start")
            yield
        finally:
            writer.kill()


def _memory_folder() -> str | None:
    shared = Path("/dev/shm")
    return str(shared) if os.access(shared, os.W_OK) else None


if __name__ == "__main__":
    raise SystemExit(main())
