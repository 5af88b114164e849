"""Measures by name, as model folders name them. No training here: a network that is read was trained elsewhere."""

from collections.abc import Callable
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt

from models.detectors.clusters import ClusterNovelty
from models.detectors.erosion import Erosion, Silence
from models.detectors.interface import Measure
from models.detectors.linear import ForecastResidual, LargestScore, Length, Mahalanobis, PcaResidual
from models.detectors.vae import VaeLikelihood
from models.detectors.views import F32, HORIZONS
from models.model_files import ModelError


def _no_training(windows: F32, numbers: npt.NDArray[np.int64], seed: int) -> bytes:
    raise ModelError(f"a model that was read is not trained again ({len(windows)} windows, {len(numbers)}, {seed})")


_KINDS: Final[tuple[Callable[[], Measure], ...]] = (
    LargestScore,
    Length,
    Mahalanobis,
    PcaResidual,
    ForecastResidual,
    ClusterNovelty,
    *(partial(Erosion, horizon) for horizon in range(HORIZONS)),
    Silence,
    partial(VaeLikelihood, _no_training),
)
MEASURES: Final = {kind().name: kind for kind in _KINDS}


def measure_named(name: str) -> Measure:
    """Return a new measure.

    Raises:
        ModelError: There is none of this name.
    """
    if name not in MEASURES:
        raise ModelError(f"no measure is called {name!r}; there are {', '.join(sorted(MEASURES))}")
    return MEASURES[name]()
