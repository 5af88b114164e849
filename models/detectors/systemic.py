"""How strange a whole channel is: many instruments a little, rather than one a lot. A pure function with its own calibration.

The error of a tick is the mean over instruments of S, each counted up to ``CAP``: one instrument alone, however strange,
moves the mean of k by ``CAP`` / k at most, while a withdrawal that is unremarkable in each is plain in all. Instruments of a
channel move together on calm days too, so no law of independent p's is assumed: the mean is judged against its own
past, by the same ruler, ECDF and tail as any error. Across channels the same functions take the channels' S. Rejected: the
Cauchy combination, which is made to notice one small p, and Fisher's, which takes correlation for evidence.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from models.detectors.calibration import CalibrationStart, Calibrator, Freeze, fit_calibration
from models.detectors.combining import strangeness
from models.detectors.views import F64

CAP: Final = 4.0
PER_UNIT: Final = 20.0
"""Errors are calibrated in twentieths of the mean S: a mean over many instruments lies close together."""

MEMBERS_MIN: Final = 3
"""With fewer instruments that have an opinion, there is no market to speak of."""

_CHANNEL: Final = np.zeros(1, dtype=np.uint32)


def systemic_errors(strange: F64) -> F64:
    """Return ``(n,)`` errors of ticks from ``(n, instruments)`` scores S; NaN = no opinion, on either side."""
    known = np.isfinite(strange)
    members = known.sum(axis=1)
    total = np.where(known, np.clip(strange, 0.0, CAP), 0.0).sum(axis=1)
    return np.where(members >= MEMBERS_MIN, total / np.maximum(members, 1), np.nan)


def fit_systemic(past: Sequence[F64]) -> CalibrationStart:
    """Return the calibration of a channel from past sessions, each ``(n, instruments)`` scores S.

    Raises:
        ValueError: Fewer than 1000 ticks with an opinion.
    """
    errors = [PER_UNIT * systemic_errors(session) for session in past]
    return fit_calibration([(0, one[np.isfinite(one)][:, None]) for one in errors])


class SystemicScore:
    """The systemic score of one channel, tick by tick."""

    def __init__(self, start: CalibrationStart) -> None:
        self._calibrator = Calibrator(start)
        self._freeze = Freeze()

    def step(self, strange: F64, *, frozen: bool | None = None) -> float:
        """Return S of a tick from ``(instruments,)`` scores S, and learn from it; NaN = no opinion.

        Args:
            strange: S of each instrument, NaN = no opinion.
            frozen: The channel is at Elevated or above; without it the score itself decides.
        """
        error = PER_UNIT * systemic_errors(strange[None])[:, None]
        if np.isnan(error[0, 0]):
            return float("nan")
        slot: npt.NDArray[np.intp] = self._calibrator.slots(_CHANNEL)
        found = strangeness(self._calibrator.p(slot, error)[:, 0])
        still = bool(self._freeze.step(slot, found)[0]) if frozen is None else frozen
        if not still:
            self._calibrator.learn(slot, error)
        return float(found[0])
