"""What was worth a warning: forward only, and only from calm."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.evaluation.blocks import Labels, TickBlock, Vector
from models.evaluation.truth import (
    TruthSettings,
    cost_bps,
    cost_ratio,
    cost_truth,
    extreme_move_bps,
    price_truth,
    runs,
)
from schemas.events import TickStatus
from tests.models.evaluation.made import ROWS, block_of, calm, crisis, hard_negative

DEFAULT = TruthSettings()


def with_cost(cost: Vector, labels: Labels | None = None) -> TickBlock:
    return block_of(len(cost), labels=labels, sell_cost_bps=cost)


def flat(*stretches: tuple[int, int, float], rows: int = ROWS) -> Vector:
    cost = np.ones(rows)
    for first, last, level in stretches:
        cost[first:last] = level
    return cost


def test_event_begins_where_the_cost_stays_up_for_a_second() -> None:
    truth = cost_truth(with_cost(flat((1_200, 1_300, 4.0))), DEFAULT)
    (event,) = truth.events
    assert (event.start, event.impact, event.known, event.end) == (600, 1_200, 1_209, 1_299)


@pytest.mark.parametrize(
    ("cost", "why"),
    [
        (flat((1_200, 1_209, 4.0)), "nine ticks are under a second"),
        (flat((1_200, 1_300, 2.9)), "under three times the median"),
        (flat((0, 1_800, 50.0)), "dear throughout is usual"),
        (flat((300, 320, 4.0)), "the median is not known yet"),
    ],
)
def test_no_event_where(cost: Vector, why: str) -> None:
    assert not cost_truth(with_cost(cost), DEFAULT).events, why


def test_thrice_a_hundredth_of_a_bp_is_nothing() -> None:
    for level, found in ((90.0, 0), (120.0, 1)):
        cost = flat((1_200, 1_300, level)) / 100
        assert len(cost_truth(block_of(buy_cost_bps=cost, sell_cost_bps=cost), DEFAULT).events) == found


def test_stress_that_returns_within_calm_is_one_event_and_later_is_another() -> None:
    cost = flat((1_000, 1_020, 4.0), (1_200, 1_220, 4.0), (1_700, 1_720, 4.0))
    events = cost_truth(with_cost(cost), DEFAULT).events
    assert [(event.impact, event.end) for event in events] == [(1_000, 1_219), (1_700, 1_719)]


def test_ahead_is_said_of_calm_ticks_alone_and_within_delay_and_horizon() -> None:
    ahead = cost_truth(with_cost(flat((1_200, 1_300, 4.0))), DEFAULT).ahead
    assert np.flatnonzero(ahead == 1.0).tolist() == list(range(600, 1_190))
    assert ahead[599] == 0.0
    assert ahead[1_190] == 0.0  # too late to be a warning
    assert np.isnan(ahead[1_191:]).all()
    assert np.isnan(ahead[: 300 + 299]).all()  # neither a median nor calm known yet


def test_a_flicker_before_stress_takes_nothing_from_it() -> None:
    truth = cost_truth(with_cost(flat((1_150, 1_153, 4.0), (1_200, 1_300, 4.0))), DEFAULT)
    assert [event.impact for event in truth.events] == [1_200]
    assert np.isnan(truth.ahead[1_150:1_153]).all()
    assert truth.ahead[1_153] == 1.0


def test_a_book_that_cannot_serve_the_clip_costs_infinitely_and_a_stale_one_is_unknown() -> None:
    block = with_cost(flat((1_200, 1_300, np.nan)))
    assert np.isinf(cost_bps(block, DEFAULT)[1_200:1_300]).all()
    assert [event.impact for event in cost_truth(block, DEFAULT).events] == [1_200]
    cut = TruthSettings(whole_book=False)
    assert np.isnan(cost_bps(block, cut)[1_200:1_300]).all()
    assert not cost_truth(block, cut).events
    assert cost_bps(block, TruthSettings(cost="touch")) == pytest.approx(block.column("spread_bps") / 2)
    status = np.where((np.arange(ROWS) >= 1_200) & (np.arange(ROWS) < 1_300), TickStatus.STALE, 0).astype(np.uint32)
    stale = TickBlock("s", 1, block.tick_ns, block.values, status, block.ref_price)
    assert not cost_truth(stale, DEFAULT).events
    assert not cost_truth(stale, DEFAULT).negative[1_200:1_300].any()


def test_labels_open_the_window_at_the_onset_and_nothing_after_it_is_false() -> None:
    truth = cost_truth(crisis(1), DEFAULT)
    (event,) = truth.events
    assert (event.start, event.impact) == (1_000, 1_200)
    assert np.flatnonzero(truth.negative).tolist() == list(range(600, 1_000))


def test_a_crisis_that_costs_nothing_has_no_event_and_is_counted() -> None:
    truth = cost_truth(block_of(labels=Labels("crisis", "quiet", 1_000)), DEFAULT)
    assert truth.without_impact
    assert not truth.events
    assert truth.negative[600:1_000].all()
    assert not truth.negative[1_000:].any()


def test_stress_in_a_session_labelled_harmless_is_neutral_and_counted() -> None:
    truth = cost_truth(with_cost(flat((1_200, 1_300, 4.0)), Labels("hard_negative", "jump", 1_000)), DEFAULT)
    assert truth.unlabelled == 1
    assert not truth.events
    assert not truth.negative[600:].any()
    assert cost_truth(hard_negative(1), DEFAULT).negative[600:].all()
    assert cost_truth(calm(1), DEFAULT).negative[600:].all()


def test_price_truth_sees_a_flash_move_and_a_large_one_in_ten_seconds() -> None:
    block = block_of()
    prices = block.ref_price.copy()
    prices[1_000:] = prices[1_000:] * 99 // 100
    moved = TickBlock("m", 1, block.tick_ns, block.values, block.status, prices)
    assert [event.impact for event in price_truth(moved, DEFAULT, move_bps=1e9).events] == [1_000]
    slow = np.linspace(0.0, 0.004, ROWS - 1_000)
    prices = block.ref_price.copy()
    prices[1_000:] = (prices[1_000:] * (1 - slow)).astype(np.int64)
    sliding = TickBlock("m", 1, block.tick_ns, block.values, block.status, prices)
    assert not price_truth(sliding, DEFAULT, move_bps=1e9).events
    assert len(price_truth(sliding, DEFAULT, move_bps=3.0).events) == 1


def test_level_of_an_extreme_move_is_the_pasts_top_share() -> None:
    block = block_of(10_000)
    walk = np.exp(np.cumsum(np.random.default_rng(1).normal(scale=1e-5, size=10_000)))
    past = TickBlock("w", 1, block.tick_ns, block.values, block.status, (walk * 1e11).astype(np.int64))
    level = extreme_move_bps([past])
    moved = (
        np.abs(np.diff(np.log(walk)[::1], 1).cumsum()[99:] - np.append(0, np.diff(np.log(walk)).cumsum())[:-100]) * 1e4
    )
    assert (moved > level).mean() == pytest.approx(0.001, abs=5e-4)
    with pytest.raises(ValueError, match="needs a past"):
        extreme_move_bps([])


@settings(max_examples=30, deadline=None)
@given(st.integers(700, 1_700), st.integers(0, 2**32 - 1))
def test_law_the_trailing_median_knows_nothing_of_what_follows(cut: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    cost = rng.lognormal(size=ROWS)
    other = cost.copy()
    other[cut:] = rng.lognormal(mean=3.0, size=ROWS - cut)
    assert np.array_equal(cost_ratio(cost, DEFAULT)[:cut], cost_ratio(other, DEFAULT)[:cut], equal_nan=True)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.booleans(), max_size=60))
def test_law_runs_cover_exactly_the_true_rows(mask: list[bool]) -> None:
    covered = np.zeros(len(mask), dtype=bool)
    for first, last in runs(np.array(mask, dtype=np.bool_)):
        assert not covered[first : last + 1].any()
        covered[first : last + 1] = True
    assert covered.tolist() == mask


def test_a_block_that_is_none_is_refused_by_name_and_row() -> None:
    block = block_of()
    holed = block.tick_ns.copy()
    holed[700:] += 1
    with pytest.raises(ValueError, match="wrong: row 700 is not"):
        TickBlock("wrong", 1, holed, block.values, block.status, block.ref_price)
    with pytest.raises(ValueError, match=r"wrong: values of shape \(1800, 3\)"):
        TickBlock("wrong", 1, block.tick_ns, block.values[:, :3], block.status, block.ref_price)
