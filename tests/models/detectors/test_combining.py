"""The Cauchy combination: identities, order, tails, and honesty with and without dependence."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.detectors.combining import P_MAX, cauchy_combination, score01, strangeness

P = st.floats(1e-250, P_MAX)
SEVERAL = st.lists(P, min_size=1, max_size=8)


@given(P, st.integers(1, 8))
def test_law_equal_ps_combine_to_themselves(p: float, count: int) -> None:
    assert cauchy_combination(np.full(count, p)) == pytest.approx(p, rel=1e-9)


@given(SEVERAL)
def test_law_order_does_not_matter(ps: list[float]) -> None:
    assert cauchy_combination(np.array(ps)) == pytest.approx(float(cauchy_combination(np.array(ps[::-1]))), rel=1e-9)


@given(SEVERAL, st.integers(0, 7), st.floats(0.01, 1))
def test_law_a_smaller_p_never_makes_the_whole_larger(ps: list[float], which: int, factor: float) -> None:
    smaller = list(ps)
    smaller[which % len(ps)] *= factor
    assert cauchy_combination(np.array(smaller)) <= cauchy_combination(np.array(ps)) * (1 + 1e-9)


@given(st.floats(1e-200, 1e-6), st.lists(P, max_size=7))
def test_law_one_tiny_p_is_kept_up_to_the_number_of_measures(tiny: float, others: list[float]) -> None:
    ps = np.array([tiny, *others])
    combined = float(cauchy_combination(ps))
    assert ps.min() * (1 - 1e-9) <= combined <= len(ps) * ps.min() * 1.001


@pytest.mark.parametrize("dependence", [0.0, 0.9, 1.0])
def test_small_combined_p_is_as_frequent_as_it_says_whatever_the_dependence(dependence: float) -> None:
    rng = np.random.Generator(np.random.PCG64(1))
    shared, own = rng.normal(size=(200_000, 1)), rng.normal(size=(200_000, 6))
    normal = dependence**0.5 * shared + (1 - dependence) ** 0.5 * own
    ranks = normal.argsort(axis=0).argsort(axis=0)
    combined = cauchy_combination((ranks + 0.5) / len(ranks))
    for level in (0.01, 0.001):
        assert 0.6 < (combined <= level).mean() / level < 1.3, level


def test_certain_ordinary_measure_does_not_silence_the_others() -> None:
    assert strangeness(cauchy_combination(np.array([1e-8, 1.0, 1.0]))) > 7.4


def test_no_opinion_stays_none() -> None:
    assert np.isnan(strangeness(cauchy_combination(np.array([np.nan, np.nan]))))
    assert np.isnan(score01(np.array(np.nan)))


@pytest.mark.parametrize(("p", "wanted"), [(1.0, 0.0), (1e-3, 0.5), (1e-6, 1.0), (1e-30, 1.0)])
def test_published_score_is_s_over_six_within_its_bounds(p: float, wanted: float) -> None:
    assert score01(strangeness(np.array(p))) == pytest.approx(wanted)
