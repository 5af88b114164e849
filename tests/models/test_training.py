"""Training end to end on little data: reproducible, and the exported network is torch's."""

from pathlib import Path

import pytest

from deploy.training import calm_sessions
from models.train import train_from_ticks

pytestmark = pytest.mark.slow

torch = pytest.importorskip("torch", reason="torch is in the train group")


def test_training_is_reproducible_and_exports_what_it_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.train.EPOCHS", 2)
    monkeypatch.setattr("deploy.training.CALM_SESSION_S", 60.0)
    sessions = calm_sessions(1, 2)
    reports = []
    for name in ("a", "b"):
        _, report = train_from_ticks(sessions, tmp_path / name, seed=5, model_id="t")
        reports.append(report)
    assert (tmp_path / "a/model.json").read_text() == (tmp_path / "b/model.json").read_text()
    assert reports[0] == reports[1]
    assert reports[0].onnx_difference <= 1e-5


def test_one_session_is_not_enough(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least two sessions"):
        train_from_ticks([[]], tmp_path, seed=1, model_id="t")
