"""Detectors side by side: the past alone is learnt from, who looks ahead is found, chance scores at chance, skill is seen."""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from features.select.folds import Walk
from models.baselines.cusum import DepthCusum
from models.baselines.smoothing import ew_z
from models.baselines.spread_depth import SpreadDepth
from models.baselines.volatility import VolatilityOnly
from models.baselines.vpin import Vpin
from models.evaluation import mechanisms
from models.evaluation.benchmark import Comparison, Plan, compare
from models.evaluation.blocks import TickBlock, Vector, blocks_of_ticks
from models.evaluation.canary import Future, causality_fault, cost_strain, trial_of
from models.evaluation.episodes import Judged, support_of
from models.evaluation.folds import split_sessions, walk_blocks
from models.evaluation.increment import increment, logit
from models.evaluation.leaderboard import digest, summary, to_dict
from models.evaluation.protocol import Detector, DetectorError, load, scores_of
from models.evaluation.scored import Entry
from models.evaluation.tables import details, events, markdown, rates
from models.evaluation.truth import BlockTruth, TruthSettings, cost_truth
from schemas.units import NS_PER_S, TICK_NS
from tests.models.evaluation.made import ROWS, block_of, calm, crisis, suite

pytestmark = pytest.mark.slow

BASELINES: tuple[type[Detector], ...] = (VolatilityOnly, SpreadDepth, DepthCusum, Vpin)


class Peeks:
    """Knows the spread of ten rows later."""

    name = "peeks"

    def fit(self, past: Sequence[TickBlock]) -> None:
        del past

    def score(self, block: TickBlock) -> Vector:
        return np.append(block.column("spread_bps")[10:], np.full(10, 2.0))


class Remembers:
    """Says whose rows it was fitted on; scores nothing."""

    name = "remembers"
    tried = 5
    seen: list[tuple[int, int]]

    def __init__(self) -> None:
        self.seen = []

    def fit(self, past: Sequence[TickBlock]) -> None:
        self.seen = [(int(block.tick_ns[0]), int(block.tick_ns[-1])) for block in past]

    def score(self, block: TickBlock) -> Vector:
        return np.zeros(len(block))


class Scaled:
    """Z of the spread by all rows of the block: leaks through its scale."""

    name = "scaled by all"

    def fit(self, past: Sequence[TickBlock]) -> None:
        del past

    def score(self, block: TickBlock) -> Vector:
        spread = block.column("spread_bps")
        z: Vector = (spread - spread.mean()) / spread.std()
        return z


def plan_of(blocks: Sequence[TickBlock]) -> Plan:
    truth = partial(cost_truth, settings=TruthSettings())
    return Plan("made", [split_sessions(blocks)], truth, sequential=False, settings=TruthSettings())


@pytest.fixture(scope="module")
def found() -> Comparison:
    lineup = [*(Entry(make(), "baseline") for make in BASELINES), Entry(Peeks()), Entry(Remembers())]
    plan = replace(plan_of(suite()), duels=(("peeks", "VPIN"), ("peeks", "not there")))
    return compare(plan, lambda: lineup)


def test_what_warns_is_found_with_its_lead_and_stands_first(found: Comparison) -> None:
    first = found.results[0]
    head = first.headline(past=False)
    assert first.name == "spread/depth EWMA-z"
    assert head.recall.value == 1.0
    assert head.lead_p50_s.value == pytest.approx(20.0, abs=0.5)
    assert head.by_mechanism["made"].events == 8
    assert first.vus_pr.value > 0.9
    assert found.reference == first.name


def test_who_looks_ahead_is_named_and_out_of_the_running(found: Comparison) -> None:
    by_name = {one.name: one for one in found.results}
    assert by_name["peeks"].fault is not None
    assert [one.name for one in found.results if one.role != "canary"][-1] == "peeks"
    assert all(by_name[make.name].fault is None for make in BASELINES)
    assert "peeks looks ahead and is out" in markdown(found)


def test_the_shuffled_future_is_at_chance_and_the_future_itself_is_nearly_perfect(found: Comparison) -> None:
    shuffled, whole = (next(one for one in found.results if name in one.name) for name in ("shuffled", "itself"))
    assert shuffled.increment.auc.value == pytest.approx(0.5, abs=0.02)
    assert abs(shuffled.increment.delta_auc.value) < 0.02
    assert shuffled.headline(past=False).recall.value <= 0.25
    assert whole.headline(past=False).recall.value == 1.0
    assert whole.increment.auc.value > 0.95
    assert "at chance" in to_dict(found)["verdict"]
    assert "NOT at chance" not in to_dict(found)["verdict"]
    assert "none may be seen at all" in to_dict(found)["verdict"]


def test_every_trial_is_counted(found: Comparison) -> None:
    assert found.tried["detectors"] == 8
    assert found.tried["configurations_of_detectors_by_their_makers_word"] == 7 + 5
    assert found.tried["operating_points"] == 2 * 3 * 8
    assert found.counts["sessions_crisis"] == 8
    assert found.counts["events"] == 8


def test_report_is_json_and_the_shipped_line_holds_what_was_agreed(found: Comparison) -> None:
    raw = json.dumps(to_dict(found), allow_nan=False)
    assert "leads_s" not in raw
    line = summary(found, found.results[0], suite="made")
    measured = {"recall", "median_lead_s", "false_episodes_per_day", "budget_ratio", "flaps_per_day"}
    assert set(line) == measured | {"name", "seed", "suite"}
    assert line["recall"] == 1.0
    assert [(one.name, one.other) for one in found.duels] == [("peeks", "VPIN")]


def test_by_mechanism_every_detector_has_what_it_found_and_what_alarmed_it(found: Comparison) -> None:
    table = mechanisms.by_mechanism(found)
    assert table is not None
    assert (table.crises, table.harmless) == (("made",), ("jump",))
    cells = {one.name: own for one, own in table.rows}
    assert cells["spread/depth EWMA-z"][0].alarmed == cells["spread/depth EWMA-z"][0].sessions == 8
    assert cells["spread/depth EWMA-z"][0].median_lead_s == pytest.approx(20.0, abs=0.5)
    assert [cells["VPIN"][1].sessions, cells["canary: the future itself"][1].alarmed] == [3, 0]
    page = mechanisms.markdown(table)
    assert "| found, median lead s | made | jump (harmless) |" in page
    assert "| spread/depth EWMA-z | 8/8, 19.9 |" in page
    assert "| *canary: the future itself* | 8/8, " in page


def test_recorded_events_are_told_one_by_one_with_leads_and_labelled_ones_are_not() -> None:
    block = replace(crisis(3, rows=40_000, onset=35_000, impact=35_200), labels=None)
    walk = Walk(2, 60 * NS_PER_S, 0)
    truth = partial(cost_truth, settings=TruthSettings())
    plan = Plan("made", walk_blocks([block], walk), truth, sequential=True, settings=TruthSettings())
    recorded = compare(plan, lambda: [Entry(SpreadDepth(), "baseline")])
    (note,) = recorded.events
    assert note.impact_ns == (1 + 35_200) * TICK_NS
    lead = recorded.results[0].headline(past=True).leads_s[0]
    assert f"| 1970-01-01 00:58:40.100 | {note.session.partition('@')[0]} | {lead:.1f} |" in events(recorded)
    assert mechanisms.by_mechanism(recorded) is None
    (told,) = digest(recorded)["events"]
    assert told["lead_s"]["from_past"] == {
        "spread/depth EWMA-z": pytest.approx(lead),
        "canary: the future itself": pytest.approx(59.9),
        "canary: shuffled future": None,
    }


def test_what_is_kept_is_small_and_holds_both_thresholds_at_one_a_day(found: Comparison) -> None:
    small, whole = digest(found), to_dict(found)
    assert events(found) == ""
    assert small["events"] == []
    assert len(whole["events"]) == 8
    assert len(json.dumps(small)) < 0.6 * len(json.dumps(whole))
    head = small["detectors"][0]
    assert head["equal_rate"] == whole["detectors"][0]["equal_rate"][1]
    assert head["from_past"]["per_day"] == 1.0
    for name in ("precision", "coverage", "fpr", "fnr", "good_volume_blocked"):
        estimate = head["equal_rate"][name]
        assert 0.0 <= estimate["low"] <= estimate["value"] <= estimate["high"] <= 1.0, name
    assert {"share", "above", "episodes_per_day", "flaps_per_day", "budget_ratio", "dwell_s"} <= set(head["tiers"])
    assert {"auc", "delta_auc", "delta_log_loss"} <= set(head["increment"])


def test_tables_hold_every_measure_with_its_interval(found: Comparison) -> None:
    more, points = details(found).splitlines(), rates(found).splitlines()
    for name in (
        "precision",
        "coverage",
        "FPR",
        "FNR",
        "good volume blocked",
        "above Normal",
        "flaps/day",
        "log loss gained",
    ):
        assert name in more[0]
    assert [len(row.split("|")) for row in (*more, *points)] == [14] * len(more) + [9] * len(points)
    assert "recall at 0.1/day | lead p10, p50, p90 s at 0.1/day | recall at 1/day" in points[0]
    first = next(row for row in points if row.startswith("| spread/depth EWMA-z (baseline) | 1.00 [0.63, 1.00] | 19."))
    assert first.count("[") == 12


def test_equal_seeds_give_equal_reports_and_figures(found: Comparison) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is in the train group")
    from models.evaluation.plot import plot, plot_mechanisms

    small = [Entry(SpreadDepth(), "baseline")]
    few = suite()[4:10]
    first, second = (compare(plan_of(few), lambda: small) for _ in range(2))
    assert json.dumps(to_dict(first)) == json.dumps(to_dict(second))
    assert plot(found) == plot(found)
    table = mechanisms.by_mechanism(found)
    assert table is not None
    assert plot_mechanisms(table, "made") == plot_mechanisms(table, "made")
    assert plot(first)["svg"] == plot(second)["svg"]


@pytest.mark.parametrize("make", BASELINES)
def test_baselines_keep_the_promise_of_causality(make: type[Detector]) -> None:
    detector = make()
    detector.fit([calm(1)])
    assert causality_fault(detector, trial_of(crisis(1), 1)) is None


@pytest.mark.parametrize("make", [Peeks, Scaled])
def test_canary_a_planted_leak_is_seen(make: type[Detector]) -> None:
    fault = causality_fault(make(), trial_of(crisis(1), 1))
    assert fault is not None
    assert fault.startswith("row ")


def test_walk_learns_before_it_calibrates_before_it_judges_with_gaps() -> None:
    block = block_of(40_000)
    walk = Walk(3, 60 * NS_PER_S, 30 * NS_PER_S)
    splits = walk_blocks([block], walk)
    assert len(splits) == 3
    for split in splits:
        learnt = max(int(part.tick_ns[-1]) for part in split.learn)
        begin = min(int(one.block.tick_ns[one.first_row]) for one in split.calibrate)
        end = max(int(one.block.tick_ns[-1]) for one in split.calibrate)
        judged = min(int(one.block.tick_ns[one.first_row]) for one in split.judge)
        assert learnt + walk.horizon_ns + walk.embargo_ns <= begin
        assert end + walk.horizon_ns + walk.embargo_ns <= judged
        (one,) = split.judge
        assert one.first_row * TICK_NS == 330 * NS_PER_S
    firsts = [int(split.judge[0].block.tick_ns[split.judge[0].first_row]) for split in splits]
    assert firsts == sorted(set(firsts))
    with pytest.raises(ValueError, match="give more data"):
        walk_blocks([block_of(900)], walk)


def test_the_past_of_a_suite_is_its_calm_beginning_and_the_two_parts_do_not_meet() -> None:
    blocks = suite()
    split = split_sessions(blocks)
    assert [one.block.name for one in split.judge] == [block.name for block in blocks[8:]]
    for learnt, one in zip(split.learn, split.calibrate, strict=True):
        assert learnt.tick_ns[-1] + 60 * NS_PER_S < one.block.tick_ns[one.first_row]
    with pytest.raises(ValueError, match="both are needed"):
        split_sessions(blocks[8:])
    with pytest.raises(ValueError, match="no labels"):
        split_sessions([block_of()])


def test_detectors_that_cannot_take_part_are_refused_in_words() -> None:
    with pytest.raises(DetectorError, match=r"is not module:Class or file\.py:Class"):
        load("nothing")
    with pytest.raises(DetectorError, match="not_there"):
        load("not_there.py:Detector")
    with pytest.raises(DetectorError, match="No module named"):
        load("not_there:Detector")
    with pytest.raises(DetectorError, match="has no name, fit, score"):
        load("decimal:Decimal")
    assert load("models.baselines.vpin:Vpin").name == "VPIN"
    short = Remembers()
    short.score = lambda block: np.zeros(3)  # type: ignore[method-assign]
    with pytest.raises(DetectorError, match=r"scores of shape \(3,\)"):
        scores_of(short, block_of())


def test_logit_finds_the_coefficients_it_was_drawn_from() -> None:
    rng = np.random.default_rng(1)
    x = np.column_stack([np.ones(40_000), rng.normal(size=(40_000, 2))])
    true = np.array([-1.0, 0.8, -0.5])
    y = (rng.random(40_000) < 1 / (1 + np.exp(-x @ true))).astype(np.float64)
    assert logit(x, y) == pytest.approx(true, abs=0.05)


def test_increment_is_above_zero_for_what_is_new_and_not_for_what_the_controls_know() -> None:
    new, old = (increment(_market(copies=copies), groups=None, seed=1) for copies in (False, True))
    assert new.delta_auc.low > 0.02
    assert new.delta_log_loss.low > 0
    assert old.auc.value > 0.55
    assert old.delta_auc.low <= 0.005
    assert math.isnan(increment(_market(copies=True), groups=[0] * 20, seed=1).delta_auc.value)  # nothing came before


def _market(*, copies: bool) -> list[Judged]:
    """Stress comes after a wide spread and after a signal; the score is the signal, or a copy of the spread."""
    judged = []
    for seed in range(20):
        rng = np.random.default_rng([3, seed])
        spread, signal = 2.0 * np.exp(0.3 * rng.normal(size=(2, ROWS)))
        chance = 1 / (1 + np.exp(-(1.5 * (np.log(spread) - 0.7) + 3.0 * (np.log(signal) - 0.7) - 1.0)))
        ahead = (rng.random(ROWS) < chance).astype(np.float64)
        truth = BlockTruth((), np.ones(ROWS, dtype=np.bool_), ahead)
        judged.append(Judged(block_of(seed=seed, spread_bps=spread), truth, spread if copies else signal))
    return judged


# Series with a known answer, as TSB-AD sorts them: what each kind of baseline must see, and where it cannot.
def test_known_answer_point_level_shift_and_drift() -> None:
    rng = np.random.default_rng(2)
    noise = rng.normal(scale=0.05, size=4_000)
    place = np.arange(4_000)
    depths = {
        "point": np.where((place >= 3_000) & (place < 3_005), 1.0, 3.0),
        "level": np.where(place >= 3_000, 2.95, 3.0),
        "drift": 3.0 - np.clip((place - 3_000) / 1_000, 0, 1) * 0.4,
    }
    peaks = {}
    for name, log_depth in depths.items():
        block = block_of(4_000, depth_total_10=np.expm1(log_depth + noise))
        for detector in (SpreadDepth(), DepthCusum()):
            scores = support_of(scores_of(detector, block))
            peaks[name, detector.name] = float(scores[3_000:].max()), float(scores[600:3_000].max())
    seen = {key: after > 2 * before for key, (after, before) in peaks.items()}
    assert seen["point", "spread/depth EWMA-z"]
    assert not seen["level", "spread/depth EWMA-z"]  # one deviation: no more than chance shows
    assert seen["level", "CUSUM on depth"]
    assert seen["drift", "CUSUM on depth"]


def test_ew_z_is_what_a_plain_recomputation_gives_and_knows_no_row_ahead() -> None:
    x = np.random.default_rng(4).normal(size=60)
    x[20:25] = np.nan
    z = ew_z(x, half_life=10, warmup=5, scale_min=1e-9)
    for row in (5, 19, 25, 59):
        past = x[:row][~np.isnan(x[:row])]
        weight = 0.5 ** (np.arange(len(past))[::-1] / 10)
        mean = (weight * past).sum() / weight.sum()
        deviation = math.sqrt((weight * (past - mean) ** 2).sum() / weight.sum())
        assert z[row] == pytest.approx((x[row] - mean) / deviation)
    assert np.isnan(z[:5]).all()
    assert np.isnan(z[20:25]).all()


def test_volatility_is_against_the_instruments_own_past() -> None:
    detector = VolatilityOnly()
    detector.fit([block_of(realised_vol_60s=4.0)])
    assert detector.score(block_of(realised_vol_60s=8.0))[0] == pytest.approx(math.log(2))
    assert np.isnan(detector.score(block_of(realised_vol_60s=np.nan))).all()


def test_the_future_itself_raises_no_alarm_before_a_mechanism_acts() -> None:
    settings = TruthSettings()
    score = Future(cost_strain(settings), settings, shuffled=False).score(crisis(1, onset=1_000, impact=1_200))
    assert score[:1_000].max() == pytest.approx(math.log(1 + 3.0))  # known, but not worth an alarm
    assert score[1_000] == pytest.approx(math.log(1 + 10.0))


def test_no_ticks_make_no_block() -> None:
    assert blocks_of_ticks([], "none") == []
