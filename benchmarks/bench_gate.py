"""Latency of the order check: lookup + check inside C with a 10 Hz writer at work, and per call from Python.

Invariant: C percentiles are taken inside C, one sample per check, the timer's own cost included and printed beside
them (its floor); the figures of Python are medians over batches, because two clock reads cost more than a call.
Excluded: reading the clock for ``now_ns`` (an argument), the network, the caller's own work.
Run as ``python -m benchmarks.bench_gate``; the last line is JSON.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from gate import _native
from gate._native import LimitTable, account_hash, measure_checks
from gate.limit_book import LimitBook
from schemas.records import OrderAction, OrderRequest, OrderSide, OrderType

INSTRUMENTS: Final = 4096
WRITES_HZ: Final = 10
VALID_NS: Final = 3600 * 10**9
REF: Final = 50 * 10**9
ACCOUNT: Final = "DESK-1"

Order = tuple[int, int, int, int, int, int, int, int]
Percentiles = dict[str, float]


def main(argv: list[str] | None = None) -> int:
    """Measure and print; return the exit status."""
    parser = argparse.ArgumentParser(prog="benchmarks.bench_gate", description="Latency of the order check.")
    parser.add_argument("--quick", action="store_true", help="a few samples, to see that it runs")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--writer", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.writer is not None:
        return _write_until_killed(arguments.writer)
    samples = 20_000 if arguments.quick else 20_000_000
    print(_machine())
    with tempfile.TemporaryDirectory(dir=_memory_folder()) as folder:
        path = Path(folder) / "limits"
        command = [sys.executable, "-m", "benchmarks.bench_gate", "--writer", str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            try:
                assert writer.stdout is not None
                if writer.stdout.readline() != "ready\n":
                    return 1
                with LimitTable.attach(path) as table:
                    figures = _measure(table, samples, arguments.seed)
            finally:
                writer.kill()
    print(f"load at the end: {os.getloadavg()[0]:.2f}")
    print(json.dumps(figures))
    return 0


def _measure(table: LimitTable, samples: int, seed: int) -> dict[str, float | int]:
    ids = np.random.default_rng(seed).integers(1, INSTRUMENTS + 1, size=65_536)
    loads = {"random": [_order(int(number)) for number in ids], "hot": [_order(1)]}
    figures: dict[str, float | int] = {"instruments": INSTRUMENTS, "writes_hz": WRITES_HZ, "samples": samples}
    writes = table.writer_heartbeat_ns
    for name, orders in loads.items():
        prefix = "c_" if name == "random" else "c_hot_"
        measured, floor, batch_ns = _in_c(table, orders, samples)
        print(
            f"C, {name} instrument: {_line(measured)}, back to back {batch_ns:.1f} ns each; timer floor {_line(floor)}"
        )
        figures |= {f"{prefix}{key}_ns": value for key, value in measured.items()}
        figures[f"{prefix}batch_ns"] = round(batch_ns, 1)
        figures["timer_floor_ns"] = floor["p50"]
    figures |= _in_python(table, calls=samples // 50)
    figures["writer_rounds"] = table.writer_heartbeat_ns - writes
    return figures


def _in_c(table: LimitTable, orders: list[Order], samples: int) -> tuple[Percentiles, Percentiles, float]:
    lengths, floor = np.zeros(samples, dtype=np.uint32), np.zeros(min(samples, 200_000), dtype=np.uint32)
    measure_checks(table, orders, lengths[: samples // 10], floor)  # warm caches, pages and branch predictors
    unit_ns, accepted, batch_ns = measure_checks(table, orders, lengths, floor)
    assert accepted == samples, f"every order of the load passes, {accepted} of {samples} did"
    return _percentiles(lengths, unit_ns), _percentiles(floor, unit_ns), batch_ns / samples


def _in_python(table: LimitTable, *, calls: int) -> dict[str, float | int]:
    order = _order(1)
    book = LimitBook(table, ttl_ns=VALID_NS)
    request = OrderRequest("o-1", ACCOUNT, 1, 1, OrderAction.NEW, OrderSide.BUY, OrderType.LIMIT, 100, REF)
    nothing = _per_call_ns(lambda *_: None, order, calls)
    rows: dict[str, tuple[Callable[..., object], tuple[object, ...]]] = {
        "python": (table.check, order),
        "python_decide": (table.decide, order),
        "python_book": (book.check, (request, order[-1], "gate")),
    }
    figures: dict[str, float | int] = {}
    for name, (call, arguments) in rows.items():
        median_ns = _per_call_ns(call, arguments, calls)
        print(f"{name}: median {median_ns:.0f} ns per call (a lambda that does nothing: {nothing:.0f} ns)")
        figures[f"{name}_p50_ns"] = round(median_ns, 1)
    return figures


def _per_call_ns(call: Callable[..., object], arguments: tuple[object, ...], calls: int) -> float:
    """Return the median over batches of 100 calls."""
    lengths = []
    for _ in range(max(10, calls // 100)):
        start = time.perf_counter_ns()
        for _ in range(100):
            call(*arguments)
        lengths.append((time.perf_counter_ns() - start) / 100)
    return float(np.median(lengths))


def _order(instrument_id: int) -> Order:
    now_ns = time.monotonic_ns()
    side, order_type = _native.ORDER_BUY, _native.ORDER_LIMIT
    return instrument_id, account_hash(ACCOUNT), _native.ORDER_NEW, side, order_type, 100, REF, now_ns


def _percentiles(lengths: npt.NDArray[np.uint32], unit_ns: float) -> Percentiles:
    p50, p99, p999 = np.percentile(lengths, [50, 99, 99.9]) * unit_ns
    return {"p50": round(float(p50), 1), "p99": round(float(p99), 1), "p999": round(float(p999), 1)}


def _line(percentiles: Percentiles) -> str:
    return "p50 {p50} p99 {p99} p99.9 {p999} ns".format(**percentiles)


def _write_until_killed(path: Path) -> int:
    """Rewrite every row ten times a second: the load that a sidecar is at its busiest."""
    with LimitTable.create(path, INSTRUMENTS) as table:
        rounds = 0
        planned_s = time.monotonic()
        while True:
            for instrument_id in range(1, INSTRUMENTS + 1):
                table.put(
                    instrument_id,
                    envelope_qty=500,
                    dynamic_qty=500,
                    stale_qty=50,
                    envelope_band_bps=500,
                    dynamic_band_bps=500,
                    stale_band_bps=100,
                    ref_price=REF,
                    valid_until_ns=time.monotonic_ns() + VALID_NS,
                    epoch=1,
                    tick_ns=rounds,
                    model_id="default-7",
                    score=0.5,
                )
            rounds += 1
            table.heartbeat(rounds, 1)
            if rounds == 1:
                print("ready", flush=True)
            planned_s += 1 / WRITES_HZ
            time.sleep(max(0.0, planned_s - time.monotonic()))


def _memory_folder() -> str | None:
    shared = Path("/dev/shm")
    return str(shared) if os.access(shared, os.W_OK) else None


def _machine() -> str:
    names = [line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    cpu = names[0] if names else platform.machine()
    return (
        f"{cpu}, {os.cpu_count()} processors, {platform.system()} {platform.release()}, load {os.getloadavg()[0]:.2f}"
    )


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


if __name__ == "__main__":
    raise SystemExit(main())
