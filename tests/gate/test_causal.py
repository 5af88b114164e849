"""One order of requests, reports and facts: the sender's own, however the parts arrive; bounded where one is lost."""

import json
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate.causal import CausalCounters, CausalOrder, Message
from schemas.orders import (
    ExecutionKind,
    ExecutionSource,
    FactKind,
    OrderAction,
    OrderExecution,
    OrderFact,
    OrderRequest,
    OrderSide,
    OrderType,
)

ORDER = OrderRequest("o", "A", 1, 5, OrderAction.NEW, OrderSide.BUY, OrderType.MARKET, 1, None)
FILL = OrderExecution("x", "o", "A", 1, 5, ExecutionKind.FILLED, OrderSide.BUY, 1, 2, "V", ExecutionSource.VENUE)
DAY = OrderFact("", "A", FactKind.DAY_STARTED, 5, "p.1", 1)
Told = tuple[Message, str]


def offered(order: CausalOrder[str], message: Message, name: str) -> list[tuple[str, int]]:
    return [(one.item, one.missing) for one in order.offer(message, name)]


def _made(counters: CausalCounters, kind: int) -> Message:
    return counters.request(ORDER) if kind == 0 else counters.report(FILL) if kind == 1 else counters.fact(DAY)


def life(kinds: list[int]) -> list[Told]:
    """Return a sender's messages in its own order."""
    counters = CausalCounters()
    made: list[Message] = [_made(counters, kind) for kind in kinds]
    return [(message, f"m{number}") for number, message in enumerate(made)]


def test_report_waits_for_its_order_and_the_next_order_for_the_report() -> None:
    order = CausalOrder[str]()
    assert offered(order, replace(FILL, requests_sent=1), "fill of a") == []
    assert offered(order, replace(ORDER, executions_seen=1), "b") == [], "sent after the fill"
    assert order.waiting == 2
    assert offered(CausalOrder(), replace(ORDER, executions_seen=0), "a") == [("a", 0)]


def test_day_starts_between_the_messages_that_it_came_between() -> None:
    order = CausalOrder[str]()
    (before, _), (day, _), (fill, _), (after, _) = life([0, 2, 1, 0])
    assert offered(order, fill, "fill") == []
    assert offered(order, day, "day") == []
    assert offered(order, before, "before") == [("before", 0), ("day", 0), ("fill", 0)]
    assert offered(order, after, "after") == [("after", 0)]


def test_messages_without_numbers_come_in_order_of_arrival() -> None:
    order = CausalOrder[str]()
    for number in range(9):
        message = (ORDER, FILL, replace(DAY, number=0))[number % 3]
        assert offered(order, message, str(number)) == [(str(number), 0)]
    assert offered(order, replace(FILL, source=ExecutionSource.DROP_COPY, requests_sent=99), "copy") == [("copy", 0)]


@given(st.lists(st.integers(0, 2), max_size=40), st.integers(0, 2**32))
def test_order_is_the_senders_whatever_the_interleaving_and_however_often_restored(kinds: list[int], seed: int) -> None:
    told, pick = life(kinds), random.Random(seed)
    parts = [[one for one in told if isinstance(one[0], kind)] for kind in (OrderRequest, OrderExecution, OrderFact)]
    order, found, repeated = CausalOrder[str](), list[str](), 0
    while any(parts):
        part = pick.choice([part for part in parts if part])
        message, name = part.pop(0)
        found += [released for released, missing in offered(order, message, name) if missing == 0]
        if isinstance(message, OrderFact) and pick.random() < 0.3:  # its writer may not know that the broker has it
            found += [released for released, _ in offered(order, message, "again")]
            repeated += 1
        if pick.random() < 0.3:
            memory = json.loads(json.dumps(order.memory()))
            order = CausalOrder()
            order.remember(memory)
    assert found == [name for _, name in told]
    assert (order.waiting, order.out_of_order, order.repeated) == (0, 0, repeated)


@given(st.lists(st.integers(0, 2), min_size=1, max_size=60), st.data())
def test_nothing_is_lost_or_kept_for_ever_when_a_message_never_comes(kinds: list[int], data: st.DataObject) -> None:
    told = life(kinds)
    lost = data.draw(st.integers(0, len(told) - 1))
    order, found = CausalOrder[str](waiting_max=3), list[str]()
    for number, one in enumerate(told):
        if number != lost:
            found += [name for name, _ in offered(order, *one)]
            assert order.waiting <= 3
    found += [one.item for one in order.let_all_go()]
    assert sorted(found) == sorted(name for number, (_, name) in enumerate(told) if number != lost)
    assert order.waiting == 0


def test_account_goes_on_in_order_after_a_message_was_lost() -> None:
    order, fill = CausalOrder[str](waiting_max=1), replace(FILL, requests_sent=1)
    assert offered(order, fill, "fill of the lost") == []
    assert offered(order, fill, "second fill") == [("fill of the lost", 1), ("second fill", 0)]
    assert offered(order, replace(ORDER, executions_seen=2), "next") == [("next", 0)]
    assert order.out_of_order == 1


def test_facts_that_arrive_in_another_order_go_in_theirs() -> None:
    order = CausalOrder[str]()
    for number in (3, 2, 3):
        assert offered(order, replace(DAY, number=number), str(number)) == []
    assert offered(order, DAY, "1") == [("1", 0), ("2", 0), ("3", 0)]
    assert offered(order, replace(DAY, number=2), "2") == []
    assert (order.repeated, order.waiting) == (2, 0)


def test_facts_of_another_life_count_anew_and_what_waited_for_the_old_one_is_told() -> None:
    order = CausalOrder[str]()
    assert offered(order, DAY, "1") == [("1", 0)]
    assert offered(order, replace(DAY, number=3), "3") == []
    again = replace(DAY, sender="p.2")
    assert offered(order, again, "new 1") == [("3", 1), ("new 1", 0)]
    assert offered(order, again, "new 1") == []
    assert offered(order, replace(ORDER, facts_seen=2), "b") == []
    assert offered(order, replace(again, number=2), "new 2") == [("new 2", 0), ("b", 0)]
    assert order.out_of_order == 1


def test_accounts_do_not_wait_for_each_other() -> None:
    order = CausalOrder[str]()
    assert offered(order, replace(FILL, requests_sent=1), "early") == []
    assert offered(order, replace(ORDER, account_id="B", executions_seen=0), "b") == [("b", 0)]


def test_counters_go_on_where_a_past_life_ended() -> None:
    counters, again = CausalCounters(), CausalCounters()
    counters.request(ORDER)
    counters.report(FILL)
    assert counters.fact(DAY).fact_id == "p.1:A:1"
    again.restore(counters.counts())
    request, fact = again.request(ORDER), again.fact(DAY)
    assert (request.executions_seen, request.facts_seen) == (1, 1)
    assert (fact.number, fact.requests_sent, fact.executions_seen) == (2, 2, 1)
    assert (again.report(FILL).requests_sent, again.report(FILL).facts_seen) == (2, 2)
    assert again.request(replace(ORDER, account_id="B")).executions_seen == 0


@pytest.mark.parametrize("field", ["executions_seen", "requests_sent", "facts_seen"])
def test_numbers_that_are_not_told_are_null(field: str) -> None:
    assert getattr(ORDER, field, None) is None
    assert getattr(FILL, field, None) is None
    assert getattr(DAY, field, None) is None
