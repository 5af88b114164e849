"""The store through one client library, embedded (chDB) or a ClickHouse server.

A process holds one embedded folder, a thread its own handle, and nothing may fork once a folder is open. The writing
handle and the reading handle are therefore two objects; the reading one can never write: ``readonly = 1`` cannot be
taken back by a statement. Rejected: chDB's own interface (a second code path for the same SQL).
"""

import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import clickhouse_connect
import pyarrow as pa
from clickhouse_connect.driver.exceptions import ClickHouseError

from history.read_only import QueryError, QueryTimeoutError, ResultTooLargeError, check_read_only
from history.settings import HistorySettings
from history.statement import NO_PARAMETERS, Statement, Value, statement_of

_WRITE_SETTINGS: Final = {"max_partitions_per_insert_block": 0}
"""A replayed year may arrive in one batch."""
_CODE: Final = re.compile(r"Code: (\d+)")
_KIND_OF_CODE: Final = {
    "159": QueryTimeoutError,  # TIMEOUT_EXCEEDED
    "160": QueryTimeoutError,  # TOO_SLOW: told before the time is up
    "158": ResultTooLargeError,  # TOO_MANY_ROWS
    "396": ResultTooLargeError,  # TOO_MANY_ROWS_OR_BYTES
    "307": ResultTooLargeError,  # TOO_MANY_BYTES
    "241": ResultTooLargeError,  # MEMORY_LIMIT_EXCEEDED
}


@dataclass(frozen=True, slots=True)
class Result:
    """Answer of a query.

    Attributes:
        columns: Column names.
        types: ClickHouse types, one per column.
        rows: One tuple per row; times as text with nanoseconds (UTC), NaN and null as ``None``.
    """

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: list[tuple[Any, ...]]

    def dicts(self) -> list[dict[str, Any]]:
        """Return the rows by column name."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


class StoreError(RuntimeError):
    """The store cannot be opened, or refused a write."""


class Store:
    """A writing handle; belongs to the thread that made it."""

    def __init__(self, settings: HistorySettings) -> None:
        self._client = _connect(settings, _WRITE_SETTINGS)

    def command(self, sql: str) -> None:
        """Run a statement that answers nothing."""
        with _telling(StoreError):
            self._client.command(sql)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query of our own."""
        with _telling(StoreError):
            return [tuple(row) for row in self._client.query(sql).result_rows]

    def insert(self, table: str, rows: pa.Table) -> None:
        """Store the rows; all of them or, when this raises, an unknown part of them (keys make a repeat harmless)."""
        with _telling(StoreError):
            self._client.insert_arrow(table, rows)

    def close(self) -> None:
        """Close the handle; the folder is free once the process has closed all of them."""
        self._client.close()


class Reader:
    """A handle that only reads; belongs to the thread that made it.

    After a query that failed the handle is made anew: the embedded engine (chdb 4.4.0) keeps what the failed one had written, and
    would put it before the next answer.
    """

    def __init__(self, settings: HistorySettings) -> None:
        self._settings = settings
        self._limits: dict[str, Any] = {
            "max_execution_time": settings.query_timeout_s,
            "timeout_before_checking_execution_speed": 0,  # else a forecast, not the clock, ends a query
            "max_result_rows": settings.result_rows_max,
            "max_result_bytes": settings.result_bytes_max,
            "result_overflow_mode": "throw",  # an answer cut short would be taken for the whole
            "max_memory_usage": settings.query_memory_bytes_max,
            "max_threads": settings.query_threads,
            "output_format_json_quote_64bit_integers": 0,
            "join_use_nulls": 1,  # a row that is not there is null, never tier NORMAL or score 0
            "readonly": 1,  # last: nothing can be set after it
        }
        self._client: Any = _connect(settings, self._limits)

    def json(self, sql: str, parameters: Mapping[str, Value] = NO_PARAMETERS) -> bytes:
        """Return the answer as ClickHouse's JSONCompact text.

        Raises:
            QueryError: The statement does not only read, or failed; ``QueryTimeoutError`` and ``ResultTooLargeError`` when it
                met a limit.
        """
        return self._raw(sql, parameters, "JSONCompact")

    def arrow(self, sql: str, parameters: Mapping[str, Value] = NO_PARAMETERS) -> bytes:
        """Return the answer as an Arrow IPC stream; raises as :meth:`json`."""
        return self._raw(sql, parameters, "ArrowStream")

    def query(self, question: str | Statement) -> Result:
        """Return the answer; raises as :meth:`json`."""
        statement = statement_of(question)
        return parse_result(self.json(statement.sql, statement.parameters))

    def table(self, question: str | Statement) -> pa.Table:
        """Return the answer as Arrow: times as ns UTC, enumerations as their numbers; raises as :meth:`json`."""
        statement = statement_of(question)
        return parse_arrow(self.arrow(statement.sql, statement.parameters))

    def close(self) -> None:
        """Close the handle."""
        if self._client is not None:
            self._client.close()

    def _raw(self, sql: str, parameters: Mapping[str, Value], form: str) -> bytes:
        statement = check_read_only(sql)
        if self._client is None:
            self._client = _connect(self._settings, self._limits)
        try:
            with _telling(QueryError):
                return bytes(self._client.raw_query(statement, parameters=dict(parameters), fmt=form))
        except QueryError:
            self._client.close()
            self._client = None
            raise


def parse_arrow(raw: bytes) -> pa.Table:
    """Return the table in an Arrow IPC stream."""
    with pa.ipc.open_stream(raw) as stream:
        return stream.read_all()


def parse_result(raw: bytes) -> Result:
    """Return the result in JSONCompact text; bytes that are not UTF-8 are shown as the replacement character."""
    plain = json.loads(raw.decode(errors="replace"))
    meta = plain["meta"]
    return Result(
        columns=tuple(column["name"] for column in meta),
        types=tuple(column["type"] for column in meta),
        rows=[tuple(row) for row in plain["data"]],
    )


@contextlib.contextmanager
def _telling(kind: type[StoreError] | type[QueryError]) -> Iterator[None]:
    try:
        yield
    except (ClickHouseError, pa.ArrowException, OSError, RuntimeError) as error:
        raise _kind(kind, str(error))(str(error)) from error


def _kind(kind: type[StoreError] | type[QueryError], detail: str) -> type[StoreError] | type[QueryError]:
    code = _CODE.search(detail)
    return _KIND_OF_CODE.get(code[1], kind) if code and kind is QueryError else kind


def _connect(settings: HistorySettings, session: Mapping[str, Any]) -> Any:
    with _telling(StoreError):
        if settings.interface == "chdb":
            settings.data_dir.mkdir(parents=True, exist_ok=True)
            return clickhouse_connect.get_client(interface="chdb", path=str(settings.data_dir), settings=dict(session))
        return clickhouse_connect.get_client(
            interface=settings.interface,
            host=settings.host,
            port=settings.port or None,
            username=settings.user,
            password=settings.password,
            database=settings.database,
            settings=dict(session),
        )
