"""Synthetic sessions and a fitted stack without the network: what every test of detectors starts from."""

from collections.abc import Callable

import numpy as np
import pytest

from features.spec import FEATURE_NAMES, SCORED
from models.detectors.stack import Stack
from models.detectors.suite import simple_measures
from models.evaluation.blocks import TickBlock
from schemas.units import TICK_NS

COUNT = len(SCORED)
MakeBlock = Callable[..., TickBlock]


def make(
    seed: int,
    ticks: int = 1_500,
    *,
    instrument: int = 1,
    crisis_from: int | None = None,
    first: int = 360_001,
) -> TickBlock:
    """Return a session whose transformed features are 3 + correlated, autocorrelated normals of deviation about 0.2.

    From ``crisis_from`` on features 0 to 4 leave by 0.05 a tick, up to 2.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    factors, shocks = np.zeros((ticks, 4)), rng.normal(size=(ticks, 4))
    factors[0] = shocks[0]
    for tick in range(1, ticks):
        factors[tick] = 0.8 * factors[tick - 1] + 0.6 * shocks[tick]
    mixing = np.random.Generator(np.random.PCG64(0)).normal(size=(4, COUNT)) / 2
    moved = 3.0 + 0.2 * (0.7 * factors @ mixing + 0.7 * rng.normal(size=(ticks, COUNT)))
    if crisis_from is not None:
        moved[crisis_from:, :5] += np.minimum(0.05 * np.arange(ticks - crisis_from), 2.0)[:, None]
    values = np.zeros((ticks, len(FEATURE_NAMES)))
    for column, feature in enumerate(SCORED):
        if feature.transform == "log1p":
            values[:, column] = np.expm1(moved[:, column])
        else:
            values[:, column] = np.sinh(moved[:, column]) if feature.transform == "asinh" else moved[:, column]
    tick_ns = np.arange(first, first + ticks, dtype=np.int64) * TICK_NS
    return TickBlock(
        f"synthetic/{seed}", instrument, tick_ns, values, np.zeros(ticks, np.uint32), np.full(ticks, 10**11, np.int64)
    )


@pytest.fixture(scope="session")
def make_block() -> MakeBlock:
    return make


@pytest.fixture(scope="session")
def past() -> list[TickBlock]:
    """Eight calm sessions of instruments 1 and 2 in turn."""
    return [make(seed, instrument=1 + seed % 2) for seed in range(8)]


@pytest.fixture(scope="session")
def stack(past: list[TickBlock]) -> Stack:
    made = Stack(simple_measures(), seed=7)
    made.fit(past)
    return made
