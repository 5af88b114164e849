"""Feature selection: the future never reaches back, what knows is found, what knows nothing is not."""

import json
import math
import sys
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from features.select.clusters import PastRanks, clusters_of, spearman
from features.select.folds import Walk, blocks_of, resample, walk_forward
from features.select.report import FoldReport, SelectionReport, SelectionSettings
from features.select.stability import CANARIES, CHANCE_FREQUENCY_MAX, QUIET_CANARIES
from features.select.targets import MOVE_FLOOR_BPS, NO_PRICE, PAST_THE_DATA, TickTable, log_moves
from schemas.units import NS_PER_S, TICK_NS

pytest.importorskip("sklearn", reason="scikit-learn is in the train group")

from features.select.importance import Draw, Moments, Ridge, eliminate, mutual_information, smallest_good
from features.select.walk import OFF_THE_STRIDE, select_features

Vector = npt.NDArray[np.float64]

NAMES = ("calm_weather", "volatility", "volatility_again", "noise", "constant", "mostly_null")
SMALL = SelectionSettings(folds=3, bootstraps=5, mi_rows_max=200)


def market(seed: int, *, duration_s: int = 2_400, knows: bool = True) -> TickTable:
    """A random walk whose volatility wanders with half-life 60 s; two features know it, unless ``knows`` is false."""
    rng = np.random.default_rng(seed)
    count = duration_s * 10
    log_volatility = np.empty(count)
    log_volatility[0] = 0.0
    keep = 2.0 ** (-1 / 600)
    shocks = rng.normal(scale=math.sqrt(1 - keep**2), size=count)
    for tick in range(1, count):
        log_volatility[tick] = keep * log_volatility[tick - 1] + shocks[tick]
    mid = 100e9 * np.exp(np.cumsum(1e-4 * np.exp(log_volatility) * rng.normal(size=count)))
    known = log_volatility if knows else rng.normal(size=count)
    mostly_null = np.where(rng.random(count) < 0.9, np.nan, rng.normal(size=count))
    columns = [rng.normal(size=count), known, np.exp(known), rng.normal(size=count), np.ones(count), mostly_null]
    return table_of(np.stack(columns, axis=1), mid.astype(np.int64), NAMES)


def table_of(values: Vector, prices: npt.NDArray[np.int64], names: tuple[str, ...]) -> TickTable:
    count = len(prices)
    ticks = np.arange(1, count + 1, dtype=np.int64) * TICK_NS
    return TickTable(names, values, np.ones(count, dtype=np.uint32), ticks, prices)


def priced(prices: list[int]) -> TickTable:
    return table_of(np.zeros((len(prices), 1)), np.array(prices, dtype=np.int64), ("x",))


@pytest.fixture(scope="module")
def found() -> SelectionReport:
    return select_features(market(1), SMALL)


def test_target_is_the_log_of_the_move_in_bp_and_rows_that_reach_past_the_data_have_none() -> None:
    table = priced([10_000, 10_010, 9_900, 10_000, 10_000])
    end, without = log_moves(table, "absolute_move", 2 * TICK_NS)
    assert np.exp(end[:3]) == pytest.approx(
        [1e4 * math.log(10_000 / 9_900), 1e4 * math.log(10_010 / 10_000), 1e4 * math.log(10_000 / 9_900)]
    )
    assert np.isnan(end[3:]).all()
    assert without == {PAST_THE_DATA: 2, NO_PRICE: 0}
    worst, _ = log_moves(table, "adverse_move", 2 * TICK_NS)
    assert np.exp(worst[1]) == pytest.approx(1e4 * math.log(10_010 / 9_900))


def test_a_mid_that_comes_back_counts_as_the_floor_and_only_its_excursion_as_a_move() -> None:
    table = priced([10_000, 10_100, 10_000])
    assert np.exp(log_moves(table, "absolute_move", 2 * TICK_NS)[0][0]) == pytest.approx(MOVE_FLOOR_BPS)
    assert np.exp(log_moves(table, "adverse_move", 2 * TICK_NS)[0][0]) == pytest.approx(1e4 * math.log(1.01))


def test_no_target_reaches_over_a_hole_or_a_tick_without_a_mid() -> None:
    prices = [10_000] * 4 + [0] + [10_000] * 5
    table = priced(prices)
    holed = replace(table, tick_ns=table.tick_ns + np.where(np.arange(10) >= 8, 3 * TICK_NS, 0))
    y, without = log_moves(holed, "adverse_move", 2 * TICK_NS)
    assert np.flatnonzero(~np.isnan(y)).tolist() == [0, 1, 5]
    assert without == {PAST_THE_DATA: 4, NO_PRICE: 3}


def test_each_instrument_has_its_own_target() -> None:
    ticks = np.repeat(np.arange(1, 4) * TICK_NS, 2)
    prices = np.array([100, 900, 101, 900, 102, 909], dtype=np.int64)
    table = TickTable(("x",), np.zeros((6, 1)), np.array([1, 2] * 3, dtype=np.uint32), ticks, prices)
    y, _ = log_moves(table, "absolute_move", TICK_NS)
    assert np.exp(y[[0, 3]]) == pytest.approx([1e4 * math.log(1.01), 1e4 * math.log(1.01)])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"tick_ns": np.array([1, TICK_NS])}, "row 0: 1 ns is not on the grid"),
        ({"tick_ns": np.array([TICK_NS, TICK_NS])}, "row 1: its instrument's ticks do not rise"),
        ({"values": np.array([[0.0], [np.inf]])}, "row 1: an infinite value"),
        ({"names": ("x", "y")}, "for 2 names"),
        ({"ref_price": np.array([1])}, "2 ticks"),
    ],
)
def test_a_bad_table_is_refused_with_its_row(change: dict[str, object], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        replace(priced([1, 1]), **change)  # type: ignore[arg-type]


@settings(max_examples=20, deadline=None)
@given(
    st.integers(1, 5), st.integers(1, 50), st.integers(0, 50), st.lists(st.integers(0, 400), min_size=40, unique=True)
)
def test_law_what_a_fold_learns_ended_an_embargo_before_its_test(
    folds: int, horizon: int, embargo: int, ticks: list[int]
) -> None:
    tick_ns = np.array(ticks, dtype=np.int64)
    walk = Walk(folds, horizon, embargo)
    try:
        made = walk_forward(tick_ns, np.ones(len(ticks), dtype=np.bool_), walk)
    except ValueError:
        return
    assert len(made) == folds
    for fold in made:
        assert tick_ns[fold.train].max() + horizon + embargo <= tick_ns[fold.test].min() == fold.test_from_ns
    tests = np.concatenate([fold.test for fold in made])
    assert len(np.unique(tests)) == len(tests)
    assert tick_ns[tests].max() == tick_ns.max()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_law_a_resample_draws_whole_blocks_and_something_of_every_stratum(seed: int) -> None:
    tick_ns = np.arange(300) * NS_PER_S
    strata = np.repeat([0, 1, 2], [130, 40, 130]).astype(np.int64)
    blocks = blocks_of(tick_ns, strata, 60 * NS_PER_S)
    drawn = resample(blocks, strata, np.random.default_rng(seed))
    for stratum in range(3):
        members = np.unique(blocks[strata == stratum])
        per_block = [np.unique(drawn[blocks == block]) for block in members]
        assert all(len(times) == 1 for times in per_block)
        assert sum(float(times[0]) for times in per_block) == len(members)


def test_copies_and_mirrors_share_a_cluster_numbered_by_first_member() -> None:
    rng = np.random.default_rng(3)
    first, second = rng.normal(size=(2, 500))
    values = np.stack([first, second, -(first**3), np.where(rng.random(500) < 0.3, np.nan, second), np.ones(500)], 1)
    ranks = PastRanks.fit(values, np.ones(500, dtype=np.uint32)).ranks(values, np.ones(500, dtype=np.uint32))
    assert clusters_of(spearman(ranks, np.ones(500))) == (0, 1, 0, 1, 2)


def test_spearman_without_nulls_is_scipys() -> None:
    from scipy.stats import spearmanr

    values = np.random.default_rng(4).integers(0, 9, (200, 3)).astype(float)
    ids = np.ones(200, dtype=np.uint32)
    ours = spearman(PastRanks.fit(values, ids).ranks(values, ids), np.ones(200))
    assert ours == pytest.approx(spearmanr(values).statistic, abs=2e-4)


def test_ranks_are_of_the_past_of_the_same_instrument() -> None:
    past = PastRanks.fit(np.array([[1.0], [2.0], [3.0], [4.0]]), np.ones(4, dtype=np.uint32))
    ids = np.array([1, 1, 1, 2], dtype=np.uint32)
    ranks = past.ranks(np.array([[2.5], [99.0], [np.nan], [2.5]]), ids)[:, 0]
    assert ranks[:2].tolist() == [0.0, 0.375]
    assert np.isnan(ranks[2:]).all()


def test_slow_series_that_know_nothing_inform_no_more_than_chance() -> None:
    rng = np.random.default_rng(5)
    slow = np.cumsum(rng.normal(size=(600, 2)), axis=0)
    y = slow[:, 1]
    knows = y + rng.normal(size=600)
    information, chance = mutual_information(
        np.stack([slow[:, 0], knows], 1), y, np.ones(600, dtype=np.uint32), draw=Draw(500, 1)
    )
    assert information[0] > 0.3  # what the naive figure would make one believe
    assert abs(information[0] - chance[0]) < 0.6 * (information[1] - chance[1])


def test_elimination_drops_what_adds_least_and_the_smallest_set_within_the_error_is_taken() -> None:
    rng = np.random.default_rng(6)
    x = np.concatenate([z := rng.normal(size=(2_000, 3)), np.abs(z) - 0.8], axis=1)
    y = 2.0 * z[:, 1] + 0.5 * np.abs(z[:, 2]) + rng.normal(size=2_000)
    path = eliminate(Moments.of(x, y, np.ones(2_000), overlap=1.0), (0, 1, 2))
    assert [model.features for model in path] == [(0, 1, 2), (1, 2), (1,), ()]
    assert isinstance(path[0], Ridge)
    losses = np.array([[1.0, 1.0, 1.0, 1.1], [1.0, 1.0, 1.1, 1.0], [2.0, 2.1, 2.0, 2.2], [3.0, 3.0, 3.0, 3.0]])
    assert smallest_good(losses, np.ones(4)) == 1
    assert smallest_good(np.ones((3, 4)), np.ones(4)) == 2


def test_what_knows_is_chosen_once_and_foretells_unseen_rows(found: SelectionReport) -> None:
    assert len(found.chosen) == 1
    assert found.chosen[0].startswith("volatility")
    assert found.features[0].rank == 1
    assert found.features[0].cluster_frequency >= 0.9
    assert found.score.r2 > 2 * found.score.r2_error
    assert "unseen rows are foretold:" in found.verdict()
    by_name = {feature.name: feature for feature in found.features}
    assert by_name["volatility"].cluster == by_name["volatility_again"].cluster
    assert by_name["mostly_null"].null_share == pytest.approx(0.9, abs=0.02)
    assert by_name["constant"].mi_nats == 0.0


def test_noise_and_canaries_stay_no_more_often_than_stated(found: SelectionReport) -> None:
    silent = [one for one in (*found.features, *found.canaries) if not one.name.startswith("volatility")]
    assert {one.name for one in silent} >= {"noise", "calm_weather", *CANARIES}
    assert max(one.frequency for one in silent) <= CHANCE_FREQUENCY_MAX
    assert found.canaries_quiet


def test_the_shuffled_future_scores_at_chance(found: SelectionReport) -> None:
    assert abs(found.score_canary.r2) < max(3 * found.score_canary.r2_error, 0.01)
    assert abs(found.score_canary.rank_correlation) < 0.1


def test_where_nothing_knows_nothing_is_chosen_and_the_report_says_so() -> None:
    report = select_features(market(2, knows=False), SMALL)
    assert report.chosen == ()
    assert report.verdict().startswith("nothing stands out")
    assert max(one.frequency for one in report.canaries if one.name in QUIET_CANARIES) <= CHANCE_FREQUENCY_MAX
    assert report.score.r2 <= 2 * report.score.r2_error


def test_a_feature_that_is_the_future_itself_is_seen() -> None:
    table = market(1)
    y, _ = log_moves(table, SMALL.target, SMALL.horizon_ns)
    leaking = replace(table, values=np.column_stack([table.values[:, :3], y]), names=("a", "b", "c", "leak"))
    report = select_features(leaking, replace(SMALL, folds=1))
    assert "leak" in report.chosen
    assert report.score.r2 > 0.8


def choices(fold: FoldReport) -> tuple[object, ...]:
    return fold.train_rows, fold.test_from_ns, fold.kept, fold.chosen, fold.frequency


def test_law_no_change_of_the_future_changes_what_earlier_folds_chose(found: SelectionReport) -> None:
    table = market(1)
    learnt_until_ns = found.folds[1].test_from_ns - SMALL.embargo_ns
    future = np.flatnonzero(table.tick_ns > learnt_until_ns)
    rng = np.random.default_rng(9)
    values, prices = table.values.copy(), table.ref_price.copy()
    values[future] = values[rng.permutation(future)] * 100.0
    prices[future] = rng.permutation(prices[future])
    prices[future[::50]] = 0
    changed = select_features(replace(table, values=values, ref_price=prices), SMALL)
    assert [choices(fold) for fold in changed.folds[:2]] == [choices(fold) for fold in found.folds[:2]]
    assert choices(changed.folds[2]) != choices(found.folds[2])


def test_everything_tried_and_every_row_is_counted(found: SelectionReport) -> None:
    table = market(1)
    assert found.rows + sum(found.left_out.values()) == len(table.tick_ns)
    assert found.left_out[OFF_THE_STRIDE] > 0
    # Five clusters of six features and three canaries; 8 representatives and none, in two inner folds, per run.
    assert found.tried["resampled runs"] == SMALL.folds * SMALL.bootstraps
    assert found.tried["sets scored on test rows"] == 3 * SMALL.folds
    assert found.tried["sets scored within the past"] == 2 * 9 * SMALL.folds * (SMALL.bootstraps + 1)


def test_too_little_data_is_refused_plainly() -> None:
    with pytest.raises(ValueError, match="give more data"):
        select_features(market(1, duration_s=60), SMALL)


@pytest.mark.slow
def test_report_and_figure_are_the_same_to_the_byte(found: SelectionReport) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is in the train group")
    from features.select.plot import plot

    again = select_features(market(1), SMALL)
    assert json.dumps(again.to_dict()) == json.dumps(found.to_dict())
    first, second = plot(found, title="t"), plot(again, title="t")
    assert first == second
    assert first["png"].startswith(b"\x89PNG")
    assert b"<dc:date>" not in first["svg"]


def test_command_names_what_is_missing_and_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from deploy.cli import main

    monkeypatch.setitem(sys.modules, "sklearn", None)
    result = CliRunner().invoke(main, ["features", "select"])
    assert result.exit_code == 1
    assert "make train-setup" in result.output
