"""Second and third step of `score_risk`: exact restarts, states as they were tracked, and floors that raise members."""

from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from jobs.machines.channel_risk import RiskOutcome, RiskScoring
from jobs.machines.keeping import SNAPSHOT_MESSAGES, pack, unpack
from jobs.machines.market_risk import MarketOutcome, MarketRisk
from jobs.machines.tracked import TrackedTicks, decode_tracked, encode_tracked
from models.detectors.systemic import fit_systemic
from models.folder import ModelFolder
from models.risk import TrackerSettings
from models.systemic_start import SystemicStart
from models.tiers import TierLevels
from models.viewed import ViewedTicks, encode_viewed
from models.viewing import ChannelViews
from models.wire import Scores, encode_scores
from schemas import codec, topics
from schemas.records import AlertKind, CommandKind, RiskAlert, RiskCommand, RiskState, Tier
from schemas.scores import decode_scores
from schemas.units import NS_PER_S, TICK_NS
from tests.models.conftest import calm_session, model_of

SETTINGS = TrackerSettings(epoch=3, heartbeat_ns=NS_PER_S)
MEMBERS = 6
TICKS = 200
STRANGE_FROM = 150


@pytest.fixture(scope="module")
def model() -> ModelFolder:
    return model_of(Path("first"))


@pytest.fixture(scope="module")
def start() -> SystemicStart:
    rng = np.random.Generator(np.random.PCG64(1))
    levels = TierLevels(enter=(0.0, 3.0, 4.0, 5.0), leave=(0.0, 2.0, 3.0, 4.0))
    return SystemicStart(fit_systemic([rng.exponential(0.43, (3_000, MEMBERS)) for _ in range(2)]), levels)


@pytest.fixture(scope="module")
def viewed(model: ModelFolder) -> list[ViewedTicks]:
    """Calm, then a spread of eight deviations in every member; all are known to the model and warm."""
    views, out = ChannelViews(model, "first"), []
    for number, ticks in enumerate(calm_session(5, TICKS, 2)):
        made = views.step(ticks)
        made.views.window[:, -1] = 0.5 if number < STRANGE_FROM else 0.0
        if number >= STRANGE_FROM:
            made.views.window[:, -1, 1] = 8.0
        out.append(made)
    return out


def scores_of(ticks: ViewedTicks) -> bytes:
    return encode_scores(Scores("test", degraded=False, parts=np.zeros((len(ticks), 21), np.float32)))


def release(command_id: str, tick: int) -> RiskCommand:
    return RiskCommand(
        command_id, CommandKind.RELEASE, "firm", tick * TICK_NS, "ann", "bob", "looked", 10**6 * TICK_NS, None
    )


def test_machine_restored_from_what_flink_keeps_says_the_same(model: ModelFolder, viewed: list[ViewedTicks]) -> None:
    whole = RiskScoring(lambda _: model, SETTINGS)
    cut, snapshot, entries = RiskScoring(lambda _: model, SETTINGS), None, list[bytes]()
    snapshots = 0
    for number, ticks in enumerate(viewed):
        # One command becomes known late, after its own time: what was said before it came must not change.
        known = [release("r-1", 20)] if number >= 60 else []
        arguments = encode_viewed(ticks), scores_of(ticks), known
        cut = RiskScoring(lambda _: model, SETTINGS, snapshot=snapshot, entries=entries)
        outcome = cut.apply(*arguments)
        assert outcome == whole.apply(*arguments)
        if outcome.kept.snapshot is not None:
            snapshot, entries, snapshots = outcome.kept.snapshot, [], snapshots + 1
        else:
            entries.append(cast("bytes", outcome.kept.entry))
    assert snapshots == len(viewed) // SNAPSHOT_MESSAGES


def test_repeated_message_says_nothing_more(model: ModelFolder, viewed: list[ViewedTicks]) -> None:
    machine = RiskScoring(lambda _: model, SETTINGS)
    for ticks in viewed[100:110]:
        machine.apply(encode_viewed(ticks), scores_of(ticks), [])
    again = tracked_of(machine.apply(encode_viewed(viewed[105]), scores_of(viewed[105]), []))
    assert (again.pulses, again.states) == ([], [])


def test_every_tick_of_every_member_has_a_score_also_where_no_state_is_due(
    model: ModelFolder, viewed: list[ViewedTicks]
) -> None:
    machine = RiskScoring(lambda _: model, SETTINGS)
    outcomes = [machine.apply(encode_viewed(ticks), scores_of(ticks), []) for ticks in viewed]
    rows = [decode_scores(raw) for outcome in outcomes for _, raw in outcome.scores]
    keys = [key for outcome in outcomes for key, _ in outcome.scores]
    assert set(keys) == {b"TEST"}
    assert {(one.model_id, one.epoch, one.shadow) for one in rows} == {("test", SETTINGS.epoch, False)}
    first_tick = int(rows[0].tick_ns[0]) // TICK_NS
    ids = viewed[0].ticks.instrument_id.tolist()
    pairs = [pair for one in rows for pair in zip(one.tick_ns.tolist(), one.instrument_id.tolist(), strict=True)]
    assert first_tick < STRANGE_FROM, "warm by then"
    assert pairs == [(tick * TICK_NS, number) for tick in range(first_tick, TICKS + 1) for number in ids]
    assert all(np.allclose(one.p, 10.0**-one.score) for one in rows)
    strange = np.concatenate([one.score for one in rows])[-10 * len(ids) :]
    assert (strange > 3).all(), "the spread of eight deviations is no normal tick"


def tracked_of(outcome: RiskOutcome) -> TrackedTicks:
    assert outcome.tracked is not None
    return decode_tracked(outcome.tracked)


def test_tracked_ticks_round_trip(model: ModelFolder, viewed: list[ViewedTicks]) -> None:
    machine = RiskScoring(lambda _: model, SETTINGS)
    for ticks in viewed[100:120]:
        outcome = machine.apply(encode_viewed(ticks), scores_of(ticks), [])
    assert outcome.tracked is not None
    tracked = decode_tracked(outcome.tracked)
    assert (tracked.channel_id, tracked.model, tracked.model_id) == ("TEST", "first", "test")
    assert encode_tracked(tracked) == outcome.tracked


def played(
    model: ModelFolder, start: SystemicStart | None, viewed: list[ViewedTicks], *, restart: bool = False
) -> list[MarketOutcome]:
    tracking = RiskScoring(lambda _: model, SETTINGS)
    market = MarketRisk(lambda _: start, epoch=3)
    out = []
    for ticks in viewed:
        if restart:
            market = MarketRisk(lambda _: start, epoch=3, state=market.state())
        outcome = tracking.apply(encode_viewed(ticks), scores_of(ticks), [])
        assert outcome.tracked is not None
        out.append(market.apply(outcome.tracked))
    return out


def states_of(outcomes: list[MarketOutcome]) -> list[RiskState]:
    return [cast("RiskState", codec.decode(topics.RISK_STATES, raw)) for one in outcomes for _, raw in one.states]


def widened(ticks: ViewedTicks) -> ViewedTicks:
    """Return a tick of ``MEMBERS`` instruments, each like one of the two."""
    rows = np.arange(MEMBERS) % 2
    ids = np.arange(1, MEMBERS + 1, dtype=np.uint32)
    scaled = ticks.ticks
    columns = {
        name: getattr(scaled, name)[rows] for name in ("tick_ns", "status", "ref_price", "values", "z", "scored")
    }
    views = replace(ticks.views.of(rows), instrument_id=ids)
    return ViewedTicks(replace(scaled, instrument_id=ids, **columns), ticks.model, views)


def test_states_pass_as_they_are_while_no_floor_is_up(model: ModelFolder, viewed: list[ViewedTicks]) -> None:
    tracking, plain = RiskScoring(lambda _: model, SETTINGS), []
    for ticks in viewed:
        tracked = decode_tracked(cast("bytes", tracking.apply(encode_viewed(ticks), scores_of(ticks), []).tracked))
        plain += [message for _, message in tracked.states]
    assert [message for one in played(model, None, viewed) for message in one.states] == plain
    assert plain


def test_floor_raises_every_member_at_its_tick_and_says_why(
    model: ModelFolder, start: SystemicStart, viewed: list[ViewedTicks]
) -> None:
    wide = [widened(ticks) for ticks in viewed]
    # The last member alone stays calm: its channel raises it all the same.
    for ticks in wide:
        ticks.views.window[-1] = 0.5
    outcomes = played(model, start, wide)
    alerts = [cast("RiskAlert", codec.decode(topics.RISK_ALERTS, raw)) for one in outcomes for _, raw in one.alerts]
    assert {alert.kind for alert in alerts} == {AlertKind.SYSTEMIC_RISK}
    raised_ns = alerts[0].ts_ns
    states = [one for one in states_of(outcomes) if one.tick_ns == raised_ns]
    assert sorted(one.instrument_id for one in states) == list(range(1, MEMBERS + 1))
    (calm,) = [one for one in states if one.instrument_id == MEMBERS]
    assert calm.tier >= calm.systemic_tier > Tier.NORMAL
    assert calm.tier_before is Tier.NORMAL
    assert calm.score < 1.0
    assert calm.systemic_score > 3.0
    assert (calm.epoch, calm.channel_id, calm.model_id) == (3, "TEST", "test")
    for one in states_of(outcomes):
        assert one.tier >= one.systemic_tier


def test_floor_never_lowers(model: ModelFolder, start: SystemicStart, viewed: list[ViewedTicks]) -> None:
    wide = [widened(ticks) for ticks in viewed]
    alone = {(s.instrument_id, s.tick_ns): s.tier for s in states_of(played(model, None, wide))}
    for state in states_of(played(model, start, wide)):
        assert state.tier >= alone.get((state.instrument_id, state.tick_ns), Tier.NORMAL)


def test_market_survives_a_restart_between_any_two_messages(
    model: ModelFolder, start: SystemicStart, viewed: list[ViewedTicks]
) -> None:
    wide = [widened(ticks) for ticks in viewed]
    assert played(model, start, wide, restart=True) == played(model, start, wide)


@pytest.mark.parametrize("parts", [[], [b""], [b"a", b"", b"bcd"]])
def test_packed_parts_round_trip_and_damage_is_refused(parts: list[bytes]) -> None:
    raw = pack(parts)
    assert unpack(raw) == parts
    for damaged in (raw + b"x", raw[:-1]):
        with pytest.raises(ValueError, match="kept state"):
            unpack(damaged)


def test_release_that_a_maker_proposed_is_heard_again_when_a_checker_approves(
    model: ModelFolder, viewed: list[ViewedTicks]
) -> None:
    machine = RiskScoring(lambda _: model, SETTINGS)
    proposed, approved = replace(release("r-1", 110), checker=None), release("r-1", 112)
    told: list[RiskAlert] = []
    for number, ticks in enumerate(viewed[100:120]):
        known = [proposed] if number < 15 else [proposed, approved]
        outcome = machine.apply(encode_viewed(ticks), scores_of(ticks), known)
        told.extend(cast("RiskAlert", codec.decode(topics.RISK_ALERTS, raw)) for _, raw in outcome.alerts)
    refused = [alert.message for alert in told if alert.kind is AlertKind.COMMAND_REFUSED]
    assert any("second person" in message for message in refused)
    assert any("nothing to release" in message for message in refused)
