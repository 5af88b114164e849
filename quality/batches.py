"""The newest rows of a table as a batch of columns, asked of the history's owner.

Invariant: names in SQL are ours (suites'), values are bound. Rows come through the ``*_once`` views, oldest first.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from history.queries.asking import Source
from history.statement import Statement
from quality.definitions import Column, Suite

_ENUMERATIONS: Final = frozenset({"tier", "tier_before", "systemic_tier"})
_NS: Final = "fromUnixTimestamp64Nano({%s:Int64}, 'UTC')"


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Rows of a table.

    Attributes:
        columns: ``Suite.stored_columns`` by name.
        rows: How many.
        since_ns: First event time; 0 where there are no rows.
    """

    columns: dict[str, Column]
    rows: int
    since_ns: int


def newest_ns(source: Source, suite: Suite) -> int | None:
    """Return the newest event time of a table; None where it has no rows."""
    sql = f"SELECT count() AS `rows`, max({suite.time}) AS newest FROM {suite.table}"  # noqa: S608 (names of ours)
    found = source.table(sql)
    return _ns(found["newest"][0]) if found["rows"][0].as_py() else None


def count(source: Source, suite: Suite, since_ns: int, *, until_ns: int) -> int:
    """Return the rows of a table from ``since_ns`` until before ``until_ns``."""
    sql = f"SELECT count() AS `rows` FROM {suite.table}_once WHERE {_within(suite)}"  # noqa: S608
    found = source.table(Statement(sql, {"since_ns": since_ns, "until_ns": until_ns}))
    return int(found["rows"][0].as_py())


def newest_rows(source: Source, suite: Suite, since_ns: int, *, until_ns: int, rows_max: int) -> Batch:
    """Return the newest rows from ``since_ns`` until before ``until_ns``, at most ``rows_max``, oldest first."""
    chosen = ", ".join(_shown(name) for name in suite.stored_columns)
    sql = (
        f"SELECT {chosen} FROM {suite.table}_once AS one WHERE {_within(suite)} "  # noqa: S608
        f"ORDER BY one.{suite.time} DESC LIMIT {{rows_max:UInt64}}"
    )
    found = source.table(Statement(sql, {"since_ns": since_ns, "until_ns": until_ns, "rows_max": rows_max}))
    columns = {name: np.ascontiguousarray(column_of(found[name])[::-1]) for name in suite.stored_columns}
    times = columns[suite.time]
    return Batch(columns, len(times), int(times[0]) if len(times) else 0)


def column_of(values: pa.ChunkedArray) -> Column:
    """Return an Arrow column as ``quality.definitions`` has them."""
    kind = values.type
    if pa.types.is_dictionary(kind) or pa.types.is_string(kind) or pa.types.is_binary(kind):
        texts: Column = np.empty(len(values), np.dtype(object))
        texts[:] = values.to_pylist()
        return texts
    if pa.types.is_timestamp(kind):
        values = values.cast(pa.int64())
    if pa.types.is_boolean(kind):
        values = values.cast(pa.int8())
    if values.null_count or pa.types.is_floating(kind):
        return np.asarray(values.cast(pa.float64(), safe=False).to_numpy(), np.float64)
    return np.asarray(values.to_numpy()).astype(np.int64)


def _shown(name: str) -> str:
    return f"toString(one.{name}) AS `{name}`" if name in _ENUMERATIONS else f"one.`{name}` AS `{name}`"


def _within(suite: Suite) -> str:
    return f"{suite.time} >= {_NS % 'since_ns'} AND {suite.time} < {_NS % 'until_ns'}"


def _ns(value: Any) -> int:
    return int(value.cast(pa.int64()).as_py())
