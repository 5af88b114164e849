"""The committed model on the flash crash: tightens early, in steps, on the right instrument, and replays exactly."""

from pathlib import Path

import pytest

from deploy.training import simulated_ticks
from feeds.simulator.scenario import Scenario, load_scenario
from models.folder import ModelFolder, read_folder
from models.inference import score
from models.risk import RiskTracker, TrackerSettings
from models.serving.local import LocalWindowScorer
from models.serving.network import read_network
from models.viewing import ChannelViews
from schemas.records import RiskState, Tier
from schemas.ticks import Ticks
from schemas.units import NS_PER_S

pytestmark = pytest.mark.slow

DEFAULT = Path(__file__).parents[2] / "models" / "default"
CRASHING = 1
EVERY_TICK = TrackerSettings(epoch=0, heartbeat_ns=1)


def replay(messages: list[Ticks], model: ModelFolder, *, restart_at: int | None = None) -> list[RiskState]:
    views, tracker = ChannelViews(model, "default"), RiskTracker(lambda _: model, EVERY_TICK)
    found = read_network(model.path)
    network = None if found is None else LocalWindowScorer(found)
    states: list[RiskState] = []
    for number, ticks in enumerate(messages):
        if number == restart_at:
            views = ChannelViews.from_bytes(views.to_bytes(), model, "default")
            tracker = RiskTracker.from_bytes(tracker.to_bytes(), lambda _: model, EVERY_TICK)
        viewed = views.step(ticks)
        ids, rows = viewed.ticks.instrument_id, viewed.views.opined
        scores = score(network, model.model_id, windows=viewed.views.window, ids=ids, rows=rows)
        states += tracker.step(viewed, scores, []).states
    return states


@pytest.fixture(scope="module")
def model() -> ModelFolder:
    return read_folder(DEFAULT)


@pytest.fixture(scope="module")
def plan() -> Scenario:
    return load_scenario("flash_crash")


@pytest.fixture(scope="module")
def messages() -> list[Ticks]:
    return simulated_ticks("flash_crash", 7)


@pytest.fixture(scope="module")
def states(messages: list[Ticks], model: ModelFolder) -> list[RiskState]:
    return replay(messages, model)


def first(states: list[RiskState], tier: Tier) -> RiskState:
    return next(s for s in states if s.instrument_id == CRASHING and s.tier >= tier)


def test_nothing_tightens_in_the_calm_part_nor_ever_on_the_other_instruments(
    states: list[RiskState], plan: Scenario
) -> None:
    wrong = [s for s in states if s.tier and (s.instrument_id != CRASHING or s.tick_ns < plan.marks["calm_until"])]
    assert not wrong


def test_first_tightening_comes_before_half_a_percent_is_lost(states: list[RiskState], plan: Scenario) -> None:
    calm = [s for s in states if s.instrument_id == CRASHING and s.tick_ns <= plan.marks["calm_until"]][-1]
    found = first(states, Tier.ELEVATED)
    assert found.tier is Tier.ELEVATED
    assert found.ref_price
    assert calm.ref_price
    assert found.ref_price / calm.ref_price - 1 > -0.005


def test_key_order_meets_high_alert_which_turns_critical_before_the_bottom(
    states: list[RiskState], plan: Scenario
) -> None:
    key_order_ns, bottom_ns = plan.marks["key_order"], plan.marks["bottom"]
    assert first(states, Tier.HIGH_ALERT).tick_ns <= key_order_ns - NS_PER_S
    assert key_order_ns + NS_PER_S // 2 < first(states, Tier.CRITICAL).tick_ns < bottom_ns
    after = [s.tier for s in states if s.instrument_id == CRASHING and s.tick_ns >= bottom_ns]
    assert set(after) == {Tier.CRITICAL}


def test_score_of_the_crash_grows_with_it(states: list[RiskState], plan: Scenario) -> None:
    own = {s.tick_ns: s for s in states if s.instrument_id == CRASHING}
    start_ns = plan.marks["calm_until"]
    scores = [own[start_ns + after * NS_PER_S].score for after in (0, 6, 10, 15, 20, 30)]
    assert scores == sorted(scores)
    assert own[start_ns + 15 * NS_PER_S].adverse_share > 0.9


def test_restart_in_the_middle_changes_no_state(
    messages: list[Ticks], model: ModelFolder, states: list[RiskState]
) -> None:
    again = replay(messages, model, restart_at=len(messages) * 2 // 3)
    assert [repr(s) for s in again] == [repr(s) for s in states]  # a null cause is NaN, unequal to itself
