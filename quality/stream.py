"""The checks of ticks that run in the stream: ranges of the features that models read, one comparison for all of them.

Invariant: a row breaks here exactly when it breaks a range law of the suite of ticks (held by a test). The identities of that
suite are not asked: the kernel computes both sides from one book, so within a row they hold by construction, and its tests hold
that. What no kernel can promise is that its input made sense: prices in another unit, a value beyond any market, an infinite one.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from quality.definitions import Between, Mask
from quality.ticks import SUITE

CAUSE: Final = "bad_rows"
TOLD_MAX: Final = 5


class RowRanges:
    """The range laws on some columns of a message of ticks.

    Args:
        names: Columns of a message's values, in order.
        wanted: Those that are looked at.

    Raises:
        KeyError: One of ``wanted`` is no column, or has no range.
    """

    def __init__(self, names: Sequence[str], wanted: Sequence[str]) -> None:
        laws = {law.column: law for law in SUITE.laws if isinstance(law, Between) and law.name == f"{law.column}_range"}
        place = {name: number for number, name in enumerate(names)}
        self._laws = [laws[name] for name in wanted]
        self._places = np.array([place[name] for name in wanted])
        self._low = np.array([-np.inf if law.low is None else law.low for law in self._laws])
        self._high = np.array([np.inf if law.high is None else law.high for law in self._laws])

    def broken(self, values: npt.NDArray[np.float64]) -> Mask:
        """Return ``(rows,)``: which rows of ``(rows, columns)`` values break a law; NaN is not known and breaks none."""
        seen = values[:, self._places]
        broken: Mask = ((seen < self._low) | (seen > self._high)).any(axis=1)
        return broken

    def told(self, row: npt.NDArray[np.float64]) -> str:
        """Return which laws ``(columns,)`` values break, with the values."""
        seen = row[self._places]
        faults = np.flatnonzero((seen < self._low) | (seen > self._high))
        return ", ".join(f"{self._laws[n].name} ({seen[n]:g})" for n in faults[:TOLD_MAX])
