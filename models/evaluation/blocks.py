"""The unit of evaluation: one instrument's ticks of one session, without a hole, with what is known about it.

Invariant: rows are consecutive ticks of ``TICK_NS``, so that every window is arithmetic on row numbers. Rejected: a table of
all instruments (each user would split it again, and each split is a chance to look across sessions).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final, Literal, Self

import numpy as np
import numpy.typing as npt

from features.spec import FEATURE_NAMES
from schemas.events import TickStatus
from schemas.ticks import Ticks
from schemas.units import NS_PER_S, TICK_NS

Vector = npt.NDArray[np.float64]
Kind = Literal["crisis", "hard_negative", "calm"]

TICKS_PER_S: Final = NS_PER_S // TICK_NS
_COLUMN: Final = {name: column for column, name in enumerate(FEATURE_NAMES)}


@dataclass(frozen=True, slots=True)
class Labels:
    """What a simulation knows of its own session.

    Attributes:
        kind: Whether an alarm is wanted.
        mechanism: What acts.
        onset_tick: Row of the first tick of the mechanism's action; the row count or beyond where none acts.
        simulated: Never false: recordings have no labels.
    """

    kind: Kind
    mechanism: str
    onset_tick: int
    simulated: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class TickBlock:
    """One instrument, one session.

    Attributes:
        name: Of the session; unique in an evaluation.
        instrument_id: Instrument.
        tick_ns: ``(n,)`` int64, consecutive ticks.
        values: ``(n, features)`` float64 in the order of ``features.spec``, NaN = null.
        status: ``(n,)`` uint32, ``TickStatus`` bits.
        ref_price: ``(n,)`` int64, mid in 1e-9 currency, 0 = none.
        labels: Of simulated sessions.

    Raises:
        ValueError: Shapes that differ, ticks that are not consecutive, infinite values; with the row.
    """

    name: str
    instrument_id: int
    tick_ns: npt.NDArray[np.int64] = field(repr=False)
    values: Vector = field(repr=False)
    status: npt.NDArray[np.uint32] = field(repr=False)
    ref_price: npt.NDArray[np.int64] = field(repr=False)
    labels: Labels | None = None

    def __post_init__(self) -> None:
        """Check what the rest relies on."""
        rows = len(self.tick_ns)
        wanted = (rows, len(FEATURE_NAMES))
        if self.values.shape != wanted or not len(self.status) == len(self.ref_price) == rows:
            raise ValueError(
                f"{self.name}: values of shape {self.values.shape}, wanted {wanted}, or other columns differ"
            )
        if len(holes := np.flatnonzero(np.diff(self.tick_ns) != TICK_NS)):
            raise ValueError(f"{self.name}: row {holes[0] + 1} is not {TICK_NS} ns after the one before")
        if len(infinite := np.flatnonzero(np.isinf(self.values).any(axis=1))):
            raise ValueError(f"{self.name}: row {infinite[0]} has an infinite value")

    def __len__(self) -> int:
        return len(self.tick_ns)

    def column(self, feature: str) -> Vector:
        """Return a feature's ``(n,)`` values."""
        column: Vector = self.values[:, _COLUMN[feature]]
        return column

    @property
    def stale(self) -> npt.NDArray[np.bool_]:
        """``(n,)``: the book may not be trusted."""
        stale: npt.NDArray[np.bool_] = (self.status & TickStatus.STALE) != 0
        return stale

    def part(self, start: int, stop: int) -> Self:
        """Return rows ``start`` to ``stop``, without copying."""
        labels = self.labels and replace(self.labels, onset_tick=self.labels.onset_tick - start)
        rows = slice(start, stop)
        columns = {name: getattr(self, name)[rows] for name in ("tick_ns", "values", "status", "ref_price")}
        return replace(self, labels=labels, **columns)


def blocks_of_ticks(messages: Iterable[Ticks], name: str) -> list[TickBlock]:
    """Return a channel's ticks as blocks: one per instrument and stretch without a hole, by instrument, then time."""
    held = [message for message in messages if len(message.tick_ns)]
    if not held:
        return []
    columns = {
        column: np.concatenate([getattr(message, column) for message in held])
        for column in ("tick_ns", "values", "status", "ref_price")
    }
    instruments = np.concatenate([message.instrument_id for message in held])
    made = []
    for instrument in np.unique(instruments):
        rows = np.flatnonzero(instruments == instrument)
        holes = np.flatnonzero(np.diff(columns["tick_ns"][rows]) != TICK_NS) + 1
        for number, run in enumerate(np.split(rows, holes)):
            of_run = {column: values[run] for column, values in columns.items()}
            made.append(TickBlock(f"{name}/{instrument}/{number}", int(instrument), **of_run))
    return made
