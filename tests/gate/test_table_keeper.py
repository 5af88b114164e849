"""The sidecar's logic without Kafka: freshness by arrival, alerts once, dead letters, the live guard."""

import itertools
from dataclasses import replace
from typing import Any

import pytest

from gate import _native
from gate._native import LimitTable, scope_hash
from gate.policy.limit_book import LimitBook
from gate.rows import InstrumentRow
from gate.table_keeper import Arrival, Now, TableKeeper, topic_and_key
from schemas import codec, topics
from schemas.errors import Place
from schemas.records import AlertKind, CommandKind, DeadLetter, RiskAlert, RiskCommand, RiskState, Tier
from schemas.registry import ConfluentRegistry
from schemas.units import NS_PER_MS, NS_PER_S
from tests.gate import policies
from tests.gate.policies import ENVELOPE, LIMITS

TTL_NS = 3 * NS_PER_S
WALL_NS = 1_768_487_428 * NS_PER_S
STATE = replace(policies.STATE, tick_ns=WALL_NS, epoch=2)
COMMAND = replace(policies.COMMAND, command_id="c1", ts_ns=WALL_NS)


def at(ms: int) -> Now:
    return Now(monotonic_ns=NS_PER_S + ms * NS_PER_MS, wall_ns=WALL_NS + ms * NS_PER_MS)


class Sidecar:
    """A keeper, its table, and the topics that it reads."""

    def __init__(self, **options: Any) -> None:
        self.book = LimitBook(LimitTable.private(4), ttl_ns=TTL_NS)
        self.keeper = TableKeeper(self.book, ttl_ns=TTL_NS, **options)
        self._offsets = itertools.count(10)

    def take(self, record: RiskState | RiskCommand, ms: int = 0, **arrival: Any) -> list[RiskAlert | DeadLetter]:
        topic = topics.RISK_STATES if isinstance(record, RiskState) else topics.RISK_COMMANDS
        return self.take_raw(topic, codec.encode(topic, record), ms, **arrival)

    def take_raw(self, topic: str, raw: bytes, ms: int = 0, **arrival: Any) -> list[RiskAlert | DeadLetter]:
        place = Place(topic, 0, next(self._offsets))
        timestamp_ms = arrival.pop("timestamp_ms", WALL_NS // NS_PER_MS + ms)
        return self.keeper.take(Arrival(place, raw, timestamp_ms, **arrival), at(ms))

    def row(self) -> InstrumentRow:
        raw = self.book.table.read(1)
        assert raw is not None
        return InstrumentRow.unpack(raw)

    def column(self, ms: int) -> str:
        """Return which column is in force on the clock of trading processes."""
        row = self.row()
        if row.halted:
            return "halted"
        return "stale" if row.stale or at(ms).monotonic_ns >= row.valid_until_ns else "dynamic"


@pytest.fixture
def sidecar() -> Sidecar:
    made = Sidecar()
    made.take(COMMAND)
    made.keeper.start_listening(at(0))
    return made


def kinds(said: list[RiskAlert | DeadLetter] | list[RiskAlert]) -> list[AlertKind]:
    return [alert.kind for alert in said if isinstance(alert, RiskAlert)]


def test_state_is_valid_for_the_ttl_after_its_arrival(sidecar: Sidecar) -> None:
    assert sidecar.take(STATE, 500) == []
    assert [sidecar.column(ms) for ms in (500, 3499, 3500)] == ["dynamic", "dynamic", "stale"]
    assert sidecar.row().written_ns == at(500).monotonic_ns
    assert sidecar.row().ref_until_ns == at(500).monotonic_ns + 2 * NS_PER_S, (
        "the reference price ages from its arrival"
    )


def test_state_of_the_topics_past_is_remembered_but_never_fresh() -> None:
    sidecar = Sidecar()
    sidecar.take(COMMAND, is_history=True)
    sidecar.take(replace(STATE, tier=Tier.CRITICAL), is_history=True)
    assert sidecar.column(0) == "halted"
    sidecar.take(replace(STATE, tick_ns=WALL_NS + 1), is_history=True)
    assert sidecar.column(0) == "stale"
    sidecar.take(replace(STATE, tick_ns=WALL_NS + 2))
    assert sidecar.column(0) == "dynamic"


def test_silence_gives_one_alert_per_instrument_and_the_next_state_one_recovery(sidecar: Sidecar) -> None:
    sidecar.take(STATE, 0)
    sidecar.take(replace(STATE, instrument_id=2), 0)
    assert sidecar.keeper.scan(at(2999)) == []
    expired = sidecar.keeper.scan(at(3000))
    assert [(a.kind, a.instrument_id) for a in expired] == [(AlertKind.STATE_EXPIRED, 1), (AlertKind.STATE_EXPIRED, 2)]
    assert (expired[0].ts_ns, expired[0].source, expired[0].epoch) == (at(3000).wall_ns, "gate", 2)
    assert sidecar.keeper.scan(at(9000)) == []
    recovered = sidecar.take(replace(STATE, tick_ns=WALL_NS + 1), 9000)
    assert kinds(recovered) == [AlertKind.STATE_RECOVERED]
    assert sidecar.take(replace(STATE, tick_ns=WALL_NS + 2), 9001) == []
    (again,) = sidecar.keeper.scan(at(12_001))
    assert again.alert_id not in {alert.alert_id for alert in expired}
    counters = sidecar.keeper.counters()
    assert (counters["expired"], counters["recovered"]) == (3, 1)


def test_silence_after_a_restart_is_told_one_ttl_after_the_past_was_read() -> None:
    sidecar = Sidecar()
    sidecar.take(STATE, is_history=True)
    assert sidecar.keeper.scan(at(10_000)) == [], "the past is still being read"
    sidecar.keeper.start_listening(at(10_000))
    assert sidecar.keeper.scan(at(12_999)) == []
    assert kinds(sidecar.keeper.scan(at(13_000))) == [AlertKind.STATE_EXPIRED]


def test_expiry_alert_of_one_silence_has_the_same_id_in_every_life() -> None:
    ids = set()
    for ms in (0, 700):
        sidecar = Sidecar()
        sidecar.take(STATE, ms, is_history=ms > 0)
        sidecar.keeper.start_listening(at(ms))
        ids |= {alert.alert_id for alert in sidecar.keeper.scan(at(ms + 3000))}
    assert ids == {f"STATE_EXPIRED:1:{WALL_NS}:2"}


def test_command_outcome_is_told_once() -> None:
    sidecar = Sidecar()
    (applied,) = sidecar.take(COMMAND)
    assert isinstance(applied, RiskAlert)
    assert (applied.kind, applied.alert_id, applied.instrument_id) == (
        AlertKind.COMMAND_APPLIED,
        "COMMAND_APPLIED:c1",
        1,
    )
    assert applied.ts_ns == COMMAND.ts_ns
    assert sidecar.take(COMMAND) == []
    assert sidecar.take(replace(COMMAND, command_id="c2", kind=CommandKind.RELEASE)) == []
    refused = sidecar.take(replace(COMMAND, command_id="c3", checker="Maker"))
    assert kinds(refused) == [AlertKind.COMMAND_REFUSED]
    assert "refused, same_person: maker and checker are both maker" in str(refused[0])
    assert sidecar.keeper.counters()["commands_refused"] == 1


@pytest.mark.parametrize("scope", ["firm", "account:DESK-1", "instrument:" + "9" * 30, "instrument:x"])
def test_alert_of_a_command_without_an_instrument_can_be_encoded(sidecar: Sidecar, scope: str) -> None:
    (alert,) = sidecar.take(replace(COMMAND, command_id="k", kind=CommandKind.KILL, scope=scope))
    assert isinstance(alert, RiskAlert)
    assert alert.instrument_id == 0
    assert codec.decode(topics.RISK_ALERTS, codec.encode(topics.RISK_ALERTS, alert)) == alert
    assert topic_and_key(alert) == (topics.RISK_ALERTS, "0")


def test_what_a_past_life_told_is_applied_but_not_told_again() -> None:
    sidecar = Sidecar()
    assert sidecar.take(COMMAND, is_history=True, was_told=True) == []
    assert sidecar.take_raw(topics.RISK_STATES, b"poison", is_history=True, was_told=True) == []
    sidecar.take(STATE)
    assert sidecar.column(0) == "dynamic"


@pytest.mark.parametrize(
    ("raw", "cause"),
    [
        (b"", "unknown_schema"),
        (b"\x00\xffnoise", "unknown_schema"),
        (b"\xc3\x01" + b"\x00" * 8 + b"rest", "unknown_schema"),
        (codec.encode(topics.RISK_STATES, STATE)[:-3], "bad_avro"),
        (codec.encode(topics.RISK_STATES, STATE) + b"x", "bad_avro"),
        (codec.encode(topics.RISK_STATES, replace(STATE, instrument_id=0)), "bad_record"),
        (codec.encode(topics.RISK_STATES, replace(STATE, tick_ns=2**63 - 1)), "bad_record"),
    ],
    ids=["empty", "noise", "nobodys-schema", "cut", "too-long", "instrument-zero", "tick-out-of-reach"],
)
def test_message_that_cannot_be_used_leaves_as_a_dead_letter_and_the_next_one_is_taken(
    sidecar: Sidecar, raw: bytes, cause: str
) -> None:
    (letter,) = sidecar.take_raw(topics.RISK_STATES, raw)
    assert isinstance(letter, DeadLetter)
    assert (letter.cause, letter.source, letter.topic, letter.partition) == (cause, "gate", topics.RISK_STATES, 0)
    assert letter.offset > 10
    assert letter.raw == raw
    assert topic_and_key(letter) == (topics.DEAD_LETTERS, topics.RISK_STATES)
    sidecar.take(STATE)
    assert sidecar.column(0) == "dynamic"
    assert sidecar.keeper.counters()["dead_letters"] == 1


def test_state_without_room_in_the_table_leaves_as_a_dead_letter(sidecar: Sidecar) -> None:
    said = [sidecar.take(replace(STATE, instrument_id=n)) for n in range(1, 6)]
    assert said[:4] == [[], [], [], []]
    (letter,) = said[4]
    assert isinstance(letter, DeadLetter)
    assert letter.cause == "table_full"


@pytest.mark.parametrize(
    ("lag_ms", "is_fresh"), [(0, True), (3000, True), (3001, False), (-3000, True), (-3001, False)]
)
def test_live_gate_refuses_states_away_from_the_wall_clock(lag_ms: int, *, is_fresh: bool) -> None:
    live, replaying = Sidecar(live=True), Sidecar()
    for sidecar in (live, replaying):
        sidecar.take(COMMAND)
        sidecar.take(replace(STATE, tick_ns=WALL_NS - lag_ms * NS_PER_MS))
    assert replaying.column(0) == "dynamic"
    assert live.column(0) == ("dynamic" if is_fresh else "stale")
    assert live.keeper.counters()["states_lagging"] == (not is_fresh)


def test_live_gate_judges_late_commands_by_their_arrival_at_kafka() -> None:
    expiring = replace(COMMAND, expires_ns=WALL_NS + NS_PER_S)
    late = WALL_NS // NS_PER_MS + 1001
    assert kinds(Sidecar(live=True).take(expiring, timestamp_ms=late)) == [AlertKind.COMMAND_REFUSED]
    in_time = Sidecar(live=True).take(expiring, timestamp_ms=late - 1)
    assert kinds(in_time) == [AlertKind.COMMAND_APPLIED, AlertKind.COMMAND_EXPIRED], "of its time nothing is left"
    assert kinds(Sidecar().take(expiring, timestamp_ms=late)) == [AlertKind.COMMAND_APPLIED]


def raised(**changes: Any) -> RiskCommand:
    """Return a loosening that ends five seconds after it was made."""
    envelope = replace(ENVELOPE, limits=replace(LIMITS, max_order_qty=900))
    plain = {"command_id": "c2", "envelope": envelope, "expires_ns": WALL_NS + 5 * NS_PER_S, **changes}
    return replace(COMMAND, **plain)


def test_end_of_a_loosening_is_told_once_and_the_row_falls_back(sidecar: Sidecar) -> None:
    assert kinds(sidecar.take(raised(), 1_000)) == [AlertKind.COMMAND_APPLIED]
    assert sidecar.keeper.scan(at(5_999)) == []
    assert sidecar.row().envelope.order_qty == 900
    (ended,) = sidecar.keeper.scan(at(6_000))
    assert (ended.kind, ended.alert_id, ended.instrument_id) == (AlertKind.COMMAND_EXPIRED, "COMMAND_EXPIRED:c2", 1)
    assert ended.ts_ns == at(6_000).wall_ns
    assert "maker and checker" in ended.message
    assert codec.decode(topics.RISK_ALERTS, codec.encode(topics.RISK_ALERTS, ended)) == ended
    assert sidecar.row().envelope.order_qty == 500
    assert sidecar.keeper.scan(at(9_000)) == []
    assert sidecar.keeper.counters()["commands_ended"] == 1


@pytest.mark.parametrize(("live", "ms", "until_ms"), [(False, 2_000, 7_000), (True, 2_000, 5_000)])
def test_time_that_is_left_counts_from_event_time_in_a_replay_and_from_the_wall_clock_live(
    ms: int, until_ms: int, *, live: bool
) -> None:
    sidecar = Sidecar(live=live)
    order = replace(raised(), kind=CommandKind.APPROVE_ORDER, scope="order:O", envelope=None)
    assert kinds(sidecar.take(order, ms)) == [AlertKind.COMMAND_APPLIED]
    members = sidecar.book.table.set_members(_native.SET_APPROVED)
    assert members == {scope_hash("order:O"): at(until_ms).monotonic_ns}


@pytest.mark.parametrize("live", [False, True])
def test_what_ended_before_a_restart_is_over_at_once_and_not_told_again(*, live: bool) -> None:
    sidecar = Sidecar(live=live)
    sidecar.take(COMMAND, 60_000, timestamp_ms=WALL_NS // NS_PER_MS, is_history=True, was_told=True)
    said = sidecar.take(raised(), 60_000, timestamp_ms=WALL_NS // NS_PER_MS, is_history=True, was_told=True)
    assert said == []
    assert sidecar.row().envelope.order_qty == 500
    assert sidecar.keeper.scan(at(60_001)) == []


def test_refused_loosening_is_told_with_its_cause(sidecar: Sidecar) -> None:
    for changes, cause in (({"checker": None}, "no_checker"), ({"expires_ns": None}, "no_expiry")):
        (alert,) = sidecar.take(raised(**changes))
        assert isinstance(alert, RiskAlert)
        assert alert.kind is AlertKind.COMMAND_REFUSED
        assert f"refused, {cause}: loosening limits.max_order_qty" in alert.message


def test_alert_of_a_locate_names_its_instrument(sidecar: Sidecar) -> None:
    (alert,) = sidecar.take(
        replace(raised(), kind=CommandKind.LOCATE, scope="account:A", envelope=None, instrument_id=7, qty=5)
    )
    assert isinstance(alert, RiskAlert)
    assert alert.instrument_id == 7


def test_confluent_framing_is_read_when_a_registry_is_used() -> None:
    registry = ConfluentRegistry("mock://keeper")
    sidecar = Sidecar(registry=registry)
    sidecar.take_raw(topics.RISK_COMMANDS, codec.encode(topics.RISK_COMMANDS, COMMAND, registry))
    sidecar.take_raw(topics.RISK_STATES, codec.encode(topics.RISK_STATES, STATE, registry))
    assert sidecar.column(0) == "dynamic"
