"""CUSUM on depth (Page 1954): small losses of depth add up until they are too many to be chance."""

from collections.abc import Sequence

import numpy as np

from models.baselines.smoothing import ew_z
from models.evaluation.blocks import TICKS_PER_S, TickBlock, Vector

HALF_LIFE = 300 * TICKS_PER_S
WARMUP = 30 * TICKS_PER_S
SCALE_MIN = 0.05
ALLOWANCE = 0.5
"""Half of a shift of one deviation, the shift that is found soonest."""
SUM_MAX = 1e4


class DepthCusum:
    """One-sided cumulative sum of how far log depth lies below its weighted mean, less an allowance."""

    name = "CUSUM on depth"

    def fit(self, past: Sequence[TickBlock]) -> None:
        """Learn nothing: the ruler is the block's own last minutes."""

    def score(self, block: TickBlock) -> Vector:
        """Return the sum; NaN before the first z, and where depth is null the sum stands still."""
        below = -ew_z(np.log1p(block.column("depth_total_10")), half_life=HALF_LIFE, warmup=WARMUP, scale_min=SCALE_MIN)
        out = np.full(len(below), np.nan)
        total, begun = 0.0, False
        for row, z in enumerate(below.tolist()):
            if z == z:  # noqa: PLR0124 - only NaN differs from itself
                total, begun = min(max(total + z - ALLOWANCE, 0.0), SUM_MAX), True
            if begun:
                out[row] = total
        return out
