"""Settings of the data-quality worker."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from schemas.kafka_security import KafkaSecurity
from schemas.settings import SettingsError, between, one_of

PREFIX: Final = "TIDEGATE_QUALITY"
CLOCKS: Final = ("wall", "event")


@dataclass(frozen=True, slots=True)
class QualitySettings(KafkaSecurity):
    """Settings of the data-quality worker.

    Attributes:
        bootstrap_servers: Kafka.
        status_dir: Status folder of the history writer, where its owner is found.
        state_dir: Folder of the status file ``quality.json``.
        interval_s: From the start of one look at all tables to the next.
        window_s: Event time that a batch reaches back from the newest row; above the interval, so that late rows are seen.
        batch_rows: Most rows of a batch; the newest are looked at, the others counted.
        clock: ``wall``, or ``event`` where replays and simulations are dated by the market.
        schema_registry_url: Empty for Avro single-object encoding.
        metrics_host: Where Prometheus may ask,
        metrics_port: and its port; 0 = no metrics.
    """

    bootstrap_servers: str
    status_dir: Path = Path(".tidegate")
    state_dir: Path = Path(".tidegate")
    interval_s: float = 60.0
    window_s: float = 120.0
    batch_rows: int = 50_000
    clock: str = field(default="wall", metadata=one_of(*CLOCKS))
    schema_registry_url: str = ""
    metrics_host: str = "127.0.0.1"
    metrics_port: int = field(default=0, metadata=between(0, 65_535))

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        KafkaSecurity.__post_init__(self)
        for name in ("interval_s", "window_s", "batch_rows"):
            if getattr(self, name) <= 0:
                raise SettingsError(f"{name}: {getattr(self, name)} is not above 0")
