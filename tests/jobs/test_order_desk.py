"""The machine of `enforce_orders`: tiers, reports, facts, restores at every message, what arrives twice, late or damaged."""

import json
from dataclasses import replace
from typing import Any, cast

import pytest

from deploy.instruments import reference_commands
from gate.causal import CausalCounters
from jobs.machines.letters import Message
from jobs.machines.order_desk import OrderDesk
from schemas import codec, topics
from schemas.errors import Place
from schemas.orders import ExecutionKind, ExecutionSource, FactKind, OrderAction, OrderFact, OrderSide, OrderType
from schemas.records import DeadLetter, OrderDecision, OrderExecution, OrderRequest, RiskState, Tier

ROOT = codec.SCHEMA_ROOT
TTL_NS = 3_000_000_000


def example(topic: str, path: str) -> codec.Record:
    return codec.from_plain(topic, json.loads((ROOT / topic / "examples" / path).read_text()))


STATE = replace(cast("RiskState", example(topics.RISK_STATES, "v2/high_alert.json")), ref_price=100_000_000_000)
ORDER = OrderRequest(
    order_id="market-200",
    account_id="DESK-1",
    instrument_id=STATE.instrument_id,
    ts_event_ns=STATE.tick_ns + 1,
    action=OrderAction.NEW,
    side=OrderSide.SELL,
    order_type=OrderType.MARKET,
    qty=200,
    price=None,
)
FILL = OrderExecution(
    exec_id="x1",
    order_id=ORDER.order_id,
    account_id=ORDER.account_id,
    instrument_id=ORDER.instrument_id,
    ts_event_ns=ORDER.ts_event_ns,
    kind=ExecutionKind.FILLED,
    side=OrderSide.SELL,
    qty=10,
    price=100_000_000_000,
    venue_id="SIM",
    source=ExecutionSource.VENUE,
)
DAY = OrderFact("f", ORDER.account_id, FactKind.DAY_STARTED, ORDER.ts_event_ns, "desk.1", 1)
SET = replace(
    DAY,
    kind=FactKind.POSITION_SET,
    instrument_id=ORDER.instrument_id,
    position=7,
    maker="ann",
    checker="bo",
    reason="books",
)


class Flink:
    """What the operator does around a machine: places, and what is kept."""

    def __init__(self, *, waiting_max: int = 256, log_bytes_min: int = 2**18) -> None:
        self.bounds = waiting_max, log_bytes_min
        self.rules: dict[str, bytes] = {}
        self.snapshot: bytes | None = None
        self.entries: list[bytes] = []
        self.offsets: dict[str, int] = {}
        self.desk = self.make()

    def make(self) -> OrderDesk:
        return OrderDesk(ttl_ns=TTL_NS, waiting_max=self.bounds[0], log_bytes_min=self.bounds[1])

    def kill(self) -> None:
        self.desk = self.make()
        self.desk.relearn(reversed(self.rules.items()))
        self.desk.restore(self.snapshot, self.entries)

    def learn(self, topic: str, record: codec.Record | bytes) -> list[Message]:
        raw = record if isinstance(record, bytes) else codec.encode(topic, record)
        kept, letters = self.desk.learn(raw, self.place(topic))
        if kept is not None:
            self.rules[kept[0]] = kept[1]
        return letters

    def send(
        self, record: OrderRequest | OrderExecution | OrderFact | bytes, place: Place | None = None
    ) -> list[OrderDecision]:
        known = {OrderExecution: topics.ORDERS_EXECUTIONS, OrderFact: topics.ORDERS_FACTS}
        topic = known.get(type(record), topics.ORDERS_REQUESTS)
        raw = record if isinstance(record, bytes) else codec.encode(topic, record)
        outcome = self.desk.apply(raw, place or self.place(topic))
        if outcome.snapshot is not None:
            self.snapshot, self.entries = outcome.snapshot, []
        elif outcome.entry is not None:
            self.entries.append(outcome.entry)
        self.letters = [cast("DeadLetter", codec.decode(topics.DEAD_LETTERS, raw)) for _, raw in outcome.letters]
        return [cast("OrderDecision", codec.decode(topics.ORDERS_DECISIONS, raw)) for _, raw in outcome.decisions]

    def place(self, topic: str) -> Place:
        self.offsets[topic] = self.offsets.get(topic, -1) + 1
        return Place(topic, 0, self.offsets[topic])

    def position(self) -> int:
        return sum(holding[2] for holding in self.desk.holdings())


@pytest.fixture
def flink() -> Flink:
    return made()


def made(**options: int) -> Flink:
    flink = Flink(**options)
    for command in reference_commands(ts_ns=0):
        assert not flink.learn(topics.RISK_COMMANDS, command)
    assert not flink.learn(topics.RISK_STATES, STATE)
    return flink


def order(name: str, **changes: Any) -> OrderRequest:
    return replace(ORDER, order_id=name, **changes)


def test_order_meets_the_tier_in_force(flink: Flink) -> None:
    (found,) = flink.send(ORDER)
    assert (found.verdict, found.reason, found.limit, found.observed) == ("REJECT", "max_order_size", 50, 200)
    assert (found.enforcer, found.seq, found.position_before) == ("enforce_orders", 1, 0)


def test_fill_moves_the_position_that_the_next_order_is_judged_by(flink: Flink) -> None:
    (first,) = flink.send(order("a", qty=10))
    assert first.reason == "ok"
    flink.send(replace(FILL, order_id="a"))
    (found,) = flink.send(order("b", qty=20))
    assert (found.position_before, found.working_sell_before) == (-10, 0)


def test_order_long_after_the_last_state_meets_the_stale_column(flink: Flink) -> None:
    (late,) = flink.send(order("late", ts_event_ns=STATE.tick_ns + TTL_NS + 1, qty=51))
    assert late.stale
    assert (late.reason, late.limit) == ("max_order_size", 50)


def test_unknown_instrument_account_and_no_rules_are_refused(flink: Flink) -> None:
    assert flink.send(order("a", instrument_id=999))[0].reason == "unknown_instrument"
    assert flink.send(order("b", account_id="NOBODY"))[0].reason == "unknown_account"
    assert Flink().send(ORDER)[0].reason == "unknown_instrument"


@pytest.mark.slow
@pytest.mark.parametrize("log_bytes_min", [1, 3_000, 10**9])
def test_machine_killed_at_any_message_decides_as_if_it_had_lived_while_rules_go_on_changing(
    log_bytes_min: int,
) -> None:
    def run(kills: set[int]) -> tuple[list[OrderDecision], int]:
        flink, said = made(log_bytes_min=log_bytes_min), []
        for number in range(12):
            tier = Tier.NORMAL if number % 4 < 3 else Tier.CRITICAL
            tick_ns = STATE.tick_ns + 10**8 * (number + 1)
            price = 100_000_000_000 + number * 10_000_000
            flink.learn(topics.RISK_STATES, replace(STATE, tick_ns=tick_ns, tier=tier, ref_price=price))
            said += flink.send(order(f"o{number}", qty=5 + number, ts_event_ns=tick_ns + 1))
            if number in kills:
                flink.kill()
            fill = replace(FILL, order_id=f"o{number - 1}", exec_id=f"x{number}", qty=5)
            said += flink.send(fill)
        return said, flink.position()

    whole = run(set())
    assert len({decision.reason for decision in whole[0]}) >= 2
    assert whole[1] < 0
    for number in range(12):
        assert run({number}) == whole
    assert run(set(range(12))) == whole


def test_message_that_flink_sends_again_is_answered_once(flink: Flink) -> None:
    place = Place(topics.ORDERS_REQUESTS, 0, 7)
    assert len(flink.send(order("a", qty=1), place)) == 1
    for at in (7, 6):
        assert flink.send(order("a", qty=1), Place(topics.ORDERS_REQUESTS, 0, at)) == []
    flink.kill()
    assert flink.send(order("a", qty=1), place) == []
    assert len(flink.send(order("b", qty=1), Place(topics.ORDERS_REQUESTS, 1, 0))) == 1


def test_execution_reported_twice_is_booked_once_and_a_drop_copy_never(flink: Flink) -> None:
    flink.send(order("a", qty=10))
    fill = replace(FILL, order_id="a", qty=4)
    for source in (ExecutionSource.VENUE, ExecutionSource.OMS, ExecutionSource.VENUE, ExecutionSource.DROP_COPY):
        flink.send(replace(fill, source=source))
    assert flink.position() == -4
    flink.send(replace(fill, order_id="", exec_id="give-up", source=ExecutionSource.DROP_COPY))
    assert flink.position() == -8, "an execution of an order that was not ours to check"


def test_requests_and_reports_are_taken_in_the_senders_order(flink: Flink) -> None:
    counters = CausalCounters()
    first = counters.request(order("a", qty=10))
    fill = counters.report(replace(FILL, order_id="a"))
    second = counters.request(order("b", qty=20))
    assert flink.send(fill) == []
    assert len(flink.send(first)) == 1
    assert flink.position() == -10
    (found,) = flink.send(second)
    assert found.position_before == -10


def test_order_behind_a_report_that_never_comes_is_told_and_judged_at_last() -> None:
    flink = made(waiting_max=2)
    waits = [order(f"o{number}", qty=1 + number, executions_seen=1) for number in range(3)]
    assert [flink.send(one) for one in waits[:2]] == [[], []]
    flink.kill()
    assert flink.desk.counters()["waiting"] == 2
    assert [decision.order_id for decision in flink.send(waits[2])] == ["o0", "o1", "o2"]
    assert [(letter.cause, letter.raw) for letter in flink.letters] == [
        ("out_of_order", codec.encode(topics.ORDERS_REQUESTS, waits[0]))
    ]
    assert flink.desk.counters()["out_of_order"] == 1


def test_facts_are_taken_at_their_place_once_and_survive_a_kill(flink: Flink) -> None:
    counters = CausalCounters()
    session = replace(DAY, kind=FactKind.SESSION_LOST, session_id="S1")
    before = counters.request(order("a", qty=10, session_id="S1"))
    facts = [counters.fact(one) for one in (SET, session)]
    after = counters.request(order("b", qty=20, session_id="S1"))
    for one in (facts[1], facts[0], facts[1]):
        assert flink.send(one) == []
    flink.kill()
    assert flink.desk.counters()["waiting"] == 2
    (first,) = flink.send(before)
    assert (first.reason, first.position_before) == ("ok", 0)
    assert flink.send(facts[0]) == []
    flink.kill()
    (second,) = flink.send(after)
    assert (second.reason, flink.position()) == ("session_down", 7)
    assert flink.desk.counters()["repeated_facts"] == 2
    flink.send(counters.fact(replace(session, kind=FactKind.SESSION_BACK)))
    (third,) = flink.send(counters.request(order("c", qty=20, session_id="S1")))
    assert (third.reason, third.position_before) == ("ok", 7)


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"checker": None}, "no_checker"),
        ({"checker": "Ann "}, "same_person"),
        ({"maker": ""}, "no_maker"),
        ({"reason": ""}, "no_reason"),
        ({"position": None}, "bad_record"),
        ({"instrument_id": -1}, "bad_record"),
        ({"kind": FactKind.SESSION_LOST}, "bad_record"),
    ],
)
def test_fact_that_nobody_stands_behind_or_that_says_nothing_is_a_dead_letter(
    flink: Flink, changes: dict[str, Any], cause: str
) -> None:
    flink.send(replace(SET, **changes))
    assert [(letter.cause, letter.topic) for letter in flink.letters] == [(cause, topics.ORDERS_FACTS)]
    assert flink.position() == 0
    flink.send(replace(SET, fact_id="g", number=2))
    assert (flink.letters, flink.position()) == ([], 7), "those behind it do not wait for it"


def test_position_for_which_the_ledger_has_no_room_is_a_dead_letter(flink: Flink) -> None:
    for number in range(257):
        flink.send(replace(SET, account_id=f"A{number}"))
    assert [letter.cause for letter in flink.letters] == ["no_room"]


def test_what_cannot_be_read_or_booked_becomes_a_dead_letter(flink: Flink) -> None:
    assert flink.send(b"\xc3\x01" + bytes(8) + b"x", Place(topics.ORDERS_REQUESTS, 1, 2)) == []
    (letter,) = flink.letters
    assert (letter.cause, letter.source, letter.offset) == ("unknown_schema", "enforce_orders", 2)
    flink.send(replace(FILL, qty=-1))
    assert [letter.cause for letter in flink.letters] == ["bad_record"]
    (message,) = flink.learn(topics.RISK_COMMANDS, b"junk")
    assert cast("DeadLetter", codec.decode(topics.DEAD_LETTERS, message[1])).cause == "unknown_schema"


def test_snapshot_that_is_damaged_or_of_another_kind_is_refused() -> None:
    flink = made(log_bytes_min=1)
    flink.send(order("a", qty=1))
    assert flink.snapshot is not None
    for damaged in (b"", flink.snapshot[:-3], flink.snapshot[5:]):
        with pytest.raises(ValueError):
            OrderDesk(ttl_ns=TTL_NS).restore(damaged, [])
    with pytest.raises(ValueError, match="cut short"):
        OrderDesk(ttl_ns=TTL_NS).restore(None, [b"\xff\x00\x00\x00x"])
