"""The data-quality worker beside a real broker and history: verdicts in the topic, in history, one alert per episode."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import confluent_kafka
import pytest

from deploy.observe import Tail, record_in
from deploy.training import simulated_ticks
from history import queries
from history.client import History
from schemas import topics
from schemas.records import AlertKind, RiskAlert
from schemas.ticks import Ticks, encode_ticks
from tests.integration.parts import Parts

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

FAULT = "imbalance_l1_law"


class Office(Parts):
    """A broker, a history writer and a data-quality worker."""

    START_S = 100

    def __init__(self, folder: Path, port: int) -> None:
        super().__init__(folder)
        self.servers = f"127.0.0.1:{port}"
        common = f'bootstrap_servers = "{self.servers}"\nstatus_dir = "{folder}"\n'
        (folder / "history.toml").write_text(
            common + f'data_dir = "{folder / "data"}"\nsocket_path = "{folder / "h.sock"}"\n'
        )
        (folder / "quality.toml").write_text(common + f'state_dir = "{folder}"\ninterval_s = 1.0\nclock = "event"\n')
        self._producer = confluent_kafka.Producer({"bootstrap.servers": self.servers, "log_level": 2})

    def works(self, status: dict[str, Any]) -> bool:
        return status["ended"] is False

    def send(self, messages: list[Ticks]) -> None:
        for message in messages:
            self._producer.produce(topics.FEATURES_TICKS, encode_ticks(message), key=b"SIM")
        assert self._producer.flush(30) == 0

    def now(self) -> dict[tuple[str, str], dict[str, Any]]:
        rows = queries.quality_now(History(self.folder)).to_pylist()
        return {(row["table"], row["expectation"]): row for row in rows}

    def alerts(self) -> list[RiskAlert]:
        with Tail(self.servers, (topics.RISK_ALERTS,), from_start=True) as tail:
            found = [record_in(one.place.topic, one.value) for _ in range(3) for one in tail.poll(1.0)]
        return [one for one in found if isinstance(one, RiskAlert)]


def wait_until(holds: Callable[[], bool], timeout_s: float = 100) -> None:
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, "in time"
        time.sleep(0.1)


@pytest.fixture
def office(tmp_path: Path, broker: Callable[[int], int]) -> Iterator[Office]:
    made = Office(tmp_path, broker(1))
    with contextlib.closing(made):
        yield made


def broken(message: Ticks) -> Ticks:
    values = message.values.copy()
    place = message.feature_names.index("bid_qty_top")
    values[:, place] *= 100.0
    return replace(message, values=values)


def test_a_fault_is_found_in_the_topic_in_history_and_told_once(office: Office) -> None:
    messages = simulated_ticks("calm", 7, duration_s=40.0)
    first, second, third = messages[:200], messages[200:300], messages[300:]
    office.start("history", "history.writer")
    office.send(first)
    office.start("quality", "quality.worker")
    wait_until(lambda: ("ticks", FAULT) in office.now())
    assert not [name for (table, name), row in office.now().items() if table == "ticks" and not row["passed"]]

    office.send([broken(one) for one in second])
    wait_until(lambda: not office.now()["ticks", FAULT]["passed"])
    failing = office.now()["ticks", FAULT]
    assert failing["unexpected"] > 0
    assert failing["failing_since_ns"] == min(int(one.tick_ns[0]) for one in first)
    assert f"tick_ns={second[0].tick_ns[0]}" in failing["detail"]
    office.send([broken(one) for one in third])
    looked_ns = int(third[-1].tick_ns[-1])
    wait_until(lambda: office.now()["ticks", FAULT]["at_ns"] >= looked_ns)
    told = [alert for alert in office.alerts() if FAULT in alert.alert_id]
    assert [alert.kind for alert in told] == [AlertKind.DATA_QUALITY_FAILED]
    assert office.stop("quality") == 0
    assert office.status("quality")["ended"] is True
    assert office.status("quality")["not_asked"] == 0
