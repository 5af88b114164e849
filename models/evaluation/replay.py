"""A model on sessions it has not seen: false tier rises in calm, and the tier timeline of a stressed instrument. Pure replay."""

from collections.abc import Iterable
from typing import Final

from models.folder import ModelFolder
from models.inference import Scorer
from models.risk import RiskTracker, TrackerSettings
from models.scaling import Scaler
from schemas.records import RiskState
from schemas.ticks import Ticks
from schemas.units import NS_PER_S

SETTINGS: Final = TrackerSettings(epoch=0, heartbeat_ns=NS_PER_S)


def states_of(messages: Iterable[Ticks], model: ModelFolder, scorer: Scorer) -> list[RiskState]:
    """Return the risk states that a channel's ticks lead to, as ``score_risk`` would publish them."""
    scaler, tracker = Scaler(model.priors), RiskTracker(model, SETTINGS)
    states: list[RiskState] = []
    for ticks in messages:
        scaled = scaler.step(ticks)
        states += tracker.step(scaled, scorer.score(scaled), [])[0]
    return states


def rises(states: Iterable[RiskState]) -> list[RiskState]:
    """Return the states in which a tier rose."""
    return [state for state in states if state.tier > state.tier_before]
