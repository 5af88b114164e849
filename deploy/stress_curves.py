"""What a reader of the suite wants to see of a session: cost to trade and price around the onset, a point a second."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from feeds.stress.plan import StressSession
from models.evaluation.blocks import TICKS_PER_S, TickBlock, Vector
from models.evaluation.truth import TruthSettings, cost_bps, cost_ratio, runs, ticks

QUIET_ONSET_S: Final = 400.0
"""Where calm sessions are aligned."""


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """One session, a point a second.

    Attributes:
        mechanism: Its mechanism.
        kind: Its kind.
        seconds: ``(m,)`` since the onset.
        cost_ratio: ``(m,)`` largest cost of the second over its trailing median.
        moved: ``(m,)`` mid since the onset, %.
        precursor_s: From the onset to the break; NaN where nothing breaks.
        impact_s: From the onset to the first second of stress by cost, negative before it; NaN where there is none.
    """

    mechanism: str
    kind: str
    precursor_s: float
    impact_s: float
    seconds: Vector = field(repr=False)
    cost_ratio: Vector = field(repr=False)
    moved: Vector = field(repr=False)


def curves_of(session: StressSession, block: TickBlock) -> Curves:
    """Return what is shown of a session."""
    whole = len(block) // TICKS_PER_S
    settings = TruthSettings()
    ratio = cost_ratio(cost_bps(block, settings), settings)
    per_second = ratio[: whole * TICKS_PER_S].reshape(whole, TICKS_PER_S)
    known = ~np.isnan(per_second).all(axis=1)
    highest = np.full(whole, np.nan)
    highest[known] = np.nanmax(per_second[known], axis=1)
    onset_s = session.onset_tick / TICKS_PER_S if "onset_s" in session.story else QUIET_ONSET_S
    mid: npt.NDArray[np.float64] = block.ref_price[TICKS_PER_S - 1 : whole * TICKS_PER_S : TICKS_PER_S].astype(
        np.float64
    )
    mid[mid <= 0] = np.nan
    return Curves(
        session.mechanism,
        session.kind,
        session.story.get("precursor_s", np.nan),
        _impact_s(ratio, settings) - onset_s,
        np.arange(whole) - onset_s,
        highest,
        100 * (mid / mid[min(int(onset_s), whole - 1)] - 1),
    )


def _impact_s(ratio: Vector, settings: TruthSettings) -> float:
    """Return when the cost first stays beyond the truth's ratio for as long as it asks, s since the start."""
    over = ratio > settings.ratio
    over[: ticks(settings.warmup_s)] = False
    found = runs(over)
    held = found[found[:, 1] - found[:, 0] + 1 >= ticks(settings.hold_s)]
    return float(held[0, 0]) / TICKS_PER_S if len(held) else np.nan
