"""Topics on the broker: create what is missing, through kafka-python's admin client."""

from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import KafkaError

from schemas.topics import TOPICS


class TopicsError(RuntimeError):
    """The broker refused; the message says which topic and why."""


def apply_topics(bootstrap_servers: str, *, partitions: int = 1, keep_all: bool = True) -> list[str]:
    """Create the topics that do not exist yet and return their names.

    Args:
        bootstrap_servers: Kafka.
        partitions: Partitions of each new topic; keys keep their order whatever the number.
        keep_all: Ignore the retention of the schema: recordings carry event times of long ago, which a broker would
            take for expired at once.

    Raises:
        TopicsError: The broker does not answer or refuses.
    """
    try:
        admin = KafkaAdminClient(bootstrap_servers=bootstrap_servers, request_timeout_ms=20_000)
        try:
            missing = [topic for topic in TOPICS if topic.name not in set(admin.list_topics())]
            fresh = [
                NewTopic(
                    name=topic.name,
                    num_partitions=partitions,
                    replication_factor=1,
                    topic_configs={"retention.ms": str(-1 if keep_all else topic.retention_ms)},
                )
                for topic in missing
            ]
            if fresh:
                admin.create_topics(fresh)
        finally:
            admin.close()
    except KafkaError as error:
        raise TopicsError(f"{bootstrap_servers}: {error}") from error
    return [topic.name for topic in missing]
