"""Which features make a tick strange, re-checked: would it be as strange if this feature had been ordinary?

A part of an error smears onto correlated features (one wrong depth makes all depths hard to reconstruct), so the largest
parts are only candidates: each is set to its own calm middle in the whole window and the tick is scored again. What the
score loses is what the feature really carries. Pure functions; time and state are the caller's.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from models.detectors.interface import F32, F64

TOP: Final = 3

ScoreWindows = Callable[[F32], F64]
"""``(k, WINDOW, features)`` windows of one instrument to ``(k,)`` scores, learning nothing."""


@dataclass(frozen=True, slots=True)
class Cause:
    """One feature's part in a score.

    Attributes:
        feature: Column among the scored features.
        share: Its part of the error, 0 to 1.
        score_drop: What the score loses when the feature is made ordinary; at most 0 if it carried nothing.
    """

    feature: int
    share: float
    score_drop: float


def causes(window: F32, share: F64, score: ScoreWindows, *, top: int = TOP) -> tuple[Cause, ...]:
    """Return the ``top`` features by share, ordered by what the score of ``(WINDOW, features)`` loses without each."""
    candidates = np.argsort(-share, kind="stable")[:top]
    candidates = candidates[share[candidates] > 0]
    if not len(candidates):
        return ()
    imputed = np.repeat(window[None], len(candidates) + 1, axis=0)
    for row, feature in enumerate(candidates, 1):
        imputed[row, :, feature] = 0.0  # a robust score of 0 is the feature's own calm middle
    scores = score(imputed)
    found = [
        Cause(int(feature), float(share[feature]), float(scores[0] - scores[row]))
        for row, feature in enumerate(candidates, 1)
    ]
    return tuple(sorted(found, key=lambda cause: (-cause.score_drop, cause.feature)))
