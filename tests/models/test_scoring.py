"""Scaling, calibration, wire, inference and the tracker: laws, and replay through all of them."""

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.training import simulated_ticks
from features.spec import SCORED_NAMES, SPEC_HASH
from models.calibrate import fit_tail
from models.folder import ModelError, ModelFolder, read_folder
from models.inference import FallbackScorer, LocalScorer, SimpleScorer, score_bytes
from models.risk import RiskTracker, TrackerSettings
from models.scaling import CLIP, Scaler
from models.wire import ScaledTicks, Scores, decode_scaled, decode_scores, encode_scaled, encode_scores
from schemas.errors import MessageError
from schemas.events import TickStatus
from schemas.records import AlertKind, CommandKind, RiskAlert, RiskCommand, RiskState, Tier
from schemas.ticks import Ticks, encode_ticks

pytestmark = pytest.mark.slow

DEFAULT = Path(__file__).parents[2] / "models" / "default"
SETTINGS = TrackerSettings(epoch=3, heartbeat_ns=1_000_000_000)
F = len(SCORED_NAMES)


@pytest.fixture(scope="module")
def model() -> ModelFolder:
    return read_folder(DEFAULT)


@pytest.fixture(scope="module")
def crash() -> list[Ticks]:
    return simulated_ticks("flash_crash", 7)


def ticks_of(values: npt.NDArray[np.float64], *, instrument: int = 77, start: int = 0, status: int = 0) -> Ticks:
    rows = len(values)
    return Ticks(
        channel_id="T",
        epoch=1,
        spec_hash=SPEC_HASH,
        feature_names=SCORED_NAMES,
        tick_ns=(start + 1 + np.arange(rows, dtype=np.int64)) * 100_000_000,
        instrument_id=np.full(rows, instrument, dtype=np.uint32),
        status=np.full(rows, status, dtype=np.uint32),
        ref_price=np.full(rows, 50_000_000_000, dtype=np.int64),
        values=values,
    )


def release(ts_ns: int) -> RiskCommand:
    return RiskCommand("r-1", CommandKind.RELEASE, "instrument:1", ts_ns, "maker", "checker", "calm", 2**62, None)


def play(
    model: ModelFolder, messages: list[Ticks], *, restart_every: int = 0, commands: list[RiskCommand] | None = None
) -> tuple[list[RiskState], list[RiskAlert]]:
    scorer = LocalScorer(model.path, model.model_id)
    scaler, tracker = Scaler(model.priors), RiskTracker(model, SETTINGS)
    states, alerts = [], []
    for number, ticks in enumerate(messages):
        if restart_every and number % restart_every == 0:
            scaler = Scaler.from_bytes(scaler.to_bytes(), model.priors)
            tracker = RiskTracker.from_bytes(tracker.to_bytes(), model, SETTINGS)
        scaled = scaler.step(ticks)
        new_states, new_alerts = tracker.step(scaled, scorer.score(scaled), commands or [])
        states += new_states
        alerts += new_alerts
    return states, alerts


def test_flash_crash_tightens_in_steps_and_leaves_the_others_alone(model: ModelFolder, crash: list[Ticks]) -> None:
    states, _ = play(model, crash)
    rises = [(s.instrument_id, s.tier) for s in states if s.tier > s.tier_before]
    assert rises == [(1, Tier.ELEVATED), (1, Tier.HIGH_ALERT), (1, Tier.CRITICAL)]
    assert states[-1].epoch == 3


def test_replay_with_restarts_and_repeats_gives_the_same_states(model: ModelFolder, crash: list[Ticks]) -> None:
    part = crash[1000:1400]
    wanted = play(model, part)
    assert play(model, part, restart_every=7) == wanted
    repeated = [
        ticks for number, ticks in enumerate(part) for ticks in ([ticks, part[number - 3]] if number > 3 else [ticks])
    ]
    assert play(model, repeated) == wanted


def test_release_takes_effect_at_its_event_time_and_once(model: ModelFolder, crash: list[Ticks]) -> None:
    states, _ = play(model, crash)
    critical = next(s for s in states if s.tier is Tier.CRITICAL)
    at = critical.tick_ns + 5_000_000_000
    states, alerts = play(model, crash, commands=[release(at)])
    released = next(
        s for s in states if s.tick_ns > critical.tick_ns and s.instrument_id == 1 and s.tier is not Tier.CRITICAL
    )
    assert released.tick_ns == at
    assert [a.kind for a in alerts if a.kind is AlertKind.COMMAND_APPLIED] == [AlertKind.COMMAND_APPLIED]


def test_stale_rows_are_published_as_stale_and_told_once(model: ModelFolder, crash: list[Ticks]) -> None:
    values = np.repeat(crash[500].values[:1], 30, axis=0)
    states, alerts = play(model, [ticks_of(values, instrument=1, status=TickStatus.STALE)])
    assert all(s.stale for s in states)
    assert len(states) == 3  # first, and a heartbeat each second
    assert [a.kind for a in alerts] == [AlertKind.FEED_STALE]


def test_unknown_instrument_gets_no_state_before_it_is_warm(model: ModelFolder, crash: list[Ticks]) -> None:
    rng = np.random.default_rng(3)
    values = np.abs(crash[500].values[:1, :F] * (1 + 0.05 * rng.normal(size=(3_000, F))))
    states, _ = play(model, [ticks_of(values)])
    assert states
    assert states[0].tick_ns > 600 * 100_000_000


@given(st.integers(1, 150))
def test_a_crisis_of_seconds_hardly_moves_the_ruler(length: int) -> None:
    rng = np.random.default_rng(1)
    model = read_folder(DEFAULT)
    scaler = Scaler(model.priors)
    calm = np.expm1(model.priors[1].location)[None, :] * np.ones((200, 1))
    scaler.step(ticks_of(np.abs(calm), instrument=1))
    before = scaler.ruler(1).location, scaler.ruler(1).scale
    scaler.step(ticks_of(np.abs(calm[:length] * rng.uniform(50, 100)), instrument=1, start=200))
    moved = np.abs(scaler.ruler(1).location - before[0]) / before[1]
    assert float(moved.max()) <= length * CLIP * 4e-5 * 1.2


def test_null_feature_scores_zero(model: ModelFolder, crash: list[Ticks]) -> None:
    values = np.repeat(crash[900].values[:1], 120, axis=0)
    values[:, 5] = np.nan
    scaled = Scaler(model.priors).step(ticks_of(values, instrument=1))
    assert scaled.scored[-1]
    assert not scaled.z[:, 5].any()


def test_tail_is_continuous_and_strictly_falling() -> None:
    errors = np.random.default_rng(2).lognormal(1.0, 0.5, 20_000)
    tail = fit_tail(errors)
    u = np.linspace(tail.threshold - 0.2, tail.threshold + 30, 2_000)
    p = np.array([tail.p(x) for x in u])
    above = p[u > tail.threshold + 1e-6]
    assert np.all(np.diff(above) < 0)
    assert abs(tail.p(tail.threshold) - tail.p(tail.threshold + 1e-9)) < 1e-6
    assert -math.log10(tail.p(60.0)) > 10


def test_too_few_errors_are_refused() -> None:
    with pytest.raises(ValueError, match="1000 calm errors"):
        fit_tail(np.ones(10))


def test_wire_round_trips_and_refuses_damage(model: ModelFolder, crash: list[Ticks]) -> None:
    scaled = Scaler(model.priors).step(crash[600])
    raw = encode_scaled(scaled)
    back = decode_scaled(raw)
    assert np.array_equal(back.z, scaled.z)
    assert np.array_equal(back.scored, scaled.scored)
    scores = SimpleScorer("m").score(scaled)
    again = decode_scores(encode_scores(scores))
    assert (again.model_id, again.degraded) == ("m", True)
    assert np.array_equal(again.share, scores.share)
    for bad in (b"", b"junk", raw[: len(raw) // 2], encode_scores(scores)):
        with pytest.raises(MessageError):
            decode_scaled(bad)


def test_sql_function_takes_scaled_ticks_and_plain_feature_ticks(model: ModelFolder, crash: list[Ticks]) -> None:
    scorer = LocalScorer(model.path, model.model_id)
    scaled = encode_scaled(Scaler(model.priors).step(crash[600]))
    for raw in (scaled, encode_ticks(crash[600])):
        assert len(decode_scores(score_bytes(raw, model, scorer)).error) == 4


class Broken:
    def score(self, ticks: ScaledTicks) -> Scores:
        raise RuntimeError("the back end is gone")


def test_failed_back_end_leaves_the_simple_stack_and_says_so(model: ModelFolder, crash: list[Ticks]) -> None:
    scorer = FallbackScorer(Broken(), SimpleScorer(model.model_id))
    scaler, tracker = Scaler(model.priors), RiskTracker(model, SETTINGS)
    states, alerts = [], []
    for ticks in crash[:300]:
        scaled = scaler.step(ticks)
        scores = scorer.score(scaled)
        assert scores.degraded
        new = tracker.step(scaled, scores, [])
        states += new[0]
        alerts += new[1]
    assert all(s.degraded for s in states if not s.stale)
    assert [a.kind for a in alerts].count(AlertKind.SCORER_DEGRADED) == 4  # once per instrument


def test_network_equals_torch(model: ModelFolder) -> None:
    card = (model.path / "card.md").read_text()
    assert "ONNX equals torch within" in card


def test_model_of_other_features_is_refused(tmp_path: Path, model: ModelFolder) -> None:
    (tmp_path / "model.json").write_text((model.path / "model.json").read_text().replace(SPEC_HASH, "0" * 16))
    with pytest.raises(ModelError, match="train again"):
        read_folder(tmp_path)
    with pytest.raises(ModelError, match="FileNotFoundError"):
        read_folder(tmp_path / "absent")


def test_default_model_is_small() -> None:
    assert sum(path.stat().st_size for path in DEFAULT.iterdir()) <= 200_000
