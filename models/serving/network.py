"""The window network as it is served: its bytes, its instruments' numbers, and the name under which a server knows it.

Invariant: the served name follows from the bytes. A server that holds another network, however alike it is called, does not
know the name, so an answer is never another model's; two versions stand side by side while one is switched for the other.
"""

import hashlib
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from features.spec import SCORED
from models.detectors.views import F32, WINDOW, Ids
from models.model_files import MODEL_FILE, ONNX_FILE, ModelError

INPUT_CLIP: Final = 8.0
"""Robust scores are cut here where the network learns and where it judges."""

WINDOWS_INPUT: Final = "z"
INSTRUMENT_INPUT: Final = "instrument"
OUTPUT: Final = "contributions"

_DIGEST_LENGTH: Final = 12


@dataclass(frozen=True, slots=True)
class WindowNetwork:
    """A trained network.

    Attributes:
        model_id: The model that it is part of.
        onnx: The network: ``z`` ``(rows, WINDOW, features)`` float32 and ``instrument`` ``(rows,)`` int64 in, ``contributions``
            ``(rows, features)`` float32 out.
        instruments: Instruments that have an embedding of their own, in the order of their numbers from 1.
    """

    model_id: str
    onnx: bytes = field(repr=False)
    instruments: tuple[int, ...]

    @property
    def served_name(self) -> str:
        """Return the model's name on a server: model id and the start of the network's SHA-256."""
        word = re.sub(r"[^A-Za-z0-9_-]", "-", self.model_id)
        return f"{word}-{hashlib.sha256(self.onnx).hexdigest()[:_DIGEST_LENGTH]}"


class NetworkInputs:
    """Makes what the network reads from what the stack has."""

    def __init__(self, instruments: tuple[int, ...]) -> None:
        known = np.array(instruments, dtype=np.uint32)
        self._order = np.argsort(known, kind="stable")
        self._sorted = known[self._order]

    def make(self, windows: F32, instrument_id: Ids) -> tuple[F32, npt.NDArray[np.int64]]:
        """Return clipped windows and the instruments' numbers; 0 is everyone whom the network does not know.

        Raises:
            ValueError: Other shapes than ``(k, WINDOW, features)`` and ``(k,)``.
        """
        if windows.shape != (len(instrument_id), WINDOW, len(SCORED)):
            raise ValueError(f"windows {windows.shape} of {len(instrument_id)} instruments")
        numbers = np.zeros(len(instrument_id), dtype=np.int64)
        if len(self._sorted):
            at = np.minimum(np.searchsorted(self._sorted, instrument_id), len(self._sorted) - 1)
            known = self._sorted[at] == instrument_id
            numbers[known] = self._order[at[known]] + 1
        return np.clip(windows, np.float32(-INPUT_CLIP), np.float32(INPUT_CLIP)), numbers


def read_network(folder: Path) -> WindowNetwork | None:
    """Return the network of a model folder, ``None`` for a model without one.

    ``model.json`` says so by ``"network": {"instruments": [id, ...]}``, in the order of their numbers.

    Raises:
        ModelError: A file is missing or damaged; the message names it.
    """
    try:
        raw: dict[str, Any] = json.loads((folder / MODEL_FILE).read_text())
        if "network" not in raw:
            return None
        instruments = tuple(int(one) for one in raw["network"]["instruments"])
        if len(set(instruments)) != len(instruments):
            raise ModelError(f"{folder / MODEL_FILE}: an instrument has two numbers in the network")
        return WindowNetwork(str(raw["model_id"]), (folder / ONNX_FILE).read_bytes(), instruments)
    except ModelError:
        raise
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{folder / MODEL_FILE}: {type(error).__name__}: {error}") from error
