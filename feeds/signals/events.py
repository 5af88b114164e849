"""What a signal is."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

SCORE_SCALE: Final = 1_000_000_000
"""Integer score units in one: a polarity of -0.25 is -250_000_000."""


class SignalKind(IntEnum):
    """What happened."""

    HEADLINE = 1  # a scored headline: `score`
    ORDER = 2  # an own order was sent: `order_qty`
    EXECUTION = 3  # `fill_qty` of an own order of `order_qty` traded


@dataclass(frozen=True, slots=True)
class Signal:
    """One signal of one instrument.

    Attributes:
        ts_event_ns: When it could be known, UTC.
        instrument_id: Instrument.
        kind: What happened.
        score: Sentiment of a headline, 1e-9, from -1 (bad) to 1 (good); 0 for the others.
        order_qty: Lots of the whole order, at least 1; 0 for a headline.
        fill_qty: Lots of this execution, 1 to ``order_qty``; 0 for the others.
    """

    ts_event_ns: int
    instrument_id: int
    kind: SignalKind
    score: int = 0
    order_qty: int = 0
    fill_qty: int = 0
