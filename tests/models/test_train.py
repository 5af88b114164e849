"""Training: a whole model folder from synthetic ticks, the same network from the same seed, ONNX equal to torch."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest
import torch

from features.spec import SCORED_NAMES
from models.export import TOLERANCE, export
from models.folder import read_folder
from models.inference import LocalScorer
from models.net import TickVae
from models.scaling import Scaler
from models.train import _fit, train_from_ticks
from schemas.ticks import Ticks

pytestmark = pytest.mark.slow

COUNT = len(SCORED_NAMES)
TICKS = 640
Make = Callable[..., Ticks]


def values(seed: int) -> npt.NDArray[np.float64]:
    """Values of two instruments that move together, with one feature that is null at the start."""
    rng = np.random.Generator(np.random.PCG64(seed))
    moved: npt.NDArray[np.float64] = rng.normal(size=(TICKS, 2, 4)) @ np.random.Generator(np.random.PCG64(0)).normal(
        size=(4, COUNT)
    )
    moved = 3.0 + np.abs(moved + 0.3 * rng.normal(size=moved.shape))
    moved[:200, :, 18] = np.nan
    return moved


def test_training_writes_a_folder_that_scores_the_strange_higher_than_the_calm(
    tmp_path: Path, make_ticks: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.train.EPOCHS", 5)
    sessions = [[make_ticks(values(seed), instrument_ids=(1, 2))] for seed in range(2)]
    made, report = train_from_ticks(sessions, tmp_path / "model", seed=7, model_id="synthetic")
    assert report.onnx_difference <= TOLERANCE
    assert report.rows == report.held_out_rows == 2 * (TICKS - 100)
    read = read_folder(tmp_path / "model")
    assert (read.model_id, read.tail, read.simple_tail, read.levels) == (
        "synthetic",
        made.tail,
        made.simple_tail,
        made.levels,
    )
    assert sorted(read.priors) == [1, 2]
    scaler, scorer = Scaler(read.priors), LocalScorer(read.path, read.model_id)
    calm = values(9)
    strange = calm.copy()
    strange[-1] *= 30
    scaled = scaler.step(make_ticks(strange, instrument_ids=(1, 2)))
    error = scorer.score(scaled).error
    assert error[-2:].min() > 2 * np.quantile(error[scaled.scored][:-2], 0.99)


def test_one_session_is_too_few(tmp_path: Path, make_ticks: Make) -> None:
    with pytest.raises(ValueError, match="two sessions"):
        train_from_ticks([[make_ticks(values(1), instrument_ids=(1, 2))]], tmp_path, seed=7, model_id="m")


def test_same_seed_gives_the_same_network_to_the_bit_and_another_seed_another() -> None:
    rows = np.random.Generator(np.random.PCG64(1)).normal(size=(1_024, COUNT)).astype(np.float32)
    weights = []
    for seed in (7, 7, 8):
        torch.manual_seed(seed)
        net, _ = _fit(rows, seed)
        weights.append(b"".join(p.detach().numpy().tobytes() for p in net.parameters()))
    assert weights[0] == weights[1] != weights[2]


def test_exported_network_equals_torch_for_any_number_of_rows(tmp_path: Path) -> None:
    torch.manual_seed(3)
    net = TickVae(COUNT)
    assert export(net, tmp_path / "net.onnx", features=COUNT) <= TOLERANCE
    session = onnxruntime.InferenceSession(str(tmp_path / "net.onnx"), providers=["CPUExecutionProvider"])
    for rows in (1, 4, 33):
        z = np.random.Generator(np.random.PCG64(rows)).normal(0, 4, (rows, COUNT)).astype(np.float32)
        (found,) = session.run(None, {"z": z})
        with torch.no_grad():
            wanted = net(torch.from_numpy(z)).numpy()
        assert found.shape == (rows, COUNT)
        assert np.max(np.abs(found - wanted) / (1 + np.abs(wanted))) <= TOLERANCE
