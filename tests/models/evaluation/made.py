"""Blocks made by hand: a market whose cost and spread are what a test says."""

import numpy as np

from features.spec import FEATURE_NAMES
from models.evaluation.blocks import Labels, TickBlock, Vector
from schemas.units import TICK_NS

COLUMN = {name: place for place, name in enumerate(FEATURE_NAMES)}
ROWS = 1_800


def block_of(
    rows: int = ROWS, *, name: str = "made", labels: Labels | None = None, seed: int = 0, **columns: Vector | float
) -> TickBlock:
    """A calm market of noise; ``columns`` replace features."""
    rng = np.random.default_rng([seed, rows])
    values = 2.0 + 0.1 * rng.normal(size=(rows, len(FEATURE_NAMES)))
    values[:, COLUMN["vpin"]] = 0.3 + 0.02 * rng.normal(size=rows)
    for column in ("buy_cost_bps", "sell_cost_bps"):
        values[:, COLUMN[column]] = 1.0
    for column, given in columns.items():
        values[:, COLUMN[column]] = given
    ticks = (1 + np.arange(rows, dtype=np.int64)) * TICK_NS
    prices = np.full(rows, 100_000_000_000, dtype=np.int64)
    return TickBlock(name, 1, ticks, values, np.zeros(rows, np.uint32), prices, labels)


def crisis(seed: int, *, onset: int = 1_000, impact: int = 1_200, rows: int = ROWS, warns: bool = True) -> TickBlock:
    """Cost is tenfold from ``impact`` on; the spread widens from ``onset`` on where ``warns``."""
    place = np.arange(rows)
    cost = np.where(place >= impact, 10.0, 1.0)
    rng = np.random.default_rng([seed, 9])
    spread = 2.0 + 0.1 * rng.normal(size=rows) + np.where((place >= onset) & warns, 6.0, 0.0)
    labels = Labels("crisis", "made", onset)
    return block_of(name=f"crisis-{seed}", labels=labels, seed=seed, rows=rows, sell_cost_bps=cost, spread_bps=spread)


def calm(seed: int, rows: int = ROWS) -> TickBlock:
    return block_of(rows, name=f"calm-{seed}", labels=Labels("calm", "none", rows), seed=seed)


def hard_negative(seed: int) -> TickBlock:
    """The spread widens for five seconds and nothing costs more."""
    spread = np.full(ROWS, 2.0) + 0.1 * np.random.default_rng(seed).normal(size=ROWS)
    spread[1_000:1_050] += 6.0
    labels = Labels("hard_negative", "jump", 1_000)
    return block_of(name=f"hard-{seed}", labels=labels, seed=seed, spread_bps=spread)


def suite() -> list[TickBlock]:
    return [
        *(calm(seed, 6_000) for seed in range(8)),
        *(crisis(seed) for seed in range(100, 108)),
        *(hard_negative(seed) for seed in range(200, 203)),
    ]
