"""What the questions share: where they are asked, spans of time, pages, and conditions with bound values."""

import base64
import json
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import pyarrow as pa

from history.statement import Statement, Value

ROWS_MAX: Final = 100_000
"""Largest page; more is asked for by pages, or in bulk through SQL."""


class Source(Protocol):
    """Where questions are asked: :class:`history.client.History`, or a reader of the same process."""

    def table(self, question: str | Statement, /) -> pa.Table:
        """Return the answer as Arrow."""


class CursorError(ValueError):
    """A cursor that no page gave out."""


@dataclass(frozen=True, slots=True)
class Span:
    """Event time, ns since the epoch, UTC: ``since_ns`` is within, ``until_ns`` is not; ``None`` = without end on that side."""

    since_ns: int | None = None
    until_ns: int | None = None


ALWAYS: Final = Span()


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list: at most ``limit`` rows after the row that ``cursor`` names.

    Attributes:
        limit: Rows, 1 to ``ROWS_MAX``.
        cursor: ``Listed.next`` of the page before; ``None`` for the first.
    """

    limit: int = 100
    cursor: str | None = None

    def __post_init__(self) -> None:
        """Refuse a limit that no list has."""
        if not 1 <= self.limit <= ROWS_MAX:
            raise ValueError(f"limit was {self.limit}, wanted 1 to {ROWS_MAX}")


@dataclass(frozen=True, slots=True, eq=False)
class Listed:
    """A page of a list, newest first.

    Attributes:
        rows: Arrow table.
        next: Cursor of the next page; ``None`` = this was the last.
    """

    rows: pa.Table
    next: str | None


@dataclass(slots=True)
class Conditions:
    """A WHERE clause in the making: fixed text, bound values."""

    texts: list[str] = field(default_factory=list)
    values: dict[str, Value] = field(default_factory=dict)

    def add(self, condition: str, **values: Value) -> "Conditions":
        """Add a condition unless one of its values is ``None``: not asked for."""
        if all(value is not None for value in values.values()):
            self.texts.append(condition)
            self.values |= values
        return self

    def within(self, column: str, span: Span) -> "Conditions":
        """Add the bounds of a span of time; ``column`` is a name of ours."""
        self.add(f"{column} >= fromUnixTimestamp64Nano({{since_ns:Int64}}, 'UTC')", since_ns=span.since_ns)
        return self.add(f"{column} < fromUnixTimestamp64Nano({{until_ns:Int64}}, 'UTC')", until_ns=span.until_ns)

    @property
    def sql(self) -> str:
        """The conditions, ``1`` when there is none."""
        return " AND ".join(self.texts) or "1"


@dataclass(frozen=True, slots=True)
class Listing:
    """A list with pages: newest first by ``time``, then by the other columns that make its key.

    Attributes:
        select: ``SELECT ... FROM ...``, whose result has the key columns.
        time: Column of the time, DateTime64(9).
        keys: Columns of text that tell rows of one time apart.
    """

    select: str
    time: str
    keys: tuple[str, ...]


def listed(source: Source, listing: Listing, where: Conditions, *, page: Page | None) -> Listed:
    """Return a page; keyset paging, so rows that come in between shift nothing."""
    page = page or Page()
    if page.cursor is not None:
        _after(listing, where, page.cursor)
    order = ", ".join(f"{name} DESC" for name in (listing.time, *listing.keys))
    # Constants of ours alone; the values are bound.
    sql = f"{listing.select} WHERE {where.sql} ORDER BY {order} LIMIT {{page_rows:UInt32}}"
    rows = source.table(Statement(sql, {**where.values, "page_rows": page.limit + 1}))
    if rows.num_rows <= page.limit:
        return Listed(rows, None)
    rows = rows.slice(0, page.limit)
    last = [_ns(rows[listing.time][-1]), *(rows[name][-1].as_py() for name in listing.keys)]
    return Listed(rows, base64.urlsafe_b64encode(json.dumps(last).encode()).decode())


def _after(listing: Listing, where: Conditions, cursor: str) -> None:
    try:
        last = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        time_ns, *keys = last
        fits = isinstance(time_ns, int) and all(isinstance(key, str) for key in keys) and len(keys) == len(listing.keys)
    except (ValueError, TypeError) as error:
        raise CursorError("the cursor is none that a page gave out") from error
    if not fits:
        raise CursorError("the cursor belongs to another list")
    names = ", ".join((listing.time, *listing.keys))
    bound = ", ".join(f"{{after_{number}:String}}" for number in range(len(keys)))
    at = "fromUnixTimestamp64Nano({after_ns:Int64}, 'UTC')"
    # The time alone as well: the index can use it, and knows nothing of tuples with text.
    where.add(f"{listing.time} <= {at} AND ({names}) < ({at}, {bound})", after_ns=time_ns)
    where.values |= {f"after_{number}": key for number, key in enumerate(keys)}


def _ns(value: Any) -> int:
    return int(value.cast(pa.int64()).as_py())
