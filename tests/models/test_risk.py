"""The tracker: direction, alerts once per episode, releases, staleness, and exact replay."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.spec import SCORED, SCORED_NAMES
from models.calibrate import BASELINE_TICKS, Tail
from models.folder import ModelFolder
from models.risk import RiskTracker, TrackerSettings
from models.scaling import Prior
from models.tiers import TierLevels
from models.wire import ScaledTicks, Scores
from schemas.events import TickStatus
from schemas.records import AlertKind, CommandKind, RiskAlert, RiskCommand, RiskState, Tier
from schemas.units import NS_PER_S, TICK_NS

COUNT = len(SCORED)
SETTINGS = TrackerSettings(epoch=3, heartbeat_ns=NS_PER_S)
SPREAD = SCORED_NAMES.index("spread_ticks")
CALM, ELEVATED, HIGH, CRITICAL = 3.0, 22.0, 80.0, 1e4
Answer = tuple[list[RiskState], list[RiskAlert]]


def rows(
    errors: list[float],
    *,
    first: int = 1,
    instrument_id: int = 1,
    z: float = 4.0,
    status: int = 0,
    degraded: bool = False,
) -> tuple[ScaledTicks, Scores]:
    """One row per tick, all of its error in the spread, whose score is ``z``: positive is the dangerous side."""
    count = len(errors)
    share = np.zeros((count, COUNT), np.float32)
    share[:, SPREAD] = 1
    values = np.zeros((count, COUNT))
    ticks = ScaledTicks(
        channel_id="SIM",
        tick_ns=np.arange(first, first + count, dtype=np.int64) * TICK_NS,
        instrument_id=np.full(count, instrument_id, np.uint32),
        status=np.full(count, status, np.uint32),
        ref_price=np.full(count, 5_000_000_000, np.int64),
        values=values,
        z=(share * z).astype(np.float32),
        scored=np.full(count, not status & TickStatus.STALE),
    )
    return ticks, Scores("m", degraded, np.array(errors), share)


def run(
    tracker: RiskTracker,
    errors: list[float],
    *,
    commands: tuple[RiskCommand, ...] = (),
    first: int = 1,
    instrument_id: int = 1,
    z: float = 4.0,
    status: int = 0,
    degraded: bool = False,
) -> Answer:
    ticks, scores = rows(errors, first=first, instrument_id=instrument_id, z=z, status=status, degraded=degraded)
    return tracker.step(ticks, scores, list(commands))


def release(
    tick: int, *, command_id: str = "r1", scope: str = "instrument:1", expires_ns: int | None = 10**6 * TICK_NS
) -> RiskCommand:
    return RiskCommand(command_id, CommandKind.RELEASE, scope, tick * TICK_NS, "ann", "bob", "looked", expires_ns, None)


def kinds(alerts: list[RiskAlert]) -> list[AlertKind]:
    return [alert.kind for alert in alerts]


@pytest.fixture
def tracker(model: ModelFolder) -> RiskTracker:
    return RiskTracker(model, SETTINGS)


def test_errors_used_here_mean_what_their_names_say(tail: Tail, model: ModelFolder) -> None:
    scores = [-np.log10(tail.p((np.log(e) - tail.location) / tail.scale)) for e in (CALM, ELEVATED, HIGH, CRITICAL)]
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
    assert (last.epoch, last.channel_id, last.model_id, last.ref_price) == (3, "SIM", "m", 5_000_000_000)
    assert kinds(alerts) == [AlertKind.TIER_CHANGED]
    assert "spread_ticks +4.0" in alerts[0].message


def test_same_anomaly_on_the_harmless_side_only_alerts_and_once(tracker: RiskTracker) -> None:
    states, alerts = run(tracker, [CRITICAL, CALM * 3] * 20, z=-4.0)
    assert {s.tier for s in states} == {Tier.NORMAL}
    assert kinds(alerts) == [AlertKind.NON_ADVERSE_ANOMALY]


def test_undirected_features_alone_are_not_adverse(tracker: RiskTracker) -> None:
    ticks, scores = rows([CRITICAL] * 5)
    share = np.roll(scores.share, SCORED_NAMES.index("ofi_1s") - SPREAD, axis=1)
    states, _ = tracker.step(replace(ticks, z=share * 9), replace(scores, share=share), [])
    assert {(s.tier, s.adverse_share) for s in states} == {(Tier.NORMAL, 0.0)}


def test_two_harmless_episodes_are_told_twice(tracker: RiskTracker) -> None:
    _, alerts = run(tracker, [CRITICAL] * 5 + [CALM] * 5 + [CRITICAL] * 5, z=-4.0)
    assert kinds(alerts) == [AlertKind.NON_ADVERSE_ANOMALY] * 2


def test_crisis_does_not_teach_that_it_is_normal(tracker: RiskTracker) -> None:
    first, _ = run(tracker, [CRITICAL] * 2)
    last, _ = run(tracker, [CRITICAL] * 3_000, first=3)
    assert last[-1].score == pytest.approx(first[-1].score)


def test_release_lets_critical_go_at_its_own_time_and_once(tracker: RiskTracker) -> None:
    run(tracker, [CRITICAL])
    commands = (release(5),)
    before, _ = run(tracker, [CALM] * 3, first=2, commands=commands)
    assert all(s.latched for s in before)
    states, alerts = run(tracker, [CALM] * 5, first=5, commands=commands)
    assert (states[0].tick_ns, states[0].tier_before, states[0].tier) == (5 * TICK_NS, Tier.CRITICAL, Tier.HIGH_ALERT)
    assert not states[0].latched
    assert kinds(alerts) == [AlertKind.COMMAND_APPLIED, AlertKind.TIER_CHANGED]
    again, alerts = run(tracker, [CRITICAL, CRITICAL], first=10, commands=commands)
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
    run(tracker, [CRITICAL])
    states, alerts = run(tracker, [CALM] * 20, first=2, commands=(command,))
    assert {s.tier for s in states} == {Tier.CRITICAL}
    assert not alerts


def test_two_releases_at_one_tick_get_alerts_of_their_own(tracker: RiskTracker) -> None:
    run(tracker, [CRITICAL])
    _, alerts = run(tracker, [CALM], first=2, commands=(release(2), release(2, command_id="r2")))
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


def test_degraded_scores_use_their_own_calibration_and_are_told_once(model: ModelFolder, tail: Tail) -> None:
    tracker = RiskTracker(replace(model, simple_tail=replace(tail, location=tail.location + 5)), SETTINGS)
    states, alerts = run(tracker, [CRITICAL / 10] * 12, degraded=True)
    assert all(s.degraded for s in states)
    assert {s.tier for s in states} <= {Tier.NORMAL, Tier.ELEVATED}
    assert kinds(alerts).count(AlertKind.SCORER_DEGRADED) == 1
    states, _ = run(tracker, [CRITICAL / 10] * 12, first=13)
    assert states[-1].tier is Tier.CRITICAL


def test_unknown_instrument_has_no_state_until_its_baseline_is_learned_and_is_judged_by_it(
    tracker: RiskTracker,
) -> None:
    noise = np.exp(np.random.Generator(np.random.PCG64(6)).normal(np.log(CRITICAL), 0.4, BASELINE_TICKS + 300)).tolist()
    states, alerts = run(tracker, noise[:BASELINE_TICKS], instrument_id=77)
    assert (states, alerts) == ([], [])
    states, alerts = run(tracker, noise[BASELINE_TICKS:], first=BASELINE_TICKS + 1, instrument_id=77)
    assert {s.tier for s in states} == {Tier.NORMAL}
    states, _ = run(tracker, [CRITICAL * 1e4], first=2_000, instrument_id=77)
    assert states[-1].tier is Tier.CRITICAL


def test_rows_in_warm_up_give_no_state(tracker: RiskTracker) -> None:
    ticks, scores = rows([CALM] * 20)
    assert tracker.step(replace(ticks, scored=np.zeros(20, np.bool_)), scores, []) == ([], [])


def test_ticks_seen_before_are_ignored(tracker: RiskTracker) -> None:
    run(tracker, [CALM, CRITICAL, CALM])
    before = tracker.to_bytes()
    assert run(tracker, [CRITICAL] * 3) == ([], [])
    assert tracker.to_bytes() == before


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_law_any_cut_any_repeat_and_any_restart_give_the_same_states(tail: Tail, data: st.DataObject) -> None:
    model = _bare(tail)
    errors = data.draw(st.lists(st.sampled_from([CALM, ELEVATED, HIGH, CRITICAL]), min_size=2, max_size=60))
    commands = (release(20),)
    whole = run(RiskTracker(model, SETTINGS), errors, commands=commands)
    cut = data.draw(st.integers(1, len(errors) - 1))
    repeated = data.draw(st.integers(0, cut))
    tracker = RiskTracker(model, SETTINGS)
    head = run(tracker, errors[:cut], commands=commands)
    tracker = RiskTracker.from_bytes(tracker.to_bytes(), model, SETTINGS)
    tail_part = run(tracker, errors[cut - repeated :], first=cut - repeated + 1, commands=commands)
    assert (head[0] + tail_part[0], head[1] + tail_part[1]) == whole


@pytest.mark.parametrize("length", [0, 5, 20])
def test_damaged_state_is_refused(model: ModelFolder, tracker: RiskTracker, length: int) -> None:
    run(tracker, [CALM])
    with pytest.raises(ValueError, match="tracker state"):
        RiskTracker.from_bytes(tracker.to_bytes()[:length], model, SETTINGS)


def _bare(tail: Tail) -> ModelFolder:
    prior = Prior(np.zeros(COUNT), np.ones(COUNT))
    levels = TierLevels(enter=(0.0, 3.0, 5.0, 8.0), leave=(0.0, 2.0, 3.0, 5.0))
    return ModelFolder("test", Path(), {1: prior}, tail, tail, levels)


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
    run(tracker, [CRITICAL])
    command = replace(release(5), **change)  # type: ignore[arg-type]
    states, alerts = run(tracker, [CALM] * 8, first=2, commands=(command,))
    assert [words in alert.message for alert in alerts if alert.kind is AlertKind.COMMAND_REFUSED] == [True]
    assert states[-1].latched
    assert states[-1].tier is Tier.CRITICAL
