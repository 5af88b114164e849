"""What trades alone can tell: each baseline sees what it is named after, and none looks ahead."""

from dataclasses import replace

import numpy as np
import pytest

from models.baselines.tape import TapeLargest, TapePace, TapeSide, TapeVolatility, trade_volatility
from models.evaluation.blocks import TickBlock, Vector
from models.evaluation.canary import causality_fault, trial_of
from models.evaluation.protocol import Detector
from tests.models.evaluation.made import block_of

ROWS = 3_000
BREAK = 2_400
MAKES: tuple[type[Detector], ...] = (TapeVolatility, TapePace, TapeSide, TapeLargest)


def tape(seed: int, *, volatile: float = 1.0, pace: float = 1.0, one_sided: float = 0.0) -> TickBlock:
    """Trades that change at ``BREAK`` by a factor of volatility or pace, or to one side."""
    rng = np.random.default_rng([7, seed])
    after = np.arange(ROWS) >= BREAK
    steps = rng.normal(scale=1e-5, size=ROWS) * np.where(after, volatile, 1.0)
    rate = np.exp(0.1 * rng.normal(size=ROWS)) * np.where(after, pace, 1.0)
    side: Vector = np.where(after & (one_sided > 0), one_sided, 0.2 * rng.normal(size=ROWS))
    block = block_of(ROWS, seed=seed, trade_rate=rate, trade_imbalance_10s=side)
    return replace(block, ref_price=(1e11 * np.exp(np.cumsum(steps))).astype(np.int64))


@pytest.mark.parametrize(
    ("make", "changed", "same"),
    [
        (TapeVolatility, {"volatile": 8.0}, {"pace": 8.0}),
        (TapePace, {"pace": 8.0}, {"volatile": 8.0}),
        (TapeSide, {"one_sided": 1.0}, {"volatile": 8.0}),
        (TapeLargest, {"pace": 8.0}, {}),
    ],
)
def test_each_sees_what_it_is_named_after(
    make: type[Detector], changed: dict[str, float], same: dict[str, float]
) -> None:
    detector = make()
    detector.fit([tape(1), tape(2)])
    calm = float(np.nanmax(detector.score(tape(3))))
    assert float(np.nanmedian(detector.score(tape(3, **changed))[BREAK + 400 :])) > 1.2 * calm
    assert float(np.nanmedian(detector.score(tape(3, **same))[BREAK + 400 :])) < calm


@pytest.mark.parametrize("make", MAKES)
def test_none_looks_ahead_and_a_new_instrument_is_measured_by_all(make: type[Detector]) -> None:
    detector = make()
    detector.fit([tape(1)])
    assert causality_fault(detector, trial_of(tape(4, pace=4.0), 1)) is None
    stranger = replace(tape(1), instrument_id=99)
    assert np.array_equal(detector.score(stranger), detector.score(tape(1)), equal_nan=True)


def test_volatility_is_that_of_one_second_returns_and_unknown_until_a_minute_is_whole() -> None:
    block = tape(5)
    found = trade_volatility(block)
    assert np.isnan(found[:609]).all()
    log_price = np.log(block.ref_price)
    returns = log_price[10:] - log_price[:-10]  # of 1 s, at each tick
    row = 2_000
    by_hand = 1e4 * np.sqrt((returns[row - 10 - 599 : row - 9] ** 2).sum() / 10)
    assert found[row] == pytest.approx(by_hand)
    unpriced = replace(block, ref_price=np.where(np.arange(ROWS) < 900, 0, block.ref_price))
    assert np.isnan(trade_volatility(unpriced)[:1_509]).all()
    assert not np.isnan(trade_volatility(unpriced)[1_509:]).any()
