"""The model folder: what training writes and scoring reads.

``model.json``   text to read: id, feature-spec hash, budgets and tier levels, measures and which are combined, groups
``weights.npz``  what scaling, measures and calibrations learned, bit for bit
``model.onnx``   the network, where there is one
``card.md``      what it is, how it was made, what was measured

Invariant: a folder that was written and read again judges every tick by the same bits. A folder of another format or other
features is refused with what to do. Rejected: pickles (they run what is in them), and arrays as JSON (they double the size
and hide rounding).
"""

import json
import re
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import numpy as np

from features.spec import SCORED_NAMES, SPEC_HASH
from models.budgets import Budgets
from models.detectors.calibration import CalibrationStart
from models.detectors.interface import Arrays
from models.detectors.registry import measure_named
from models.detectors.stack import Stack
from models.detectors.vae import VaeLikelihood
from models.model_files import MODEL_FILE, ONNX_FILE, WEIGHTS_FILE, ModelError
from models.past import DayShape, SessionPast
from models.scaling import Prior
from models.systemic_start import SystemicStart
from models.tiers import TierLevels

FORMAT: Final = 2
TIERS: Final = ("elevated", "high_alert", "critical")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True, eq=False)
class ModelFolder:
    """A model.

    Attributes:
        model_id: Name of the model, at most 24 ASCII characters.
        path: The folder.
        stack: Fitted scaling, measures and where their calibration starts.
        budgets: Episodes per instrument-day that the levels are for.
        levels: Tier levels.
        systemic: Calibration and levels of a channel as a whole; None = no opinion of it.
    """

    model_id: str
    path: Path
    stack: Stack = field(repr=False)
    budgets: Budgets
    levels: TierLevels
    systemic: SystemicStart | None = field(default=None, repr=False)


class ModelShelf:
    """Model folders beside each other, by name; each is read once.

    Args:
        first: The folder that a job starts with. Others lie in the same parent folder.
    """

    def __init__(self, first: Path) -> None:
        self.first = first.resolve().name
        self._root = first.resolve().parent
        self._read: dict[str, ModelFolder] = {}

    def path(self, name: str) -> Path:
        """Return a model's folder.

        Raises:
            ModelError: The name is none of a folder here.
        """
        if not _NAME.fullmatch(name):
            raise ModelError(f"{name!r} is no name of a model folder: letters, digits, '.', '_' and '-', at most 64")
        return self._root / name

    def __call__(self, name: str) -> ModelFolder:
        """Return a model.

        Raises:
            ModelError: It cannot be used.
        """
        if name not in self._read:
            self._read[name] = read_folder(self.path(name))
        return self._read[name]


def read_folder(path: Path) -> ModelFolder:
    """Return the model in ``path``.

    Raises:
        ModelError: A file is missing or damaged, of another format, or the model was trained on other features.
    """
    try:
        raw: dict[str, Any] = json.loads((path / MODEL_FILE).read_text())
        if raw["spec_hash"] != SPEC_HASH:
            raise ModelError(f"{path}: trained on features {raw['spec_hash']}, these are {SPEC_HASH}: train again")
        if raw.get("format") != FORMAT:
            raise ModelError(f"{path}: a model folder of format {raw.get('format', 1)}, wanted {FORMAT}: train again")
        with np.load(path / WEIGHTS_FILE, allow_pickle=False) as stored:
            weights = {name: stored[name] for name in stored.files}
        onnx = (path / ONNX_FILE).read_bytes() if "network" in raw else b""
        return _model(path, raw, weights, onnx=onnx)
    except ModelError:
        raise
    except (OSError, KeyError, TypeError, ValueError, IndexError, EOFError, zipfile.BadZipFile) as error:
        raise ModelError(f"{path / MODEL_FILE}: {type(error).__name__}: {error}") from error


def write_folder(model: ModelFolder) -> None:
    """Write everything but the card into the model's folder; the same model gives the same bytes."""
    stack, network = model.stack, _network(model.stack)
    plain = {
        "model_id": model.model_id,
        "format": FORMAT,
        "spec_hash": SPEC_HASH,
        "features": list(SCORED_NAMES),
        "measures": [measure.name for measure in stack.measures],
        "combined": [m.name for m, used in zip(stack.measures, stack.combined.tolist(), strict=True) if used],
        "budgets_per_instrument_day": asdict(model.budgets),
        "tiers": _tiers(model.levels),
        "groups": {str(one): group for one, group in sorted(stack.past.groups.items())},
        **({} if model.systemic is None else {"systemic_tiers": _tiers(model.systemic.levels)}),
        **({} if network is None else {"network": {"instruments": network.arrays()["instruments"].tolist()}}),
    }
    weights = {f"past.{name}": array for name, array in _past_arrays(stack.past).items()}
    weights |= {f"start.{name}": array for name, array in stack.start.arrays().items()}
    for measure in stack.measures:
        weights |= {f"measure.{measure.name}.{name}": array for name, array in measure.arrays().items()}
    if model.systemic is not None:
        weights |= {f"systemic.{name}": array for name, array in model.systemic.start.arrays().items()}
    model.path.mkdir(parents=True, exist_ok=True)
    (model.path / MODEL_FILE).write_text(json.dumps(plain, indent=1) + "\n")
    np.savez_compressed(model.path / WEIGHTS_FILE, **cast("Any", weights))
    if network is not None:
        (model.path / ONNX_FILE).write_bytes(network.onnx)


def _model(path: Path, raw: dict[str, Any], weights: Arrays, *, onnx: bytes) -> ModelFolder:
    measures = [measure_named(name) for name in raw["measures"]]
    for measure in measures:
        measure.load(_of(weights, f"measure.{measure.name}."))
        if isinstance(measure, VaeLikelihood):
            measure.use(onnx)
    stack = Stack(measures, 0, combined=raw["combined"])
    groups = {int(one): str(group) for one, group in raw["groups"].items()}
    stack.restore(_past(_of(weights, "past."), groups), CalibrationStart.from_arrays(_of(weights, "start.")))
    systemic = None
    if "systemic_tiers" in raw:
        start = CalibrationStart.from_arrays(_of(weights, "systemic."))
        systemic = SystemicStart(start, _levels(raw["systemic_tiers"]))
    budgets = Budgets(**raw["budgets_per_instrument_day"])
    return ModelFolder(str(raw["model_id"]), path, stack, budgets, _levels(raw["tiers"]), systemic)


def _network(stack: Stack) -> VaeLikelihood | None:
    return next((measure for measure in stack.measures if isinstance(measure, VaeLikelihood)), None)


def _of(weights: Arrays, prefix: str) -> Arrays:
    return {name.removeprefix(prefix): array for name, array in weights.items() if name.startswith(prefix)}


def _tiers(levels: TierLevels) -> dict[str, dict[str, float]]:
    return {
        tier: {"enter": levels.enter[number], "leave": levels.leave[number]} for number, tier in enumerate(TIERS, 1)
    }


def _levels(raw: Mapping[str, Mapping[str, float]]) -> TierLevels:
    enter, leave = ([float(raw[tier][way]) for tier in TIERS] for way in ("enter", "leave"))
    return TierLevels((0.0, enter[0], enter[1], enter[2]), (0.0, leave[0], leave[1], leave[2]))


def _past_arrays(past: SessionPast) -> Arrays:
    groups = sorted(past.group_priors)
    return {
        "instruments": np.array(list(past.priors), dtype=np.int64),
        "priors": _stacked([*past.priors.values()]),
        "groups": np.array(groups, dtype=np.str_),
        "group_priors": _stacked([past.group_priors[group] for group in groups]),
        "shape_instruments": np.array(list(past.shape.rows), dtype=np.int64),
        "shape_rows": np.array(list(past.shape.rows.values()), dtype=np.int64),
        "shift": past.shape.shift,
        "ratio": past.shape.ratio,
    }


def _past(arrays: Arrays, groups: Mapping[int, str]) -> SessionPast:
    rows = dict(zip(arrays["shape_instruments"].tolist(), arrays["shape_rows"].tolist(), strict=True))
    return SessionPast(
        priors=dict(zip(arrays["instruments"].tolist(), _unstacked(arrays["priors"]), strict=True)),
        groups=groups,
        group_priors=dict(zip(arrays["groups"].tolist(), _unstacked(arrays["group_priors"]), strict=True)),
        shape=DayShape(rows, arrays["shift"], arrays["ratio"]),
    )


def _stacked(priors: list[Prior]) -> Any:
    return np.array([[prior.location, prior.scale] for prior in priors]).reshape(len(priors), 2, len(SCORED_NAMES))


def _unstacked(stacked: Any) -> list[Prior]:
    return [Prior(location, scale) for location, scale in stacked]
