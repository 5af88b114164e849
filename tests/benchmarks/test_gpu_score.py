"""The comparison of CPU and GPU: without a GPU it says so, and the crossover is the batch from which on the GPU stays ahead."""

import json
from typing import Any

import pytest
import torch

from benchmarks import gpu_score


def row(windows: int, cpu: float, graph: float, onnx: float | None = None) -> dict[str, Any]:
    made: dict[str, Any] = {"windows": windows, "cpu": {"p50_us": cpu}, "graph": {"p50_us": graph}}
    return made if onnx is None else made | {"onnx": {"p50_us": onnx}}


def test_without_a_cuda_device_nothing_is_measured_and_it_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu_score.main([]) == 2
    said = capsys.readouterr()
    assert "no CUDA device" in said.err
    assert not said.out


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ([row(1, 5, 20), row(8, 30, 20)], 8),
        ([row(1, 30, 20), row(8, 15, 20), row(64, 30, 20)], 64),
        ([row(1, 30, 20, onnx=10), row(8, 30, 20, onnx=25)], 8),
        ([row(1, 5, 20), row(8, 6, 20)], None),
        ([{"windows": 1, "cpu": {"p50_us": 1.0}}], None),
    ],
)
def test_crossover_is_the_batch_from_which_on_the_gpu_beats_every_cpu(
    rows: list[dict[str, Any]], found: int | None
) -> None:
    assert gpu_score.crossover(rows) == found


@pytest.mark.slow
def test_the_cpus_ways_agree_and_their_figures_are_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gpu_score, "BATCHES", (1, 8))
    assert gpu_score.main(["--cpu-only", "--repeats", "50"]) == 0
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [one["windows"] for one in figures["batches"]] == [1, 8]
    assert all(one["onnx"]["p50_us"] > 0 and one["difference"] < 1e-5 for one in figures["batches"])
    assert figures["crossover"] is None
