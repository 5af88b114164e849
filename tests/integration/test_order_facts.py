"""A trading process on a real broker: its facts reach the topic in order, also those of a life without one, and end alike."""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import confluent_kafka
import pytest

from gate.trading import TradingGate
from jobs.machines.order_desk import OrderDesk
from schemas import codec, topics
from schemas.errors import Place
from schemas.orders import FactKind, OrderDecision, OrderExecution, OrderFact, OrderRequest
from schemas.records import CommandKind
from tests.gate import policies
from tests.gate.test_trading import FAR_NS, FILL, FOREVER, HAND, NOW_NS, ORDER
from tests.gate.test_trading import Place as Host

pytestmark = pytest.mark.integration

WAIT_S = 30.0


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    made = Host(tmp_path)
    yield made
    made.table.close()


def published(port: int, count: int) -> list[tuple[bytes, Place]]:
    """Return the messages of ``orders.facts``: so many, and whatever follows at once."""
    options = {
        "bootstrap.servers": f"127.0.0.1:{port}",
        "group.id": os.urandom(4).hex(),
        "auto.offset.reset": "earliest",
    }
    consumer, found = confluent_kafka.Consumer(options), list[tuple[bytes, Place]]()
    consumer.subscribe([topics.ORDERS_FACTS])
    deadline = time.monotonic() + WAIT_S
    try:
        while time.monotonic() < deadline:
            message = consumer.poll(0.2)
            if message is None and len(found) >= count:
                break
            if message is not None:
                assert message.error() is None
                assert message.key() == b"DESK-1"
                found.append((message.value(), Place(message.topic(), message.partition(), message.offset())))
    finally:
        consumer.close()
    return found


def first_life(gate: TradingGate) -> list[OrderRequest | OrderExecution]:
    """Live without a broker: facts stay in the journal."""
    request = gate.submit(replace(ORDER, ts_event_ns=NOW_NS), NOW_NS).request
    told: list[OrderRequest | OrderExecution] = [request, gate.report(FILL).execution]
    gate.new_day()
    gate.session("S1", is_up=False)
    assert gate.counters()["facts_waiting"] == 2
    return told


def second_life(gate: TradingGate) -> list[OrderRequest | OrderExecution]:
    """Live with one; what the first life left is sent."""
    later = NOW_NS + 10**9
    down = gate.submit(replace(ORDER, order_id="o2", ts_event_ns=later), later)
    assert down.decision.reason == "session_down"
    gate.session("S1", is_up=True)
    assert gate.reconcile("DESK-1", 1, -40, is_done=True, hand=HAND) == 10
    up = gate.submit(replace(ORDER, order_id="o3", ts_event_ns=later), later)
    assert (up.decision.reason, up.decision.position_before) == ("ok", -40)
    return [down.request, up.request]


def desk_of_flink() -> OrderDesk:
    desk = OrderDesk(ttl_ns=FAR_NS)
    grant = replace(policies.COMMAND, command_id="a", kind=CommandKind.SET_ACCOUNT, envelope=None)
    rules: list[Any] = [
        replace(policies.COMMAND, command_id="e", envelope=FOREVER),
        replace(grant, scope="account:DESK-1", account=policies.ACCOUNT),
        policies.STATE,
    ]
    for rule in rules:
        topic = topics.RISK_STATES if rule is policies.STATE else topics.RISK_COMMANDS
        assert desk.learn(codec.encode(topic, rule), Place(topic))[0] is not None
    return desk


def test_facts_of_two_lives_reach_the_topic_and_the_other_enforcer(host: Host, broker: Callable[[int], int]) -> None:
    port = broker(3)
    with host.open() as gate:
        told = first_life(gate)
    host.settings = replace(host.settings, bootstrap_servers=f"127.0.0.1:{port}")
    with host.open() as gate:
        told += second_life(gate)
    assert gate._facts.waiting == 0, "the end of a process waits for its facts"
    found = published(port, 5)
    facts = [codec.decode(topics.ORDERS_FACTS, raw) for raw, _ in found]
    kinds = [(fact.kind, fact.number) for fact in facts if isinstance(fact, OrderFact)]
    lost, back = FactKind.SESSION_LOST, FactKind.SESSION_BACK
    assert kinds == [(FactKind.DAY_STARTED, 1), (lost, 2), (lost, 3), (back, 4), (FactKind.POSITION_SET, 5)]

    desk, said = desk_of_flink(), []
    for raw, place in found:  # the topic of facts is read first: orders and reports come late
        assert desk.apply(raw, place).letters == []
    for number, record in enumerate(told):
        topic = topics.ORDERS_EXECUTIONS if isinstance(record, OrderExecution) else topics.ORDERS_REQUESTS
        outcome = desk.apply(codec.encode(topic, record), Place(topic, 0, number))
        said += [codec.decode(topics.ORDERS_DECISIONS, raw) for _, raw in outcome.decisions]
    answers = [(one.reason, one.position_before) for one in said if isinstance(one, OrderDecision)]
    assert answers == [("ok", 0), ("session_down", 10), ("ok", -40)]
    assert [held[2:4] for held in desk.holdings()] == [(-40, 10)]
    assert desk.counters()["waiting"] == 0

    with host.open() as gate:
        assert gate.counters()["facts_waiting"] == 0
    assert len(published(port, 5)) == 5, "what the broker has is not sent again"
