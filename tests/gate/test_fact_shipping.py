"""Facts on their way to the broker: in order, told kept when it has them, sent anew when it refused, never in an order's way."""

from collections.abc import Iterator
from typing import cast

import pytest

from gate._native import DecisionRing
from gate.trail.shipper import LOOK_NS, Shipper
from schemas import topics
from schemas.orders import FactKind, OrderFact
from tests.gate.test_shipper import SETTINGS, WALL_NS, FakeBroker, FakeProducer


class Desk:
    """A shipper with a broker, and what it was told that the broker has."""

    def __init__(self) -> None:
        self.ring = DecisionRing.create(None, 16, 0xF00)
        self.broker = FakeBroker()
        self.kept: list[OrderFact] = []
        self.shipper = Shipper(
            self.ring, SETTINGS, on_fact=self.kept.append, make_producer=lambda _: FakeProducer(self.broker)
        )
        self.now_ns = LOOK_NS

    def step(self, after_ns: int = 0) -> None:
        self.now_ns += after_ns
        self.shipper.step(WALL_NS + self.now_ns, self.now_ns)

    @property
    def facts(self) -> list[OrderFact]:
        return cast("list[OrderFact]", self.broker.said(topics.ORDERS_FACTS))


@pytest.fixture
def desk() -> Iterator[Desk]:
    made = Desk()
    yield made
    made.ring.close()


def fact(number: int, account_id: str = "A") -> OrderFact:
    return OrderFact(f"f{number}", account_id, FactKind.DAY_STARTED, WALL_NS, "desk.1", number)


def test_facts_leave_in_order_keyed_by_account_and_are_told_kept(desk: Desk) -> None:
    sent = [fact(1), fact(2), fact(3, "B")]
    for one in sent:
        desk.shipper.tell_fact(one)
    assert desk.kept == []
    desk.step()
    assert desk.facts == desk.kept == sent
    assert [key for _, key, _ in desk.broker.log] == ["A", "A", "B"]
    assert desk.shipper.counters()["facts_delivered"] == 3


def test_facts_that_the_broker_does_not_take_wait_and_are_not_told_kept(desk: Desk) -> None:
    desk.broker.takes = 1
    for number in (1, 2, 3):
        desk.shipper.tell_fact(fact(number))
    desk.step()
    desk.step()
    assert desk.kept == [fact(1)]
    desk.broker.takes = 9
    desk.step()
    assert desk.kept == [fact(1), fact(2), fact(3)]


@pytest.mark.parametrize("trouble", ["refuses", "is_full"])
def test_facts_that_were_refused_are_sent_anew_in_order_after_a_pause(desk: Desk, trouble: str) -> None:
    setattr(desk.broker, trouble, True)
    desk.shipper.tell_fact(fact(1))
    desk.step()
    desk.shipper.tell_fact(fact(2))
    desk.step()
    setattr(desk.broker, trouble, False)
    desk.step()
    assert desk.kept == [], "the pause is not over"
    desk.step(10**9)
    desk.step()
    assert desk.facts == desk.kept == [fact(1), fact(2)]
    assert desk.shipper.counters()["kafka_failures"] == 1


def test_answer_to_a_producer_that_was_given_up_counts_no_fact(desk: Desk) -> None:
    desk.shipper.tell_fact(fact(1))
    desk.shipper._on_fact_delivery((-1, fact(1)), None, None)
    assert (desk.kept, desk.shipper.counters()["facts_delivered"]) == ([], 0)
