"""Scoring: the committed network, the simple stack, and the fallback that always answers."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from features.spec import SCORED_NAMES
from models.folder import ModelError, ModelFolder, read_folder
from models.inference import FallbackScorer, LocalScorer, SimpleScorer, score_bytes
from models.scaling import Scaler
from models.wire import ScaledTicks, Scores, decode_scores, encode_scaled
from schemas.errors import MessageError
from schemas.ticks import Ticks, encode_ticks

COUNT = len(SCORED_NAMES)
DEFAULT = Path(__file__).parents[2] / "models" / "default"
Make = Callable[..., Ticks]


class Broken:
    def score(self, ticks: ScaledTicks) -> Scores:
        raise RuntimeError("no answer")


class NotANumber:
    def score(self, ticks: ScaledTicks) -> Scores:
        rows = len(ticks.tick_ns)
        return Scores("m", degraded=False, error=np.full(rows, np.nan), share=np.zeros((rows, COUNT), np.float32))


def scaled(rows: int = 4, seed: int = 1) -> ScaledTicks:
    rng = np.random.Generator(np.random.PCG64(seed))
    z = rng.normal(size=(rows, COUNT)).astype(np.float32)
    whole = np.arange(rows) != 1  # the second row is not scored
    z[~whole] = 0
    ids = np.arange(rows, dtype=np.uint32)
    zeros = np.zeros(rows, np.int64)
    return ScaledTicks("SIM", zeros, ids, zeros.astype(np.uint32), zeros, z.astype(np.float64), z, whole)


@pytest.fixture(scope="module")
def default() -> ModelFolder:
    return read_folder(DEFAULT)


@pytest.fixture(scope="module")
def local(default: ModelFolder) -> LocalScorer:
    return LocalScorer(default.path, default.model_id)


def test_shares_of_a_scored_row_sum_to_one_and_others_are_zero(local: LocalScorer) -> None:
    scores = local.score(scaled())
    assert scores.share.sum(axis=1) == pytest.approx([1, 0, 1, 1], abs=1e-5)
    assert (scores.error > 0).tolist() == [True, False, True, True]
    assert not scores.degraded


def test_rows_score_the_same_alone_and_together(local: LocalScorer) -> None:
    ticks = scaled()
    together = local.score(ticks).error
    for row in range(4):
        one = slice(row, row + 1)
        alone = ScaledTicks(
            "SIM", *(getattr(ticks, n)[one] for n in ScaledTicks.__dataclass_fields__ if n != "channel_id")
        )
        assert local.score(alone).error[0] == pytest.approx(together[row], rel=1e-5)


def test_no_rows_give_no_scores(local: LocalScorer) -> None:
    assert len(local.score(scaled(0)).error) == 0
    assert len(SimpleScorer("m").score(scaled(0)).error) == 0


# The spread of a calm simulated book jumps by this much now and then, so alone it is rightly no alarm.
@pytest.mark.parametrize("feature", [name for name in SCORED_NAMES if not name.startswith("spread")])
@pytest.mark.parametrize("z", [-20.0, 20.0])
def test_network_never_explains_one_wild_feature_away(
    default: ModelFolder, local: LocalScorer, feature: str, z: float
) -> None:
    ticks = scaled()
    ticks.z[0] = 0
    ticks.z[0, SCORED_NAMES.index(feature)] = z
    u = (np.log(local.score(ticks).error[0]) - default.tail.location) / default.tail.scale
    assert -np.log10(default.tail.p(u)) > default.levels.enter[1]


def test_simple_stack_scores_the_largest_deviation() -> None:
    ticks = scaled()
    ticks.z[0] = 0
    ticks.z[0, 3] = -4
    scores = SimpleScorer("m").score(ticks)
    assert scores.degraded
    assert scores.error[0] == 16
    assert scores.share[0, 3] == 1


@pytest.mark.parametrize("back_end", [Broken(), NotANumber()])
def test_back_end_without_an_answer_gives_the_simple_stacks(back_end: Broken | NotANumber) -> None:
    scorer = FallbackScorer(back_end, SimpleScorer("m"))
    scores = scorer.score(scaled())
    assert scores.degraded
    assert scorer.degraded_count == 1
    assert (scores.error == SimpleScorer("m").score(scaled()).error).all()


def test_back_end_with_an_answer_is_left_alone(local: LocalScorer) -> None:
    scorer = FallbackScorer(local, Broken())
    assert not scorer.score(scaled()).degraded
    assert scorer.degraded_count == 0


def test_sql_function_takes_scaled_ticks_and_raw_tick_messages(
    default: ModelFolder, local: LocalScorer, make_ticks: Make
) -> None:
    values = np.random.Generator(np.random.PCG64(2)).random((120, 1, COUNT)) * 3
    message = make_ticks(values)
    from_raw = decode_scores(score_bytes(encode_ticks(message), default, local))
    from_scaled = decode_scores(score_bytes(encode_scaled(Scaler(default.priors).step(message)), default, local))
    assert from_raw.error.tobytes() == from_scaled.error.tobytes()
    assert from_raw.error.any()
    assert from_raw.model_id == default.model_id


def test_sql_function_refuses_other_bytes_and_other_features(
    default: ModelFolder, local: LocalScorer, make_ticks: Make
) -> None:
    with pytest.raises(MessageError):
        score_bytes(b"nothing of ours", default, local)
    other = make_ticks(np.zeros((1, 1, COUNT)), spec_hash="f" * 16)
    with pytest.raises(MessageError, match="wrong_features"):
        score_bytes(encode_ticks(other), default, local)


def test_folder_without_network_or_with_a_damaged_one_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"model\.onnx"):
        LocalScorer(tmp_path, "m")
    (tmp_path / "model.onnx").write_bytes(b"damaged")
    with pytest.raises(ModelError, match=r"model\.onnx"):
        LocalScorer(tmp_path, "m")


def test_folder_trained_on_other_features_is_refused(tmp_path: Path) -> None:
    text = (DEFAULT / "model.json").read_text()
    hash_ = read_hash(text)
    (tmp_path / "model.json").write_text(text.replace(hash_, "0" * 16))
    with pytest.raises(ModelError, match="train again"):
        read_folder(tmp_path)


def test_committed_model_is_small() -> None:
    assert sum(path.stat().st_size for path in DEFAULT.iterdir()) <= 200_000


def read_hash(text: str) -> str:
    return text.split('"spec_hash": "')[1][:16]
