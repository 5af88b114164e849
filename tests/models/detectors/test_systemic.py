"""The systemic score: one instrument alone does not move it, many a little do, and calm channels keep their rate."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.detectors.calibration import CalibrationStart
from models.detectors.systemic import CAP, SystemicScore, fit_systemic, systemic_errors

F64 = npt.NDArray[np.float64]
MEMBERS = 40


def calm(seed: int, ticks: int) -> F64:
    """S of instruments whose p are uniform and share a factor."""
    rng = np.random.Generator(np.random.PCG64(seed))
    normal = 0.5 * rng.normal(size=(ticks, 1)) + 0.75**0.5 * rng.normal(size=(ticks, MEMBERS))
    ranks = normal.ravel().argsort().argsort().reshape(normal.shape)
    return np.asarray(-np.log10((ranks + 0.5) / ranks.size))


@pytest.fixture(scope="module")
def start() -> CalibrationStart:
    return fit_systemic([calm(1, 3_000), calm(2, 3_000)])


def test_error_is_the_mean_of_capped_scores() -> None:
    assert systemic_errors(np.array([[1.0, 2.0, 90.0, np.nan]]))[0] == pytest.approx((1 + 2 + CAP) / 3)


def test_too_few_opinions_make_no_market() -> None:
    assert np.isnan(systemic_errors(np.array([[9.0, 9.0, np.nan, np.nan]]))).all()
    assert np.isnan(systemic_errors(np.zeros((1, 0)))).all()


@given(st.lists(st.floats(0, 50), min_size=3, max_size=30), st.data())
def test_law_order_is_nothing_and_more_strangeness_is_never_less(scores: list[float], data: st.DataObject) -> None:
    base = systemic_errors(np.array([scores]))[0]
    assert systemic_errors(np.array([data.draw(st.permutations(scores))]))[0] == pytest.approx(base)
    raised = list(scores)
    raised[data.draw(st.integers(0, len(scores) - 1))] += 1.0
    assert base <= systemic_errors(np.array([raised]))[0] + 1e-12
    assert systemic_errors(np.array([raised]))[0] - base <= CAP / len(scores) + 1e-12


def test_calm_channel_keeps_its_rate(start: CalibrationStart) -> None:
    score = SystemicScore(start)
    found = np.array([score.step(tick) for tick in calm(3, 4_000)])
    for level in (0.5, 0.1, 0.02):
        assert 0.6 < (found >= -np.log10(level)).mean() / level < 1.6, level


def test_many_a_little_strange_is_systemic_and_one_very_strange_is_not(start: CalibrationStart) -> None:
    score, tick = SystemicScore(start), calm(4, 1)[0]
    usual = score.step(tick, frozen=True)
    alone = tick.copy()
    alone[7] = 60.0
    assert score.step(alone, frozen=True) < usual + 1.5
    together = np.full(MEMBERS, 1.8)  # p = 0.016 each: no instrument for itself would say a word
    assert score.step(together, frozen=True) > 3


def test_frozen_channel_learns_nothing(start: CalibrationStart) -> None:
    score, tick = SystemicScore(start), calm(5, 1)[0]
    first = score.step(tick, frozen=True)
    for _ in range(50):
        score.step(np.full(MEMBERS, 1.5), frozen=True)
    assert score.step(tick, frozen=True) == first


def test_no_opinion_is_nan_and_leaves_no_trace(start: CalibrationStart) -> None:
    score, other, ticks = SystemicScore(start), SystemicScore(start), calm(6, 20)
    assert np.isnan(score.step(np.full(MEMBERS, np.nan)))
    assert [score.step(tick) for tick in ticks] == [other.step(tick) for tick in ticks]


def test_too_short_a_past_is_refused() -> None:
    with pytest.raises(ValueError, match="1000"):
        fit_systemic([calm(7, 10)])
