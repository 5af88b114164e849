"""Units and scales shared by every topic.

Prices are integers of 1e-9 currency units (``PRICE_SCALE`` of them make one); sizes are integers of lots, whose
size is given per instrument by its definition event. Floats begin at features. Rejected: decimals (slow in C)
and float prices (two venues would disagree about equality).
"""

from typing import Final

PRICE_SCALE: Final = 1_000_000_000
"""Integer price units in one unit of currency: a price of 1.25 is 1_250_000_000."""

NS_PER_MS: Final = 1_000_000
NS_PER_S: Final = 1_000_000_000

TICK_NS: Final = 100 * NS_PER_MS
"""Length of one tick: features are closed at event times that are whole multiples of it."""

FRAME_SPAN_NS_MAX: Final = 10 * NS_PER_MS
"""Longest event time that one frame may cover."""

FRAME_EVENTS_MAX: Final = 1_000
"""Most events in one frame."""

HEARTBEAT_NS: Final = 100 * NS_PER_MS
"""A quiet channel sends a heartbeat frame at least this often, in event time, so that ticks keep closing."""
