"""Blocks of events: what readers and the simulator yield and the frame cutter takes, one channel, in time order."""

import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from schemas.frames import COLUMNS, NUMBER_MAX, Columns
from schemas.units import NS_PER_S, TICK_NS

NAMES: Final = tuple(name for name, _ in COLUMNS if name != "seq")
_DTYPES: Final = {name: kind.to_pandas_dtype() for name, kind in COLUMNS}

BLOCK_EVENTS: Final = 20_000
"""Size of a reader's blocks: large enough for numpy, small enough for constant memory."""

SESSION_NS_MAX: Final = 8 * 24 * 3600 * NS_PER_S
"""A week and a day. A longer session is a damaged time, which would be filled with heartbeats."""

READ_ERRORS: Final = (OSError, EOFError, RuntimeError, UnicodeDecodeError, zlib.error, zipfile.BadZipFile)
"""What reading a damaged file or archive raises."""

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


def blocks_of(batches: Iterable[list[Row]]) -> Iterator[EventBlock]:
    """Yield rows that come in small batches as blocks of about ``BLOCK_EVENTS``."""
    held: list[Row] = []
    for rows in batches:
        held += rows
        if len(held) >= BLOCK_EVENTS:
            yield block_of(held)
            held = []
    yield block_of(held)


def session_span(path: Path | str, first_ns: int, last_ns: int) -> tuple[int, int]:
    """Return the tick boundaries at or before the first event and after the last.

    Raises:
        FeedError: The last lies before the first, or further away than any session.
    """
    start_ns, end_ns = first_ns // TICK_NS * TICK_NS, (last_ns // TICK_NS + 1) * TICK_NS
    if not 0 <= start_ns < end_ns <= min(start_ns + SESSION_NS_MAX, NUMBER_MAX):
        raise FeedError(path, 0, f"a session from {first_ns} to {last_ns} ns: a time is damaged")
    return start_ns, end_ns
