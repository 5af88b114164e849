"""Settings of the history writer, shared by the migration command and by readers of the same store."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from schemas.kafka_security import KafkaSecurity
from schemas.settings import SECRET, SettingsError, between, one_of

INTERFACES: Final = ("chdb", "http", "https")
PREFIX: Final = "TIDEGATE_HISTORY"


@dataclass(frozen=True, slots=True)
class HistorySettings(KafkaSecurity):
    """Settings of the history writer.

    Attributes:
        bootstrap_servers: Kafka.
        group_id: Consumer group; its offsets are the writer's memory of what is stored.
        schema_registry_url: Empty for Avro single-object encoding.
        interface: ``chdb`` (embedded, one process per folder) or ``http``/``https`` (a ClickHouse server).
        data_dir: Folder of the embedded database.
        host: ClickHouse server.
        port: ClickHouse server; 0 for the default of the interface.
        user: ClickHouse user.
        password: ClickHouse password.
        database: ClickHouse database, which exists.
        replicated: Make replicated tables; of a server alone.
        status_dir: Folder of ``history.json`` (status) and ``history.owner.json`` (where to ask).
        socket_path: Unix-domain socket for queries; one too long for the system moves to the temporary folder.
        batch_rows: A batch is stored when it holds this many rows,
        batch_bytes: or this many bytes of messages,
        batch_age_ms: or when its first message has waited this long.
        query_timeout_s: Longest query answered over the socket.
        result_rows_max: Largest answer to a reader, rows,
        result_bytes_max: and bytes in memory; more is refused, never cut.
        query_memory_bytes_max: Memory that one query may take.
        query_threads: Threads of the engine that one query may take; inserts need the others.
        readers: Queries answered at the same time.
        readers_waiting_max: Questions that may wait for a free reader; more are told to come again.
        metrics_host: Where Prometheus may ask,
        metrics_port: and its port; 0 = no metrics.
    """

    bootstrap_servers: str
    group_id: str = "tidegate-history"
    schema_registry_url: str = ""
    interface: str = field(default="chdb", metadata=one_of(*INTERFACES))
    data_dir: Path = Path(".tidegate/history")
    host: str = "localhost"
    port: int = field(default=0, metadata=between(0, 65_535))
    user: str = "default"
    password: str = field(default="", metadata=SECRET, repr=False)
    database: str = "default"
    replicated: bool = False
    status_dir: Path = Path(".tidegate")
    socket_path: Path = Path(".tidegate/history.sock")
    batch_rows: int = field(default=100_000, metadata=between(1))
    batch_bytes: int = field(default=128 * 1024 * 1024, metadata=between(1))
    batch_age_ms: int = field(default=200, metadata=between(1))
    query_timeout_s: int = field(default=60, metadata=between(1))
    result_rows_max: int = field(default=5_000_000, metadata=between(1))
    result_bytes_max: int = field(default=512 * 1024 * 1024, metadata=between(1))
    query_memory_bytes_max: int = field(default=4 * 1024 * 1024 * 1024, metadata=between(1))
    query_threads: int = field(default=2, metadata=between(1))
    readers: int = field(default=4, metadata=between(1))
    readers_waiting_max: int = field(default=64, metadata=between(1))
    metrics_host: str = "127.0.0.1"
    metrics_port: int = field(default=0, metadata=between(0, 65_535))

    def __post_init__(self) -> None:
        """Refuse values that no run can use."""
        KafkaSecurity.__post_init__(self)
        if self.replicated and self.interface == "chdb":
            raise SettingsError("replicated: the embedded engine has no replicated tables")
