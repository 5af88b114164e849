"""Recordings that hold trades alone, as blocks: prices come from trades, and no book is there to be stale.

For evaluation only. In production such an instrument is stale throughout and the gate holds its stale column; here the question is
what the trades alone would have told. Invariant: the price of a tick uses trades before the tick's end. It is the average over
the tick's trades by volume, carried on until the next: one print at an odd price among others is not a move.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from feeds.blocks import EventBlock
from models.evaluation.blocks import TickBlock, Vector
from schemas.events import Kind, TickStatus
from schemas.units import TICK_NS

TRADES = (Kind.TRADE, Kind.EXECUTE, Kind.EXECUTE_HIDDEN)


class TradePrices:
    """Hands blocks of events on and keeps what was traded in each tick: instrument → tick's end → value and lots."""

    def __init__(self) -> None:
        self._ends: dict[int, list[np.typing.NDArray[np.int64]]] = defaultdict(list)
        self._traded: dict[int, list[tuple[Vector, Vector]]] = defaultdict(list)

    def watched(self, blocks: Iterable[EventBlock]) -> Iterator[EventBlock]:
        """Yield the blocks."""
        for block in blocks:
            columns = block.columns
            rows = np.flatnonzero(np.isin(columns["kind"], TRADES))
            for instrument in np.unique(columns["instrument_id"][rows]).tolist():
                own = rows[columns["instrument_id"][rows] == instrument]
                lots = columns["qty"][own].astype(np.float64)
                self._ends[instrument].append((columns["ts_event_ns"][own] // TICK_NS + 1) * TICK_NS)
                self._traded[instrument].append((columns["price"][own].astype(np.float64) * lots, lots))
            yield block

    def priced(self, block: TickBlock) -> TickBlock:
        """Return a block with the prices of its trades; 0 before the first."""
        prices = np.zeros(len(block), dtype=np.int64)
        if held := self._ends.get(block.instrument_id):
            ends, first = np.unique(np.concatenate(held), return_index=True)
            value, lots = (np.concatenate(parts) for parts in zip(*self._traded[block.instrument_id], strict=True))
            average = np.add.reduceat(value, first) / np.maximum(np.add.reduceat(lots, first), 1.0)
            last = np.searchsorted(ends, block.tick_ns, side="right") - 1
            prices = np.where(last >= 0, np.round(average[last]).astype(np.int64), 0)
        return replace(block, ref_price=prices, status=block.status & np.uint32(~TickStatus.STALE & 0xFFFFFFFF))
