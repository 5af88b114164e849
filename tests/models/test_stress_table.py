"""The founding document's table on the shipped model: five rows of rising stress, from its first to its last figures.

Realised volatility 0.85 to 4.10 %, spread 1.2 to 15.2 bp, bid share of the book .55 to .05, trade-to-order .12 to .01, its scores
.013, .015, .089, .452, .981. Used as an ordering, as its figures are no market's: each ratio of a row to the first is put on a
calm instrument, and the rows lie on the way where the table's own scores put them. Between rows the market moves evenly, and
every tier is passed in turn; which tier a row itself falls into depends on how long the market stands there, and its fourth row,
held for seconds, is Critical already.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from deploy.training import simulated_ticks
from features.spec import FEATURE_NAMES
from models.fitting import replay
from models.folder import read_folder
from schemas.records import Tier
from schemas.ticks import Ticks
from schemas.units import TICK_NS

pytestmark = pytest.mark.slow

DEFAULT = Path(__file__).parents[2] / "models" / "default"
SCORES = np.array([0.013, 0.015, 0.089, 0.452, 0.981])
STRESS = (SCORES - SCORES[0]) / (SCORES[-1] - SCORES[0])
TICKS_BETWEEN = 150
CALM_TICKS = 900
STRESSED = 1
RATIOS = {
    "realised_vol_60s": 4.10 / 0.85,
    "spread_bps": 15.2 / 1.2,
    "spread_ticks": 15.2 / 1.2,
    "buy_cost_bps": 15.2 / 1.2,
    "sell_cost_bps": 15.2 / 1.2,
    "trade_to_order": 0.01 / 0.12,
}
BID_SIDE = [name for name in FEATURE_NAMES if name.startswith("depth_bid") or name in {"bid_qty_top", "book_slope_bid"}]


def stressed(row: npt.NDArray[np.float64], part: float) -> npt.NDArray[np.float64]:
    """A row of calm, ``part`` of the way to the table's last."""
    out = row.copy()
    share = 0.55 - 0.50 * part
    bids = share / (1 - share) / (0.55 / 0.45)
    for number, name in enumerate(FEATURE_NAMES):
        if name in RATIOS:
            out[number] *= RATIOS[name] ** part
        elif name in BID_SIDE:
            out[number] *= bids
        elif name.startswith("imbalance_l"):
            over = (1 + row[number]) / max(1 - row[number], 1e-9) * bids
            out[number] = (over - 1) / (over + 1)
    return out


def session() -> list[Ticks]:
    calm = simulated_ticks("calm", 12_345, duration_s=CALM_TICKS / 10 + 1)[:CALM_TICKS]
    path = np.interp(np.arange(4 * TICKS_BETWEEN + 1) / TICKS_BETWEEN, np.arange(5), STRESS)
    rising = []
    for number, part in enumerate(path, 1):
        like = calm[CALM_TICKS // 2 + number % (CALM_TICKS // 2)]
        values = like.values.copy()
        row = int(np.flatnonzero(like.instrument_id == STRESSED)[0])
        values[row] = stressed(values[row], float(part))
        tick_ns = np.full(len(like.tick_ns), calm[-1].tick_ns[0] + number * TICK_NS)
        rising.append(replace(like, tick_ns=tick_ns, values=values))
    return [*calm, *rising]


def test_table_maps_to_a_monotone_score_and_to_every_tier_in_turn() -> None:
    said = replay(session(), read_folder(DEFAULT))
    own = [(float(p.strange[place]), Tier(int(p.tier[place]))) for p in said.pulses for place in
           np.flatnonzero(p.instrument_id == STRESSED)]  # fmt: skip
    rows = [own[-1 - 4 * TICKS_BETWEEN + n * TICKS_BETWEEN] for n in range(5)]
    strange, tiers = [s for s, _ in rows], [tier for _, tier in rows]
    assert strange[1] <= strange[2] < strange[3] < strange[4]
    assert tiers == sorted(tiers)
    assert tiers[:2] == [Tier.NORMAL, Tier.NORMAL]
    assert tiers[-1] is Tier.CRITICAL
    visited = list(dict.fromkeys(tier for _, tier in own))
    assert visited == [Tier.NORMAL, Tier.ELEVATED, Tier.HIGH_ALERT, Tier.CRITICAL]
