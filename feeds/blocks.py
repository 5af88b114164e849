"""Blocks of events: what readers and the simulator yield and the frame cutter takes, one channel, in time order."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from schemas.frames import COLUMNS, Columns

NAMES: Final = tuple(name for name, _ in COLUMNS if name != "seq")
_DTYPES: Final = {name: kind.to_pandas_dtype() for name, kind in COLUMNS}

Row = tuple[int, int, int, int, int, int, int]
"""``(ts_event_ns, instrument_id, kind, side, order_id, price, qty)``."""


class FeedError(ValueError):
    """Input that cannot be read, with its place.

    Attributes:
        path: File.
        line: Line (from 1) or byte offset.
        reason: What was wrong.
    """

    def __init__(self, path: Path | str, line: int, reason: str) -> None:
        super().__init__(f"{path}:{line}: {reason}")
        self.path = path
        self.line = line
        self.reason = reason


@dataclass(frozen=True, slots=True, eq=False)
class EventBlock:
    """Events of one channel with non-decreasing ``ts_event_ns``; one array per name in ``NAMES``, equal lengths."""

    columns: Columns = field(repr=False)

    def __len__(self) -> int:
        return len(self.columns["ts_event_ns"])


def block_of(rows: list[Row]) -> EventBlock:
    """Return rows as a block, in the order given."""
    by_column = zip(*rows, strict=True) if rows else ((),) * len(NAMES)
    return EventBlock(
        {name: np.array(values, dtype=_DTYPES[name]) for name, values in zip(NAMES, by_column, strict=True)}
    )
