"""The network in this process: its answers, what is no answer, and what cannot be opened."""

import numpy as np
import pytest

from models.model_files import ModelError
from models.serving.interface import ServingCounts, ServingError, ServingSettings
from models.serving.local import LocalWindowScorer
from models.serving.network import WindowNetwork
from models.serving.opening import open_scorer
from tests.models.serving.conftest import INSTRUMENTS, by_hand, onnx_bytes, some_windows


@pytest.mark.parametrize("rows", [0, 1, 7, 500])
def test_answers_are_the_networks_for_any_number_of_rows(network: WindowNetwork, rows: int) -> None:
    windows, ids = some_windows(rows)
    scorer = open_scorer(ServingSettings(), network)
    parts = scorer.score(windows, ids)
    assert parts is not None
    assert parts.dtype == np.float32
    assert parts == pytest.approx(by_hand(windows, ids), rel=1e-5)
    assert scorer.counts == ServingCounts(answers=1)


def test_rows_are_the_same_alone_and_together(network: WindowNetwork) -> None:
    windows, ids = some_windows(5)
    scorer = LocalWindowScorer(network)
    together = scorer.score(windows, ids)
    assert together is not None
    for row in range(5):
        alone = scorer.score(windows[row : row + 1], ids[row : row + 1])
        assert alone is not None
        assert alone[0] == pytest.approx(together[row], rel=1e-6)


def test_what_is_no_number_is_no_answer(network: WindowNetwork) -> None:
    windows, ids = some_windows(3)
    windows[1, 0, 0] = np.nan
    scorer = LocalWindowScorer(network)
    assert scorer.score(windows, ids) is None
    assert scorer.counts == ServingCounts(errors=1)
    assert "no number" in scorer.trouble
    assert scorer.score(*some_windows(3)) is not None
    assert not scorer.trouble


def test_network_with_fewer_embeddings_than_instruments_is_refused_before_a_tick_fails() -> None:
    with pytest.raises(ModelError, match="the network of m fails"):
        LocalWindowScorer(WindowNetwork("m", onnx_bytes(embeddings=3), INSTRUMENTS))


def test_network_of_other_windows_is_refused() -> None:
    with pytest.raises(ModelError, match="not windows of 8"):
        LocalWindowScorer(WindowNetwork("m", onnx_bytes(ticks=7), ()))


def test_bytes_that_are_no_network_are_refused_by_the_models_name() -> None:
    with pytest.raises(ModelError, match="the network of m"):
        LocalWindowScorer(WindowNetwork("m", b"nothing", ()))


def test_provider_that_this_onnxruntime_has_not_is_refused_not_replaced(
    network: WindowNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(ModelError, match="CUDAExecutionProvider"):
        open_scorer(ServingSettings(provider="cuda"), network)


@pytest.mark.parametrize("wrong", [{"back_end": "both"}, {"provider": "tpu"}, {"deadline_ms": 0.0}])
def test_settings_that_nobody_serves_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ServingError, match="score"):
        ServingSettings(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("url", ["", "127.0.0.1:80", "ftp://a:1", "http://a", "http://a:1/path", "http://a:99999"])
def test_url_that_is_none_is_refused(network: WindowNetwork, url: str) -> None:
    with pytest.raises(ServingError, match="score url"):
        open_scorer(ServingSettings(back_end="remote", url=url), network)
