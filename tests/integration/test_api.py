"""The API process against a real broker and history: current state, commands to the topic, streams across restarts."""

import contextlib
import json
import signal
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import confluent_kafka
import pytest

from api.identity import Role, issue
from deploy.instruments import reference_commands
from deploy.local.ports import free_ports
from deploy.observe import Tail, record_in
from schemas import topics
from schemas.records import CommandKind, RiskCommand
from tests.api.session import session
from tests.integration.parts import Parts

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

RELEASE = {"kind": "RELEASE", "scope": "instrument:1", "reason": "makers are back", "valid_s": 600}


class Office(Parts):
    """A broker, a history writer and an API that can be started, killed and asked."""

    def __init__(self, folder: Path, broker_port: int) -> None:
        super().__init__(folder)
        self.servers = f"127.0.0.1:{broker_port}"
        self.port = free_ports(1)[0]
        roles = {"vera": Role.VIEWER, "max": Role.MAKER, "cleo": Role.CHECKER}
        self.tokens = {name: issue(folder / "tokens.toml", name, [role]) for name, role in roles.items()}
        common = f'bootstrap_servers = "{self.servers}"\nstatus_dir = "{folder}"\n'
        (folder / "history.toml").write_text(
            common + f'data_dir = "{folder / "data"}"\nsocket_path = "{folder / "h.sock"}"\n'
        )
        (folder / "api.toml").write_text(
            common
            + f'port = {self.port}\nstate_dir = "{folder}"\ntokens_path = "{folder / "tokens.toml"}"\nclock = "event"\n'
        )
        self._producer = confluent_kafka.Producer({"bootstrap.servers": self.servers, "log_level": 2})

    def send(self, messages: Any) -> None:
        for topic, value in messages:
            self._producer.produce(topic, value=value, key=b"k")
            self._producer.poll(0)
        assert self._producer.flush(30) == 0

    def ask(self, path: str, *, who: str = "vera", body: Any = None, headers: dict[str, str] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        sent = {"Authorization": f"Bearer {self.tokens[who]}", "Content-Type": "application/json", **(headers or {})}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, sent)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return json.loads(error.read())

    def events(self, count: int, last_id: str = "", replay: int = 0) -> list[tuple[str, str, Any]]:
        """Return the next ``count`` alerts and commands of a stream as (id, kind, data)."""
        headers = {"Authorization": f"Bearer {self.tokens['vera']}", **({"Last-Event-ID": last_id} if last_id else {})}
        address = f"http://127.0.0.1:{self.port}/v1/events?kinds=alert&kinds=command&replay={replay}"
        found: list[tuple[str, str, Any]] = []
        with urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=30) as answer:
            event: dict[str, str] = {}
            while len(found) < count:
                line = answer.readline().decode().rstrip("\n")
                name, _, value = line.partition(": ")
                if line:
                    event[name] = value
                    continue
                if event.get("event") in {"alert", "command", "reset"}:
                    found.append((event.get("id", ""), event["event"], json.loads(event["data"])))
                event = {}
        return found


@pytest.fixture
def office(tmp_path: Path, broker: Callable[[int], int]) -> Iterator[Office]:
    made = Office(tmp_path, broker(2))
    with contextlib.closing(made):
        yield made


def test_session_is_shown_released_by_two_and_remembered(office: Office) -> None:
    office.start("history", "history.writer")
    office.send(session(seconds=130))
    office.start("api", "api.server")
    wait_until(lambda: office.ask("/v1/health")["ready"])
    now = office.ask("/v1/risk/1")
    assert now["state"]["tier"] == "CRITICAL"
    assert not now["fresh"]  # read from the topic's past: shown, and not believed
    office.send(list(session(seconds=131, with_grants=False))[-12:])
    wait_until(lambda: office.ask("/v1/risk/1")["fresh"])
    wait_until(lambda: len(office.ask("/v1/alerts")["alerts"]) == 3)
    history = office.ask("/v1/risk/1/history")
    assert sorted(set(history["scores"]["tier"])) == [0, 1, 2, 3]
    assert "market-200" in history["orders"]["order_id"]

    commands = len(reference_commands(ts_ns=0))
    seen = office.events(3 + commands, replay=100)
    assert Counter(kind for _, kind, _ in seen) == {"alert": 3, "command": commands}
    made = office.ask("/v1/commands", who="max", body=RELEASE)
    assert made["status"] == "OPEN"
    assert office.stop("api", signal.SIGKILL) == -signal.SIGKILL
    office.start("api", "api.server")
    wait_until(lambda: office.ask("/v1/health")["ready"])
    path = f"/v1/commands/{made['proposal_id']}"
    assert office.ask(path)["status"] == "OPEN"
    assert office.ask(f"{path}/approve", who="max", body={})["status"] == 403

    missed: list[Any] = []
    reader = threading.Thread(target=lambda: missed.extend(office.events(1, last_id=seen[-1][0])))
    reader.start()
    assert office.ask(f"{path}/approve", who="cleo", body={"note": "agreed"})["status"] == "SENT"
    reader.join(30)
    (event,) = missed  # nothing twice, nothing missing, from an id of the process that was killed
    assert (event[1], event[2]["command_id"]) == ("command", made["proposal_id"])
    released = [command for command in commands_on(office) if command.kind is CommandKind.RELEASE]
    assert [(command.maker, command.checker) for command in released] == [("max", "cleo")]
    assert office.stop("api") == 0


def test_api_without_topics_says_so_and_goes_on_when_they_come(office: Office) -> None:
    office.servers = f"127.0.0.1:{free_ports(1)[0]}"
    text = (office.folder / "api.toml").read_text()
    (office.folder / "api.toml").write_text(
        text.replace(text.splitlines()[0], f'bootstrap_servers = "{office.servers}"')
    )
    office.start("api", "api.server")
    health = office.ask("/v1/health")
    assert not health["ready"]
    assert office.ask("/v1/instruments")["instruments"] == []
    late = office.ask(
        "/v1/commands", who="max", body={"kind": "KILL", "scope": "firm", "reason": "runaway", "emergency": True}
    )
    assert late["type"] == "urn:tidegate:problem:not-published-yet"
    assert office.ask("/v1/commands")["commands"][0]["status"] == "SENDING"
    assert office.stop("api") == 0


def commands_on(office: Office) -> list[RiskCommand]:
    found = []
    with Tail(office.servers, (topics.RISK_COMMANDS,), from_start=True) as tail:
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            records = (record_in(message.place.topic, message.value) for message in tail.poll(0.2))
            found += [record for record in records if isinstance(record, RiskCommand)]
    return found


def wait_until(holds: Callable[[], Any], timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while True:
        with contextlib.suppress(OSError, ValueError, KeyError):  # it is only just starting
            if holds():
                return
        assert time.monotonic() < deadline, "it happens in time"
        time.sleep(0.1)
