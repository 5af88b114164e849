"""Questions to the history: through its owner while one runs, else straight from the folder.

``query("SELECT ...", status_dir=...)`` is all that an analyst's script or ``tidegate query`` needs. The embedded folder
belongs to one process, so a direct read holds it for as long as the question takes.
"""

import json
import socket
import time
from pathlib import Path
from typing import Final

from history import wire
from history.database import Reader, Result, StoreError, parse_result
from history.read_only import QueryError, check_read_only
from history.settings import HistorySettings

__all__ = ["QueryError", "Result", "StoreError", "query"]

_TRIES: Final = 5
_PAUSE_S: Final = 0.3


def query(sql: str, *, status_dir: Path, timeout_s: float = 60) -> Result:
    """Return the answer to one read-only statement.

    Args:
        sql: SELECT, WITH, SHOW, DESCRIBE, EXPLAIN or EXISTS; read the ``*_once`` views to see every row once.
        status_dir: Status folder of the history writer.
        timeout_s: Longest wait for the answer.

    Raises:
        QueryError: The statement does not only read, or failed.
        StoreError: No writer has run with this status folder, or its store cannot be reached.
    """
    statement = check_read_only(sql)
    owner = wire.read_owner(status_dir)
    if owner is None:
        raise StoreError(f"{status_dir / wire.OWNER_FILE} is missing: no history writer has run with this folder")
    for attempt in range(_TRIES):
        if attempt:
            time.sleep(_PAUSE_S)  # the owner is just starting or ending: it holds the folder and does not answer
        try:
            raw = _ask(owner.socket_path, statement, timeout_s)
        except (FileNotFoundError, ConnectionRefusedError):
            if owner.interface != "chdb":
                raise StoreError("no history writer is running: ask the ClickHouse server itself") from None
            try:
                return _read_folder(owner.data_dir, statement, timeout_s)
            except StoreError as error:
                failure = error
                continue
        except OSError as error:
            raise StoreError(f"the history writer at {owner.socket_path} did not answer: {error}") from error
        if raw.startswith(b'{"error"'):
            raise QueryError(json.loads(raw)["error"])
        return parse_result(raw)
    raise StoreError(f"{owner.data_dir} is held by another process that does not answer: {failure}")


def _ask(path: str, statement: str, timeout_s: float) -> bytes:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout_s)
        connection.connect(path)
        wire.send(connection, json.dumps({"sql": statement}).encode())
        raw = wire.receive(connection)
    if raw is None:
        raise wire.WireError("closed without an answer")
    return raw


def _read_folder(data_dir: str, statement: str, timeout_s: float) -> Result:
    settings = HistorySettings(bootstrap_servers="", data_dir=Path(data_dir), query_timeout_s=max(1, int(timeout_s)))
    reader = Reader(settings)
    try:
        return reader.query(statement)
    finally:
        reader.close()
