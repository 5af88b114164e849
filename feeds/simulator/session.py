"""A simulated session: a scenario and a seed give events, the firm's own orders and what an observer may want to know."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from feeds.blocks import EventBlock, Row, block_of
from feeds.simulator.flow import OrderFlow
from feeds.simulator.scenario import OwnOrder, Scenario, load_scenario
from schemas.records import OrderAction, OrderRequest, OrderSide, OrderType


@dataclass(frozen=True, slots=True, eq=False)
class Session:
    """One simulated session.

    Attributes:
        scenario: The scenario, with times and marks.
        block: All events of the channel in time order.
        orders: The firm's own orders, limit prices resolved against the simulated mid, in time order.
        mids: Instrument → ``(samples, 2)`` float64 of ``ts_ns`` and mid in ticks.
    """

    scenario: Scenario
    block: EventBlock
    orders: list[OrderRequest]
    mids: dict[int, npt.NDArray[np.float64]] = field(repr=False)


def simulate(name: str, seed: int, *, duration_s: float | None = None) -> Session:
    """Return the session of a scenario; equal arguments give equal sessions.

    Raises:
        ScenarioError: There is no such scenario, or its file has a mistake.
    """
    scenario = load_scenario(name, duration_s=duration_s)
    rows: list[Row] = []
    mids = {}
    ticks = {}
    for instrument in scenario.instruments:
        flow = OrderFlow(instrument, scenario, seed)
        rows += flow.run()
        mids[instrument.id] = np.array(flow.mids, dtype=np.float64).reshape(-1, 2)
        ticks[instrument.id] = instrument.tick_size
    rows.sort(key=lambda row: row[0])  # stable: events of one instrument keep their order
    orders = [_request(own, mids[own.instrument_id], ticks[own.instrument_id]) for own in scenario.orders]
    return Session(scenario, block_of(rows), orders, mids)


def _request(own: OwnOrder, mids: npt.NDArray[np.float64], tick_size: int) -> OrderRequest:
    price = None
    if own.offset_ticks is not None:
        mid = mids[max(0, int(np.searchsorted(mids[:, 0], own.ts_ns)) - 1), 1]
        towards = 1 if own.side is OrderSide.BUY else -1
        price = (int(mid) + towards * own.offset_ticks) * tick_size
    return OrderRequest(
        order_id=own.order_id,
        account_id=own.account_id,
        instrument_id=own.instrument_id,
        ts_event_ns=own.ts_ns,
        action=OrderAction.NEW,
        side=own.side,
        order_type=OrderType.MARKET if price is None else OrderType.LIMIT,
        qty=own.qty,
        price=price,
    )
