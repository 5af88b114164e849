"""Row checks compiled from a suite: vectorised numpy, light enough for a stream. Great Expectations is not needed here.

Invariant: row by row the same answer as ``quality.expectations`` gives through Great Expectations, held by a test over random and
faulty rows. A batch may have any number of rows, none too.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from quality.definitions import (
    AnyLaw,
    AtLeast,
    Between,
    Column,
    Columns,
    Derived,
    Known,
    Mask,
    OneOf,
    Suite,
    Unique,
    columns_of,
)

Check = Callable[[Columns], Mask]


@dataclass(frozen=True, slots=True, eq=False)
class Finding:
    """What one law found in one batch.

    Attributes:
        law: The law.
        rows: Rows looked at.
        unexpected: ``(n,)`` row numbers that break it, ascending.
        passed: They are within the law's budget.
    """

    law: AnyLaw
    rows: int
    unexpected: Column
    passed: bool


def with_derived(suite: Suite, columns: Columns, laws: Sequence[AnyLaw] | None = None) -> dict[str, Column]:
    """Return the columns and those that follow from them, all or as many as ``laws`` read.

    Raises:
        KeyError: A column of ``suite.stored_columns`` is missing.
    """
    whole = dict(columns)
    for one in suite.derived if laws is None else derived_for(suite, laws):
        whole[one.name] = one.compute(whole)
    return whole


def derived_for(suite: Suite, laws: Sequence[AnyLaw]) -> tuple[Derived, ...]:
    """Return the derived columns that ``laws`` read, in the suite's order."""
    wanted = {name for law in laws for name in columns_of(law)}
    kept = []
    for one in reversed(suite.derived):
        if one.name in wanted:
            kept.append(one)
            wanted |= set(one.needs)
    return tuple(reversed(kept))


def compile_law(law: AnyLaw) -> Check:
    """Return the check of a law: from columns, derived ones among them, to ``(n,)`` rows that break it."""
    match law:
        case Between():
            return partial(_outside, law)
        case Known():
            return partial(_unknown, law.column)
        case OneOf():
            return partial(_foreign, law.column, frozenset(law.values))
        case AtLeast():
            return partial(_below, law.column, law.other)
        case Unique():
            return partial(_repeated, law.columns)


def findings(suite: Suite, columns: Columns, laws: Sequence[AnyLaw] | None = None) -> list[Finding]:
    """Return what each law, or each of ``laws``, finds in a batch.

    Args:
        suite: Suite.
        columns: At least ``suite.stored_columns``.
        laws: Laws of the suite; all of them if None.
    """
    whole = with_derived(suite, columns, laws)
    rows = len(whole[suite.time])
    found = []
    for law in suite.laws if laws is None else laws:
        broken = np.flatnonzero(compile_law(law)(whole))
        found.append(Finding(law, rows, broken, within_budget(law, rows, len(broken))))
    return found


def within_budget(law: AnyLaw, rows: int, unexpected: int) -> bool:
    """Return whether so many rows may break the law."""
    if not isinstance(law, Known) or unexpected == 0:
        return unexpected == 0
    return (rows - unexpected) / rows >= 1.0 - law.budget


def is_null(column: Column) -> Mask:
    """Return ``(n,)``: NaN or None."""
    if column.dtype.kind == "f":
        return np.isnan(column)
    if column.dtype.kind == "O":
        return np.fromiter((one is None or one != one for one in column), np.bool_, len(column))  # noqa: PLR0124 (NaN)
    return np.zeros(len(column), np.bool_)


def groups(columns: Sequence[Column]) -> Column:
    """Return ``(n,)`` int64: equal where all columns are equal; nulls are equal to each other."""
    code = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        part = _numbered(column)
        code = np.unique(code * (int(part.max(initial=0)) + 1) + part, return_inverse=True)[1].astype(np.int64)
    return code


def _numbered(column: Column) -> Column:
    if column.dtype.kind != "O":
        return np.unique(column, return_inverse=True)[1].astype(np.int64)
    seen: dict[object, int] = {}
    return np.fromiter((seen.setdefault(one, len(seen)) for one in column), np.int64, len(column))


def _outside(law: Between, columns: Columns) -> Mask:
    value = columns[law.column]
    broken = np.zeros(len(value), np.bool_)
    if law.low is not None:
        broken |= value <= law.low if law.low_open else value < law.low
    if law.high is not None:
        broken |= value > law.high
    return broken


def _unknown(name: str, columns: Columns) -> Mask:
    return is_null(columns[name])


def _foreign(name: str, values: frozenset[str], columns: Columns) -> Mask:
    return np.fromiter((one is not None and one not in values for one in columns[name]), np.bool_, len(columns[name]))


def _below(name: str, other: str, columns: Columns) -> Mask:
    broken: Mask = columns[name] < columns[other]
    return broken


def _repeated(names: tuple[str, ...], columns: Columns) -> Mask:
    parts = [columns[name] for name in names]
    known = ~np.logical_or.reduce([is_null(part) for part in parts])
    broken = np.zeros(len(known), np.bool_)
    code = groups([part[known] for part in parts])
    counts = np.bincount(code) if len(code) else np.zeros(0, np.int64)
    broken[known] = counts[code] > 1
    return broken
