"""A kernel driven message by message, where every state between two messages matters."""

import numpy as np

from features.channel import ChannelKernel
from feeds.blocks import Row, block_of
from schemas.events import FrameFlag
from schemas.frames import Frame

Levels = dict[int, int]


class Stepper:
    """Applies a few rows at a time as a frame of their own."""

    def __init__(self, channel_id: str) -> None:
        self.kernel = ChannelKernel(channel_id)
        self._next_seq = 1

    def apply(self, rows: list[Row]) -> None:
        """Apply rows, in time order."""
        if not rows:
            return
        first, last = self._next_seq, self._next_seq + len(rows) - 1
        columns = {**block_of(rows).columns, "seq": np.arange(first, last + 1, dtype=np.int64)}
        self.kernel.apply(Frame(self.kernel.channel_id, first, last, rows[0][0], rows[-1][0], FrameFlag(0), columns))
        self._next_seq = last + 1

    def levels(self, instrument_id: int, levels_max: int) -> tuple[Levels, Levels]:
        """Return the best bids and asks as ``{price: qty}``."""
        bids, asks = self.kernel.levels(instrument_id, levels_max)
        return dict(bids), dict(asks)
