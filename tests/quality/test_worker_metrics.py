"""What the quality worker tells Prometheus: before its first look, while rows fail, and where nobody answers."""

import contextlib
import re
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import confluent_kafka
import pytest

from deploy.local.ports import free_ports
from history.client import StoreError
from history.statement import Statement
from quality.definitions import ASKED
from quality.rows import findings
from quality.settings import QualitySettings
from quality.tables import SUITES
from quality.verdicts import Episodes
from quality.worker import PublishError, Worker
from schemas.units import NS_PER_S
from tests.quality.sessions import copied, session
from tests.quality.test_verdicts import Rows, inspector, until

TICKS = SUITES["ticks"]
CRITICAL_TICKS = 'tidegate_quality_failing_expectations{severity="critical",table="ticks"}'


class Broker:
    """Takes every message, or leaves all of them in the queue."""

    def __init__(self, _options: dict[str, Any]) -> None:
        self.topics: list[str] = []
        self.waiting: list[Callable[[Any, Any], None]] = []
        self.left = 0

    def produce(self, topic: str, _value: bytes, *, key: str, on_delivery: Callable[[Any, Any], None]) -> None:
        assert key
        self.waiting.append(on_delivery)
        self.topics.append(topic)

    def flush(self, _timeout_s: float) -> int:
        while self.waiting and not self.left:
            self.waiting.pop()(None, None)
        return self.left


class Nobody:
    """A history that does not answer."""

    def table(self, _question: str | Statement, /) -> Any:
        raise StoreError("nobody answers")


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Worker:
    monkeypatch.setattr(confluent_kafka, "Producer", Broker)
    (port,) = free_ports(1)
    settings = QualitySettings("h:1", status_dir=tmp_path, state_dir=tmp_path, metrics_port=port)
    one = Worker(settings, findings, wall_ns=lambda: 7)
    one.inspector.suites = (TICKS,)
    one.inspector.source = Rows(until(session("calm"), 20))
    return one


def told(one: Worker) -> dict[str, float]:
    found = re.findall(r"^(tidegate_quality_\S+) (\S+)$", one.metrics.text(), re.MULTILINE)
    return {name: float(value) for name, value in found}


def test_before_the_first_look_nothing_is_said_of_the_rows_and_the_age_counts_from_the_start(made: Worker) -> None:
    seen = told(made)
    assert not [name for name in seen if "failing" in name], "nought would say that all is well"
    assert seen["tidegate_quality_looks_total"] == 0
    assert 0 <= seen["tidegate_quality_look_age_seconds"] < 60
    assert seen["tidegate_quality_look_seconds_count"] == 0


def test_port_answers_while_the_worker_runs_and_no_longer(made: Worker) -> None:
    stop, url = threading.Event(), f"http://127.0.0.1:{made._settings.metrics_port}/metrics"
    running = threading.Thread(target=made.run, args=(stop,))
    running.start()
    try:
        deadline, body = time.monotonic() + 30, ""
        while "tidegate_quality_looks_total 1.0" not in body:
            assert time.monotonic() < deadline
            with contextlib.suppress(OSError):
                body = urllib.request.urlopen(url, timeout=5).read().decode()
    finally:
        stop.set()
        running.join(30)
    with pytest.raises(OSError):
        urllib.request.urlopen(url, timeout=5)


def test_rows_that_fail_are_counted_by_table_and_severity_until_they_hold_again(made: Worker) -> None:
    whole = session("calm")
    rows = Rows(until(whole, 20))
    made.inspector.source = rows
    made.look()
    assert told(made)[CRITICAL_TICKS] == 0
    faulty = copied(whole)
    faulty["bid_qty_top"] *= 100.0
    rows.batch = until(faulty, 30)
    failed = [one for one in made.look().results if not one.passed and one.severity == "critical"]
    seen = told(made)
    assert seen[CRITICAL_TICKS] == len(failed) > 0
    assert seen["tidegate_quality_looks_total"] == seen["tidegate_quality_look_seconds_count"] == 2
    assert seen["tidegate_quality_rows_total"] == made.inspector.counts["rows"] > 0
    assert seen["tidegate_quality_unasked_tables"] == 0
    rows.batch = until(whole, 40)
    made.look()
    assert told(made)[CRITICAL_TICKS] == 0


def test_late_and_unseen_rows_are_counted(made: Worker) -> None:
    whole = session("calm")
    rows = Rows({name: column[::2] for name, column in until(whole, 20).items()})
    made.inspector.source = rows
    made.inspector.rows_max = 400
    made.look()
    rows.batch = whole
    made.look()
    seen, counts = told(made), made.inspector.counts
    assert seen["tidegate_quality_late_rows_total"] == counts["late_rows"] > 0
    assert seen["tidegate_quality_unseen_rows_total"] == counts["unseen_rows"] > 0


def test_tables_without_an_answer_are_told_apart_from_rows_that_fail(made: Worker) -> None:
    made.look()
    rows, made.inspector.source = made.inspector.source, Nobody()
    result = made.look().results
    assert [(one.expectation, one.passed) for one in result] == [(ASKED, False)]
    seen = told(made)
    assert (seen["tidegate_quality_unasked_tables"], seen[CRITICAL_TICKS]) == (1, 0)
    made.inspector.source = rows
    made.look()
    assert told(made)["tidegate_quality_unasked_tables"] == 0


def test_a_worker_that_never_got_an_answer_says_nothing_of_the_rows(made: Worker) -> None:
    made.inspector.source = Nobody()
    made.look()
    seen = told(made)
    assert not [name for name in seen if "failing" in name]
    assert seen["tidegate_quality_unasked_tables"] == 1


def test_a_look_whose_verdicts_were_not_taken_is_no_look(made: Worker) -> None:
    broker: Any = made._producer
    broker.left = 1
    with pytest.raises(PublishError):
        made.look()
    assert told(made)["tidegate_quality_looks_total"] == 0


def test_an_open_episode_of_a_law_that_is_gone_is_not_counted_for_ever() -> None:
    looking = inspector(Rows(session("calm")))
    looking.look(int(NS_PER_S))
    looking._episodes = Episodes({("ticks", "law_of_last_year"): 1, ("ticks", "imbalance_l1_law"): 1})
    assert looking.failing() == {("ticks", "warning"): 0, ("ticks", "critical"): 1}
