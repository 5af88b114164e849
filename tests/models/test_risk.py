"""The tracker: direction, alerts once per episode, releases, staleness, and exact replay."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.spec import SCORED, SCORED_NAMES
from models.detectors.linear import LargestScore
from models.detectors.registry import measure_named
from models.detectors.views import HORIZONS, VIEWED_NAMES, WINDOW, Views
from models.folder import ModelFolder
from models.judging import Judge
from models.risk import RiskTracker, TrackerSettings
from models.viewed import ViewedTicks
from models.wire import ScaledTicks, Scores
from schemas.events import TickStatus
from schemas.records import AlertKind, CommandKind, RiskAlert, RiskCommand, RiskState, Tier
from schemas.units import NS_PER_S, TICK_NS
from tests.models.conftest import model_of

COUNT = len(SCORED)
SETTINGS = TrackerSettings(epoch=3, heartbeat_ns=NS_PER_S)
SPREAD = SCORED_NAMES.index("spread_ticks")
CALM, ELEVATED, HIGH, CRITICAL = 1.0, 7.0, 10.0, 15.0
Answer = tuple[list[RiskState], list[RiskAlert]]


def rows(
    scores: list[float],
    *,
    first: int = 1,
    instrument_id: int = 1,
    status: int = 0,
    degraded: bool = False,
    feature: int = SPREAD,
) -> tuple[ViewedTicks, Scores]:
    """One row per tick whose whole anomaly is one feature's score: positive is the dangerous side of the spread."""
    count = len(scores)
    window = np.zeros((count, WINDOW, COUNT), np.float32)
    window[:, -1, feature] = scores
    ids = np.full(count, instrument_id, np.uint32)
    live = np.full(count, not status & TickStatus.STALE)
    ticks = ScaledTicks(
        channel_id="SIM",
        tick_ns=np.arange(first, first + count, dtype=np.int64) * TICK_NS,
        instrument_id=ids,
        status=np.full(count, status, np.uint32),
        ref_price=np.full(count, 5_000_000_000, np.int64),
        values=np.zeros((count, len(VIEWED_NAMES))),
        z=window[:, -1],
        scored=live,
    )
    slow = np.zeros((count, HORIZONS, len(VIEWED_NAMES)), np.float32)
    views = Views(ids, window, slow, np.zeros(count, np.float32), live, live)
    parts = np.zeros((count, COUNT), np.float32)
    return ViewedTicks(ticks, "test", views), Scores("test", degraded, parts)


def run(
    tracker: RiskTracker,
    errors: list[float],
    *,
    commands: tuple[RiskCommand, ...] = (),
    first: int = 1,
    instrument_id: int = 1,
    status: int = 0,
    degraded: bool = False,
) -> Answer:
    ticks, scores = rows(errors, first=first, instrument_id=instrument_id, status=status, degraded=degraded)
    told = tracker.step(ticks, scores, list(commands))
    return told.states, told.alerts


def release(
    tick: int, *, command_id: str = "r1", scope: str = "instrument:1", expires_ns: int | None = 10**6 * TICK_NS
) -> RiskCommand:
    return RiskCommand(command_id, CommandKind.RELEASE, scope, tick * TICK_NS, "ann", "bob", "looked", expires_ns, None)


def kinds(alerts: list[RiskAlert]) -> list[AlertKind]:
    return [alert.kind for alert in alerts]


@pytest.fixture
def tracker(model: ModelFolder) -> RiskTracker:
    return RiskTracker(lambda _: model, SETTINGS)


def test_scores_used_here_mean_what_their_names_say(model: ModelFolder) -> None:
    judge, (viewed, _) = Judge(model), rows([CALM, ELEVATED, HIGH, CRITICAL])
    scores = [float(judge.judge(viewed, np.array([row]), None).strange[0]) for row in range(4)]
    enter = model.levels.enter
    assert scores[0] < 1 < enter[1] <= scores[1] < enter[2] <= scores[2] < enter[3] <= scores[3]


def test_calm_market_gives_a_heartbeat_each_second_and_no_alert(tracker: RiskTracker) -> None:
    states, alerts = run(tracker, [CALM] * 31)
    assert [s.tick_ns // TICK_NS for s in states] == [1, 11, 21, 31]
    assert {s.tier for s in states} == {Tier.NORMAL}
    assert not alerts


def test_adverse_anomaly_raises_the_tier_and_says_why(tracker: RiskTracker) -> None:
    states, alerts = run(tracker, [CALM, ELEVATED, ELEVATED])
    last = states[-1]
    assert (last.tier_before, last.tier) == (Tier.NORMAL, Tier.ELEVATED)
    assert last.causes[0].name == "spread_ticks"
    assert last.causes[0].adverse
    assert len(last.causes) == 3
    assert last.score == pytest.approx(-np.log10(last.p))
    assert (last.epoch, last.channel_id, last.model_id, last.ref_price) == (3, "SIM", "test", 5_000_000_000)
    assert kinds(alerts) == [AlertKind.TIER_CHANGED]
    assert "spread_ticks +7.0" in alerts[0].message


def test_same_anomaly_on_the_harmless_side_only_alerts_and_once(tracker: RiskTracker) -> None:
    states, alerts = run(tracker, [-CRITICAL, -7.0] * 20)
    assert {s.tier for s in states} == {Tier.NORMAL}
    assert kinds(alerts) == [AlertKind.NON_ADVERSE_ANOMALY]


def test_undirected_features_alone_are_not_adverse(tracker: RiskTracker) -> None:
    told = tracker.step(*rows([CRITICAL] * 5, feature=SCORED_NAMES.index("ofi_1s")), [])
    assert {(s.tier, s.adverse_share) for s in told.states} == {(Tier.NORMAL, 0.0)}


def test_two_harmless_episodes_are_told_twice(tracker: RiskTracker) -> None:
    _, alerts = run(tracker, [-CRITICAL] * 5 + [CALM] * 5 + [-CRITICAL] * 5)
    assert kinds(alerts) == [AlertKind.NON_ADVERSE_ANOMALY] * 2


def test_crisis_does_not_teach_that_it_is_normal(tracker: RiskTracker) -> None:
    first, _ = run(tracker, [CRITICAL] * 2)
    last, _ = run(tracker, [CRITICAL] * 3_000, first=3)
    assert last[-1].score == pytest.approx(first[-1].score)


def test_release_lets_critical_go_at_its_own_time_and_once(tracker: RiskTracker) -> None:
    run(tracker, [CRITICAL] * 3)
    commands = (release(7),)
    before, _ = run(tracker, [CALM] * 3, first=4, commands=commands)
    assert all(s.latched for s in before)
    states, alerts = run(tracker, [CALM] * 5, first=7, commands=commands)
    assert (states[0].tick_ns, states[0].tier_before, states[0].tier) == (7 * TICK_NS, Tier.CRITICAL, Tier.HIGH_ALERT)
    assert not states[0].latched
    assert kinds(alerts) == [AlertKind.COMMAND_APPLIED, AlertKind.TIER_CHANGED]
    again, alerts = run(tracker, [CRITICAL] * 3, first=12, commands=commands)
    assert again[-1].tier is Tier.CRITICAL
    assert kinds(alerts) == [AlertKind.TIER_CHANGED]


def test_release_of_what_is_not_critical_is_refused(tracker: RiskTracker) -> None:
    _, alerts = run(tracker, [CALM] * 3, commands=(release(2),))
    assert kinds(alerts) == [AlertKind.COMMAND_REFUSED]


@pytest.mark.parametrize(
    "command",
    [release(5, scope="instrument:2"), release(5, expires_ns=4 * TICK_NS), release(99)],
    ids=["another instrument", "expired", "not yet"],
)
def test_release_that_is_not_meant_changes_nothing(tracker: RiskTracker, command: RiskCommand) -> None:
    run(tracker, [CRITICAL] * 3)
    states, alerts = run(tracker, [CALM] * 20, first=4, commands=(command,))
    assert {s.tier for s in states} == {Tier.CRITICAL}
    assert not alerts


def test_two_releases_at_one_tick_get_alerts_of_their_own(tracker: RiskTracker) -> None:
    run(tracker, [CRITICAL] * 3)
    _, alerts = run(tracker, [CALM], first=4, commands=(release(4), release(4, command_id="r2")))
    assert kinds(alerts)[:2] == [AlertKind.COMMAND_APPLIED, AlertKind.COMMAND_REFUSED]
    assert len({alert.alert_id for alert in alerts}) == len(alerts)


def test_stale_book_is_told_once_keeps_the_tier_and_is_not_scored(tracker: RiskTracker) -> None:
    run(tracker, [ELEVATED] * 2)
    states, alerts = run(tracker, [CRITICAL] * 12, first=3, status=int(TickStatus.STALE))
    assert all(s.stale and s.tier is Tier.ELEVATED and not s.causes for s in states)
    assert kinds(alerts) == [AlertKind.FEED_STALE]
    states, alerts = run(tracker, [CALM] * 12, first=15)
    assert not any(s.stale for s in states)
    _, alerts = run(tracker, [CALM], first=27, status=int(TickStatus.STALE))
    assert kinds(alerts) == [AlertKind.FEED_STALE]


def test_end_of_staleness_is_published_at_the_next_heartbeat(tracker: RiskTracker) -> None:
    run(tracker, [CALM] * 2, status=int(TickStatus.STALE))
    states, _ = run(tracker, [CALM] * 10, first=3)
    assert len(states) == 1
    assert not states[0].stale


def test_network_that_is_away_leaves_the_others_to_judge_and_is_told_once(tmp_path: Path) -> None:
    model = model_of(tmp_path, [LargestScore(), measure_named("vae")])
    tracker = RiskTracker(lambda _: model, SETTINGS)
    viewed, scores = rows([ELEVATED] * 12)
    told = tracker.step(viewed, replace(scores, degraded=True), [])
    assert all(s.degraded for s in told.states)
    assert told.states[-1].tier is Tier.ELEVATED
    assert kinds(told.alerts).count(AlertKind.SCORER_DEGRADED) == 1
    viewed, scores = rows([CALM] * 12, first=13)
    strange = np.zeros((12, COUNT), np.float32)
    strange[:, SPREAD] = 400.0
    told = tracker.step(viewed, replace(scores, parts=strange), [])
    assert not told.states[-1].degraded
    assert told.states[-1].score > model.levels.enter[Tier.CRITICAL]


def test_network_that_is_not_combined_is_not_missed(tmp_path: Path) -> None:
    model = model_of(tmp_path, [LargestScore(), measure_named("vae")], combined=["max_z"])
    states, alerts = run(RiskTracker(lambda _: model, SETTINGS), [CALM] * 12, degraded=True)
    assert not any(s.degraded for s in states)
    assert not alerts


def test_causes_are_led_by_what_carries_the_score_not_by_the_largest_part(tmp_path: Path) -> None:
    model = model_of(tmp_path, [LargestScore()])
    viewed, scores = rows([HIGH] * 3)
    depth = SCORED_NAMES.index("depth_bid_5")
    viewed.views.window[:, -1, depth] = -9.9
    told = RiskTracker(lambda _: model, SETTINGS).step(viewed, scores, [])
    assert told.states[-1].causes[0].name == "spread_ticks"


def test_switch_of_models_keeps_tiers_and_starts_calibration_anew(tmp_path: Path) -> None:
    first, second = model_of(tmp_path / "a"), replace(model_of(tmp_path / "b"), model_id="second")
    tracker = RiskTracker({"a": first, "b": second}.__getitem__, SETTINGS)
    viewed, scores = rows([ELEVATED] * 3)
    tracker.step(replace(viewed, model="a"), scores, [])
    tracker = RiskTracker.from_bytes(tracker.to_bytes(), {"a": first, "b": second}.__getitem__, SETTINGS)
    viewed, scores = rows([CALM] * 12, first=4)
    told = tracker.step(replace(viewed, model="b"), scores, [])
    assert {(s.model_id, s.tier) for s in told.states} == {("second", Tier.ELEVATED)}


def test_pulse_holds_every_member_of_the_tick(tracker: RiskTracker) -> None:
    viewed, scores = rows([CALM, CRITICAL])
    (first, second) = tracker.step(viewed, scores, []).pulses
    assert (first.tick_ns, second.tick_ns) == (TICK_NS, 2 * TICK_NS)
    assert second.instrument_id.tolist() == [1]
    assert first.strange[0] < 1
    assert second.strange[0] > 8
    assert second.adverse_share[0] == 1.0
    assert second.tier.tolist() == [Tier.HIGH_ALERT]


def test_use_counts_over_all_instruments(tracker: RiskTracker) -> None:
    run(tracker, [ELEVATED] * 4)
    run(tracker, [ELEVATED] * 4, first=5, instrument_id=2)
    assert tracker.use().entered[Tier.ELEVATED] == 2


def test_rows_in_warm_up_give_no_state(tracker: RiskTracker) -> None:
    viewed, scores = rows([CALM] * 20)
    cold = replace(viewed.views, opined=np.zeros(20, np.bool_))
    told = tracker.step(replace(viewed, views=cold), scores, [])
    assert (told.states, told.alerts) == ([], [])


def test_ticks_seen_before_are_ignored(tracker: RiskTracker) -> None:
    run(tracker, [CALM, CRITICAL, CALM])
    before = tracker.to_bytes()
    assert run(tracker, [CRITICAL] * 3) == ([], [])
    assert tracker.to_bytes() == before


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_law_any_cut_any_repeat_and_any_restart_give_the_same_states(data: st.DataObject) -> None:
    model = model_of(Path())
    errors = data.draw(st.lists(st.sampled_from([CALM, ELEVATED, HIGH, CRITICAL]), min_size=2, max_size=60))
    commands = (release(20),)
    whole = run(RiskTracker(lambda _: model, SETTINGS), errors, commands=commands)
    cut = data.draw(st.integers(1, len(errors) - 1))
    repeated = data.draw(st.integers(0, cut))
    tracker = RiskTracker(lambda _: model, SETTINGS)
    head = run(tracker, errors[:cut], commands=commands)
    tracker = RiskTracker.from_bytes(tracker.to_bytes(), lambda _: model, SETTINGS)
    tail_part = run(tracker, errors[cut - repeated :], first=cut - repeated + 1, commands=commands)
    assert (head[0] + tail_part[0], head[1] + tail_part[1]) == whole


@pytest.mark.parametrize("length", [0, 5, 20])
def test_damaged_state_is_refused(model: ModelFolder, tracker: RiskTracker, length: int) -> None:
    run(tracker, [CALM])
    with pytest.raises(ValueError, match="tracker state"):
        RiskTracker.from_bytes(tracker.to_bytes()[:length], lambda _: model, SETTINGS)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"maker": " "}, "needs a maker"),
        ({"checker": None}, "needs a second person"),
        ({"checker": " ANN "}, "maker and checker are both ann"),
        ({"reason": ""}, "needs a reason"),
        ({"expires_ns": None}, "needs an end"),
    ],
)
def test_release_without_two_people_a_reason_and_an_end_is_refused_and_told(
    tracker: RiskTracker, change: dict[str, object], words: str
) -> None:
    run(tracker, [CRITICAL] * 3)
    command = replace(release(5), **change)  # type: ignore[arg-type]
    states, alerts = run(tracker, [CALM] * 8, first=4, commands=(command,))
    assert [words in alert.message for alert in alerts if alert.kind is AlertKind.COMMAND_REFUSED] == [True]
    assert states[-1].latched
    assert states[-1].tier is Tier.CRITICAL
