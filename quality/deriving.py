"""Functions that make columns from columns, shared by the suites: the row before of the same thing, remainders, masks.

Invariant: "before" is by the order of the rows as given, within groups; nothing is sorted by time first, so time that goes
back shows.
"""

from collections.abc import Callable, Sequence

import numpy as np

from quality.definitions import Column, Columns, Derived
from quality.rows import groups


def before(columns: Columns, name: str, within: Sequence[str], *, rows: int = 1) -> Column:
    """Return ``(n,)`` float64: the value ``rows`` rows earlier in the same group, NaN where there is none."""
    value = columns[name].astype(np.float64)
    earlier, found = rows_before(columns, within, rows)
    out = np.full(len(value), np.nan)
    out[found] = value[earlier[found]]
    return out


def rows_before(columns: Columns, within: Sequence[str], rows: int = 1) -> tuple[Column, Column]:
    """Return ``(n,)`` int64 numbers of the row ``rows`` rows earlier in the same group, and ``(n,)`` bool whether there is one."""
    code = groups([columns[name] for name in within])
    order = np.argsort(code, kind="stable")
    earlier = np.zeros(len(code), np.int64)
    found = np.zeros(len(code), np.bool_)
    if len(code) > rows:
        same = code[order[rows:]] == code[order[:-rows]]
        earlier[order[rows:]] = order[:-rows]
        found[order[rows:]] = same
    return earlier, found


def gap(name: str, of: str, within: Sequence[str]) -> Derived:
    """Return the column ``of`` less its value in the row before of the same group; float64, NaN in the first row.

    Integers are subtracted as integers: a double cannot hold ns since the epoch.
    """

    def compute(columns: Columns) -> Column:
        value = columns[of].astype(np.int64)
        earlier, found = rows_before(columns, within)
        return np.where(found, (value - value[earlier]).astype(np.float64), np.nan)

    return Derived(name, (of, *within), compute)


def remainder(name: str, of: str, by: int) -> Derived:
    """Return the column ``of`` modulo ``by``; int64."""
    return Derived(name, (of,), lambda columns: columns[of] % by)


def unless(name: str, of: str, *, flags: int, status: str = "status") -> Derived:
    """Return the column ``of`` as float64, NaN where one of ``flags`` is set in ``status``."""
    return only_if(name, of, (status,), holds=lambda columns: (columns[status] & flags) == 0)


def only_if(name: str, of: str, needs: tuple[str, ...], *, holds: Callable[[Columns], Column]) -> Derived:
    """Return the column ``of`` as float64, NaN where ``holds`` does not."""
    return Derived(name, (of, *needs), lambda columns: np.where(holds(columns), columns[of].astype(np.float64), np.nan))


def breach(name: str, needs: tuple[str, ...], broken: Callable[[Columns], Column]) -> Derived:
    """Return 1 where a law across columns is broken, else 0; int64."""
    return Derived(name, needs, lambda columns: broken(columns).astype(np.int64))


def rank(name: str, of: str, words: Sequence[str]) -> Derived:
    """Return the place of a word among ``words`` as float64, NaN for another or none."""
    places = {word: float(place) for place, word in enumerate(words)}

    def compute(columns: Columns) -> Column:
        return np.fromiter((places.get(one, np.nan) for one in columns[of]), np.float64, len(columns[of]))

    return Derived(name, (of,), compute)


def empty(column: Column) -> Column:
    """Return ``(n,)`` bool: a text that is missing or empty."""
    return np.fromiter((not one for one in column), np.bool_, len(column))


def words(column: Column, word: str) -> Column:
    """Return ``(n,)`` bool: the text is ``word``."""
    return np.fromiter((one == word for one in column), np.bool_, len(column))


def run_length(columns: Columns, name: str, within: Sequence[str], *, above: float) -> Column:
    """Return ``(n,)`` float64: how many rows in a row, this one the last, showed the same value of the group.

    NaN where the value's size is at most ``above``.
    """
    value = columns[name].astype(np.float64)
    code = groups([columns[one] for one in within])
    order = np.argsort(code, kind="stable")
    ordered, grouped = value[order], code[order]
    starts = np.ones(len(order), np.bool_)
    starts[1:] = (ordered[1:] != ordered[:-1]) | (grouped[1:] != grouped[:-1])
    first = np.maximum.accumulate(np.where(starts, np.arange(len(order)), 0))
    lengths = np.empty(len(order))
    lengths[order] = np.arange(len(order)) - first + 1
    return np.where(np.abs(value) > above, lengths, np.nan)
