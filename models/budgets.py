"""Tier levels from budgets: the score that calm time passes so many times an instrument-day, beyond the data where need be.

What is counted is what the tier machine would have done: for Elevated and High Alert the second largest of three scores, for
Critical the largest of three that are all at least Elevated, and for the High Alert that one tick of Critical's evidence
brings, the tick alone. Peaks of half minutes (the dwell) are taken as independent;
above their ``BODY`` quantile an exponential tail carries on, since no calm past is long enough to count one episode in ten
days. Its scale is that of the peaks, and never below the one that a true -log10 p has, 1 / ln 10: a few tame peaks must not
promise a budget that they cannot show. Rejected: levels set by hand (they mean another rate with every model).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from models.tiers import DWELL_TICKS, TierLevels

Vector = npt.NDArray[np.float64]

DAY_TICKS: Final = 234_000
"""An instrument-day: 6.5 hours of ticks, wherever the market never closes too, so that rates compare."""

BODY: Final = 0.9
PEAKS_MIN: Final = 20
SINGLE_PART: Final = 0.5
SCALE_MIN: Final = 1.0 / math.log(10.0)
"""Of the excesses of -log10 p, where p is uniform."""


@dataclass(frozen=True, slots=True)
class Budgets:
    """Episodes per instrument-day that calm time may cost.

    Attributes:
        elevated: Of Elevated and above.
        high_alert: Of High Alert and above.
        critical: Of Critical.
        leave_factor: A tier may be left below the level of so many times its budget.
    """

    elevated: float = 5.0
    high_alert: float = 1.0
    critical: float = 0.1
    leave_factor: float = 4.0


def levels_of(calm: Sequence[Vector], budgets: Budgets) -> TierLevels:
    """Return the levels at which ``calm`` sessions of one instrument each would have kept the budgets.

    Args:
        calm: ``(n,)`` scores S of each session, 0 where the tick was not adverse; NaN = no opinion.
        budgets: Episodes per instrument-day.

    Raises:
        ValueError: Budgets that are not positive and falling, or less than ten minutes of calm.
    """
    wanted = (budgets.elevated, budgets.high_alert, budgets.critical)
    if not wanted[0] >= wanted[1] >= wanted[2] > 0 or budgets.leave_factor < 1:
        raise ValueError(f"budgets must fall from tier to tier and stay above 0: {budgets}")
    known = [np.where(np.isnan(one), -np.inf, one) for one in calm]
    lasting = _peaks([_ranked(one)[:, 1] for one in known])
    elevated = _level(lasting, budgets.elevated)
    sharp = _peaks([np.where(ranked[:, 0] >= elevated, ranked[:, 2], ranked[:, 1]) for ranked in map(_ranked, known)])
    peaks = (lasting, lasting, sharp)
    levels = [_level(own, budget) for own, budget in zip(peaks, wanted, strict=True)]
    # One tick of Critical's evidence brings High Alert: such ticks alone may use half of its budget.
    levels[2] = max(levels[2], _level(_peaks(known), SINGLE_PART * budgets.high_alert))
    enter = np.maximum.accumulate(levels)
    leave = [_level(own, budget * budgets.leave_factor) for own, budget in zip(peaks, wanted, strict=True)]
    return TierLevels(_by_tier(enter), _by_tier(np.minimum(np.maximum.accumulate(leave), enter)))


def _by_tier(levels: Vector) -> tuple[float, float, float, float]:
    elevated, high_alert, critical = levels.tolist()
    return 0.0, elevated, high_alert, critical


def _ranked(scores: Vector) -> Vector:
    """Return ``(n, 3)`` each tick's last three scores, the smallest first."""
    padded = np.concatenate([[-np.inf, -np.inf], scores])
    ranked: Vector = np.sort(np.lib.stride_tricks.sliding_window_view(padded, 3), axis=1)
    return ranked


def _peaks(supports: Sequence[Vector]) -> Vector:
    """Return the largest support of each half minute in which there was any."""
    found = []
    for support in supports:
        short = -len(support) % DWELL_TICKS
        whole = np.concatenate([support, np.full(short, -np.inf)]).reshape(-1, DWELL_TICKS)
        found.append(whole.max(axis=1))
    every: Vector = np.concatenate(found) if found else np.zeros(0)
    peaks: Vector = every[np.isfinite(every)]
    if len(peaks) < PEAKS_MIN:
        raise ValueError(f"tier levels need 10 minutes of calm, were given {len(peaks)} half minutes")
    return peaks


def _level(peaks: Vector, per_day: float) -> float:
    """Return the level that half minutes' peaks pass ``per_day`` times a day."""
    share = per_day * DWELL_TICKS / DAY_TICKS
    if share >= 1.0 - BODY:
        return float(np.quantile(peaks, 1.0 - min(share, 1.0)))
    body = float(np.quantile(peaks, BODY))
    over = peaks[peaks > body] - body
    scale = max(float(over.mean()) if len(over) else 0.0, SCALE_MIN)
    return body + scale * math.log((1.0 - BODY) / share)
