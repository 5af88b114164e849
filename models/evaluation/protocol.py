"""What a detector is: anything that learns from past blocks and scores a block row by row, causally.

Rejected: a step per tick (a Python call a row would cost more than most detectors), so causality is a promise here; it is
not trusted but tried, see ``canary.causality_fault``.
"""

import importlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Protocol, cast

import numpy as np
import numpy.typing as npt

from models.evaluation.blocks import TickBlock


class Detector(Protocol):
    """One way to say how fragile a market is."""

    name: str

    def fit(self, past: Sequence[TickBlock]) -> None:
        """Learn from blocks that lie wholly before, or apart from, what will be scored."""

    def score(self, block: TickBlock) -> npt.NDArray[np.float64]:
        """Return S, ``(n,)``: -log10 p, or any monotone score; larger is more fragile.

        ``score[i]`` uses rows up to ``i`` only; NaN = no opinion. Blocks are independent: nothing is carried over.
        """


class DetectorError(Exception):
    """A detector that cannot be loaded or does not answer as the protocol has it."""


def load(place: str) -> Detector:
    """Return a new detector of ``module:Class`` or ``file.py:Class``, made without arguments.

    Raises:
        DetectorError: No such module or class, or it lacks ``name``, ``fit`` or ``score``.
    """
    module, colon, attribute = place.rpartition(":")
    if not (module and colon and attribute):
        raise DetectorError(f"{place!r} is not module:Class or file.py:Class")
    try:
        found = _of_file(Path(module)) if module.endswith(".py") else importlib.import_module(module)
        made = getattr(found, attribute)()
    except (ImportError, AttributeError, TypeError, OSError, SyntaxError) as error:
        raise DetectorError(f"{place}: {error}") from error
    if missing := [name for name in ("name", "fit", "score") if not hasattr(made, name)]:
        raise DetectorError(f"{place} has no {', '.join(missing)}")
    return cast("Detector", made)


def _of_file(path: Path) -> ModuleType:
    """Return a file as a module of its own: it need not lie where Python looks, and takes nobody's name."""
    spec = importlib.util.spec_from_file_location(f"_joined_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def scores_of(detector: Detector, block: TickBlock) -> npt.NDArray[np.float64]:
    """Return what ``detector`` says about ``block``.

    Raises:
        DetectorError: Not one number a row.
    """
    scores = np.asarray(detector.score(block), dtype=np.float64)
    if scores.shape != block.tick_ns.shape:
        raise DetectorError(f"{detector.name}: scores of shape {scores.shape} for {len(block)} rows of {block.name}")
    return scores
