"""Alarms, thresholds, measures and intervals: hand-computed, and what no detector may gain by."""

import math
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.evaluation.blocks import TICKS_PER_S, TickBlock, Vector
from models.evaluation.episodes import (
    DAY_S,
    Judged,
    alarmed,
    alarms_of,
    days,
    false_alarms,
    support_of,
    threshold_at,
    threshold_from_past,
)
from models.evaluation.intervals import Estimate, Indices, bootstrap, quantile, rate, ratio, share
from models.evaluation.measures import at_thresholds, gain
from models.evaluation.tier_time import levels_from_past, tiers_of
from models.evaluation.truth import TruthSettings, cost_truth
from models.evaluation.vus import range_auc_pr, vus_pr
from models.tiers import TierLevels, TierMachine
from tests.models.evaluation.made import ROWS, calm, crisis, hard_negative

DEFAULT = TruthSettings()


def judged(block: TickBlock, *raised: int, length: int = 5) -> Judged:
    """``block`` with a score of 1 for ``length`` rows from each of ``raised``, 0 elsewhere."""
    scores = np.zeros(len(block))
    for row in raised:
        scores[row : row + length] = 1.0
    return Judged(block, cost_truth(block, DEFAULT), support_of(scores))


def test_two_of_three_ticks_make_an_alarm_and_nan_is_no_evidence() -> None:
    scores = np.array([0, 9, 0, 0, 9, 0, 9, np.nan, np.nan, 9, 9], dtype=np.float64)
    assert np.flatnonzero(support_of(scores) >= 9).tolist() == [6, 10]


def test_alarms_join_across_30_s_and_last_so_long() -> None:
    support = np.zeros(1_000)
    support[[100, 400, 701]] = 1.0
    assert alarms_of(support, 1.0).tolist() == [[100, 400], [701, 701]]
    assert np.flatnonzero(alarmed(alarms_of(support, 1.0), 1_000)).tolist() == [*range(100, 700), *range(701, 1_000)]
    assert alarms_of(support, 2.0).shape == (0, 2)


def test_lead_is_from_the_raising_to_the_impact_and_an_alarm_before_the_onset_is_false() -> None:
    found = at_thresholds([judged(crisis(1), 1_050)], [0.5], per_day=1.0, seed=1)
    assert found.recall.value == 1.0
    assert found.lead_p50_s.value == pytest.approx((1_200 - 1_051) / TICKS_PER_S)
    early = crisis(2, onset=3_000, impact=3_200, rows=4_000)
    lucky = at_thresholds([judged(early, 2_900)], [0.5], per_day=1.0, seed=1)
    assert lucky.recall.value == 0.0
    assert lucky.false_per_day.value > 0
    assert lucky.precision.value == 0.0


def test_an_alarm_after_the_truth_is_complete_warns_nobody() -> None:
    assert at_thresholds([judged(crisis(1), 1_207)], [0.5], per_day=1.0, seed=1).lead_p50_s.value == pytest.approx(-0.8)
    assert at_thresholds([judged(crisis(1), 1_210)], [0.5], per_day=1.0, seed=1).recall.value == 0.0


def test_an_alarm_that_is_always_on_finds_nothing() -> None:
    always = [Judged(block, cost_truth(block, DEFAULT), np.ones(len(block))) for block in (crisis(1), calm(1))]
    assert at_thresholds(always, [0.5, 0.5], per_day=1.0, seed=1).recall.value == 0.0


def test_rates_count_calm_time_and_hard_negatives_apart() -> None:
    blocks = [judged(calm(1), 1_000, 1_500), judged(hard_negative(1), 800, 1_200), judged(hard_negative(2))]
    found = at_thresholds(blocks, [0.5] * 3, per_day=1.0, seed=1)
    whole, before = ROWS - 600, 400  # calm is a hard negative's session until it begins
    per_day = DAY_S * TICKS_PER_S
    assert found.false_per_day.value == pytest.approx(3 * per_day / (whole + 2 * before))
    assert found.false_per_day_all.value == pytest.approx(4 * per_day / (3 * whole))
    assert found.hard_negatives.value == 0.5
    assert found.hard_by_mechanism == {"jump": (2, 1)}
    assert found.fpr.value == pytest.approx((303 + 299 + 303 + 303) / (3 * whole), abs=0.01)
    assert found.good_volume_blocked.value == pytest.approx(found.fpr.value, abs=0.02)


def test_threshold_at_a_rate_allows_as_many_false_alarms_and_no_more() -> None:
    block = calm(1, 6_000)
    scores = np.zeros(6_000)
    for row, height in ((1_000, 5.0), (2_000, 4.0), (3_000, 3.0), (4_000, 2.0)):
        scores[row : row + 3] = height
    one = Judged(block, cost_truth(block, DEFAULT), support_of(scores))
    per_day = 2.5 / days([one.truth])
    level = threshold_at([one], per_day)
    assert 3.0 < level < 4.0
    assert false_alarms(one, level) == 2
    assert threshold_at([one], 0.0) > 5.0


def test_threshold_from_the_past_keeps_its_budget_on_exponential_scores() -> None:
    rng = np.random.default_rng(1)
    block = calm(1, 6_000)
    past, future = ([_exponential(block, rng) for _ in range(count)] for count in (40, 150))
    level = threshold_from_past(past, 5.0)
    seen = sum(false_alarms(one, level) for one in future) / days([one.truth for one in future])
    assert 2.5 < seen < 10.0
    with pytest.raises(ValueError, match="10 minutes of calm"):
        threshold_from_past(past[:0], 5.0)


def _exponential(block: TickBlock, rng: np.random.Generator) -> Judged:
    return Judged(block, cost_truth(block, DEFAULT), support_of(rng.exponential(size=6_000)))


def test_gain_is_paired_on_events_and_refuses_others() -> None:
    early = at_thresholds([judged(crisis(n), 1_050) for n in range(6)], [0.5] * 6, per_day=1.0, seed=1)
    late = at_thresholds([judged(crisis(n), 1_150) for n in range(6)], [0.5] * 6, per_day=1.0, seed=1)
    recall, lead = gain(early, late, 1)
    assert recall.value == 0.0
    assert [lead.value, lead.low, lead.high] == pytest.approx([10.0] * 3)
    with pytest.raises(ValueError, match="not the same blocks"):
        gain(early, at_thresholds([judged(crisis(1))], [0.5], per_day=1.0, seed=1), 1)


def test_exact_bounds_stand_where_resampling_would_claim_certainty() -> None:
    assert share(np.ones(20, dtype=np.bool_), 1).low == pytest.approx(0.025 ** (1 / 20))
    assert share(np.zeros(5, dtype=np.bool_), 1).high == pytest.approx(1 - 0.025 ** (1 / 5))
    assert rate(np.zeros(3), np.ones(3), 1).high == pytest.approx(-math.log(0.025) / 3)
    assert math.isnan(share(np.empty(0, dtype=np.bool_), 1).value)
    some = np.array([2.0, 3.0, 0.0])
    assert ratio(np.zeros(3), some, 1) == Estimate(0.0, 0.0, 1 - 0.025 ** (1 / 2))
    assert ratio(some, some, 1) == Estimate(1.0, 0.025 ** (1 / 2), 1.0)
    assert math.isnan(ratio(np.zeros(3), np.zeros(3), 1).value)


def test_a_share_of_time_is_weighted_by_its_blocks() -> None:
    rng = np.random.default_rng(4)
    whole = rng.integers(1, 100, 200).astype(np.float64)
    part = whole * rng.random(200)
    found = ratio(part, whole, 1)
    assert found.value == pytest.approx(part.sum() / whole.sum())
    assert found.low < found.value < found.high
    assert 0.05 < found.high - found.low < 0.15


def test_quantiles_of_the_lead_leave_out_what_was_missed_and_missing_all_has_none() -> None:
    leads = np.array([10.0, 20.0, 30.0, math.nan, math.nan])
    assert quantile(leads, 0.5, 1).value == pytest.approx(20.0)
    assert quantile(leads, 0.1, 1).value == pytest.approx(12.0)
    assert quantile(leads, 0.9, 1).high == pytest.approx(30.0)
    assert math.isnan(quantile(np.full(3, math.nan), 0.5, 1).value)


def _means(sample: Vector, drawn: Indices) -> Vector:
    means: Vector = sample[drawn].mean(axis=1)
    return means


def test_interval_covers_a_known_mean_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    covered = 0
    for number in range(60):
        sample = rng.normal(size=40)
        found = bootstrap(partial(_means, sample), 40, number)
        covered += found.low <= 0.0 <= found.high
    assert covered >= 51


# VUS-PR by hand. Ranks 4 3 2 1; the anomaly is row 1.
#   buffer 0: scores put row 1 second: precision at recall 1 is 1/2, so the area is 1/2.
#   buffer 2: shoulders of sqrt(1 - 1/2) on rows 0 and 2, s = 0.7071; weight (1 + 1 + 2 s) / 2 = 1 + s; one range, caught at once.
#     row 0 first: caught s, precision s / 1; then + 1: (1 + s) / 2, recall 1 (capped): sum = s/(1+s) s + (1 - s/(1+s)) (1+s)/2
BY_HAND_SCORES = np.array([4.0, 3.0, 2.0, 1.0])
ROW_1 = np.array([[1, 1]])
S = math.sqrt(0.5)
BY_HAND_2 = S / (1 + S) * S + (1 - S / (1 + S)) * (1 + S) / 2


def test_vus_pr_is_what_was_computed_by_hand() -> None:
    assert range_auc_pr(BY_HAND_SCORES, ROW_1, 0) == pytest.approx(0.5)
    assert range_auc_pr(BY_HAND_SCORES, ROW_1, 2) == pytest.approx(BY_HAND_2)
    # buffers 0, 1 (half of 1 is none) and 2
    assert vus_pr(BY_HAND_SCORES, ROW_1, 2) == pytest.approx((0.5 + 0.5 + BY_HAND_2) / 3)


def test_vus_pr_of_two_ranges_weighs_recall_by_the_ranges_caught() -> None:
    # rows 0 and 3; order 0, 1, 2, 3: recall 1/2 * 1/2 at precision 1, then 1 at precision 2/4
    scores = np.array([4.0, 3.0, 2.0, 1.0])
    assert range_auc_pr(scores, np.array([[0, 0], [3, 3]]), 0) == pytest.approx(0.25 * 1.0 + 0.75 * 0.5)


# A buffer of 4 around row 3 of 8: shoulders sqrt(1 - 1/4) = 0.8660 on rows 2 and 4, sqrt(1 - 2/4) = 0.7071 on rows 1 and 5.
#   weight = (1 + 1 + 2 * 0.8660 + 2 * 0.7071) / 2 = 2.5731. Row 1 alone is first, then row 3, then the rest at once:
#   caught .7071, 1.7071, all 4.1463; precision .7071/1, 1.7071/2, 4.1463/8; recall .7071/2.5731, 1.7071/2.5731, 1 (capped).
def test_vus_pr_ramp_of_four_rows_by_hand() -> None:
    near, far = math.sqrt(0.75), math.sqrt(0.5)
    weight = 1 + near + far
    scores = np.array([0.0, 3.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0])
    first, second = far / weight, (far + 1) / weight
    whole = 1 + 2 * near + 2 * far
    area = first * far + (second - first) * (far + 1) / 2 + (1 - second) * whole / 8
    assert area == pytest.approx(0.7005, abs=5e-5)
    assert range_auc_pr(scores, np.array([[3, 3]]), 4) == pytest.approx(area)


def test_vus_pr_ramp_is_cut_at_the_edge_and_two_ramps_that_meet_are_one_range() -> None:
    # row 0 is the anomaly: its one shoulder is row 1, s = 0.7071; weight (1 + 1 + s) / 2; row 1 first: s, then 1 + s
    weight = 1 + S / 2
    first = S / weight
    area = first * S + (1 - first) * (1 + S) / 2
    assert range_auc_pr(np.array([1.0, 2.0, 0.0, 0.0]), np.array([[0, 0]]), 2) == pytest.approx(area)
    # rows 1 and 3 share the shoulder on row 2, so one early row catches the only range there is
    joined = np.array([[1, 1], [3, 3]])
    scores = np.array([0.0, 5.0, 0.0, 0.0, 0.0, 0.0])
    weight = (2 + 2 + 3 * S) / 2  # shoulders on rows 0, 2 and 4
    area = 1 / weight * 1.0 + (1 - 1 / weight) * (2 + 3 * S) / 6
    assert range_auc_pr(scores, joined, 2) == pytest.approx(area)


def test_rows_without_an_opinion_are_one_tie_at_the_bottom_not_an_order() -> None:
    ranges = np.array([[2, 2]])
    assert range_auc_pr(np.array([np.nan, np.nan, np.nan, np.nan]), ranges, 0) == pytest.approx(0.25)
    assert range_auc_pr(np.array([1.0, np.nan, np.nan, np.nan]), ranges, 0) == pytest.approx(0.25)


def test_one_lucky_row_of_a_long_anomaly_is_not_the_anomaly() -> None:
    # Point-adjust would call this perfect: the best score lies inside a range of ten.
    scores = np.zeros(100)
    scores[50] = 1.0
    assert range_auc_pr(scores, np.array([[50, 59]]), 0) == pytest.approx(0.1 * 1.0 + 0.9 * 0.1)


def test_vus_pr_is_one_for_the_labels_and_about_the_prevalence_for_chance() -> None:
    labels = np.zeros(20_000)
    labels[4_000:5_000] = 1.0
    ranges = np.array([[4_000, 4_999]])
    assert range_auc_pr(labels, ranges, 0) == pytest.approx(1.0)
    assert range_auc_pr(np.random.default_rng(1).random(20_000), ranges, 0) == pytest.approx(0.05, abs=0.01)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 30))
def test_law_vus_pr_reads_ranks_alone(seed: int, buffer: int) -> None:
    scores = np.random.default_rng(seed).normal(size=200)
    ranges = np.array([[40, 60], [120, 125]])
    area = range_auc_pr(scores, ranges, buffer)
    assert 0.0 <= area <= 1.0
    assert range_auc_pr(np.exp(scores), ranges, buffer) == pytest.approx(area)


LEVELS = TierLevels((0.0, 1.0, 2.0, 3.0), (0.0, 0.5, 1.0, 2.0))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_law_skipping_the_calm_changes_no_tier(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.exponential(0.4, size=1_500)
    machine, expected = TierMachine(), []
    for score in scores.tolist():
        machine.step(score, LEVELS, adverse=True)
        if machine.latched and machine.calm_ticks >= 300:
            machine.release()
        expected.append(int(machine.tier))
    assert tiers_of(scores, LEVELS).tolist() == expected


def test_levels_from_the_past_rise_with_the_tier_and_are_left_below_where_they_are_entered() -> None:
    rng = np.random.default_rng(1)
    past = [_exponential(calm(1, 6_000), rng) for _ in range(10)]
    levels = levels_from_past(past, [one.support for one in past])
    assert list(levels.enter) == sorted(levels.enter)
    assert all(leave < enter for leave, enter in zip(levels.leave[1:], levels.enter[1:], strict=True))
