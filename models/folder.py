"""The model folder: what training writes and scoring reads. Every file is small text but the weights.

``model.json``   id, feature-spec hash, priors, calibration of both back ends, tier levels
``model.onnx``   the network
``card.md``      what it is, how it was made, what was measured
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from features.spec import SCORED_NAMES, SPEC_HASH
from models.calibrate import Tail
from models.scaling import Prior
from models.tiers import TierLevels

MODEL_FILE: Final = "model.json"
ONNX_FILE: Final = "model.onnx"
CARD_FILE: Final = "card.md"


class ModelError(ValueError):
    """A model folder that cannot be used; the message names the file and the reason."""


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A model, without its network.

    Attributes:
        model_id: Name of the model, at most 24 ASCII characters.
        path: The folder.
        priors: Instrument → prior of the scaler.
        tail: Calibration of the VAE's error.
        simple_tail: Calibration of the simple stack's error.
        levels: Tier levels.
    """

    model_id: str
    path: Path
    priors: dict[int, Prior] = field(repr=False)
    tail: Tail
    simple_tail: Tail
    levels: TierLevels


def read_folder(path: Path) -> ModelFolder:
    """Return the model in ``path``.

    Raises:
        ModelError: A file is missing or damaged, or the model was trained on other features.
    """
    try:
        raw: dict[str, Any] = json.loads((path / MODEL_FILE).read_text())
        if raw["spec_hash"] != SPEC_HASH:
            raise ModelError(f"{path}: trained on features {raw['spec_hash']}, these are {SPEC_HASH}: train again")
        priors = {
            int(instrument): Prior(np.array(prior["location"]), np.array(prior["scale"]))
            for instrument, prior in raw["priors"].items()
        }
        levels = TierLevels(tuple(raw["tiers"]["enter"]), tuple(raw["tiers"]["leave"]))
        tail, simple_tail = Tail.from_dict(raw["tail"]), Tail.from_dict(raw["simple_tail"])
        return ModelFolder(raw["model_id"], path, priors, tail, simple_tail, levels)
    except (OSError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise ModelError(f"{path / MODEL_FILE}: {type(error).__name__}: {error}") from error


def write_folder(model: ModelFolder) -> None:
    """Write ``model.json`` into the model's folder."""
    plain = {
        "model_id": model.model_id,
        "spec_hash": SPEC_HASH,
        "features": list(SCORED_NAMES),
        "tiers": {"enter": list(model.levels.enter), "leave": list(model.levels.leave)},
        "tail": model.tail.to_dict(),
        "simple_tail": model.simple_tail.to_dict(),
        "priors": {
            str(instrument): {"location": _rounded(prior.location), "scale": _rounded(prior.scale)}
            for instrument, prior in sorted(model.priors.items())
        },
    }
    model.path.mkdir(parents=True, exist_ok=True)
    (model.path / MODEL_FILE).write_text(json.dumps(plain, indent=1) + "\n")


def _rounded(values: Any) -> list[float]:
    return [round(float(value), 9) for value in values]
