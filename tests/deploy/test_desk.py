"""The simulated venue of the demonstration, and the promise that both enforcers judged by the same positions."""

from dataclasses import replace
from typing import Any

import pytest

from deploy.demo.expectations import judge
from deploy.demo.story import Story
from deploy.desk import execution_of
from schemas.orders import (
    ExecutionKind,
    OrderAction,
    OrderDecision,
    OrderRequest,
    OrderSide,
    OrderType,
    Verdict,
)
from schemas.tiers import Tier

REF = 100
ORDER = OrderRequest("o", "A", 1, 5, OrderAction.NEW, OrderSide.BUY, OrderType.LIMIT, 7, REF)
PASSED = OrderDecision(
    order_id="o",
    account_id="A",
    instrument_id=1,
    ts_event_ns=5,
    enforcer="gate",
    verdict=Verdict.ACCEPT,
    reason="ok",
    limit=None,
    observed=None,
    tier=Tier.NORMAL,
    stale=False,
    epoch=1,
    tick_ns=4,
    model_id="m",
    score=0.1,
    ref_price=REF,
    position_before=3,
    working_buy_before=0,
    working_sell_before=0,
)


@pytest.mark.parametrize(
    ("changes", "kind", "price"),
    [
        ({}, ExecutionKind.FILLED, REF),
        ({"price": REF + 1}, ExecutionKind.FILLED, REF),
        ({"price": REF - 1}, ExecutionKind.EXPIRED, None),
        ({"price": REF - 1, "side": OrderSide.SELL}, ExecutionKind.FILLED, REF),
        ({"price": REF + 1, "side": OrderSide.SELL}, ExecutionKind.EXPIRED, None),
        ({"price": None, "order_type": OrderType.MARKET}, ExecutionKind.FILLED, REF),
        ({"post_only": True}, ExecutionKind.EXPIRED, None),
    ],
)
def test_accepted_order_trades_whole_at_the_reference_or_expires(
    changes: dict[str, Any], kind: ExecutionKind, price: int | None
) -> None:
    found = execution_of(replace(ORDER, **changes), PASSED)
    assert found is not None
    assert (found.kind, found.price, found.qty, found.order_id) == (kind, price, 7, "o")


def test_order_that_was_refused_or_cancels_never_gets_to_the_venue() -> None:
    assert execution_of(ORDER, replace(PASSED, verdict=Verdict.REJECT, ref_price=None)) is None
    assert execution_of(replace(ORDER, action=OrderAction.CANCEL), PASSED) is None


@pytest.mark.parametrize(
    ("theirs", "held"),
    [
        ({}, True),
        ({"position_before": 4}, False),
        ({"working_buy_before": 1}, False),
        ({"position_before": None}, False),
    ],
)
def test_demo_expects_both_enforcers_to_judge_by_the_same_positions(theirs: dict[str, Any], *, held: bool) -> None:
    story = Story(
        seed=1,
        crash_instrument_id=1,
        crash_start_ns=0,
        reference_price=1,
        release_ns=9,
        key_order_id="k",
        orders=[ORDER],
    )
    story.decisions = {("o", "gate"): PASSED, ("o", "enforce_orders"): replace(PASSED, **theirs)}
    found = {one.name: one.held for one in judge(story, {"decisions": 2, "decision_rows": 2})}
    assert len(found) == 10
    assert found["both enforcers judged by the same positions"] is held
