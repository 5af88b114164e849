"""A killed inference server as the risk states see it: the very tick that has no answer is judged by the other measures."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from jobs.machines.channel_risk import RiskScoring
from jobs.machines.tick_scaling import TickScaling
from jobs.machines.tracked import decode_tracked
from models.budgets import Budgets
from models.detectors.linear import LargestScore
from models.detectors.stack import Stack
from models.detectors.vae import VaeLikelihood
from models.evaluation.blocks import blocks_of_ticks
from models.folder import ModelFolder, ModelShelf, read_folder, write_folder
from models.inference import OpenNetworks, score_bytes
from models.risk import TrackerSettings
from models.serving.network import WindowNetwork, read_network
from models.serving.remote import RemoteWindowScorer
from models.tiers import TierLevels
from models.train import WindowTraining, train_window_vae
from models.wire import decode_scores
from schemas import codec, topics
from schemas.errors import Place
from schemas.records import RiskState
from schemas.ticks import Ticks, encode_ticks
from tests.integration.serving import Serving, served
from tests.models.conftest import calm_books as calm_session

pytestmark = pytest.mark.integration

DEADLINE_MS = 20.0
TICK_S = 0.05
BACK_S = 30.0
WARM_TICKS = 700  # scaler, window and slow views have an opinion by then
STREAMED = 240
KILLED, RESTARTED = 40, 80
INSTRUMENTS = 4


@dataclass(frozen=True)
class Scored:
    """One tick of the stream: did the network answer, and which states left."""

    answered: bool
    states: list[RiskState]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    """The largest score and a network, combined."""
    quick = WindowTraining(steps=60)
    vae = VaeLikelihood(lambda windows, numbers, seed: train_window_vae(windows, numbers, seed, training=quick))
    stack = Stack([LargestScore(), vae], 7)
    past = [calm_session(seed, 1_000, INSTRUMENTS) for seed in range(3)]
    stack.fit([block for number, one in enumerate(past) for block in blocks_of_ticks(one, f"past-{number}")])
    path = tmp_path_factory.mktemp("models") / "with-network"
    levels = TierLevels(enter=(0.0, 3.0, 5.0, 8.0), leave=(0.0, 2.0, 3.0, 5.0))
    write_folder(ModelFolder("with-network", path, stack, Budgets(), levels))
    return read_folder(path)


@pytest.fixture(scope="module")
def network(model: ModelFolder) -> WindowNetwork:
    found = read_network(model.path)
    assert found is not None
    return found


@pytest.fixture
def triton(network: WindowNetwork, tmp_path: Path) -> Iterator[Serving]:
    with served(network, tmp_path) as serving:
        yield serving


class Channel:
    """The job's steps for one channel: scaling, the network, tracking; a state for every tick."""

    def __init__(self, model: ModelFolder, scorer: RemoteWindowScorer) -> None:
        self.scorer = scorer
        shelf = ModelShelf(model.path)
        self._scaling = TickScaling(shelf, epoch=1)
        self._networks = OpenNetworks(lambda _name: (model.model_id, scorer))
        self._tracking = RiskScoring(shelf, TrackerSettings(epoch=1, heartbeat_ns=1))
        self._first = lambda: (shelf.first, shelf(shelf.first))

    def step(self, ticks: Ticks) -> Scored:
        (viewed,) = self._scaling.apply(encode_ticks(ticks), Place(topics.FEATURES_TICKS, 0, 0)).viewed
        scores = score_bytes(viewed, self._networks, self._first)
        tracked = self._tracking.apply(viewed, scores, []).tracked
        assert tracked is not None
        states = [codec.decode(topics.RISK_STATES, raw) for _, (_, raw) in decode_tracked(tracked).states]
        return Scored(not decode_scores(scores).degraded, cast("list[RiskState]", states))


def test_every_tick_has_its_states_at_once_and_exactly_those_without_an_answer_are_degraded(
    model: ModelFolder, network: WindowNetwork, triton: Serving
) -> None:
    scorer = RemoteWindowScorer(network, triton.url, DEADLINE_MS)
    messages = calm_session(11, WARM_TICKS + STREAMED, INSTRUMENTS)
    channel = Channel(model, scorer)
    threads = {KILLED: threading.Thread(target=triton.kill), RESTARTED: threading.Thread(target=triton.start)}
    found: list[Scored] = []
    try:
        assert scorer.wait(BACK_S), scorer.trouble
        for message in messages[:WARM_TICKS]:
            channel.step(message)
        start = time.monotonic()
        for number, message in enumerate(messages[WARM_TICKS:]):
            if number in threads:
                threads[number].start()
            time.sleep(max(0.0, start + number * TICK_S - time.monotonic()))
            found.append(channel.step(message))
        threads[RESTARTED].join()
        assert scorer.wait(BACK_S), scorer.trouble
        last = channel.step(calm_session(12, 1, INSTRUMENTS, first=WARM_TICKS + STREAMED + 1)[0])
    finally:
        scorer.close()
    for message, one in zip(messages[WARM_TICKS:], found, strict=True):
        assert [state.instrument_id for state in one.states] == message.instrument_id.tolist()
        assert {state.tick_ns for state in one.states} == {int(message.tick_ns[0])}
        assert {state.degraded for state in one.states} == {not one.answered}
        assert all(np.isfinite([state.score, state.p]).all() for state in one.states)
    assert sum(one.answered for one in found[:KILLED]) >= KILLED / 2
    assert not any(one.answered for one in found[KILLED + 5 : RESTARTED])
    assert last.answered
    assert not any(state.degraded for state in last.states)
