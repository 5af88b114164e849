"""Settings of the history writer, shared by the migration command and by readers of the same store."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from schemas.settings import SettingsError

INTERFACES: Final = ("chdb", "http", "https")
PREFIX: Final = "TIDEGATE_HISTORY"
_ABOVE_0: Final = (
    "batch_rows", "batch_bytes", "batch_age_ms", "query_timeout_s", "result_rows_max", "result_bytes_max",
    "query_memory_bytes_max", "query_threads", "readers", "readers_waiting_max",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class HistorySettings:
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
    """

    bootstrap_servers: str
    group_id: str = "tidegate-history"
    schema_registry_url: str = ""
    interface: str = "chdb"
    data_dir: Path = Path(".tidegate/history")
    host: str = "localhost"
    port: int = 0
    user: str = "default"
    password: str = field(default="", metadata={"secret": True})
    database: str = "default"
    replicated: bool = False
    status_dir: Path = Path(".tidegate")
    socket_path: Path = Path(".tidegate/history.sock")
    batch_rows: int = 100_000
    batch_bytes: int = 128 * 1024 * 1024
    batch_age_ms: int = 200
    query_timeout_s: int = 60
    result_rows_max: int = 5_000_000
    result_bytes_max: int = 512 * 1024 * 1024
    query_memory_bytes_max: int = 4 * 1024 * 1024 * 1024
    query_threads: int = 2
    readers: int = 4
    readers_waiting_max: int = 64

    def __post_init__(self) -> None:
        """Refuse values that no run can use."""
        if self.interface not in INTERFACES:
            raise SettingsError(f"interface: {self.interface!r} is none of {', '.join(INTERFACES)}")
        if self.replicated and self.interface == "chdb":
            raise SettingsError("replicated: the embedded engine has no replicated tables")
        for name in _ABOVE_0:
            if getattr(self, name) <= 0:
                raise SettingsError(f"{name}: must be above 0")
