"""One order of requests and reports: the sender's own, however both halves arrive; bounded where one half is lost."""

import json
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate.causal import CausalCounters, CausalOrder
from schemas.orders import (
    ExecutionKind,
    ExecutionSource,
    OrderAction,
    OrderExecution,
    OrderRequest,
    OrderSide,
    OrderType,
)

ORDER = OrderRequest("o", "A", 1, 5, OrderAction.NEW, OrderSide.BUY, OrderType.MARKET, 1, None)
FILL = OrderExecution("x", "o", "A", 1, 5, ExecutionKind.FILLED, OrderSide.BUY, 1, 2, "V", ExecutionSource.VENUE)
Told = tuple[str, int | None, str]


def offered(order: CausalOrder[str], told: Told, account: str = "A") -> list[tuple[str, int]]:
    kind, number, name = told
    offer = order.offer_request if kind == "request" else order.offer_report
    return [(one.item, one.missing) for one in offer(account, number, name)]


def life(kinds: list[bool]) -> list[Told]:
    """Return a sender's messages in its own order; true is a request."""
    counters, told = CausalCounters(), list[Told]()
    for number, is_request in enumerate(kinds):
        if is_request:
            told.append(("request", counters.request(ORDER).executions_seen, f"m{number}"))
        else:
            told.append(("report", counters.report(FILL).requests_sent, f"m{number}"))
    return told


def test_report_waits_for_its_order_and_the_next_order_for_the_report() -> None:
    order = CausalOrder[str]()
    assert offered(order, ("report", 1, "fill of a")) == []
    assert offered(order, ("request", 1, "b")) == [], "sent after the fill"
    assert order.waiting == 2
    assert offered(CausalOrder(), ("request", 0, "a")) == [("a", 0)]


def test_messages_without_numbers_come_in_order_of_arrival() -> None:
    order = CausalOrder[str]()
    for number in range(9):
        told = ("request" if number % 3 else "report", None, str(number))
        assert offered(order, told) == [(str(number), 0)]


@given(st.lists(st.booleans(), max_size=40), st.integers(0, 2**32))
def test_order_is_the_senders_whatever_the_interleaving_and_however_often_restored(
    kinds: list[bool], seed: int
) -> None:
    told, pick = life(kinds), random.Random(seed)
    halves = [[one for one in told if (one[0] == "request") == half] for half in (True, False)]
    order, found = CausalOrder[str](), list[str]()
    while any(halves):
        half = pick.choice([part for part in halves if part])
        found += [name for name, missing in offered(order, half.pop(0)) if missing == 0]
        if pick.random() < 0.3:
            memory = json.loads(json.dumps(order.memory()))
            order = CausalOrder()
            order.remember(memory)
    assert found == [name for _, _, name in told]
    assert (order.waiting, order.out_of_order) == (0, 0)


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.data())
def test_nothing_is_lost_or_kept_for_ever_when_a_message_never_comes(kinds: list[bool], data: st.DataObject) -> None:
    told = life(kinds)
    lost = data.draw(st.integers(0, len(told) - 1))
    order, found = CausalOrder[str](waiting_max=3), list[str]()
    for number, one in enumerate(told):
        if number != lost:
            found += [name for name, _ in offered(order, one)]
            assert order.waiting <= 3
    assert len(set(found)) == len(found)
    assert len(found) + order.waiting == len(told) - 1


def test_account_goes_on_in_order_after_a_message_was_lost() -> None:
    order = CausalOrder[str](waiting_max=1)
    assert offered(order, ("report", 1, "fill of the lost")) == []
    assert offered(order, ("report", 1, "second fill")) == [("fill of the lost", 1), ("second fill", 0)]
    assert offered(order, ("request", 2, "next")) == [("next", 0)]
    assert order.out_of_order == 1


def test_accounts_do_not_wait_for_each_other() -> None:
    order = CausalOrder[str]()
    assert offered(order, ("report", 1, "early"), "A") == []
    assert offered(order, ("request", 0, "b"), "B") == [("b", 0)]


def test_counters_go_on_where_a_past_life_ended() -> None:
    counters, again = CausalCounters(), CausalCounters()
    counters.request(ORDER)
    counters.report(FILL)
    again.restore(counters.counts())
    assert again.request(ORDER).executions_seen == 1
    assert again.report(FILL).requests_sent == 2
    assert again.request(replace(ORDER, account_id="B")).executions_seen == 0


@pytest.mark.parametrize("field", ["executions_seen", "requests_sent"])
def test_numbers_that_are_not_told_are_null(field: str) -> None:
    assert getattr(ORDER, field, None) is None
    assert getattr(FILL, field, None) is None
