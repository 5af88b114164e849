"""A real broker for tests that need no Flink."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import confluent_kafka
import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from deploy.local.broker import start_broker
from deploy.local.ports import free_ports
from deploy.local.processes import ProcessBook
from schemas import topics

JARS = Path(__file__).parents[2] / "jars" / "broker"
START_TIMEOUT_S = 60.0


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave long drills out where nobody asked for them by their mark."""
    if "drill" not in str(config.getoption("markexpr")):
        long = [item for item in items if item.get_closest_marker("drill")]
        items[:] = [item for item in items if item not in long]
        config.hook.pytest_deselected(items=long)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Callable[[int], int]]:
    """``broker(partitions)`` starts a broker that holds every topic and returns its port."""
    if not shutil.which("java") or not any(JARS.glob("kafka_*.jar")):
        message = "java or the broker's jars are missing: this was NOT run against a broker (`make jars`)"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    book = ProcessBook(tmp_path / "book")

    def start(partitions: int) -> int:
        port, controller_port = free_ports(2)
        start_broker(book, tmp_path / "broker", jars=JARS, port=port, controller_port=controller_port)
        admin = AdminClient({"bootstrap.servers": f"127.0.0.1:{port}", "log_level": 2})
        deadline = time.monotonic() + START_TIMEOUT_S
        while not _answers(admin):
            assert time.monotonic() < deadline, "the broker answers"
        made = admin.create_topics([NewTopic(topic.name, partitions, 1) for topic in topics.TOPICS])
        for future in made.values():
            future.result(30)
        return port

    try:
        yield start
    finally:
        book.stop_all()


def _answers(admin: AdminClient) -> bool:
    try:
        return bool(admin.list_topics(timeout=1).brokers)
    except confluent_kafka.KafkaException:
        return False
