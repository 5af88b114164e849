"""What a measure is to the stack that calibrates it; what a detector is to its evaluation, ``models.evaluation.protocol`` says.

A measure is fitted once and pure afterwards: windows in, parts of the error out, so it is causal by construction, keeps
no state to snapshot, and scores instruments of a tick and ticks of a session by the same call. All that adapts lies in two
places that everyone shares: the scaler before the measures and the calibration after them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

WINDOW: Final = 8
"""Ticks that a measure sees, the newest last."""

PIECE: Final = 8_192
"""Windows that are measured in one call."""

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
Ids = npt.NDArray[np.uint32]


@dataclass(frozen=True, slots=True, eq=False)
class ScaledBlock:
    """A session after scaling.

    Attributes:
        instrument_id: The instrument.
        z: ``(n, features)`` float32 robust scores, clipped; 0 where null or not scored.
        opined: ``(n,)`` bool: the row is scored and so many rows before it were that its window is full.
    """

    instrument_id: int
    z: F32 = field(repr=False)
    opined: npt.NDArray[np.bool_] = field(repr=False)

    def pieces(self) -> Iterator[tuple[F32, Ids]]:
        """Return windows ``(k, WINDOW, features)`` of the rows that have an opinion, in order, with their instrument.

        In pieces of at most ``PIECE``: a day's windows at once would weigh as much as its book.
        """
        ends = np.flatnonzero(self.opined)
        for first in range(0, len(ends), PIECE):
            of_piece = ends[first : first + PIECE]
            windows = self.z[of_piece[:, None] + np.arange(1 - WINDOW, 1)]
            yield windows, np.full(len(of_piece), self.instrument_id, dtype=np.uint32)


class Measure(Protocol):
    """A way to say how strange a window is, and which features make it so."""

    @property
    def name(self) -> str:
        """Name in tables."""

    def fit(self, past: Sequence[ScaledBlock], seed: int) -> None:
        """Learn from past calm sessions, in time order; the same input and seed give the same measure."""

    def parts(self, windows: F32, instrument_id: Ids) -> F64:
        """Return ``(k, features)`` parts of the error of ``(k, WINDOW, features)`` windows.

        Parts are never negative and the error is their sum.
        """
