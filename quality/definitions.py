"""The words in which expectations are written: suites of columns that follow from others, and of laws on columns.

Invariant: every law speaks of single rows, so a verdict can name the rows that break it. What needs more than one row (the
tick before, the same instrument ten seconds ago) becomes a column first, by a function from columns to a column. Both readers
of a suite, ``quality.rows`` and ``quality.expectations``, see the same columns. Rejected: conditions in the language of one of
the two readers (the other could only imitate them).

A batch is a mapping from column to array, all of one length: integers as int64, flags as bool, times as int64 ns; numbers that
may be missing as float64 with NaN, texts as object with None. Null always means "not known": laws other than :class:`Known`
pass it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

Column = npt.NDArray[Any]
Columns = Mapping[str, Column]
Mask = npt.NDArray[np.bool_]
Severity = Literal["warning", "critical"]


@dataclass(frozen=True, slots=True)
class Derived:
    """A column that follows from others.

    Attributes:
        name: Of the column.
        needs: Columns that ``compute`` reads; derived ones only if they come earlier in the suite.
        compute: From columns to a column of the same length.
    """

    name: str
    needs: tuple[str, ...]
    compute: Callable[[Columns], Column]


@dataclass(frozen=True, slots=True, kw_only=True)
class Law:
    """What is expected of each row.

    Attributes:
        name: Stable id within the suite; part of the results' ids, so it never gets another meaning.
        says: What holds, one clause for a person.
        severity: ``critical``: what is decided or learned from such rows is wrong. ``warning``: a person should know.
    """

    name: str
    says: str
    severity: Severity = "critical"


@dataclass(frozen=True, slots=True, kw_only=True)
class Between(Law):
    """The value lies in ``[low, high]``; a missing bound is none, so an infinite value passes it.

    Attributes:
        column: Column of numbers.
        low: Least value.
        high: Largest value.
        low_open: ``low`` itself breaks the law.
    """

    column: str
    low: float | None = None
    high: float | None = None
    low_open: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Known(Law):
    """The value is not null.

    Attributes:
        column: Column.
        budget: Share of rows that may be null, in [0, 1].
    """

    column: str
    budget: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OneOf(Law):
    """The value is one of ``values``.

    Attributes:
        column: Column.
        values: The words.
    """

    column: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AtLeast(Law):
    """The value of ``column`` is at least that of ``other``.

    Attributes:
        column: Column of numbers.
        other: Column of numbers.
    """

    column: str
    other: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unique(Law):
    """No two rows agree in all of ``columns``; every row that agrees with another breaks the law. Rows with a null there pass.

    Attributes:
        columns: Two or more columns.
    """

    columns: tuple[str, ...]


AnyLaw = Between | Known | OneOf | AtLeast | Unique


@dataclass(frozen=True, slots=True)
class Suite:
    """What is expected of a table.

    Attributes:
        table: Table of history; also the name of the suite.
        time: Column of the event time.
        row_name: Columns that tell a person which row it is.
        derived: Columns that follow from others, in order.
        laws: What holds of each row.
        may_be_silent: A batch without rows is nothing unusual.
    """

    table: str
    time: str
    row_name: tuple[str, ...]
    derived: tuple[Derived, ...]
    laws: tuple[AnyLaw, ...]
    may_be_silent: bool = True

    def __post_init__(self) -> None:
        """Refuse two laws of one name, and a law that ``column_of`` could not show."""
        names = [law.name for law in self.laws]
        assert len(set(names)) == len(names), f"{self.table}: laws of one name"
        assert all(len(law.columns) > 1 for law in self.laws if isinstance(law, Unique)), f"{self.table}: a key of one"

    @property
    def stored_columns(self) -> tuple[str, ...]:
        """Columns of the table that the suite reads, in order of first use."""
        made = {one.name for one in self.derived}
        read = [self.time, *self.row_name]
        for one in self.derived:
            read += one.needs
        for law in self.laws:
            read += columns_of(law)
        return tuple(dict.fromkeys(name for name in read if name not in made))


ROWS_PRESENT: Final = "rows_present"
"""There are rows to look at."""

ASKED: Final = "table_asked"
"""The history answered; where it did not, nothing is known of the table, and that is said."""

ON_TIME: Final = "rows_on_time"
"""No row came after its batch was looked at."""

BATCH_LAWS: Final = (ROWS_PRESENT, ASKED, ON_TIME)
"""What is expected of a batch as a whole, of every table."""


def columns_of(law: AnyLaw) -> tuple[str, ...]:
    """Return the columns that a law reads."""
    if isinstance(law, Unique):
        return law.columns
    if isinstance(law, AtLeast):
        return (law.column, law.other)
    return (law.column,)


def shown_column(law: AnyLaw) -> str | None:
    """Return the column that results name; None for a law on several."""
    names = columns_of(law)
    return names[0] if len(names) == 1 else None
