"""Topics on the broker: what is missing is created, what differs is said or set, and nothing is ever taken away.

Invariant: applying twice changes nothing, and no call loses a message: a topic is never deleted, and its number of
partitions never changes, because the same key would then live in two of them and lose its order. Rejected: topics made by
the broker when first used (their retention would be the broker's, and commands are the memory of every limit).
"""

from dataclasses import dataclass, field
from typing import Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from schemas.kafka_security import KafkaSecurity, librdkafka_options
from schemas.settings import SettingsError, between
from schemas.topics import KEEP_FOR_EVER_MS, TOPICS, Topic

PREFIX: Final = "TIDEGATE_TOPICS"
TIMEOUT_S: Final = 20.0
MESSAGE_BYTES_MAX: Final = 16 * 1024 * 1024
"""A dead letter holds the largest message whole."""
ANY_TIME_MS: Final = 2**63 - 1


class TopicsError(RuntimeError):
    """The broker refused, or a topic cannot become what it should be; the message says which and why."""


@dataclass(frozen=True, slots=True)
class TopicsSettings(KafkaSecurity):
    """Settings of ``tidegate topics apply``.

    Attributes:
        bootstrap_servers: Kafka.
        partitions: Partitions of each new topic; keys keep their order whatever the number, as long as it stays.
        replication_factor: Copies of each partition of a new topic.
        min_insync_replicas: Copies that must have a message before it counts as written.
        keep_all: Ignore the retention of the schema: recordings carry event times of long ago, which a broker would
            take for expired at once.
    """

    bootstrap_servers: str
    partitions: int = field(default=1, metadata=between(1))
    replication_factor: int = field(default=1, metadata=between(1))
    min_insync_replicas: int = field(default=1, metadata=between(1))
    keep_all: bool = False

    def __post_init__(self) -> None:
        """Refuse what no broker can hold, and what would lose messages with one broker."""
        KafkaSecurity.__post_init__(self)
        if self.min_insync_replicas > self.replication_factor:
            raise SettingsError(
                f"min_insync_replicas: {self.min_insync_replicas} of {self.replication_factor} copies can never be written"
            )


@dataclass(frozen=True, slots=True)
class Applied:
    """What was done: names of topics created, and ``topic: key old -> new`` for each config set."""

    created: list[str]
    changed: list[str]


def configs_of(topic: Topic, settings: TopicsSettings) -> dict[str, str]:
    """Return the configs that a topic must have, as Kafka writes them."""
    return {
        "cleanup.policy": "delete",
        "max.message.bytes": str(MESSAGE_BYTES_MAX),
        # Records carry event time; a replayed day is years away from the broker's clock.
        "message.timestamp.type": "CreateTime",
        "message.timestamp.before.max.ms": str(ANY_TIME_MS),
        "message.timestamp.after.max.ms": str(ANY_TIME_MS),
        "min.insync.replicas": str(settings.min_insync_replicas),
        "retention.bytes": "-1",
        "retention.ms": str(KEEP_FOR_EVER_MS if settings.keep_all else topic.retention_ms),
    }


def apply_topics(settings: TopicsSettings) -> Applied:
    """Create what is missing, set configs that differ, and refuse topics with another number of partitions.

    Raises:
        TopicsError: The broker does not answer or refuses, or a topic has other partitions; then nothing was changed.
    """
    try:
        admin = AdminClient(
            {**librdkafka_options(settings), "bootstrap.servers": settings.bootstrap_servers, "log_level": 2}
        )
        found = {name: len(known.partitions) for name, known in admin.list_topics(timeout=TIMEOUT_S).topics.items()}
        wrong = [
            f"{topic.name} has {found[topic.name]} partitions, wanted {settings.partitions}: a change would break the order "
            "of its keys; drain it and make it anew"
            for topic in TOPICS
            if found.get(topic.name, settings.partitions) != settings.partitions
        ]
        if wrong:
            raise TopicsError("; ".join(wrong))
        missing = [topic for topic in TOPICS if topic.name not in found]
        _create(admin, missing, settings)
        changed = _set_configs(admin, [topic for topic in TOPICS if topic.name in found], settings)
    except KafkaException as error:
        raise TopicsError(f"{settings.bootstrap_servers}: {error}") from error
    return Applied([topic.name for topic in missing], changed)


def _create(admin: AdminClient, missing: list[Topic], settings: TopicsSettings) -> None:
    fresh = [
        NewTopic(
            topic.name,
            num_partitions=settings.partitions,
            replication_factor=settings.replication_factor,
            config=configs_of(topic, settings),
        )
        for topic in missing
    ]
    if fresh:
        for made in admin.create_topics(fresh, operation_timeout=TIMEOUT_S).values():
            made.result(TIMEOUT_S)


def _set_configs(admin: AdminClient, standing: list[Topic], settings: TopicsSettings) -> list[str]:
    if not standing:
        return []
    asked = [ConfigResource(ResourceType.TOPIC, topic.name) for topic in standing]
    answers = {resource.name: answer.result(TIMEOUT_S) for resource, answer in admin.describe_configs(asked).items()}
    changed: list[str] = []
    resources = []
    for topic in standing:
        differing = {
            key: value for key, value in configs_of(topic, settings).items() if answers[topic.name][key].value != value
        }
        changed += [f"{topic.name}: {key} {answers[topic.name][key].value} -> {new}" for key, new in differing.items()]
        if differing:
            entries = [
                ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET) for key, value in differing.items()
            ]
            resources.append(ConfigResource(ResourceType.TOPIC, topic.name, incremental_configs=entries))
    if resources:
        for done in admin.incremental_alter_configs(resources).values():
            done.result(TIMEOUT_S)
    return changed
