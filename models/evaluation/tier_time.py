"""A detector's scores through the real tier machine: levels, tiers and stays; ``calm`` counts them.

Levels come from calm time of the past, by budgets of episodes per instrument-day (``models.budgets``, the rule that the jobs'
model is built with). Critical waits for a person; here the person releases it once it has been calm for as long as other tiers
need. Every alarm is taken as adverse: which side of the market is dangerous is the detector's business.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from models.budgets import Budgets, levels_of
from models.evaluation.blocks import TICKS_PER_S, Vector
from models.evaluation.episodes import Judged
from models.tiers import DWELL_TICKS, FLAP_TICKS, TierLevels, TierMachine
from schemas.records import Tier

BUDGETS: Final = Budgets()
BUDGETS_PER_DAY: Final = {
    Tier.ELEVATED: BUDGETS.elevated,
    Tier.HIGH_ALERT: BUDGETS.high_alert,
    Tier.CRITICAL: BUDGETS.critical,
}
SHORT_TICKS: Final = 5 * TICKS_PER_S


def levels_from_past(past: Sequence[Judged], scores: Sequence[Vector]) -> TierLevels:
    """Return the levels that keep the budgets on the calm time of ``past``, whose scores these are.

    Raises:
        ValueError: Too short a past.
    """
    return levels_of(
        [np.where(one.truth.negative, own, np.nan) for one, own in zip(past, scores, strict=True)], BUDGETS
    )


def tiers_of(scores: Vector, levels: TierLevels) -> np.typing.NDArray[np.int8]:
    """Return ``(n,)`` tier after each row; a row without an opinion counts as the calmest score there is."""
    tiers = np.zeros(len(scores), dtype=np.int8)
    known = np.where(np.isnan(scores), -np.inf, scores)
    interesting = np.flatnonzero(known >= levels.enter[Tier.ELEVATED])
    machine, row = TierMachine(), 0
    while row < len(known):
        if machine.tier is Tier.NORMAL and machine.recent == 0:  # nothing happens until the next that could matter
            place = int(np.searchsorted(interesting, row))
            if place == len(interesting):
                break
            row = int(interesting[place])
        tiers[row] = machine.step(float(known[row]), levels, adverse=True)
        if machine.latched and machine.calm_ticks >= DWELL_TICKS:
            machine.release()
            tiers[row] = machine.tier
        row += 1
    return tiers


@dataclass(frozen=True, slots=True)
class Stays:
    """The times that a tier was entered in negative time of one block, rows.

    Attributes:
        begins: First row of each.
        lengths: Rows until it was left, or the block ended.
        flaps: First rows of those that began within 60 s of the one before.
    """

    begins: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]
    flaps: npt.NDArray[np.int64]


def stays_of(tiers: npt.NDArray[np.int8], negative: npt.NDArray[np.bool_], tier: Tier) -> Stays:
    """Return the stays at ``tier`` or above that began in negative time."""
    at_least = np.diff(np.concatenate([[False], tiers >= tier, [False]]).astype(np.int8))
    begins, ends = np.flatnonzero(at_least == 1), np.flatnonzero(at_least == -1)
    counted = negative[begins]
    soon = np.zeros(len(begins), dtype=np.bool_)
    soon[1:] = begins[1:] - ends[:-1] <= FLAP_TICKS
    return Stays(begins[counted], (ends - begins)[counted], begins[counted & soon])
