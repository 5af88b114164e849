"""Facts of a trading process: told of each account at its place, noted before they are applied, kept until the broker has them."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gate._native import Gate, LimitTable
from gate.desk import SESSIONS_MAX, Booked, GateDesk, hash_of
from gate.errors import FactRefusedError
from gate.facts import Hand
from gate.trading import TradingGate
from schemas.orders import FactKind, OrderFact
from tests.gate.test_trading import FILL, HAND, NOW_NS, ORDER, Place

DAY, LOST = FactKind.DAY_STARTED, FactKind.SESSION_LOST
BACK, SET = FactKind.SESSION_BACK, FactKind.POSITION_SET


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.table.close()


def waiting(gate: TradingGate) -> list[OrderFact]:
    return list(gate._facts._waiting.values())


def told(gate: TradingGate) -> list[tuple[Any, ...]]:
    return [(fact.kind, fact.number, fact.requests_sent, fact.executions_seen) for fact in waiting(gate)]


def test_fact_stands_between_the_orders_and_reports_that_it_came_between(place: Place) -> None:
    with place.open() as gate:
        gate.new_day()
        assert told(gate) == [], "there is no account to tell"
        first = gate.submit(ORDER, NOW_NS).request
        gate.new_day()
        fill = gate.report(FILL).execution
        gate.session("S1", is_up=False)
        second = gate.submit(replace(ORDER, order_id="o2"), NOW_NS).request
        gate.session("S1", is_up=True)
        assert gate.reconcile("DESK-1", 1, -4, is_done=True, hand=HAND) == 10
        assert told(gate) == [(DAY, 1, 1, 0), (LOST, 2, 1, 1), (BACK, 3, 2, 1), (SET, 4, 2, 1)]
        assert (first.facts_seen, fill.facts_seen, second.facts_seen) == (0, 1, 2)
        position = waiting(gate)[-1]
        assert (position.position, position.maker, position.checker, position.reason) == (-4, *HAND)
        assert {fact.sender for fact in waiting(gate)} == {position.sender}
        assert (gate.counters()["facts_told"], gate.counters()["facts_waiting"]) == (4, 4)


def test_session_is_told_once_and_to_accounts_that_come_while_it_is_lost(place: Place) -> None:
    with place.open() as gate:
        for is_up in (False, False, True, True, False):
            gate.session("S1", is_up=is_up)
        assert told(gate) == []
        request = gate.submit(ORDER, NOW_NS).request
        assert told(gate) == [(LOST, 1, 0, 0)]
        assert request.facts_seen == 1
        gate.submit(replace(ORDER, account_id="NOBODY"), NOW_NS)
        assert len(told(gate)) == 1, "of strangers nothing is told"


@pytest.mark.parametrize(
    ("hand", "cause"),
    [
        (Hand("", "bo", "books"), "no_maker"),
        (Hand("ann", "", "books"), "no_checker"),
        (Hand("ann", " ANN ", "books"), "same_person"),
        (Hand("ann", "bo", " "), "no_reason"),
    ],
)
def test_position_set_by_hand_needs_two_people_and_a_reason(place: Place, hand: Hand, cause: str) -> None:
    with place.open() as gate:
        with pytest.raises(FactRefusedError, match=cause):
            gate.reconcile("DESK-1", 1, 5, is_done=True, hand=hand)
        assert (gate.holdings(), told(gate)) == ([], [])


def test_position_without_room_or_sense_was_never_the_case_and_leaves_no_hole(place: Place) -> None:
    with place.open() as gate:
        for number in range(1, 17):
            assert gate.reconcile("DESK-1", number, number, is_done=False, hand=HAND) == 0
        assert gate.reconcile("DESK-1", 99, 1, is_done=False, hand=HAND) is None
        assert gate.reconcile("DESK-1", 0, 1, is_done=False, hand=HAND) is None
        assert gate.reconcile("DESK-1", 1, 2**62 + 1, is_done=False, hand=HAND) is None
        with pytest.raises(FactRefusedError, match="bad_record"):
            gate.reconcile("DESK-1", 1, 2**70, is_done=False, hand=HAND)
        gate.new_day()
        assert [fact.number for fact in waiting(gate)] == list(range(1, 18))
    with place.open() as gate:
        gate.new_day()
        assert [fact.number for fact in waiting(gate)] == list(range(1, 19))


def test_facts_that_no_broker_has_and_lost_sessions_outlive_the_process(place: Place) -> None:
    with place.open() as gate:
        gate.submit(ORDER, NOW_NS)
        gate.session("S1", is_up=False)
        gate.new_day()
        before = waiting(gate)
        gate._facts.kept(before[0])
    for life in (1, 2):
        with place.open() as gate:
            assert waiting(gate)[0] == before[1]
            again = waiting(gate)[life]
            assert (again.kind, again.number, again.session_id) == (LOST, 2 + life, "S1"), (
                "told anew, lest one missed it"
            )
            assert again.ts_event_ns == before[0].ts_event_ns
            assert again.sender == before[0].sender
            assert gate.submit(replace(ORDER, order_id=f"n{life}"), NOW_NS).decision.reason == "session_down"


@pytest.mark.parametrize("crash", ["before", "after"])
def test_fact_that_was_noted_when_the_process_died_is_the_case_at_the_next_start(place: Place, crash: str) -> None:
    with place.open() as gate:
        gate.submit(ORDER, NOW_NS)
        gate.report(FILL)
        fact = OrderFact("", "DESK-1", SET, 5, "", 0, instrument_id=1, position=70, maker="a", checker="b", reason="r")
        noted = gate._facts.position(fact)
        if crash == "after":
            gate._desk.take(noted)
    with place.open() as gate:
        assert [held.position for held in gate.holdings()] == [70]
        assert waiting(gate) == [noted]
        assert gate.submit(replace(ORDER, order_id="n"), NOW_NS).request.facts_seen == 1


def test_journal_of_a_version_without_facts_is_read(place: Place) -> None:
    with place.open():
        pass
    journal = place.settings.folder / "journal"
    base = {"counts": {"DESK-1": [4, 2]}, "names": [], "keys": []}
    journal.write_text(json.dumps(["b", base]) + '\n["r","DESK-1","o9"]\n')
    with place.open() as gate:
        request = gate.submit(ORDER, NOW_NS).request
        assert (request.executions_seen, request.facts_seen) == (2, 0)
        gate.new_day()
        assert told(gate) == [(DAY, 1, 6, 2)]


def desk_over(table: LimitTable, memory: tuple[bytes, dict[str, Any]] | None = None) -> GateDesk:
    gate = Gate(table, accounts=4, positions=16, orders=64, snapshot=memory[0] if memory else None)
    desk = GateDesk(gate, table, enforcer="e")
    if memory:
        desk.remember(memory[1])
    return desk


def fact(kind: FactKind, account: str = "DESK-1", **changes: Any) -> OrderFact:
    return OrderFact("f", account, kind, 5, "s", 1, **changes)


def test_session_lost_to_one_account_is_not_lost_to_another_and_is_remembered(place: Place) -> None:
    desk = desk_over(place.table)
    assert desk.take(fact(LOST, session_id="S1")) is Booked.BOOKED
    assert desk.take(fact(LOST, "OTHER", session_id="S2")) is Booked.BOOKED
    memory = json.loads(json.dumps(desk.memory()))
    for one in (desk, desk_over(place.table, (desk.gate.snapshot(), memory))):
        assert one.submit(ORDER, NOW_NS).reason == "session_down"
        assert one.submit(replace(ORDER, session_id="S2"), NOW_NS).reason == "ok"
        one.take(fact(BACK, session_id="S1"))
        assert one.submit(replace(ORDER, order_id="o2"), NOW_NS + 10**9).reason == "ok"


def test_more_lost_sessions_than_the_core_tells_apart_are_all_lost_here_as_there(place: Place) -> None:
    here, there = desk_over(place.table), desk_over(place.table)
    order = replace(ORDER, session_id="S0", qty=0)
    for number in range(1, SESSIONS_MAX + 3):
        for is_up in (False, True, False):
            here.take(fact(BACK if is_up else LOST, session_id=f"S{number}"))
            there.gate.session(hash_of("session", f"S{number}"), is_up)
        named = replace(ORDER, order_id=f"o{number}", session_id="S0")
        said = [one.submit(named, NOW_NS + number * 10**9).reason for one in (here, there)]
        assert said == (["session_down"] * 2 if number > SESSIONS_MAX else ["ok"] * 2)
    assert here.submit(order, NOW_NS).reason == "invalid_order"


@pytest.mark.parametrize(
    ("bad", "booked"),
    [
        (fact(DAY, ""), Booked.INVALID),
        (fact(LOST), Booked.INVALID),
        (fact(SET, position=3), Booked.INVALID),
        (fact(SET, instrument_id=3), Booked.INVALID),
        (fact(SET, instrument_id=2**32, position=3), Booked.INVALID),
        (fact(SET, instrument_id=1, position=-(2**62) - 1), Booked.INVALID),
        (fact(SET, instrument_id=1, position=-(2**62)), Booked.BOOKED),
        (fact(BACK, session_id="never lost"), Booked.BOOKED),
        (fact(DAY, "never seen"), Booked.BOOKED),
    ],
)
def test_fact_that_says_nothing_is_not_applied(place: Place, bad: OrderFact, booked: Booked) -> None:
    assert desk_over(place.table).take(bad) is booked
