"""Settings that the three jobs share: one frozen value per job, read once in ``main``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from jobs.machines.sealing import NEWEST
from models.serving.interface import LOCAL, ServingSettings
from schemas.kafka_security import KafkaSecurity

MAX_PARALLELISM: Final = 128
"""Set once: it bounds rescaling and cannot change without losing state."""


@dataclass(frozen=True, slots=True)
class JobSettings(KafkaSecurity):
    """What a job needs to know of its surroundings.

    Attributes:
        bootstrap_servers: Kafka.
        epoch: Deployment epoch; rises with each deployment, so that an old job can be fenced.
        model_dir: Model folder (score_risk).
        group_prefix: Prefix of the consumer groups whose committed offsets a new deployment starts from.
        schema_registry_url: Empty for Avro single-object encoding.
        checkpoint_interval_ms: How often state and offsets are made safe.
        state_heartbeat_ms: A risk state is published at least this often, in event time.
        ttl_ms: How long a risk state counts as fresh for ``enforce_orders``, in event time.
        buffer_timeout_ms: How long Flink may hold a network buffer back.
        auto_watermark_ms: How often watermarks are made.
        restart_delay_ms: Pause before a failed job starts again.
        state_version: Version of the snapshots that are written; every version is read. The one before the newest while a
            deployment may have to go back to the release before it without a savepoint.
        parallelism: Subtasks of each operator; a channel is always one subtask's.
        score_back_end: Where the network is asked: ``local`` or ``remote`` (score_risk).
        score_provider: ``cpu`` or ``cuda``, of ``local``.
        score_url: ``http[s]://host:port`` of the inference server, of ``remote``.
        score_deadline_ms: A tick waits no longer for ``remote``.
    """

    bootstrap_servers: str
    epoch: int
    model_dir: Path = Path("models/default")
    group_prefix: str = "tidegate"
    schema_registry_url: str = ""
    checkpoint_interval_ms: int = 10_000
    state_heartbeat_ms: int = 1_000
    ttl_ms: int = 3_000
    buffer_timeout_ms: int = 0
    auto_watermark_ms: int = 10
    restart_delay_ms: int = 1_000
    state_version: int = NEWEST
    parallelism: int = 1
    score_back_end: str = LOCAL
    score_provider: str = "cpu"
    score_url: str = ""
    score_deadline_ms: float = 20.0

    @property
    def serving(self) -> ServingSettings:
        """Return what opens the network's back end.

        Raises:
            ServingError: A value that none takes.
        """
        return ServingSettings(self.score_back_end, self.score_provider, self.score_url, self.score_deadline_ms)
