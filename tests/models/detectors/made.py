"""Views made by hand: what tests of measures start from."""

import numpy as np
import numpy.typing as npt

from features.spec import SCORED_NAMES
from models.detectors.views import HORIZONS, VIEWED_NAMES, WINDOW, ViewedBlock, Views

COUNT = len(SCORED_NAMES)
WIDE = len(VIEWED_NAMES)
F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]


def viewed(z: F64, instrument: int = 1, slow: F64 | None = None) -> ViewedBlock:
    """Return a session of scores, with slow views or without any."""
    opined = np.arange(len(z)) >= WINDOW - 1
    averages = np.zeros((len(z), HORIZONS, WIDE)) if slow is None else slow
    silence = np.zeros(len(z), dtype=np.float32)
    return ViewedBlock(instrument, z.astype(np.float32), averages.astype(np.float32), silence, opined, opined)


def views(windows: F32 | None = None, instrument: int | npt.NDArray[np.uint32] = 1, slow: F64 | None = None) -> Views:
    """Return views of windows, of slow averages or of both."""
    rows = len(windows) if windows is not None else 0 if slow is None else len(slow)
    return Views(
        np.broadcast_to(np.asarray(instrument, dtype=np.uint32), rows).copy(),
        np.zeros((rows, WINDOW, COUNT), dtype=np.float32) if windows is None else windows,
        (np.zeros((rows, HORIZONS, WIDE)) if slow is None else slow).astype(np.float32),
        np.zeros(rows, dtype=np.float32),
        np.ones(rows, dtype=np.bool_),
        np.ones(rows, dtype=np.bool_),
    )
