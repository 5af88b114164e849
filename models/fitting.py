"""From calm sessions to a model folder: the stack fitted, tier levels from what it says of sessions that it did not see.

The first sessions teach scaling, measures and calibration, the last part gives the levels: the whole chain of production
runs over them, session by session as a fresh deployment, and the scores that it would have acted on are counted against
the budgets. Invariant: nothing that a level is judged on was learned from. Pure but for the folder that it writes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from models.alerting import ADVERSE_PART
from models.budgets import Budgets, levels_of
from models.detectors.calibration import Calibrator
from models.detectors.combining import strangeness
from models.detectors.stack import Stack
from models.detectors.systemic import PER_UNIT, fit_systemic, systemic_errors
from models.detectors.vae import VaeLikelihood
from models.detectors.views import F64
from models.evaluation.blocks import blocks_of_ticks
from models.folder import ModelFolder, write_folder
from models.inference import score
from models.risk import Pulse, RiskTracker, TrackerSettings
from models.serving.interface import WindowScorer
from models.serving.local import LocalWindowScorer
from models.serving.network import WindowNetwork
from models.systemic_start import SystemicStart
from models.tiers import TierLevels
from models.viewing import ChannelViews
from schemas.records import RiskAlert, RiskState
from schemas.ticks import Ticks
from schemas.units import NS_PER_S

Session = Sequence[Ticks]

DEFAULT_BUDGETS: Final = Budgets()
LEARNED_PART: Final = 0.5
SYSTEMIC_BUDGETS: Final = Budgets(elevated=2.0, high_alert=0.5, critical=0.05)
"""Episodes per channel-day; Critical is never reached by a channel as a whole."""

SYSTEMIC_TICKS_MIN: Final = 9_000
"""A quarter of an hour of a channel with enough members, on either side: below it nothing is said of the channel as a whole."""

NEVER: Final = TierLevels((0.0, np.inf, np.inf, np.inf), (0.0, np.inf, np.inf, np.inf))
SETTINGS: Final = TrackerSettings(epoch=0, heartbeat_ns=NS_PER_S)


@dataclass(frozen=True, slots=True)
class FitReport:
    """What fitting saw.

    Attributes:
        learned_rows: Rows of instruments that scaling, measures and calibration learned from.
        level_days: Instrument-days that the levels were counted on.
        parameters: Parameters of the network; 0 = none.
    """

    learned_rows: int
    level_days: float
    parameters: int


@dataclass(frozen=True, slots=True)
class Replayed:
    """What production would have said of a session.

    Attributes:
        states: Risk states.
        alerts: Alerts.
        pulses: One a tick.
    """

    states: list[RiskState]
    alerts: list[RiskAlert]
    pulses: list[Pulse]


def fit_folder(
    sessions: Sequence[Session],
    out: Path,
    *,
    make_stack: Callable[[], Stack],
    model_id: str,
    budgets: Budgets = DEFAULT_BUDGETS,
) -> tuple[ModelFolder, FitReport]:
    """Fit on calm sessions of one channel, in time order, and write the model folder ``out`` (but for its card).

    Args:
        sessions: Messages of ticks.
        out: Folder.
        make_stack: A stack to fit, with its measures.
        model_id: Name of the model.
        budgets: Episodes per instrument-day.

    Raises:
        ValueError: Fewer than two sessions, or too little calm in them.
    """
    if len(sessions) < 2:
        raise ValueError("training needs at least two sessions: one to learn from, one to find levels on")
    learned = min(max(1, round(len(sessions) * LEARNED_PART)), len(sessions) - 1)
    stack = make_stack()
    blocks = [block for n, session in enumerate(sessions[:learned]) for block in blocks_of_ticks(session, f"past-{n}")]
    stack.fit(blocks)
    model = ModelFolder(model_id, out, stack, budgets, NEVER)
    said = [replay(session, model) for session in sessions[learned:]]
    calm = [scores for one in said for scores in _adverse(one.pulses)]
    model = replace(
        model,
        levels=levels_of(calm, budgets),
        systemic=_systemic([_members(one.pulses) for one in said]),
    )
    write_folder(model)
    network = network_of(model)
    report = FitReport(
        learned_rows=sum(len(block) for block in blocks),
        level_days=sum(len(scores) for scores in calm) / 234_000,
        parameters=0 if network is None else _parameters(network),
    )
    return model, report


def replay(session: Session, model: ModelFolder) -> Replayed:
    """Return what ``score_risk`` would say of a session of one channel, started afresh with the network in this process."""
    views, tracker = ChannelViews(model, model.path.name), RiskTracker(lambda _: model, SETTINGS)
    found = network_of(model)
    network: WindowScorer | None = None if found is None else LocalWindowScorer(found)
    said = Replayed([], [], [])
    for ticks in session:
        viewed = views.step(ticks)
        ids, rows = viewed.ticks.instrument_id, viewed.views.opined
        scores = score(network, model.model_id, windows=viewed.views.window, ids=ids, rows=rows)
        tracked = tracker.step(viewed, scores, [])
        said.states.extend(tracked.states)
        said.alerts.extend(tracked.alerts)
        said.pulses.extend(tracked.pulses)
    return said


def network_of(model: ModelFolder) -> WindowNetwork | None:
    """Return the model's network as it is served; None where there is none."""
    for measure in model.stack.measures:
        if isinstance(measure, VaeLikelihood):
            instruments = tuple(int(one) for one in measure.arrays()["instruments"])
            return WindowNetwork(model.model_id, measure.onnx, instruments)
    return None


def _members(pulses: Sequence[Pulse]) -> F64:
    """Return ``(ticks, instruments)`` S, NaN = no opinion."""
    return _table(pulses, lambda pulse: pulse.strange)


def _adverse(pulses: Sequence[Pulse]) -> list[F64]:
    """Return S of each instrument, 0 where it does not point in the dangerous direction."""
    strange = _members(pulses)
    adverse = _table(pulses, lambda pulse: pulse.adverse_share) >= ADVERSE_PART
    return list(np.where(np.isnan(strange), np.nan, np.where(adverse, strange, 0.0)).T)


def _table(pulses: Sequence[Pulse], of: Callable[[Pulse], F64]) -> F64:
    ids = sorted({int(one) for pulse in pulses for one in pulse.instrument_id})
    place = {one: n for n, one in enumerate(ids)}
    table = np.full((len(pulses), len(ids)), np.nan)
    for row, pulse in enumerate(pulses):
        table[row, [place[int(one)] for one in pulse.instrument_id]] = of(pulse)
    return table


def _systemic(sessions: Sequence[F64]) -> SystemicStart | None:
    """Return the start of the channel as a whole: calibrated on the first sessions, its levels from the rest."""
    middle = max(1, len(sessions) // 2)
    first, rest = sessions[:middle], sessions[middle:] or sessions[:middle]
    known = [sum(int(np.isfinite(systemic_errors(one)).sum()) for one in part) for part in (first, rest)]
    if min(known) < SYSTEMIC_TICKS_MIN:
        return None  # fewer members than make a market, or too little of it
    start = fit_systemic(first)
    calm = []
    for session in rest:
        calibrator, errors = Calibrator(start), PER_UNIT * systemic_errors(session)[:, None]
        slot = calibrator.slots(np.zeros(1, dtype=np.uint32))
        found = np.full(len(errors), np.nan)
        for row in np.flatnonzero(np.isfinite(errors[:, 0])):
            found[row] = strangeness(calibrator.p(slot, errors[row : row + 1]))[0, 0]
            calibrator.learn(slot, errors[row : row + 1])
        calm.append(found)
    return SystemicStart(start, levels_of(calm, SYSTEMIC_BUDGETS))


def _parameters(network: WindowNetwork) -> int:
    import onnx  # noqa: PLC0415 - in the training group

    graph = onnx.load_from_string(network.onnx).graph
    return sum(int(np.prod(tensor.dims)) for tensor in graph.initializer)
