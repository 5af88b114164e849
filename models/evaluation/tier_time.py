"""A detector's scores through the real tier machine: time in each tier, budgets, flaps and how short tiers last.

Levels come from the past: a tier is entered at its budget of episodes per instrument-day and left below the level of four times
that budget. Critical waits for a person; here the person releases it once it has been calm for as long as other tiers need.
Every alarm is taken as adverse: which side of the market is dangerous is the detector's business.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from models.evaluation.blocks import TICKS_PER_S, Vector
from models.evaluation.episodes import Judged, days, threshold_from_past
from models.tiers import DWELL_TICKS, TierLevels, TierMachine
from schemas.records import Tier

BUDGETS_PER_DAY: Final = {Tier.ELEVATED: 5.0, Tier.HIGH_ALERT: 1.0, Tier.CRITICAL: 0.1}
LEAVE_FACTOR: Final = 4.0
FLAP_TICKS: Final = 60 * TICKS_PER_S
"""A tier entered again so soon after it was left has flapped."""
SHORT_TICKS: Final = 5 * TICKS_PER_S


@dataclass(frozen=True, slots=True)
class TierUse:
    """What the tiers did in time that needed none.

    Attributes:
        share: Tier's name → share of negative ticks.
        episodes_per_day: Tier's name → times entered per instrument-day.
        budget_ratio: Tier's name → the same over its budget.
        flaps_per_day: Entries within 60 s of having left.
        changes_per_day: Rises and falls.
        short_dwells: Share of stays above Normal that lasted under 5 s.
    """

    share: dict[str, float]
    episodes_per_day: dict[str, float]
    budget_ratio: dict[str, float]
    flaps_per_day: float
    changes_per_day: float
    short_dwells: float


def levels_from_past(past: Sequence[Judged]) -> TierLevels:
    """Return the levels that keep the budgets on ``past``.

    Raises:
        ValueError: Too short a past.
    """
    enter = [threshold_from_past(past, budget) for budget in BUDGETS_PER_DAY.values()]
    leave = [threshold_from_past(past, budget * LEAVE_FACTOR) for budget in BUDGETS_PER_DAY.values()]
    return TierLevels((0.0, enter[0], enter[1], enter[2]), (0.0, leave[0], leave[1], leave[2]))


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


def tier_use(judged: Sequence[Judged], scores: Sequence[Vector], levels: Sequence[TierLevels]) -> TierUse:
    """Return the use of tiers in negative time; each block has its own levels."""
    ticks_in = dict.fromkeys(Tier, 0)
    entered = dict.fromkeys(BUDGETS_PER_DAY, 0)
    flaps = changes = stays = short = 0
    for one, own, level in zip(judged, scores, levels, strict=True):
        tiers, negative = tiers_of(own, level), one.truth.negative
        for tier in Tier:
            ticks_in[tier] += int((negative & (tiers == tier)).sum())
        moved = np.flatnonzero(np.diff(tiers, prepend=np.int8(0)))
        changes += int(negative[moved].sum())
        for tier in BUDGETS_PER_DAY:
            at_least = np.diff(np.concatenate([[False], tiers >= tier, [False]]).astype(np.int8))
            begins, ends = np.flatnonzero(at_least == 1), np.flatnonzero(at_least == -1)
            counted = negative[begins]
            entered[tier] += int(counted.sum())
            flaps += int((counted[1:] & (begins[1:] - ends[:-1] <= FLAP_TICKS)).sum())
            stays += int(counted.sum())
            short += int((counted & (ends - begins < SHORT_TICKS)).sum())
    watched, whole = days(one.truth for one in judged), max(sum(ticks_in.values()), 1)
    per_day = {tier: count / watched if watched else float("nan") for tier, count in entered.items()}
    return TierUse(
        share={tier.name: count / whole for tier, count in ticks_in.items()},
        episodes_per_day={tier.name: count for tier, count in per_day.items()},
        budget_ratio={tier.name: count / BUDGETS_PER_DAY[tier] for tier, count in per_day.items()},
        flaps_per_day=flaps / watched if watched else float("nan"),
        changes_per_day=changes / watched if watched else float("nan"),
        short_dwells=short / stays if stays else 0.0,
    )
