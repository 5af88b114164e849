"""What a crisis begins with, in the direction that is dangerous: less to trade with and dearer, more than activity explains.

``Erosion`` is a matched filter. The slow averages of depth near the mid and of what trading costs are put in deviations of their
own calm; the pattern sought is a loss of one deviation in each, on the bid side, on the ask side, or on both. Calm covariance
whitens it, so what features always do together counts once, and what general activity explains is taken out: activity (how fast
quotes come and go) is part of the covariance and no part of the pattern. Nothing is learned of any crisis: the pattern's signs
are those of ``features.spec``. Its reach is bounded, because activity in news is beyond whatever calm showed, and a line drawn
through calm would promise depth that no market gives. ``Silence`` is the other fault that no window shows: nothing comes where
much was due. Rejected: squared distance from calm (a deep, quiet book is as far off as a thin one; most dimensions are noise).
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from models.detectors.interface import Arrays
from models.detectors.views import F64, HALF_LIVES_S, SILENCE, VIEWED_NAMES, ViewedBlock, Views

SIDES: Final = {
    "bid": ("depth_bid_5", "depth_bid_10bp", "depth_bid_25bp", "book_slope_bid", "sell_cost_bps", "spread_bps"),
    "ask": ("depth_ask_5", "depth_ask_10bp", "depth_ask_25bp", "book_slope_ask", "buy_cost_bps", "spread_bps"),
}
DEARER: Final = frozenset({"sell_cost_bps", "buy_cost_bps", "spread_bps"})
"""Dangerous when high; the others when low."""

ACTIVITY: Final = ("add_rate", "cancel_rate")
ACTIVITY_MAX: Final = 3.0
"""Deviations of activity that may explain depth."""

RIDGE: Final = 0.2
"""Part of the way to the identity that the calm correlation is shrunk: it comes from hours, and neighbours are one another."""

SCALE_MIN: Final = 1e-3
"""Smallest deviation in transformed units: a thousandth is nothing, however still a feature stood."""

GRACE_EVENTS: Final = 30.0
EVENTS_PER_UNIT: Final = 10.0
"""Arrivals come in clumps: the first events missed say nothing, and ten more of them are an error of one."""


class Erosion:
    """Squared strength of the pattern at one horizon, on the side where it is stronger; 0 where it points to safety."""

    def __init__(self, horizon: int) -> None:
        self.name = f"erosion_{HALF_LIVES_S[horizon]:g}s"
        self._horizon = horizon
        self._columns = np.array([VIEWED_NAMES.index(one) for one in dict.fromkeys(SIDES["bid"] + SIDES["ask"])])
        self._activity = np.array([VIEWED_NAMES.index(one) for one in ACTIVITY])
        self._scale = np.ones(len(self._columns) + 1)
        self._weights = np.zeros((3, len(self._columns) + 1))

    def fit(self, past: Sequence[ViewedBlock], seed: int) -> None:  # noqa: ARG002 - no chance in it
        """Learn how features vary, and vary together, in calm."""
        moved = np.concatenate([self._moved(block.slow[block.opined & block.settled]) for block in past])
        self._scale = np.maximum(moved.std(axis=0), SCALE_MIN)
        self._weights = np.zeros((3, len(self._columns) + 1))
        scores = self._bounded(moved)
        names = [VIEWED_NAMES[column] for column in self._columns]
        for row, wanted in enumerate((SIDES["bid"], SIDES["ask"], SIDES["bid"] + SIDES["ask"])):
            pattern = np.array([(1.0 if name in DEARER else -1.0) * (name in wanted) for name in names] + [0.0])
            used = np.flatnonzero((pattern != 0) | (np.arange(len(pattern)) == len(names)))
            own = scores[:, used]
            calm = (1 - RIDGE) * (own.T @ own / len(own)) + RIDGE * np.eye(len(used))
            weights = np.linalg.solve(calm, pattern[used])
            self._weights[row, used] = weights / max(float((own @ weights).std()), SCALE_MIN)

    def parts(self, views: Views) -> F64:
        """Return ``(k, viewed features)`` parts."""
        scores = self._bounded(self._moved(views.slow))
        strength = scores @ self._weights.T
        best = strength.argmax(axis=1)
        found = np.maximum(strength[np.arange(len(best)), best], 0.0)
        carried = np.maximum(scores * self._weights[best], 0.0)[:, :-1]
        parts = np.zeros((len(best), len(VIEWED_NAMES)))
        total = np.maximum(carried.sum(axis=1), 1e-12)
        parts[:, self._columns] = carried * (found**2 / total)[:, None]
        parts[~views.settled] = np.nan
        return parts

    def arrays(self) -> Arrays:
        """Return all that was learned."""
        return {"scale": self._scale, "weights": self._weights}

    def load(self, arrays: Arrays) -> None:
        """Take what :meth:`arrays` returned."""
        self._scale, self._weights = arrays["scale"], arrays["weights"]

    def _moved(self, slow: np.typing.NDArray[np.float32]) -> F64:
        """Return ``(k, columns + 1)`` of ``(k, HORIZONS, viewed features)``: own columns, and activity."""
        own = slow[:, self._horizon].astype(np.float64)
        return np.column_stack([own[:, self._columns], own[:, self._activity].mean(axis=1)])

    def _bounded(self, moved: F64) -> F64:
        scores = moved / self._scale
        scores[:, -1] = np.clip(scores[:, -1], -ACTIVITY_MAX, ACTIVITY_MAX)
        return scores


class Silence:
    """Events that would have come since the last one: what a feed that stopped looks like, and a market that never does."""

    name = "silence"

    def fit(self, past: Sequence[ViewedBlock], seed: int) -> None:
        """Learn nothing: what was due is the instrument's own rate."""

    def parts(self, views: Views) -> F64:
        """Return ``(k, viewed features)`` parts: all of it stands with the rate of orders that come."""
        parts = np.zeros((len(views), len(VIEWED_NAMES)))
        parts[:, SILENCE] = np.maximum(views.missed - GRACE_EVENTS, 0.0) / EVENTS_PER_UNIT
        return parts

    def arrays(self) -> Arrays:
        """Return nothing."""
        return {}

    def load(self, arrays: Arrays) -> None:
        """Take nothing."""
