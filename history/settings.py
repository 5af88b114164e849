"""Settings of the history writer, shared by the migration command and by readers of the same store."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from schemas.settings import SettingsError

INTERFACES: Final = ("chdb", "http", "https")
PREFIX: Final = "TIDEGATE_HISTORY"


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
        status_dir: Folder of ``history.json`` (status) and ``history.owner.json`` (where to ask).
        socket_path: Unix-domain socket for queries; one too long for the system moves to the temporary folder.
        batch_rows: A batch is stored when it holds this many rows,
        batch_bytes: or this many bytes of messages,
        batch_age_ms: or when its first message has waited this long.
        query_timeout_s: Longest query answered over the socket.
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
    status_dir: Path = Path(".tidegate")
    socket_path: Path = Path(".tidegate/history.sock")
    batch_rows: int = 20_000
    batch_bytes: int = 16 * 1024 * 1024
    batch_age_ms: int = 200
    query_timeout_s: int = 60

    def __post_init__(self) -> None:
        """Refuse values that no run can use."""
        if self.interface not in INTERFACES:
            raise SettingsError(f"interface: {self.interface!r} is none of {', '.join(INTERFACES)}")
        for name in ("batch_rows", "batch_bytes", "batch_age_ms", "query_timeout_s"):
            if getattr(self, name) <= 0:
                raise SettingsError(f"{name}: must be above 0")
