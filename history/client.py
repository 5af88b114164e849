"""Questions to the history: through its owner while one runs, else straight from the folder.

``query("SELECT ...", status_dir=...)`` is all that an analyst's script or ``tidegate query`` needs; a :class:`History` gives Arrow
tables, and is what ``history.queries`` ask. The embedded folder belongs to one process, so a direct read holds it for as long as
the question takes.
"""

import json
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa

from history import wire
from history.database import Reader, Result, StoreError, parse_arrow, parse_result
from history.read_only import BusyError, QueryError, QueryTimeoutError, ResultTooLargeError, check_read_only
from history.settings import HistorySettings
from history.statement import Statement, statement_of

__all__ = [
    "BusyError",
    "History",
    "QueryError",
    "QueryTimeoutError",
    "Result",
    "ResultTooLargeError",
    "Statement",
    "StoreError",
    "query",
]

_TRIES: Final = 5
_PAUSE_S: Final = 0.3


@dataclass(frozen=True, slots=True)
class History:
    """The history of one deployment, as seen by a process that does not hold it; may be shared by threads.

    Attributes:
        status_dir: Status folder of the history writer.
        timeout_s: Longest wait for an answer; the owner ends a query after its own ``query_timeout_s``.
    """

    status_dir: Path
    timeout_s: float = 60

    def table(self, question: str | Statement) -> pa.Table:
        """Return the answer as Arrow: times as ns UTC, enumerations as their numbers.

        Args:
            question: SELECT, WITH, SHOW, DESCRIBE, EXPLAIN or EXISTS; read the ``*_once`` views to see every row once.

        Raises:
            QueryError: The statement does not only read, or failed. ``QueryTimeoutError``, ``ResultTooLargeError`` and
                ``BusyError`` say which limit it met.
            StoreError: No writer has run with this status folder, or its store cannot be reached.
        """
        return parse_arrow(self._ask(statement_of(question), "arrow"))

    def query(self, question: str | Statement) -> Result:
        """Return the answer as rows of plain values; raises as :meth:`table`."""
        return parse_result(self._ask(statement_of(question), "json"))

    def _ask(self, question: Statement, form: str) -> bytes:
        statement = Statement(check_read_only(question.sql), question.parameters)
        owner = wire.read_owner(self.status_dir)
        if owner is None:
            path = self.status_dir / wire.OWNER_FILE
            raise StoreError(f"{path} is missing: no history writer has run with this folder")
        for attempt in range(_TRIES):
            if attempt:
                time.sleep(_PAUSE_S)  # the owner is just starting or ending: it holds the folder and does not answer
            try:
                raw = _ask_owner(owner.socket_path, statement, form, timeout_s=self.timeout_s)
            except (FileNotFoundError, ConnectionRefusedError):
                if owner.interface != "chdb":
                    raise StoreError("no history writer is running: ask the ClickHouse server itself") from None
                try:
                    return _read_folder(owner.data_dir, statement, form, timeout_s=self.timeout_s)
                except StoreError as error:
                    failure = error
                    continue
            except TimeoutError as error:
                raise QueryTimeoutError(f"no answer within {self.timeout_s} s") from error
            except OSError as error:
                raise StoreError(f"the history writer at {owner.socket_path} did not answer: {error}") from error
            wire.raise_error(raw)
            return raw
        raise StoreError(f"{owner.data_dir} is held by another process that does not answer: {failure}")


def query(question: str | Statement, *, status_dir: Path, timeout_s: float = 60) -> Result:
    """Return the answer to one read-only statement; as :meth:`History.query`."""
    return History(status_dir, timeout_s).query(question)


def _ask_owner(path: str, statement: Statement, form: str, *, timeout_s: float) -> bytes:
    question = {"sql": statement.sql, "parameters": dict(statement.parameters), "form": form}
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout_s)
        connection.connect(path)
        wire.send(connection, json.dumps(question).encode())
        raw = wire.receive(connection)
    if raw is None:
        raise wire.WireError("closed without an answer")
    return raw


def _read_folder(data_dir: str, statement: Statement, form: str, *, timeout_s: float) -> bytes:
    settings = HistorySettings(bootstrap_servers="", data_dir=Path(data_dir), query_timeout_s=max(1, int(timeout_s)))
    reader = Reader(settings)
    try:
        ask = reader.arrow if form == "arrow" else reader.json
        return ask(statement.sql, statement.parameters)
    finally:
        reader.close()
