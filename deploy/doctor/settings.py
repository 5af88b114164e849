"""Settings of the doctor: whom to ask, where a deployment is not a local stack."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from schemas.kafka_security import KafkaSecurity
from schemas.settings import between

PREFIX: Final = "TIDEGATE_DOCTOR"


@dataclass(frozen=True, slots=True)
class DoctorSettings(KafkaSecurity):
    """Settings of `tidegate doctor`.

    Attributes:
        bootstrap_servers: Kafka; empty = topics are not looked at.
        rest_url: Flink's REST interface; empty = running jobs are not looked at.
        job_settings: Settings file of the jobs; empty = the defaults, and no epoch.
        tables_dir: Where limit tables lie.
        table_mib: Room that one limit table needs.
        disk_paths: Folders that grow, separated by colons.
        disk_free_gib_min: What must be free in each.
    """

    bootstrap_servers: str = ""
    rest_url: str = ""
    job_settings: str = ""
    tables_dir: Path = Path("/dev/shm")  # noqa: S108 (shared with trading processes by design)
    table_mib: int = field(default=16, metadata=between(1))
    disk_paths: str = "."
    disk_free_gib_min: int = field(default=5, metadata=between(0))
