"""Signals: scored headlines, own orders and own executions, which change no book. ``schemas.frames.SignalFrame`` carries them.

Invariant: the numbers of ``SignalKind`` are part of the frame format, and what :func:`fault_of` lets through makes sense:
readers need not look again. Rejected: new kinds in ``schemas.events`` (a score is neither price nor quantity).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

import numpy as np
import numpy.typing as npt

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


def signals_in(columns: Mapping[str, npt.NDArray[Any]], first: int = 0) -> list[Signal]:
    """Return the rows of a signal frame from row ``first`` on, in their order."""
    parts = [columns[name][first:].tolist() for name in Signal.__slots__]
    return [Signal(ts, id_, SignalKind(kind), *rest) for ts, id_, kind, *rest in zip(*parts, strict=True)]


def fault_of(columns: Mapping[str, npt.NDArray[Any]], ts_last_ns: int) -> tuple[int, str] | None:
    """Return the first row that is no signal, and why; ``None`` when all are. No signal is later than ``ts_last_ns``."""
    ts, kind, score = columns["ts_event_ns"], columns["kind"], columns["score"]
    order_qty, fill_qty = columns["order_qty"], columns["fill_qty"]
    is_news, is_execution = kind == SignalKind.HEADLINE, kind == SignalKind.EXECUTION
    sound = {
        f"a time outside 0..{ts_last_ns}": (ts >= 0) & (ts <= ts_last_ns),
        "an unknown kind": is_news | is_execution | (kind == SignalKind.ORDER),
        "a score beyond 1, or of no headline": _within(score, np.where(is_news, SCORE_SCALE, 0)),
        "an order of no lots, or a headline of some": np.where(is_news, order_qty == 0, order_qty > 0),
        "a fill that its order cannot have": np.where(
            is_execution, (fill_qty > 0) & (fill_qty <= order_qty), fill_qty == 0
        ),
    }
    faults = [(int(np.argmin(rows)), why) for why, rows in sound.items() if not np.all(rows)]
    return min(faults, key=lambda fault: fault[0], default=None)


def _within(values: npt.NDArray[Any], bound: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    return (values >= -bound) & (values <= bound)  # the absolute value of the smallest integer is no integer
