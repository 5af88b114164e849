"""Levels from budgets: kept on fresh data of the same law, extrapolated beyond it, falling with the budget."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.budgets import DAY_TICKS, SCALE_MIN, Budgets, Vector, levels_of
from models.tiers import TierMachine
from schemas.records import Tier


def calm(seed: int, ticks: int, *, persistence: float = 0.9) -> list[Vector]:
    """S of autocorrelated normal scores: uniform p at each tick, episodes of some ticks."""
    rng = np.random.Generator(np.random.PCG64(seed))
    noise = rng.normal(size=ticks) * math.sqrt(1 - persistence**2)
    x = np.empty(ticks)
    x[0] = rng.normal()
    for i in range(1, ticks):
        x[i] = persistence * x[i - 1] + noise[i]
    return [-np.log10([0.5 * math.erfc(one / math.sqrt(2)) for one in x.tolist()])]


def episodes(scores: list[Vector], budgets: Budgets, past: list[Vector]) -> dict[Tier, float]:
    levels = levels_of(past, budgets)
    use = TierMachine().use
    for one in scores:
        machine = TierMachine()
        for score in one.tolist():
            machine.step(score, levels, adverse=True)
            machine.release()
        use += machine.use
    days = sum(len(one) for one in scores) / DAY_TICKS
    return {tier: use.entered[tier] / days for tier in Tier}


def test_budgets_hold_on_fresh_sessions_of_the_same_law() -> None:
    budgets = Budgets(elevated=40.0, high_alert=12.0, critical=4.0)
    found = episodes(calm(2, 400_000), budgets, calm(1, 200_000))
    assert 0.5 <= found[Tier.ELEVATED] / budgets.elevated <= 2.0
    assert 0.3 <= found[Tier.HIGH_ALERT] / budgets.high_alert <= 2.5
    assert found[Tier.CRITICAL] <= 2.0 * budgets.critical


def test_budget_beyond_the_data_follows_the_exponential_tail() -> None:
    past = calm(1, 20_000)
    budgets = (Budgets(high_alert=rate, critical=0.01) for rate in (1.0, 0.1))
    once, tenth = (levels_of(past, one).enter[Tier.HIGH_ALERT] for one in budgets)
    assert tenth - once >= SCALE_MIN * math.log(10) - 1e-9
    assert tenth < 12


def test_levels_rise_with_the_tier_and_are_left_below_where_they_were_entered() -> None:
    levels = levels_of(calm(3, 20_000), Budgets())
    assert list(levels.enter) == sorted(levels.enter)
    assert all(low < high for low, high in zip(levels.leave[1:], levels.enter[1:], strict=True))


@given(st.floats(0.2, 0.9))
def test_law_a_smaller_budget_never_lowers_a_level(part: float) -> None:
    past = [np.abs(np.sin(np.arange(9_000.0))) * 3]
    wide, narrow = Budgets(), Budgets(5.0 * part, 1.0 * part, 0.1 * part)
    for a, b in zip(levels_of(past, wide).enter, levels_of(past, narrow).enter, strict=True):
        assert b >= a


def test_ticks_without_an_opinion_count_for_nothing() -> None:
    past = calm(4, 20_000)
    holes = [np.where(np.arange(20_000) % 7_000 < 6, np.nan, past[0])]
    assert levels_of(holes, Budgets()).enter[1] == pytest.approx(levels_of(past, Budgets()).enter[1], abs=0.3)


def test_single_spikes_of_critical_evidence_stay_within_half_the_budget_of_the_high_alerts_they_bring() -> None:
    rng = np.random.Generator(np.random.PCG64(5))
    past, fresh = [rng.exponential(SCALE_MIN, 200_000)], [rng.exponential(SCALE_MIN, 1_000_000)]
    budgets = Budgets(elevated=40.0, high_alert=12.0, critical=4.0)
    assert episodes(fresh, budgets, past)[Tier.HIGH_ALERT] <= 2.0 * budgets.high_alert


def test_too_short_a_calm_is_refused() -> None:
    with pytest.raises(ValueError, match="10 minutes"):
        levels_of([np.ones(1_000)], Budgets())


@pytest.mark.parametrize("budgets", [Budgets(1.0, 2.0, 0.1), Budgets(critical=0.0), Budgets(leave_factor=0.5)])
def test_budgets_that_do_not_fall_are_refused(budgets: Budgets) -> None:
    with pytest.raises(ValueError, match="budgets must fall"):
        levels_of([np.ones(9_000)], budgets)
