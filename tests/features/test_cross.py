"""Features across instruments against numpy on the same returns, and the choice of the lead and the group."""

import numpy as np
import numpy.typing as npt
import pytest

from features.channel import ChannelKernel
from features.spec import FEATURE_NAMES
from schemas.events import FrameFlag, Kind
from schemas.frames import Columns, Frame, empty_columns
from schemas.units import NS_PER_S, TICK_NS

START = 1_000 * NS_PER_S
TICK_SIZE = 10_000_000
SECONDS = 90
LEAD = FEATURE_NAMES.index("lead_correlation")
SHARE = FEATURE_NAMES.index("first_factor_share")
STEP = FEATURE_NAMES.index("mid_return_1s_bps")

Values = npt.NDArray[np.float64]


def prices(instruments: int, *, shared: float, seed: int = 5) -> npt.NDArray[np.int64]:
    """Return ``(seconds, instruments)`` mids in ticks; ``shared`` of each step's variance is common."""
    chance = np.random.default_rng(seed)
    common = chance.normal(size=(SECONDS, 1)) * shared**0.5
    own = chance.normal(size=(SECONDS, instruments)) * (1 - shared) ** 0.5
    moved: npt.NDArray[np.int64] = np.cumsum(np.round(50 * (common + own)), axis=0).astype(np.int64)
    return 100_000 + moved


def run(mids: npt.NDArray[np.int64], trades: dict[int, int]) -> Values:
    """Return ``(ticks, instruments, features)``: a level per side and second, and trades of instruments at the end."""
    instruments = mids.shape[1]
    rows = []
    for second in range(SECONDS):
        at = START + second * NS_PER_S + 1
        for number in range(1, instruments + 1):
            mid = int(mids[second, number - 1])
            rows.append((at, number, Kind.CLEAR, 0, 0, 0))
            rows += [(at, number, Kind.LEVEL_SET, side, (mid - side) * TICK_SIZE, 5) for side in (1, -1)]
    rows += [(at + 1, number, Kind.TRADE, 1, TICK_SIZE, 1) for number, count in trades.items() for _ in range(count)]
    names = ("ts_event_ns", "instrument_id", "kind", "side", "price", "qty")
    kinds = (np.int64, np.uint32, np.uint8, np.int8, np.int64, np.int64)
    columns: Columns = {
        name: np.array(column, kind) for name, kind, column in zip(names, kinds, zip(*rows, strict=True), strict=True)
    }
    columns["order_id"] = np.zeros(len(rows), np.uint64)
    columns["seq"] = np.arange(1, len(rows) + 1)
    kernel = ChannelKernel("T")
    end = START + SECONDS * NS_PER_S
    beat = Frame("T", len(rows) + 1, len(rows), end, end, FrameFlag.HEARTBEAT, empty_columns())
    frames = [Frame("T", 1, len(rows), START, int(columns["ts_event_ns"][-1]), FrameFlag(0), columns), beat]
    values = np.concatenate([kernel.apply(frame).values for frame in frames])
    return values.reshape(-1, instruments, len(FEATURE_NAMES))


def last_minute(values: Values) -> Values:
    """Return the ``(60, instruments)`` 1 s returns at whole seconds that the last tick looks back on."""
    return values[len(values) - 1 - 590 :: 10, :, STEP]


def test_correlations_and_first_factor_are_those_of_numpy() -> None:
    values = run(prices(5, shared=0.5), {3: 2})
    wanted = np.corrcoef(last_minute(values).T)
    np.testing.assert_allclose(values[-1, :, LEAD], wanted[2], rtol=0, atol=1e-6)
    share = np.linalg.eigvalsh(wanted)[-1] / 5
    np.testing.assert_allclose(values[-1, :, SHARE], share, rtol=1e-4)
    assert values[-1, 2, LEAD] == 1


def test_lead_has_the_most_trades_and_of_equals_the_smallest_id() -> None:
    mids = prices(3, shared=0.3)
    for trades, lead in (({}, 0), ({2: 4, 3: 4}, 1), ({2: 4, 3: 5}, 2)):
        wanted = np.corrcoef(last_minute(values := run(mids, trades)).T)[lead]
        np.testing.assert_allclose(values[-1, :, LEAD], wanted, rtol=0, atol=1e-6)


def test_first_factor_is_of_the_64_instruments_that_trade_most() -> None:
    mids = prices(70, shared=0.4)
    quiet = {5, 17, 33, 60, 69, 70}
    values = run(mids, {number: 1 for number in range(1, 71) if number not in quiet})
    busy = np.array([number - 1 for number in range(1, 71) if number not in quiet])
    share = np.linalg.eigvalsh(np.corrcoef(last_minute(values)[:, busy].T))[-1] / 64
    assert values[-1, 0, SHARE] == pytest.approx(share, rel=1e-4)


def test_values_hold_for_a_second_and_are_null_before_20_returns() -> None:
    values = run(prices(3, shared=0.5), {1: 1})
    shares = values[:, 0, SHARE]
    first = int(np.flatnonzero(~np.isnan(shares))[0])
    assert first == 21 * NS_PER_S // TICK_NS - 1  # the first second has no return
    held = shares[first:].reshape(-1)[: (len(shares) - first) // 10 * 10].reshape(-1, 10)
    assert (held == held[:, :1]).all()


def test_instrument_that_does_not_move_has_no_correlation_and_no_part_in_the_first_factor() -> None:
    mids = prices(3, shared=0.5)
    mids[:, 1] = 100_000
    values = run(mids, {1: 1})
    assert np.isnan(values[-1, 1, LEAD])
    two = np.linalg.eigvalsh(np.corrcoef(last_minute(values)[:, [0, 2]].T))[-1] / 2
    assert values[-1, 1, SHARE] == pytest.approx(two, rel=1e-4)
    still = run(np.full((SECONDS, 2), 100_000), {})
    assert np.isnan(still[:, :, SHARE]).all()
