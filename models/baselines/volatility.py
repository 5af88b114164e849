"""Volatility alone: how far realised volatility stands above the instrument's own past. The baseline that most scores are."""

from collections.abc import Sequence

import numpy as np

from models.evaluation.blocks import TickBlock, Vector

FLOOR_BPS = 0.1


class VolatilityOnly:
    """Log of ``realised_vol_60s`` over the median of the past, per instrument; the past's median of all where it is new."""

    name = "volatility only"

    def __init__(self) -> None:
        self._usual: dict[int, float] = {}
        self._usual_of_all = 1.0

    def fit(self, past: Sequence[TickBlock]) -> None:
        """Learn each instrument's median."""
        held: dict[int, list[Vector]] = {}
        for block in past:
            values = block.column("realised_vol_60s")
            held.setdefault(block.instrument_id, []).append(values[~np.isnan(values)])
        known = {one: float(np.median(joined)) for one, parts in held.items() if len(joined := np.concatenate(parts))}
        self._usual = known
        self._usual_of_all = float(np.median(list(known.values()))) if known else 1.0

    def score(self, block: TickBlock) -> Vector:
        """Return the log ratio; NaN while the feature is null."""
        usual = max(self._usual.get(block.instrument_id, self._usual_of_all), FLOOR_BPS)
        ratio: Vector = np.log(np.maximum(block.column("realised_vol_60s"), FLOOR_BPS) / usual)
        return ratio
