"""What a measure is to the stack that calibrates it; what a detector is to its evaluation, ``models.evaluation.protocol`` says.

A measure is fitted once and pure afterwards: views in, parts of the error out, so it is causal by construction, keeps
no state to snapshot, and scores instruments of a tick and ticks of a session by the same call. All that adapts lies in three
places that everyone shares: the scaler and the views before the measures, and the calibration after them.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy.typing as npt

from models.detectors.views import F64, ViewedBlock, Views

Arrays = dict[str, npt.NDArray[Any]]


class Measure(Protocol):
    """A way to say how strange a row is, and which features make it so."""

    @property
    def name(self) -> str:
        """Name in tables."""

    def fit(self, past: Sequence[ViewedBlock], seed: int) -> None:
        """Learn from past calm sessions, in time order; the same input and seed give the same measure."""

    def parts(self, views: Views) -> F64:
        """Return ``(k, viewed features)`` parts of the error of each row, columns as ``views.VIEWED_NAMES``.

        Parts are never negative and the error is their sum. A row of NaN: no answer, as from a network that is away.
        """

    def arrays(self) -> Arrays:
        """Return all that was learned, by name."""

    def load(self, arrays: Arrays) -> None:
        """Take what :meth:`arrays` returned; parts are equal, bit for bit, afterwards.

        Raises:
            KeyError: A name is missing.
        """
