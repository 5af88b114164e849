"""The benchmark runs, and its last line is what the acceptance reads."""

import json

import pytest

from benchmarks import bench_gate


def test_quick_benchmark_ends_with_the_promised_figures(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench_gate.main(["--quick"]) == 0
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    wanted = {"c_p50_ns", "c_p99_ns", "c_p999_ns", "python_p50_ns", "timer_floor_ns"}
    assert wanted <= figures.keys()
    assert all(figures[name] > 0 for name in wanted)
