"""Spread and depth against their own last minutes: the larger of a wide spread's and a thin book's z. A desk's first alarm."""

from collections.abc import Sequence

import numpy as np

from models.baselines.smoothing import ew_z
from models.evaluation.blocks import TICKS_PER_S, TickBlock, Vector

HALF_LIFE = 300 * TICKS_PER_S
WARMUP = 30 * TICKS_PER_S
SCALE_MIN = 0.05
"""In logs: five per cent is never strange by itself."""


class SpreadDepth:
    """Exponentially weighted z of log spread and of log depth."""

    name = "spread/depth EWMA-z"

    def fit(self, past: Sequence[TickBlock]) -> None:
        """Learn nothing: the ruler is the block's own last minutes."""

    def score(self, block: TickBlock) -> Vector:
        """Return the larger z; NaN while both are null."""
        columns = (np.log1p(np.maximum(block.column("spread_bps"), 0.0)), -np.log1p(block.column("depth_total_10")))
        z = [ew_z(x, half_life=HALF_LIFE, warmup=WARMUP, scale_min=SCALE_MIN) for x in columns]
        larger: Vector = np.fmax(*z)
        return larger
