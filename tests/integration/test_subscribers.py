"""The subscribers of docs/subscribe.md on a real broker: newest wins, old epochs are fenced, silence expires, offsets resume."""

import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import confluent_kafka
import pytest

from schemas import codec, topics
from schemas.records import RiskState, Tier
from tests.gate import policies

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
DOC = ROOT / "docs" / "subscribe.md"
JAVA_JARS = ROOT / "jars" / "java"
T0_NS = 1_768_487_428_000_000_000
CLIENTS = ("with_kafka_python", "with_confluent_kafka", "Subscribe")
FRESH_S = 3.0
WAIT_S = 60.0


def state(tick: int, *, epoch: int = 1, instrument_id: int = 1, tier: Tier = Tier.NORMAL) -> RiskState:
    return replace(policies.STATE, instrument_id=instrument_id, tick_ns=T0_NS + tick, epoch=epoch, tier=tier, score=1.5)


def line(one: RiskState) -> str:
    return f"{one.tick_ns} {one.instrument_id} {one.tier.name} {one.score:.2f}"


class Client:
    """One of the three, as a process whose lines are heard as they come."""

    def __init__(self, name: str, folder: Path, address: str) -> None:
        self.name, self._folder, self._address = name, folder, address
        self.lines: list[str] = []

    def start(self, lines: int) -> None:
        self.lines.clear()
        told = [self._address, str(self._folder / f"{self.name}.kept"), str(lines)]
        if self.name == "Subscribe":
            jars = f"{ROOT / 'jars' / 'broker'}/*:{JAVA_JARS}/*"
            command = [
                "java",
                "-XX:TieredStopAtLevel=1",
                "-cp",
                jars,
                "Subscribe.java",
                *told,
                str(ROOT / "schemas" / "risk.states"),
            ]
        else:
            command = [sys.executable, f"{self.name}.py", *told]
        self._process = subprocess.Popen(
            command, cwd=self._folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True,
            stdout=subprocess.PIPE, stderr=(self._folder / f"{self.name}.log").open("w"),
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for said in self._process.stdout:
            self.lines.append(said.rstrip("\n"))

    def wait(self, count: int) -> None:
        deadline = time.monotonic() + WAIT_S
        while len(self.lines) < count:
            log = (self._folder / f"{self.name}.log").read_text()[-2_000:]
            assert time.monotonic() < deadline, f"{self.name}: {self.lines} {log}"
            assert self._process.poll() in {None, 0}, f"{self.name}: {log}"
            time.sleep(0.05)

    def ended(self) -> list[str]:
        assert self._process.wait(WAIT_S) == 0
        self._reader.join(5)
        return self.lines

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture
def clients(tmp_path: Path) -> Iterator[Callable[[str], list[Client]]]:
    text, made = DOC.read_text(), list[Client]()
    code = dict(
        zip(
            ("tiers.py", "with_kafka_python.py", "with_confluent_kafka.py"),
            re.findall(r"```python\n(.*?)```", text, re.DOTALL),
            strict=True,
        )
    )
    (code["Subscribe.java"],) = re.findall(r"```java\n(.*?)```", text, re.DOTALL)
    for name, source in code.items():
        (tmp_path / name).write_text(source)

    def make(address: str) -> list[Client]:
        names = CLIENTS if shutil.which("java") and any(JAVA_JARS.glob("avro-*.jar")) else CLIENTS[:2]
        if len(names) < len(CLIENTS) and os.environ.get("CI") == "true":
            pytest.fail("java or its jars are missing: the client in Java was NOT run (`make jars`)")
        made.extend(Client(name, tmp_path, address) for name in names)
        return made

    yield make
    for client in made:
        client.kill()


def test_clients_of_the_documentation_fence_expire_and_resume(
    broker: Callable[[int], int], clients: Callable[[str], list[Client]]
) -> None:
    address = f"127.0.0.1:{broker(2)}"
    producer = confluent_kafka.Producer({"bootstrap.servers": address, "log_level": 2})

    def send(*records: RiskState | bytes) -> None:
        for one in records:
            value = one if isinstance(one, bytes) else codec.encode(topics.RISK_STATES, one)
            producer.produce(topics.RISK_STATES, value, key="1", partition=0)
        assert producer.flush(10) == 0

    first, later, raised = state(1), state(3, tier=Tier.HIGH_ALERT), state(2, epoch=2, tier=Tier.CRITICAL)
    other, live = state(1, epoch=2, instrument_id=7), state(5, epoch=2, tier=Tier.ELEVATED)
    send(first, later, state(2), later, b"\x00\xffnoise", raised, state(9), other)
    running = clients(address)
    for client in running:
        client.start(7)
    for client in running:
        client.wait(5)
        assert [one for one in client.lines if not one.startswith("unreadable 0:4")] == [
            line(o) for o in (first, later, raised, other)
        ]
    began = time.monotonic()
    send(live)
    for client in running:
        assert client.ended()[5:] == [line(live), "expired 1"], client.name
    assert time.monotonic() - began > FRESH_S, "a state of the topic's past never was fresh, and 7 expires nowhere"

    send(state(99, instrument_id=8), state(6, epoch=2))
    for client in running:
        client.start(1)
    for client in running:
        assert client.ended() == [line(state(6, epoch=2))], f"{client.name} resumes, and remembers the epoch"
    if len(running) < len(CLIENTS):
        pytest.skip("java or its jars are missing: the client in Java was NOT run (`make jars`)")
