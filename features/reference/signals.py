"""The features of signals by their definition: every past signal summed anew at every tick."""

import math
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Final

from features.reference.windows import Features
from schemas.signals import SCORE_SCALE, Signal, SignalKind
from schemas.units import NS_PER_S

HALF_HOUR_NS: Final = 30 * 60 * NS_PER_S
HOUR_NS: Final = 3600 * NS_PER_S
MINUTE_NS: Final = 60 * NS_PER_S


@dataclass(slots=True)
class PlainSignals:
    """All signals that came, by instrument."""

    past: defaultdict[int, list[Signal]] = field(default_factory=lambda: defaultdict(list))

    def apply(self, signal: Signal) -> None:
        """Keep one signal."""
        self.past[signal.instrument_id].append(signal)

    def features(self, instrument_id: int, tick_ns: int) -> Features:
        """Return the three features at ``tick_ns``, which no kept signal lies behind."""
        own = self.past.get(instrument_id, [])

        def faded(half_life_ns: int, values: list[tuple[Signal, float]], at_ns: int = tick_ns) -> float:
            """Return the sum of values, each weighing a half per half-life of its signal's age at ``at_ns``."""
            return math.fsum(value * 0.5 ** ((at_ns - signal.ts_event_ns) / half_life_ns) for signal, value in values)

        news = [(signal, 1.0) for signal in own if signal.kind is SignalKind.HEADLINE]
        scores = [(signal, signal.score / SCORE_SCALE) for signal, _ in news]
        newest_ns = max((signal.ts_event_ns for signal, _ in news), default=tick_ns)  # a mean asks for no common age
        orders = [(signal, 1.0) for signal in own if signal.kind is SignalKind.ORDER]
        fills = [(s, s.fill_qty / s.order_qty) for s in own if s.kind is SignalKind.EXECUTION]
        mean = faded(HALF_HOUR_NS, scores, newest_ns) / faded(HALF_HOUR_NS, news, newest_ns) if news else None
        return {
            "sentiment_ew": mean,
            "headline_rate": math.log(2) * faded(HOUR_NS, news),
            "own_fill_ratio": (faded(MINUTE_NS, fills) + 1) / (faded(MINUTE_NS, orders) + 2),
        }
