"""The loop's machines in this process under a load: CPU seconds and bytes of each step, for each second of event time.

Invariant: CPU time of this process, not the wall's, so neighbours on the machine weigh little; what comes before ``WARM_UP_S``
is not counted (an instrument that the model does not know is judged from 11 s on). Kafka and Flink are not in it: what they add to
each frame was measured apart (``benchmarks/results/capacity.json``, ``path``).
"""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from deploy.planning.load import CHANNEL, START_NS, Load, frames_of_load
from jobs.machines.channel_features import ChannelFeatures
from jobs.machines.channel_risk import RiskScoring
from jobs.machines.market_risk import MarketRisk
from jobs.machines.tick_scaling import TickScaling
from models.folder import ModelShelf
from models.inference import OpenNetworks, score_bytes
from models.risk import TrackerSettings
from models.serving.interface import WindowScorer
from models.serving.local import LocalWindowScorer
from models.serving.network import read_network
from schemas import topics
from schemas.errors import Place
from schemas.frames import encode_frame
from schemas.units import NS_PER_S

WARM_UP_S: Final = 14.0
EPOCH: Final = 1


@dataclass(frozen=True, slots=True)
class Measured:
    """What a second of event time cost.

    Attributes:
        frames_per_s: Frames, heartbeats among them.
        features_cpu: CPU seconds of decoding, kernel and encoding of ticks.
        score_cpu: CPU seconds of scaling, network, measures, tracking and states.
        frame_bytes: Bytes of ``market.frames``.
        tick_bytes: Of ``features.ticks``.
        state_bytes: Of ``risk.states``.
        score_bytes: Of ``risk.scores``.
        snapshot_bytes: Of the kernel's snapshot at the end: state, not a rate.
    """

    frames_per_s: float
    features_cpu: float
    score_cpu: float
    frame_bytes: float
    tick_bytes: float
    state_bytes: float
    score_bytes: float
    snapshot_bytes: float


class _Scorer:
    """The steps of ``score_risk`` for one channel."""

    def __init__(self, model_dir: Path) -> None:
        self._shelf = ModelShelf(model_dir)
        self._networks = OpenNetworks(self._open)
        self._scaling = TickScaling(self._shelf, epoch=EPOCH)
        self._risk = RiskScoring(self._shelf, TrackerSettings(EPOCH, NS_PER_S))
        self._market = MarketRisk(lambda name: self._shelf(name).systemic, epoch=EPOCH)

    def apply(self, ticks: bytes) -> tuple[int, int]:
        """Score one message; return the bytes of states and of scores."""
        states = scores = 0
        for viewed in self._scaling.apply(ticks, Place(topics.FEATURES_TICKS)).viewed:
            answer = score_bytes(viewed, self._networks, lambda: (self._shelf.first, self._shelf(self._shelf.first)))
            told = self._risk.apply(viewed, answer, [])
            scores += sum(len(raw) for _, raw in told.scores)
            if told.tracked is not None:
                states += sum(len(raw) for _, raw in self._market.apply(told.tracked).states)
        return states, scores

    def _open(self, name: str) -> tuple[str, WindowScorer | None]:
        network = read_network(self._shelf.path(name))
        return name, None if network is None else LocalWindowScorer(network)


def measure(load: Load, model_dir: Path, *, repeats: int = 2) -> Measured:
    """Run ``load`` through the machines of the jobs; of CPU times the least of ``repeats`` runs, which neighbours disturb least.

    Raises:
        ModelError: The model folder cannot be used.
        ValueError: The load is over before the warm-up is.
    """
    if load.seconds <= WARM_UP_S:
        raise ValueError(f"seconds: {load.seconds} is within the warm-up of {WARM_UP_S}")
    runs = [_run(load, model_dir) for _ in range(repeats)]
    least = {name: min(getattr(run, name) for run in runs) for name in ("features_cpu", "score_cpu")}
    return replace(runs[0], **least)


def _run(load: Load, model_dir: Path) -> Measured:
    begin_ns = START_NS + int(WARM_UP_S * NS_PER_S)
    frames = [(frame.ts_last_ns > begin_ns, encode_frame(frame)) for frame in frames_of_load(load)]
    machine, scorer = ChannelFeatures(CHANNEL, epoch=EPOCH), _Scorer(model_dir)
    sums = dict.fromkeys(("frames", "features_cpu", "score_cpu", "frame", "tick", "state", "score"), 0.0)
    snapshot = b""
    for counts, raw in frames:
        began = time.process_time()
        outcome = machine.apply(raw, Place(topics.MARKET_FRAMES))
        reached = time.process_time()
        snapshot = outcome.snapshot or snapshot
        states, scores = scorer.apply(outcome.ticks) if outcome.ticks is not None else (0, 0)
        if counts:
            sums["frames"] += 1
            sums["features_cpu"] += reached - began
            sums["score_cpu"] += time.process_time() - reached
            sums["frame"] += len(raw)
            sums["tick"] += len(outcome.ticks or b"")
            sums["state"] += states
            sums["score"] += scores
    seconds = load.seconds - WARM_UP_S
    frames_per_s, features, score, frame, tick, state, told = (value / seconds for value in sums.values())
    return Measured(frames_per_s, features, score, frame, tick, state, told, float(len(snapshot)))
