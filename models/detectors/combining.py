"""Tail probabilities into one score: Cauchy combination, S = -log10 p, the published 0-1 score. Pure functions."""

from typing import Final

import numpy as np

from models.calibrate import P_MIN
from models.detectors.views import F64

SCORE01_FULL: Final = 6.0
"""S at which the published score is full: one tick in a million."""

P_MAX: Final = 0.99
"""One measure that finds a tick wholly ordinary must not silence the others: at p = 1 its term is minus infinity."""


def cauchy_combination(p: F64) -> F64:
    """Return ``(...)`` p-values combined from ``(..., m)``, valid in the tail whatever their dependence (Liu, Xie 2020).

    T = mean tan((1/2 - p) pi), and p = 1/2 - atan(T) / pi, both written so that they stay exact for tiny p. A p of NaN
    has no voice: the others are combined; NaN where none is known.
    """
    known = ~np.isnan(p)
    bounded = np.clip(np.where(known, p, P_MAX), P_MIN, P_MAX)
    terms = np.where(known, 1.0 / np.tan(np.pi * bounded), 0.0)
    voices = known.sum(axis=-1)
    combined = np.arctan2(1.0, terms.sum(axis=-1) / np.maximum(voices, 1)) / np.pi
    return np.asarray(np.where(voices > 0, combined, np.nan))


def strangeness(p: F64) -> F64:
    """Return S = -log10 p; NaN stays NaN."""
    return np.asarray(-np.log10(np.clip(p, P_MIN, 1.0)))


def score01(strange: F64) -> F64:
    """Return the published score of S: S over ``SCORE01_FULL``, within 0 and 1; NaN stays NaN."""
    return np.asarray(np.clip(strange / SCORE01_FULL, 0.0, 1.0))
