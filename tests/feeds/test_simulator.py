"""The simulator: reproducible, always a possible market, and the flash crash has its shape for several seeds."""

import numpy as np
import pytest

from feeds.simulator.scenario import ScenarioError, Shape, load_scenario
from feeds.simulator.session import Session, simulate
from schemas.events import Kind
from schemas.units import NS_PER_S


@pytest.fixture(scope="module", params=[7, 1])
def crash(request: pytest.FixtureRequest) -> Session:
    return simulate("flash_crash", request.param)


def mid_at(session: Session, ts_ns: int) -> float:
    mids = session.mids[1]
    return float(mids[int(np.searchsorted(mids[:, 0], ts_ns)) - 1, 1])


def test_equal_seeds_give_equal_sessions_and_others_do_not() -> None:
    first, again, other = (simulate("calm", seed, duration_s=5) for seed in (3, 3, 4))
    assert all(np.array_equal(first.block.columns[n], again.block.columns[n]) for n in first.block.columns)
    assert len(first.block) != len(other.block)


def test_every_event_refers_to_an_order_that_lives(crash: Session) -> None:
    live: dict[int, int] = {}
    columns = crash.block.columns
    rows = zip(columns["kind"].tolist(), columns["order_id"].tolist(), columns["qty"].tolist(), strict=True)
    for kind, order_id, qty in rows:
        if kind == Kind.ADD:
            assert order_id not in live
            live[order_id] = qty
        elif kind == Kind.DELETE:
            assert live.pop(order_id) == qty
        elif kind == Kind.EXECUTE:
            live[order_id] -= qty
            assert live[order_id] >= 0
            if live[order_id] == 0:
                del live[order_id]


def test_the_crash_is_late_deep_and_partly_bought_back(crash: Session) -> None:
    marks = crash.scenario.marks
    before = mid_at(crash, marks["calm_until"])
    moves = {name: mid_at(crash, marks[name]) / before - 1 for name in ("key_order", "bottom", "release")}
    assert abs(mid_at(crash, marks["calm_until"] + 5 * NS_PER_S) / before - 1) < 0.003
    assert -0.009 < moves["key_order"] < -0.002
    assert -0.023 < moves["bottom"] < -0.017
    assert moves["release"] > moves["bottom"] + 0.001


def test_own_orders_are_in_time_order_and_hold_the_key_order(crash: Session) -> None:
    times = [order.ts_event_ns for order in crash.orders]
    key = next(order for order in crash.orders if order.order_id == "market-200")
    assert times == sorted(times)
    assert len(crash.orders) >= 60
    assert (key.qty, key.price, key.ts_event_ns) == (200, None, crash.scenario.marks["key_order"])


def test_shape_is_linear_between_corners_and_neutral_before() -> None:
    shape = Shape((10, 20), (2.0, 4.0), 1.0)
    assert [shape.at(t) for t in (5, 10, 15, 20, 99)] == [1.0, 2.0, 3.0, 4.0, 4.0]


def test_unknown_scenario_lists_those_there_are() -> None:
    with pytest.raises(ScenarioError, match="calm, drill, flash_crash"):
        load_scenario("tulip_mania")
