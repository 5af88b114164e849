"""`tidegate topics apply` against a real broker."""

import time
from collections.abc import Callable

import pytest
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from deploy.topics import TopicsError, TopicsSettings, apply_topics, configs_of
from schemas.topics import RISK_ALERTS, TOPICS

pytestmark = pytest.mark.integration


def configs(servers: str, topic: str) -> dict[str, str]:
    asked = ConfigResource(ResourceType.TOPIC, topic)
    admin = AdminClient({"bootstrap.servers": servers})
    (answer,) = admin.describe_configs([asked]).values()
    return {key: entry.value for key, entry in answer.result(20).items()}


def settle(settings: TopicsSettings) -> None:
    """Apply until nothing is left to do: a broker may tell of a change a moment after it was taken."""
    deadline = time.monotonic() + 20
    while (applied := apply_topics(settings)).changed or applied.created:
        assert time.monotonic() < deadline, applied


def test_bare_topics_get_their_configs_a_lost_one_comes_back_and_partitions_stay(
    broker: Callable[[int], int],
) -> None:
    servers = f"127.0.0.1:{broker(2)}"
    settings = TopicsSettings(servers, partitions=2)

    first = apply_topics(settings)
    assert first.created == []
    assert any(change.startswith(f"{RISK_ALERTS}: retention.ms ") for change in first.changed)
    settle(settings)
    for topic in TOPICS:
        assert configs_of(topic, settings).items() <= configs(servers, topic.name).items()

    admin = AdminClient({"bootstrap.servers": servers})
    (gone,) = admin.delete_topics([RISK_ALERTS], operation_timeout=20).values()
    gone.result(20)
    assert apply_topics(settings).created == [RISK_ALERTS]
    settle(settings)
    assert configs(servers, RISK_ALERTS)["max.message.bytes"] == str(16 * 1024 * 1024)

    with pytest.raises(TopicsError, match=r"market\.frames has 2 partitions, wanted 3"):
        apply_topics(TopicsSettings(servers, partitions=3))
    assert apply_topics(settings).changed == [], "nothing was touched"
