"""Which features make a tick strange, re-checked: would it be as strange if this feature had been ordinary?

A part of an error smears onto correlated features (one wrong depth makes all depths hard to reconstruct), so the largest
parts are only candidates: each is set to its own calm middle in the whole window and the tick is scored again. What the
score loses is what the feature really carries. Pure functions; time and state are the caller's.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from models.detectors.views import F64, SILENCE, Views

TOP: Final = 3

ScoreViews = Callable[[Views], F64]
"""``(k,)`` views of one instrument to ``(k,)`` scores, learning nothing."""


@dataclass(frozen=True, slots=True)
class Cause:
    """One feature's part in a score.

    Attributes:
        feature: Column among ``views.VIEWED_NAMES``.
        share: Its part of the error, 0 to 1.
        score_drop: What the score loses when the feature is made ordinary; at most 0 if it carried nothing.
    """

    feature: int
    share: float
    score_drop: float


def causes(views: Views, share: F64, score: ScoreViews, *, top: int = TOP) -> tuple[Cause, ...]:
    """Return the ``top`` features by share, ordered by what the score of one row's views loses without each."""
    candidates = np.argsort(-share, kind="stable")[:top]
    candidates = candidates[share[candidates] > 0]
    if not len(candidates):
        return ()
    imputed = views.of(np.zeros(len(candidates) + 1, dtype=np.intp))  # copies
    for row, feature in enumerate(candidates.tolist(), 1):
        if feature < imputed.window.shape[2]:
            imputed.window[row, :, feature] = 0.0  # a robust score of 0 is the feature's own calm middle
        imputed.slow[row, :, feature] = 0.0
        if feature == SILENCE:
            imputed.missed[row] = 0.0
    scores = score(imputed)
    found = [
        Cause(int(feature), float(share[feature]), float(scores[0] - scores[row]))
        for row, feature in enumerate(candidates, 1)
    ]
    return tuple(sorted(found, key=lambda cause: (-cause.score_drop, cause.feature)))
