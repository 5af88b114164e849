"""The sidecar process against a real broker: rebuild, freshness, alerts, dead letters, restart, clean end."""

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import confluent_kafka
import pytest

from gate import _native
from gate._native import LimitTable, scope_hash
from gate.rows import AccountRow, InstrumentRow
from schemas import codec, topics
from schemas.records import AlertKind, CommandKind, DeadLetter, RiskAlert, RiskCommand, RiskState
from tests.gate import policies

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
JARS = ROOT / "jars" / "broker"
TTL_MS = 800
COMMAND = replace(policies.COMMAND, command_id="c1", ts_ns=5)
GRANT = replace(
    COMMAND,
    command_id="a1",
    kind=CommandKind.SET_ACCOUNT,
    scope="account:DESK-1",
    envelope=None,
    account=policies.ACCOUNT,
)
KILL = policies.alone(COMMAND, command_id="k1", kind=CommandKind.KILL, scope="account:ROGUE", envelope=None)
T0_NS = 1_768_487_428_000_000_000
STATE = replace(policies.STATE, tick_ns=T0_NS, epoch=2)


class Stack:
    """A broker with the topics, and a sidecar that can be started and ended."""

    def __init__(self, folder: Path, port: int) -> None:
        self.address = f"127.0.0.1:{port}"
        self.table_path = folder / "limits"
        self.status_path = folder / "state" / "gate.json"
        self.settings = folder / "sidecar.toml"
        self.settings.write_text(
            f'bootstrap_servers = "{self.address}"\ntable_path = "{self.table_path}"\n'
            f'state_dir = "{self.status_path.parent}"\nttl_ms = {TTL_MS}\ncapacity = 16\n'
        )
        self._producer = confluent_kafka.Producer({"bootstrap.servers": self.address, "log_level": 2})

    def send(self, record: RiskState | RiskCommand | bytes) -> None:
        topic = topics.RISK_COMMANDS if isinstance(record, RiskCommand) else topics.RISK_STATES
        value = record if isinstance(record, bytes) else codec.encode(topic, record)
        self._producer.produce(topic, value=value)
        self._producer.flush(10)

    @contextlib.contextmanager
    def sidecar(self, *, end_by: signal.Signals = signal.SIGTERM) -> Iterator[LimitTable]:
        command = [sys.executable, "-m", "gate.sidecar", "--settings", str(self.settings)]
        with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL) as process:
            try:
                wait_until(lambda: self.status().get("pid") == process.pid and bool(self.status()["caught_up"]))
                with LimitTable.attach(self.table_path) as table:
                    yield table
            finally:
                process.send_signal(end_by)
                status = process.wait(15)
        assert status == (0 if end_by is signal.SIGTERM else -end_by)

    def status(self) -> dict[str, int]:
        return dict(json.loads(self.status_path.read_text())) if self.status_path.exists() else {}

    def said(self) -> list[codec.Record]:
        """Return every alert and dead letter so far, in order within each topic."""
        consumer = confluent_kafka.Consumer(
            {"bootstrap.servers": self.address, "group.id": "reader", "enable.partition.eof": True, "log_level": 2}
        )
        parts = [confluent_kafka.TopicPartition(t, 0, 0) for t in (topics.RISK_ALERTS, topics.DEAD_LETTERS)]
        consumer.assign(parts)
        found, ends = [], 0
        while ends < len(parts):
            message = consumer.poll(10)
            assert message is not None, "the broker answers"
            if message.error():
                ends += 1
            else:
                found.append(codec.decode(message.topic(), message.value()))
        consumer.close()
        return found


@pytest.fixture
def stack(tmp_path: Path, broker: Callable[[int], int]) -> Stack:
    return Stack(tmp_path, broker(1))


def test_sidecar_rebuilds_serves_falls_silent_and_comes_back(stack: Stack) -> None:
    stack.send(COMMAND)
    stack.send(GRANT)
    stack.send(KILL)
    stack.send(STATE)
    stack.send(b"poison")
    with stack.sidecar() as table:
        assert column(table) == "stale", "a state of the topic's past is not fresh"
        assert is_blocked(table)
        assert not table.writer_dead(time.monotonic_ns())
        granted = table.read_account(scope_hash("account:DESK-1"))
        assert granted is not None
        assert AccountRow.unpack(granted).credit == policies.ACCOUNT.credit
        stack.send(replace(STATE, tick_ns=T0_NS + 1))
        wait_until(lambda: column(table) == "dynamic")
        wait_until(lambda: column(table) == "stale")
        wait_until(lambda: AlertKind.STATE_EXPIRED in kinds(stack.said()))
        stack.send(replace(STATE, tick_ns=T0_NS + 2))
        wait_until(lambda: column(table) == "dynamic")
        wait_until(lambda: AlertKind.STATE_RECOVERED in kinds(stack.said()))
        with pytest.raises(_native.LimitTableError, match="another writer"):
            LimitTable.create(stack.table_path, 16)
    said = stack.said()
    assert kinds(said).count(AlertKind.COMMAND_APPLIED) == 3
    (letter,) = [record for record in said if isinstance(record, DeadLetter)]
    assert (letter.topic, letter.offset, letter.raw) == (topics.RISK_STATES, 1, b"poison")


def test_sidecar_that_was_killed_comes_back_with_all_limits_and_tells_nothing_twice(stack: Stack) -> None:
    stack.send(COMMAND)
    stack.send(b"poison")
    with stack.sidecar(end_by=signal.SIGKILL) as table:
        before = table.read(1)
        wait_until(lambda: stack.status().get("dead_letters") == 1)
        wait_until(lambda: len(stack.said()) == 2)
        rounds = stack.status()["wall_ns"]
        wait_until(lambda: stack.status()["wall_ns"] > rounds + 2 * 10**9)  # two commits have passed
    stack.send(KILL)
    with LimitTable.attach(stack.table_path) as reader, stack.sidecar() as table:
        assert table.read(1) == before
        for view in (reader, table):
            assert is_blocked(view)
        stack.send(STATE)
        wait_until(lambda: column(reader) == "dynamic")
    assert [type(record) for record in stack.said()].count(DeadLetter) == 1
    assert kinds(stack.said()).count(AlertKind.COMMAND_APPLIED) == 2


def column(table: LimitTable) -> str:
    """Return which column of the instrument's row is in force."""
    raw = table.read(1)
    assert raw is not None
    return "dynamic" if time.monotonic_ns() < InstrumentRow.unpack(raw).valid_until_ns else "stale"


def is_blocked(table: LimitTable) -> bool:
    return table.set_find(_native.SET_BLOCKED, scope_hash("account:ROGUE")) is not None


def kinds(said: list[codec.Record]) -> list[AlertKind]:
    return [record.kind for record in said if isinstance(record, RiskAlert)]


def wait_until(holds: Callable[[], bool], timeout_s: float = 20) -> None:
    end_s = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < end_s, "waited in vain"
        time.sleep(0.02)
