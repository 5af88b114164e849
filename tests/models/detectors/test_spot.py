"""Streaming tails: the likelihood's maximum, known Pareto laws, and streams that do not disturb each other."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import genpareto

from models.calibrate import SHAPE_MAX
from models.detectors.spot import (
    COUNT_MAX,
    EXCESSES,
    PRIOR_COUNT,
    RARE,
    REFIT,
    StreamTails,
    TailStart,
    fit_pareto,
    pareto_quantiles,
    pareto_tail,
    start_tail,
)

F64 = npt.NDArray[np.float64]


def rng(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def start(width: int = 1, *, shape: float = 0.0, scale: float = 1.0) -> TailStart:
    ones = np.ones(width)
    return TailStart(2.0 * ones, 0.02 * ones, shape * ones, scale * ones)


def likelihood(y: F64, shape: float, scale: float) -> float:
    return float(genpareto.logpdf(y, shape, scale=scale).sum())


@pytest.mark.parametrize("shape", [-0.2, 0.0, 0.1, 0.3, 0.8])
def test_fit_is_as_likely_as_a_general_optimisers(shape: float) -> None:
    excesses = genpareto.rvs(shape, scale=2.0, size=(3, 300), random_state=rng(1))
    shapes, scales = fit_pareto(excesses)
    for row, y in enumerate(excesses):
        wanted_shape, _, wanted_scale = genpareto.fit(y, floc=0)
        assert likelihood(y, shapes[row], scales[row]) >= likelihood(y, wanted_shape, wanted_scale) - 1e-3


@pytest.mark.parametrize(("shape", "scale"), [(0.0, 3.0), (0.25, 0.5), (-0.3, 1.0), (0.6, 40.0)])
def test_law_is_found_again_from_its_own_quantiles(shape: float, scale: float) -> None:
    quantiles = pareto_quantiles(np.array(shape), np.array(scale), 4_000)
    found_shape, found_scale = fit_pareto(quantiles[None])
    assert found_shape[0] == pytest.approx(shape, abs=0.02)
    assert found_scale[0] == pytest.approx(scale, rel=0.02)


@pytest.mark.parametrize("shape", [0.0, 0.3, -0.4])
def test_tail_is_the_law_of_the_textbook(shape: float) -> None:
    over = np.array([0.0, 0.1, 1.0, 2.4, 30.0])
    wanted = genpareto.sf(over, shape, scale=1.5)
    assert pareto_tail(over, np.full(5, shape), np.full(5, 1.5)) == pytest.approx(wanted, rel=1e-12)


def test_start_finds_threshold_and_probabilities_of_a_known_tail() -> None:
    values = np.column_stack([rng(2).exponential(1.0, 50_000), genpareto.rvs(0.1, size=50_000, random_state=rng(3))])
    tails = StreamTails(start_tail(values, 0.02))
    tails.grow(1)
    for p in (1e-2, 1e-3, 1e-4, 1e-5):
        known = np.array([[-np.log(p), genpareto.isf(p, 0.1)]])
        found = tails.p(np.zeros(1, dtype=np.intp), known)[0]
        assert (np.abs(np.log10(found / p)) < 0.35).all(), (p, found)


def test_stream_forgets_a_wrong_start_and_finds_its_own_tail() -> None:
    tails, slot = StreamTails(start(scale=5.0)), np.zeros(1, dtype=np.intp)
    tails.grow(1)
    for value in rng(4).exponential(1.0, 11_000):
        tails.learn(slot, np.array([[value + 2.0 + np.log(0.02)]]))  # exceeds the threshold 2 with probability 0.02
    assert tails.scale[0, 0] == pytest.approx(1.0, rel=0.3)
    assert tails.part(slot)[0, 0] == pytest.approx(0.02, rel=0.25)
    assert tails.count[0, 0] <= COUNT_MAX


def test_rare_value_teaches_nothing() -> None:
    tails, slot = StreamTails(start()), np.zeros(1, dtype=np.intp)
    tails.grow(1)
    rare = np.full((1, 1), 2.0 - np.log(RARE / 0.02) + 0.01)
    for _ in range(200):
        tails.learn(slot, rare)
    assert tails.count[0, 0] == PRIOR_COUNT
    assert tails.scale[0, 0] == 1.0
    usual = rare - 0.02
    tails.learn(slot, usual)
    assert tails.count[0, 0] == PRIOR_COUNT + 1


def test_law_is_fitted_again_after_so_many_excesses_with_its_shape_bounded() -> None:
    tails, slot = StreamTails(start(scale=2.0)), np.zeros(1, dtype=np.intp)
    tails.grow(1)
    heavy = genpareto.rvs(2.0, size=1_500, random_state=rng(5))
    fits = 0
    for value in np.minimum(heavy, 6.0):
        before = tails.scale[0, 0]
        tails.learn(slot, np.array([[2.0 + value]]))
        fits += tails.scale[0, 0] != before
    assert 1 <= fits <= len(heavy) // REFIT
    assert 0 <= tails.shape[0, 0] <= SHAPE_MAX


def test_excesses_of_one_value_give_a_law_all_the_same() -> None:
    shape, scale = fit_pareto(np.full((1, EXCESSES), 0.7))
    assert np.isfinite(shape).all()
    assert (scale > 0).all()


def test_too_few_values_are_refused() -> None:
    with pytest.raises(ValueError, match="1000"):
        start_tail(np.ones((10, 1)), 0.02)


def test_ceiling_that_the_past_reached_gives_the_mildest_tail() -> None:
    found = start_tail(np.minimum(rng(6).exponential(1.0, (5_000, 1)), 1.0), 0.02)
    assert (found.shape[0], found.scale[0]) == (0.0, 1.0)


@settings(max_examples=40, deadline=None)
@given(st.floats(-5, 1e6), st.floats(-5, 1e6), st.floats(0, 0.15), st.floats(0.01, 100))
def test_law_a_larger_value_is_never_more_probable(one: float, other: float, shape: float, scale: float) -> None:
    tails = StreamTails(start(shape=shape, scale=scale))
    tails.grow(2)
    low, high = sorted((one, other))
    found = tails.p(np.arange(2), np.array([[low], [high]]))[:, 0]
    assert 0 < found[1] <= found[0] <= 0.02 + 1e-12


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000), st.integers(2, 5))
def test_law_streams_together_are_as_each_alone(seed: int, count: int) -> None:
    values = 2.0 + rng(seed).exponential(1.0, (120, count, 2)) - 1.0
    together = StreamTails(start(2))
    together.grow(count)
    for tick in values:
        together.learn(np.arange(count), tick)
    for one in range(count):
        alone = StreamTails(start(2))
        alone.grow(1)
        for tick in values:
            alone.learn(np.zeros(1, dtype=np.intp), tick[one : one + 1])
        assert alone.scale[0] == pytest.approx(together.scale[one], rel=1e-9)
        assert (alone.count[0] == together.count[one]).all()
        assert (alone.over[0] == together.over[one]).all()
