"""The benchmark of the decision trail runs, and its last line is what is promised."""

import json

import pytest

from benchmarks import bench_decisions


def test_quick_benchmark_ends_with_the_promised_figures(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench_decisions.main(["--quick"]) == 0
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    wanted = {"push_1024_p50_ns", "push_65536_p99_ns", "push_2_producers_p50_ns", "entry_to_message_us"}
    assert wanted <= figures.keys()
    assert all(figures[name] > 0 for name in wanted)
