"""The benchmark runs, and its last line is what the acceptance reads."""

import json

import pytest

from benchmarks import bench_gate, gate_load
from gate._native import Gate, LimitTable

LATENCIES = {f"{name}_{share}_ns" for name in ("c", "c_hot", "submit", "rewritten") for share in ("p50", "p99", "p999")}
OTHERS = {
    "python_p50_ns",
    "python_submit_p50_ns",
    "python_ring_submit_p50_ns",
    "timer_floor_ns",
    "checks_per_s",
    "2_threads_checks_per_s",
    "publish_to_visible_p99_ns",
    "kill_to_reject_p50_ns",
    "writer_worked",
}


def test_quick_benchmark_ends_with_the_promised_figures(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench_gate.main(["--quick"]) == 0
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert figures.keys() >= (LATENCIES | OTHERS)
    assert all(figures[name] > 0 for name in LATENCIES | OTHERS)


def test_measurement_of_what_it_cannot_measure_is_refused() -> None:
    samples = bytearray(4)
    with LimitTable.private(1) as table, Gate(table) as gate:
        for mode, load in ((99, gate_load.orders(1, 1, 7)), (bench_gate.CHECK, b""), (bench_gate.CHECK, b"half")):
            with pytest.raises(ValueError, match="whole orders"):
                gate.measure(mode, load, memoryview(samples).cast("I"))
