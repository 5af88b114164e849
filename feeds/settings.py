"""Settings of a process that sends frames: `tidegate replay`, `tidegate simulate`, and feeds of a deployment's own."""

from dataclasses import dataclass
from typing import Final

from schemas.kafka_security import KafkaSecurity

PREFIX: Final = "TIDEGATE_PRODUCER"


@dataclass(frozen=True, slots=True)
class ProducerSettings(KafkaSecurity):
    """Settings of a producer of frames.

    Attributes:
        bootstrap_servers: Kafka.
    """

    bootstrap_servers: str
