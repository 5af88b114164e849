"""The shipper: every decision reaches the topic once or more, what was lost is told, Kafka's troubles are survived."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate._native import DecisionRing
from gate.trail.decision_record import HAS_LEDGER, HAS_NUMBERS, RECORD, STALE, TORN, WARNED, DecisionEntry, to_decision
from gate.trail.outbox import Window
from gate.trail.shipper import IN_FLIGHT_MAX, LOOK_NS, Shipper, ShipperSettings
from schemas import codec, topics
from schemas.records import (
    AlertKind,
    DeadLetter,
    OrderAction,
    OrderDecision,
    OrderSide,
    OrderType,
    RiskAlert,
    Tier,
    Verdict,
)

ACCOUNT = 77
WALL_NS = 1_768_487_428_000_000_000
SETTINGS = ShipperSettings("nowhere:1", "desk-1", delayed_ms=5_000, retry_ms=1_000)
ENTRY = DecisionEntry(
    seq=3, now_ns=500, wall_offset_ns=WALL_NS, instrument_id=9, order_id=0xABC, account=ACCOUNT, qty=200,
    price=49_900_000_000, action=0, side=2, type=1, flags=2, limit=50, observed=200, epoch=4, tick_ns=WALL_NS - 100,
    score=4.5, position_before=-3, working_buy_before=1, working_sell_before=2, model_id=b"default-7".ljust(24, b"\0"),
    reason=7, text_length=3, verdict=1, tier=2, marks=HAS_NUMBERS | HAS_LEDGER, order_text=b"o-7".ljust(64, b"\0"),
)  # fmt: skip


class Error:
    def __str__(self) -> str:
        return "broker said no"


class FakeProducer:
    """Keeps what was produced; tells deliveries on poll, as far as it is allowed to."""

    def __init__(self, broker: "FakeBroker") -> None:
        self._broker = broker
        self._queue: list[tuple[str, str, bytes, Callable[[Any, Any], None]]] = []

    def produce(
        self, topic: str, value: bytes, *, key: str, timestamp: int, on_delivery: Callable[[Any, Any], None]
    ) -> None:
        if self._broker.is_full:
            raise BufferError("queue full")
        self._queue.append((topic, key, value, on_delivery))

    def poll(self, _timeout_s: float) -> None:
        while self._queue and self._broker.takes > 0:
            topic, key, value, on_delivery = self._queue.pop(0)
            if self._broker.refuses:
                on_delivery(Error(), self)
            else:
                self._broker.takes -= 1
                self._broker.log.append((topic, key, value))
                on_delivery(None, self)

    def topic(self) -> str:
        return "t"

    def purge(self) -> None:
        self._queue.clear()

    def flush(self, _timeout_s: float) -> None:
        self.poll(0)


class FakeBroker:
    def __init__(self) -> None:
        self.log: list[tuple[str, str, bytes]] = []
        self.takes = 1 << 60
        self.refuses = self.is_full = False

    def said(self, topic: str) -> list[codec.Record]:
        return [codec.decode(name, value) for name, _, value in self.log if name == topic]

    @property
    def decisions(self) -> list[OrderDecision]:
        return cast("list[OrderDecision]", self.said(topics.ORDERS_DECISIONS))

    @property
    def alerts(self) -> list[RiskAlert]:
        return cast("list[RiskAlert]", self.said(topics.RISK_ALERTS))


class Desk:
    """A ring, its shipper and a broker, with a clock that the test turns."""

    def __init__(self, capacity: int = 16) -> None:
        self.ring = DecisionRing.create(None, capacity, 0xF00)
        self.broker = FakeBroker()
        self.heard: list[RiskAlert] = []
        self.shipper = Shipper(
            self.ring, SETTINGS, on_alert=self.heard.append, make_producer=lambda _: FakeProducer(self.broker)
        )
        self.shipper.learn_account(ACCOUNT, "DESK-1")
        self.now_ns = LOOK_NS
        self.step()  # the first look sets the offset of the clocks

    def decide(self, count: int = 1, **changes: object) -> int:
        raw = RECORD.pack(*ENTRY._replace(now_ns=self.now_ns)._replace(**changes))  # type: ignore[arg-type]
        return sum(self.ring.push(raw, b"o-7") for _ in range(count))

    def step(self, after_ns: int = 0) -> None:
        self.now_ns += after_ns
        self.shipper.step(WALL_NS + self.now_ns, self.now_ns)


@pytest.fixture
def desk() -> Iterator[Desk]:
    made = Desk()
    yield made
    made.ring.close()


def test_entry_becomes_a_decision_that_stands_alone() -> None:
    assert to_decision(ENTRY, {ACCOUNT: "DESK-1"}, instance="desk-1.f00") == OrderDecision(
        order_id="o-7", account_id="DESK-1", instrument_id=9, ts_event_ns=WALL_NS + 500, enforcer="gate",
        verdict=Verdict.REJECT, reason="max_order_size", limit=50, observed=200, tier=Tier.HIGH_ALERT, stale=False,
        epoch=4, tick_ns=WALL_NS - 100, model_id="default-7", score=4.5, decision_id="DESK-1:o-7:gate:desk-1.f00:3",
        instance="desk-1.f00", seq=3, decided_ns=500, rule_id=to_decision(ENTRY, {}, instance="").rule_id,
        action=OrderAction.NEW, side=OrderSide.SELL, order_type=OrderType.LIMIT, qty=200, price=49_900_000_000,
        reduce_only=True, position_before=-3, working_buy_before=1, working_sell_before=2,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "field", "value"),
    [
        ({"marks": 0}, "limit", None),
        ({"marks": 0}, "position_before", None),
        ({"marks": WARNED | STALE}, "warned", True),
        ({"marks": WARNED | STALE}, "stale", True),
        ({"verdict": 2, "reason": 42}, "verdict", Verdict.PEND),
        ({"verdict": 9}, "verdict", Verdict.REJECT),
        ({"reason": 999}, "reason", "reason_999"),
        ({"reason": 999}, "rule_id", ""),
        ({"action": 7}, "action", None),
        ({"side": 0}, "side", None),
        ({"type": 2, "price": 0}, "price", None),
        ({"type": 1, "price": 0}, "price", 0),
        ({"worst_price": 5}, "worst_price", 5),
        ({"ref_price": 6}, "ref_price", 6),
        ({"flags": 1}, "post_only", True),
        ({"account": 0x1F}, "account_id", "#000000000000001f"),
        ({"text_length": 0}, "order_id", "#0000000000000abc"),
        ({"text_length": 64, "order_text": b"y" * 64}, "order_id", "y" * 64),
        ({"text_length": 70, "order_text": b"y" * 64}, "order_id", "y" * 64 + "#0000000000000abc"),
        ({"text_length": 2, "order_text": b"\xc3\x28".ljust(64, b"\0")}, "order_id", "\ufffd("),
    ],
)
def test_field_of_an_entry_becomes_the_field_of_a_decision(changes: dict[str, Any], field: str, value: object) -> None:
    decision = to_decision(ENTRY._replace(**changes), {ACCOUNT: "DESK-1"}, instance="i")
    assert getattr(decision, field) == value


numbers = st.integers(-(2**62), 2**62)


@given(
    reason=st.integers(0, 2**16 - 1), parts=st.tuples(*[st.integers(0, 255)] * 6), raw=st.binary(min_size=64, max_size=64),
    length=st.integers(0, 2**16 - 1), values=st.tuples(numbers, numbers, numbers), score=st.floats(),
)  # fmt: skip
def test_any_entry_becomes_a_decision_that_can_be_published(
    reason: int, parts: tuple[int, ...], raw: bytes, length: int, **others: Any
) -> None:
    verdict, tier, marks, action, side, kind = parts
    now_ns, qty, instrument_id = others["values"]
    made = ENTRY._replace(
        reason=reason, verdict=verdict, tier=tier, marks=marks & ~TORN, action=action, side=side, type=kind, qty=qty,
        order_text=raw, model_id=raw[:24], text_length=length, now_ns=now_ns, instrument_id=instrument_id,
        score=others["score"],
    )  # fmt: skip
    decision = to_decision(made, {}, instance="i")
    topic = topics.ORDERS_DECISIONS
    assert repr(codec.decode(topic, codec.encode(topic, decision))) == repr(decision)


def test_decisions_are_shipped_in_order_keyed_by_account_and_released(desk: Desk) -> None:
    desk.decide(5)
    desk.step()
    desk.step()
    assert [decision.seq for decision in desk.broker.decisions] == [1, 2, 3, 4, 5]
    assert {key for _, key, _ in desk.broker.log} == {"DESK-1"}
    assert desk.broker.decisions[0].ts_event_ns == WALL_NS + desk.now_ns
    assert desk.shipper.counters()["pending"] == 0
    assert desk.shipper.counters()["delivered"] == desk.ring.counters()["released"] == 5


def test_entry_stays_in_the_ring_until_the_broker_has_it(desk: Desk) -> None:
    desk.broker.takes = 2
    desk.decide(5)
    desk.step()
    assert desk.ring.counters()["pending"] == 3
    desk.broker.takes = 9
    desk.step()
    assert desk.ring.counters()["pending"] == 0


def test_losses_are_told_once_with_their_reasons_and_again_when_there_are_more(desk: Desk) -> None:
    desk.broker.takes = 0
    desk.decide(16)
    desk.decide(2, reason=0)
    desk.decide(3, reason=7)
    desk.step(LOOK_NS)
    desk.step(LOOK_NS)
    assert [alert.kind for alert in desk.heard] == [AlertKind.DECISIONS_LOST]
    assert desk.heard[0].alert_id == "DECISIONS_LOST:desk-1.f00:5"
    assert "5 decisions" in desk.heard[0].message
    assert "max_order_size 3, ok 2" in desk.heard[0].message
    desk.decide(1, reason=0)
    desk.step(LOOK_NS)
    assert [alert.alert_id for alert in desk.heard] == ["DECISIONS_LOST:desk-1.f00:5", "DECISIONS_LOST:desk-1.f00:6"]
    desk.broker.takes = 100
    desk.step()
    assert desk.broker.alerts == desk.heard
    seqs = [decision.seq for decision in desk.broker.decisions]
    assert seqs == list(range(1, 17))
    assert desk.decide() == 1
    desk.step()
    assert desk.broker.decisions[-1].seq == 23  # 17 to 22 are the hole


def test_refusal_of_kafka_is_told_and_every_decision_comes_after_it(desk: Desk) -> None:
    desk.broker.takes, desk.broker.refuses = 1, True
    desk.decide(4)
    desk.step()
    desk.decide(3)
    for _ in range(20):
        desk.step(500_000_000)
    assert desk.broker.log == []
    assert [alert.kind for alert in desk.heard] == [AlertKind.DECISIONS_DELAYED]
    assert desk.ring.counters()["pending"] == 7
    assert desk.shipper.counters()["kafka_failures"] > 3
    desk.broker.refuses, desk.broker.takes = False, 100
    for _ in range(3):
        desk.step(1_000_000_000)
    assert [decision.seq for decision in desk.broker.decisions] == [1, 2, 3, 4, 5, 6, 7]
    assert desk.broker.alerts == desk.heard
    assert desk.ring.counters()["pending"] == 0


def test_second_delay_is_told_again(desk: Desk) -> None:
    for _ in range(2):
        desk.broker.takes = 0
        desk.decide()
        for _ in range(8):
            desk.step(LOOK_NS)
        desk.broker.takes = 100
        desk.step(LOOK_NS)
        desk.step(LOOK_NS)
    assert [alert.alert_id for alert in desk.heard] == [
        "DECISIONS_DELAYED:desk-1.f00:1",
        "DECISIONS_DELAYED:desk-1.f00:2",
    ]


def test_full_queue_of_the_client_library_is_a_refusal_too(desk: Desk) -> None:
    desk.broker.is_full = True
    desk.decide(2)
    desk.step()
    desk.broker.is_full = False
    desk.step(1_000_000_000)
    assert [decision.seq for decision in desk.broker.decisions] == [1, 2]


def test_late_word_of_a_producer_that_was_given_up_changes_nothing(desk: Desk) -> None:
    old = desk.shipper._producer
    desk.broker.takes = 0
    desk.decide(2)
    desk.step()
    queued = list(old._queue)
    desk.shipper._fail("test")
    desk.step(1_000_000_000)
    for _, _, _, on_delivery in queued:
        on_delivery(None, old)
    assert desk.ring.counters()["pending"] == 2
    desk.broker.takes = 2
    desk.step()
    assert desk.ring.counters()["pending"] == 0


def test_decision_that_no_schema_holds_becomes_a_dead_letter_and_holds_nothing_up(desk: Desk) -> None:
    desk.decide(now_ns=2**63 - 1)  # its epoch time is beyond 64 bits
    desk.decide()
    desk.step()
    (letter,) = cast("list[DeadLetter]", desk.broker.said(topics.DEAD_LETTERS))
    assert (letter.topic, letter.source) == (topics.ORDERS_DECISIONS, "gate.trail.shipper")
    assert b"seq=1" in letter.raw
    assert [decision.seq for decision in desk.broker.decisions] == [2]
    assert desk.ring.counters()["pending"] == 0


def test_no_more_is_in_flight_than_the_bound() -> None:
    desk = Desk(1 << 14)
    desk.broker.takes = 0
    desk.decide(1 << 14)
    for _ in range(80):
        desk.step()
    assert IN_FLIGHT_MAX <= desk.shipper.counters()["in_flight"] < IN_FLIGHT_MAX + 256
    desk.ring.close()


def test_torn_entries_are_counted_told_and_released(tmp_path: Any) -> None:
    path = tmp_path / "ring"
    with DecisionRing.create(path, 8, 0xF00) as ring:
        for number in range(3):
            ring.push(RECORD.pack(*ENTRY._replace(now_ns=number)), b"")
    raw = bytearray(path.read_bytes())
    raw[704 + 320 : 704 + 328] = (1).to_bytes(8, "little")  # the second was never published
    path.write_bytes(raw)
    broker, heard = FakeBroker(), list[RiskAlert]()
    with DecisionRing.create(path, 8) as ring:
        shipper = Shipper(ring, SETTINGS, on_alert=heard.append, make_producer=lambda _: FakeProducer(broker))
        shipper.step(WALL_NS, LOOK_NS)
        assert shipper.counters()["torn_entries"] == 1
        assert ring.counters()["pending"] == 0
    assert [decision.seq for decision in broker.decisions] == [1, 3]
    assert "half written at a crash 1" in heard[0].message


def test_successor_ships_under_the_same_ids_what_the_dead_process_had_not_confirmed(tmp_path: Any) -> None:
    broker = FakeBroker()
    broker.takes = 0
    told: list[list[tuple[str, int]]] = []
    for life in range(2):
        with DecisionRing.create(tmp_path / "ring", 8, 1 + life) as ring:
            shipper = Shipper(ring, SETTINGS, make_producer=lambda _: FakeProducer(broker))
            shipper.step(WALL_NS + life, LOOK_NS + life)
            if life == 0:
                ring.push(RECORD.pack(*ENTRY._replace(now_ns=5)), b"o-1")
                shipper.step(WALL_NS, LOOK_NS)
                broker.takes = 1
                shipper._producer.poll(0)  # the broker has it, and the process dies before it can release it
                told.append([(d.decision_id, d.ts_event_ns) for d in broker.decisions])
                broker.log.clear()
                broker.takes = 9
            else:
                shipper.step(WALL_NS, LOOK_NS)
                told.append([(d.decision_id, d.ts_event_ns) for d in broker.decisions])
    assert told[0] == told[1]
    assert len(told[0]) == 1


def test_thread_ships_what_is_there_and_ends(desk: Desk) -> None:
    desk.shipper.start()
    assert desk.decide(10) == 10
    assert desk.shipper.stop(10) == 0
    assert len(desk.broker.decisions) == 10


def test_thread_survives_an_alert_handler_that_raises_and_ships_on() -> None:
    def broken(_: RiskAlert) -> None:
        raise RuntimeError("handler")

    broker = FakeBroker()
    with DecisionRing.create(None, 4, 1) as ring:
        settings = ShipperSettings("nowhere:1", "d", retry_ms=1)
        for _ in range(6):
            ring.push(RECORD.pack(*ENTRY), b"")
        shipper = Shipper(ring, settings, on_alert=broken, make_producer=lambda _: FakeProducer(broker))
        shipper.start()
        assert shipper.stop(10) == 0
        assert shipper.counters()["kafka_failures"] == 1
    assert [decision.seq for decision in broker.decisions] == [1, 2, 3, 4]
    assert [alert.kind for alert in broker.alerts] == [AlertKind.DECISIONS_LOST]


def test_without_kafka_stop_ends_in_time_and_says_what_stays() -> None:
    with DecisionRing.create(None, 4, 1) as ring:
        ring.push(RECORD.pack(*ENTRY), b"")
        shipper = Shipper(ring, ShipperSettings("127.0.0.1:9", "d"))  # the real client library
        shipper.start()
        begin_s = time.monotonic()
        assert shipper.stop(0.3) == 1
        assert time.monotonic() - begin_s < 5


@given(
    st.lists(st.sampled_from(["take", "confirm", "release", "rewind"]), max_size=60), st.randoms(use_true_random=False)
)
def test_window_releases_only_confirmed_entries_in_their_order(steps: list[str], random: Any) -> None:
    window = Window()
    open_: list[int] = []  # positions read and not released
    confirmed: set[int] = set()
    for step in steps:
        if step == "take":
            open_.append(window.take())
        elif step == "confirm" and set(open_) - confirmed:
            position = random.choice(sorted(set(open_) - confirmed))
            window.confirm(position)
            confirmed.add(position)
        elif step == "release":
            wanted = next((i for i, position in enumerate(open_) if position not in confirmed), len(open_))
            assert window.release() == wanted
            open_ = open_[wanted:]
        elif step == "rewind":
            window.rewind()
            open_, confirmed = [], confirmed - set(open_)
        assert len(window) == len(open_)


def test_examples_of_the_schema_have_ids_of_the_same_form() -> None:
    for path in (codec.SCHEMA_ROOT / topics.ORDERS_DECISIONS / "examples" / "v2").glob("*.json"):
        plain = json.loads(path.read_text())
        parts = (plain["account_id"], plain["order_id"], plain["enforcer"], plain["instance"], str(plain["seq"]))
        assert plain["decision_id"] == ":".join(parts)
