"""Calibration: honest on what it was fitted on, monotone, continuous, and growing for errors of any size."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.calibrate import BASELINE_TICKS, P_MIN, TAIL_PART, ErrorRuler, Tail, fit_tail

U = st.floats(-50.0, 1e6)


def test_p_of_fresh_calm_errors_is_as_often_below_a_level_as_it_says(tail: Tail) -> None:
    errors = np.exp(np.random.Generator(np.random.PCG64(4)).normal(1.0, 0.5, 50_000))
    p = np.array([tail.p((math.log(error) - tail.location) / tail.scale) for error in errors])
    for level in (0.5, 0.1, 0.02, 0.005):
        assert 0.8 < (p <= level).mean() / level < 1.25, level


def test_body_and_tail_meet_at_the_threshold(tail: Tail) -> None:
    assert tail.p(tail.threshold) == pytest.approx(TAIL_PART)
    assert tail.p(tail.threshold + 1e-9) == pytest.approx(TAIL_PART, rel=1e-6)


@pytest.mark.parametrize("shape", [0.0, 0.1])
def test_score_keeps_growing_far_beyond_every_error_seen(shape: float) -> None:
    tail = Tail(0.0, 1.0, 2.0, shape, 0.4, tuple(np.linspace(-3, 3, 99)))
    p = [tail.p(u) for u in (2.0, 3.0, 5.0, 10.0, 30.0)]
    assert all(a > b > 0 for a, b in itertools.pairwise(p))
    assert tail.p(1e9) >= P_MIN


@given(U, U)
def test_law_a_larger_error_is_never_more_probable(tail: Tail, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert 0 < tail.p(high) <= tail.p(low) <= 1


def test_plain_values_give_the_same_tail(tail: Tail) -> None:
    assert Tail.from_dict(tail.to_dict()) == tail


def test_too_few_errors_are_refused() -> None:
    with pytest.raises(ValueError, match="1000 calm errors"):
        fit_tail(np.ones(999))


def test_ruler_of_a_known_instrument_judges_at_once_and_of_another_after_its_baseline(tail: Tail) -> None:
    assert ErrorRuler.start(tail, known=True).ready
    ruler = ErrorRuler.start(tail, known=False)
    for number in range(BASELINE_TICKS):
        assert not ruler.ready, number
        ruler.learn(1.0)
    assert ruler.ready


def test_ruler_of_an_unknown_instrument_finds_errors_of_another_size(tail: Tail) -> None:
    rng = np.random.Generator(np.random.PCG64(5))
    ruler = ErrorRuler.start(tail, known=False)
    for log_error in rng.normal(6.0, 0.3, 3_000):
        ruler.learn(math.exp(log_error))
    assert ruler.location == pytest.approx(6.0, abs=0.1)
    assert ruler.scale == pytest.approx(0.3, rel=0.2)


def test_ruler_state_round_trips(tail: Tail) -> None:
    ruler = ErrorRuler.start(tail, known=False)
    ruler.learn(3.0)
    assert ErrorRuler.from_bytes(ruler.to_bytes()) == ruler


def test_score_with_a_ceiling_that_calm_ticks_reach_still_gets_a_tail() -> None:
    bounded = np.minimum(np.exp(np.random.Generator(np.random.PCG64(5)).normal(size=5_000)), 2.0)
    tail = fit_tail(bounded)
    assert np.isfinite([tail.location, tail.scale, tail.threshold, tail.shape, tail.spread]).all()
    assert tail.p(tail.threshold + 1.0) < tail.p(tail.threshold)
