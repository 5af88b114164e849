"""95 % intervals by the bootstrap: events are drawn anew, or whole blocks of time. Ticks never are: neighbours are one another.

Where every event was found, or none, resampling would claim certainty; there the exact binomial bound stands instead.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from models.evaluation.blocks import TICKS_PER_S, Vector

DRAWS: Final = 1_000
ALPHA: Final = 0.05

CHUNK_TICKS: Final = 600 * TICKS_PER_S
"""Blocks of time that are drawn anew: sessions, or ten minutes of a longer one."""

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value and its 95 % interval; NaN where nothing could be measured."""

    value: float
    low: float
    high: float


NOTHING: Final = Estimate(float("nan"), float("nan"), float("nan"))


def bootstrap(statistic: Callable[[Indices], Vector], count: int, seed: int) -> Estimate:
    """Return a statistic of all of ``count`` units, and the interval of it over units drawn with replacement.

    Args:
        statistic: Rows of units, ``(k, count)``, → ``(k,)``; NaN where a row has nothing to measure.
        count: Units.
        seed: Of the draws.
    """
    if not count:
        return NOTHING
    drawn = statistic(np.random.default_rng(seed).integers(0, count, (DRAWS, count)))
    return around(float(statistic(np.arange(count)[None, :])[0]), drawn)


def around(value: float, drawn: Vector) -> Estimate:
    """Return ``value`` with the interval of ``drawn``; draws in which nothing could be measured are left out."""
    known = drawn[~np.isnan(drawn)]
    if np.isnan(value) or not len(known):
        return Estimate(value, float("nan"), float("nan"))
    low, high = np.quantile(known, [ALPHA / 2, 1 - ALPHA / 2], method="inverted_cdf")
    return Estimate(value, float(low), float(high))


def ratio(part: Vector, whole: Vector, seed: int) -> Estimate:
    """Return the sum of ``part`` over that of ``whole``, blocks of time drawn anew; a whole of 0 has none.

    Where no block has any of it, or each has all, the exact binomial bound for blocks stands at that end.
    """
    used = whole > 0
    part, whole = part[used], whole[used]
    if not len(whole):
        return NOTHING
    bound = (ALPHA / 2) ** (1 / len(whole))
    if not part.any():
        return Estimate(0.0, 0.0, 1.0 - bound)
    if (part == whole).all():
        return Estimate(1.0, bound, 1.0)
    drawn = np.random.default_rng(seed).multinomial(len(whole), np.full(len(whole), 1 / len(whole)), DRAWS)
    return around(float(part.sum() / whole.sum()), (drawn @ part) / (drawn @ whole))


def quantile(values: Vector, q: float, seed: int) -> Estimate:
    """Return a quantile of the known values; events are drawn anew, those that are unknown (missed) with the others."""
    if np.isnan(values).all():
        return NOTHING

    def of(drawn: Indices) -> Vector:
        rows = np.sort(values[drawn], axis=1)  # NaN last
        known = (~np.isnan(rows)).sum(axis=1)
        place = q * np.maximum(known - 1, 0)
        low = place.astype(np.int64)
        high = np.minimum(low + 1, np.maximum(known - 1, 0))
        each = np.arange(len(rows))
        between = rows[each, low] + (place - low) * (rows[each, high] - rows[each, low])
        found: Vector = np.where(known > 0, between, np.nan)
        return found

    return bootstrap(of, len(values), seed)


def share(found: npt.NDArray[np.bool_], seed: int) -> Estimate:
    """Return the share of true values, with its interval."""
    count = len(found)
    if not count:
        return NOTHING
    if found.all():
        return Estimate(1.0, float((ALPHA / 2) ** (1 / count)), 1.0)
    if not found.any():
        return Estimate(0.0, 0.0, float(1 - (ALPHA / 2) ** (1 / count)))
    return bootstrap(lambda drawn: found[drawn].mean(axis=1), count, seed)


def rate(counts: Vector, exposure: Vector, seed: int) -> Estimate:
    """Return counts over exposure, blocks drawn anew; where nothing was counted, the exact Poisson bound is the upper end."""
    whole = float(exposure.sum())
    if whole <= 0:
        return NOTHING
    if not counts.any():
        return Estimate(0.0, 0.0, float(-np.log(ALPHA / 2) / whole))

    def of(drawn: Indices) -> Vector:
        exposed = exposure[drawn].sum(axis=1)
        per: Vector = np.where(exposed > 0, counts[drawn].sum(axis=1) / np.maximum(exposed, 1e-300), np.nan)
        return per

    return bootstrap(of, len(counts), seed)
