"""The steps of `score_risk` in one process, and the scores of every tick: of the model that serves and of one that only watches.

The serving model tells states as the job does (on change and each heartbeat), raised by the step of all channels. What it and
the network alone say at every tick become the rows of ``risk.scores``, the network as a shadow.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from jobs.machines.channel_risk import RiskOutcome, RiskScoring
from jobs.machines.market_risk import MarketRisk
from jobs.machines.scored import scores_of
from jobs.machines.tick_scaling import TickScaling
from jobs.machines.tracked import decode_tracked
from models.detectors.stack import Stack
from models.folder import ModelFolder, ModelShelf
from models.inference import OpenNetworks, score_bytes
from models.risk import TrackerSettings
from models.serving.interface import WindowScorer
from models.serving.local import LocalWindowScorer
from models.serving.network import read_network
from schemas import topics
from schemas.errors import Place
from schemas.records import RiskCommand
from schemas.scores import encode_scores
from schemas.units import NS_PER_S

SHADOW: Final = "network-alone"
NETWORK: Final = "vae"


@dataclass(frozen=True, slots=True)
class Scored:
    """What one message of ticks led to: encoded messages of each topic."""

    states: list[bytes]
    alerts: list[bytes]
    scores: list[bytes]
    events: list[bytes]


class Scoring:
    """One channel.

    Args:
        model_dir: Model folder.
        epoch: Deployment epoch.
        heartbeat_ns: A state at least so often, in event time.

    Raises:
        ModelError: The folder cannot be used.
    """

    def __init__(self, model_dir: Path, *, epoch: int, heartbeat_ns: int = NS_PER_S) -> None:
        self._shelf, self._epoch = ModelShelf(model_dir), epoch
        model = self._shelf(self._shelf.first)
        self._networks = OpenNetworks(self._open)
        self._scaling = TickScaling(self._shelf, epoch=epoch)
        settings = TrackerSettings(epoch, heartbeat_ns)
        self._serving = RiskScoring(self._shelf, settings)
        watching = network_alone(model)
        self._watching = None if watching is None else RiskScoring(lambda _: watching, settings)
        self._market = MarketRisk(lambda name: self._shelf(name).systemic, epoch=epoch)

    def apply(self, ticks: bytes, releases: Sequence[RiskCommand]) -> Scored:
        """Take one message of ``features.ticks``; ``releases`` are all release commands so far."""
        scaled = self._scaling.apply(ticks, Place(topics.FEATURES_TICKS))
        out = Scored([], [], [], [raw for _, raw in scaled.events])
        for viewed in scaled.viewed:
            answer = score_bytes(viewed, self._networks, lambda: (self._shelf.first, self._shelf(self._shelf.first)))
            told = self._serving.apply(viewed, answer, releases)
            assert told.tracked is not None
            raised = self._market.apply(told.tracked)
            out.states.extend(raw for _, raw in raised.states)
            out.alerts.extend(raw for _, raw in (*told.alerts, *raised.alerts))
            out.scores.extend(self._rows(told, shadow=False))
            if self._watching is not None:
                out.scores.extend(self._rows(self._watching.apply(viewed, answer, releases), shadow=True))
        return out

    def _open(self, name: str) -> tuple[str, WindowScorer | None]:
        network = read_network(self._shelf.path(name))
        return name, None if network is None else LocalWindowScorer(network)

    def _rows(self, outcome: RiskOutcome, *, shadow: bool) -> list[bytes]:
        if not shadow:
            return [raw for _, raw in outcome.scores]
        assert outcome.tracked is not None
        rows = scores_of(decode_tracked(outcome.tracked), epoch=self._epoch, shadow=True)
        return [] if rows is None else [encode_scores(rows)]


def network_alone(model: ModelFolder) -> ModelFolder | None:
    """Return the model as it would be if its network alone decided; None where it has none."""
    if NETWORK not in {measure.name for measure in model.stack.measures}:
        return None
    stack = Stack(model.stack.measures, 0, combined=(NETWORK,))
    stack.restore(model.stack.past, model.stack.start)
    return replace(model, model_id=SHADOW, stack=stack)
