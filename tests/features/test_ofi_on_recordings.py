"""What Cont, Kukanov and Stoikov (2014) found must hold on recorded days: order-flow imbalance explains the mid's move over
the same 10 s better than the imbalance of trades does. Regressions by half-hour, as theirs."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from features.channel import ChannelKernel
from features.spec import FEATURE_NAMES
from feeds.framing import frames_of
from feeds.lobster.reader import open_session
from schemas.units import NS_PER_S

WINDOW_NS = 10 * NS_PER_S
HALF_HOURS = 13
NAMES = ("mid_return_10s_bps", "ofi_10s", "trade_imbalance_10s")


@pytest.mark.marketdata
@pytest.mark.parametrize("name", ["GOOG_2012-06-21_10", "AAPL_2012-06-21_1"])
def test_order_flow_explains_more_of_the_mid_than_trades_do(marketdata: Path, name: str) -> None:
    found = windows(marketdata / "lobster" / f"LOBSTER_SampleFile_{name}.zip")
    assert len(found) > 1_000
    by_half_hour = [rows for rows in np.array_split(found, HALF_HOURS) if len(rows) > 50]
    order_flow = np.mean([r_squared(rows[:, 1], rows[:, 0]) for rows in by_half_hour])
    trades = np.mean([r_squared(rows[:, 2], rows[:, 0]) for rows in by_half_hour])
    assert order_flow > 0.4
    assert order_flow > 1.2 * trades


def windows(recording: Path) -> npt.NDArray[np.float64]:
    """Return the features of disjoint 10 s windows of the day, null rows left out."""
    session = open_session(recording)
    kernel = ChannelKernel(session.channel_id)
    columns = [FEATURE_NAMES.index(feature) for feature in NAMES]
    kept = []
    for frame in frames_of(session.blocks(), session.channel_id, start_ns=session.start_ns, end_ns=session.end_ns):
        rows = kernel.apply(frame)
        kept.append(rows.values[rows.tick_ns % WINDOW_NS == 0][:, columns])
    found = np.concatenate(kept)
    known: npt.NDArray[np.float64] = found[np.isfinite(found).all(axis=1)]
    return known


def r_squared(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> float:
    """Return the share of the variance of ``y`` that a straight line in ``x`` explains."""
    return float(np.corrcoef(x, y)[0, 1] ** 2)
