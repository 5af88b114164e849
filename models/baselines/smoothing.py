"""Exponentially weighted mean and deviation, row by row, of what was known before the row."""

import math

import numpy as np

from models.evaluation.blocks import Vector


def ew_z(x: Vector, *, half_life: int, warmup: int, scale_min: float) -> Vector:
    """Return ``(n,)`` deviation of each value from the weighted mean of those before it, in weighted deviations.

    Args:
        x: ``(n,)``; NaN = null, learns nothing and has no z.
        half_life: In rows.
        warmup: Values before the first z.
        scale_min: Smallest deviation.
    """
    keep = 2.0 ** (-1.0 / half_life)
    out = np.full(len(x), np.nan)
    mean = variance = weight = 0.0
    seen = 0
    for row, value in enumerate(x.tolist()):
        if math.isnan(value):
            continue
        if seen >= warmup:
            out[row] = (value - mean) / max(math.sqrt(variance), scale_min)
        weight = weight * keep + 1.0
        step = 1.0 / weight
        off = value - mean
        mean += step * off
        variance = (1.0 - step) * (variance + step * off * off)
        seen += 1
    return out
