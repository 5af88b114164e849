"""Clocks that run by trades and by events: mean trade size, volume buckets, times between events."""

import math
from dataclasses import dataclass, field
from typing import Final

from features.reference.windows import saturated

KEEP_TRADE: Final = 2.0 ** (-1 / 64)
BUCKET_TRADES: Final = 50.0 * (1 - 1e-9)
"""Size of a bucket in mean trades; a hair below 50, so that trades of one size fill buckets of 50."""

KEEP_EVENT: Final = 2.0 ** (-1 / 256)


@dataclass(slots=True)
class PlainTrades:
    """What trades leave behind; lots.

    Attributes:
        buckets: ``(lots, absolute signed lots)`` of every closed bucket.
    """

    size_sum: float = 0.0
    size_weight: float = 0.0
    bucket_size: float = 0.0
    bucket_lots: int = 0
    bucket_signed: int = 0
    buckets: list[tuple[int, int]] = field(default_factory=list)

    def trade(self, qty: int, signed_qty: int) -> None:
        """Take one trade."""
        self.size_sum = self.size_sum * KEEP_TRADE + qty
        self.size_weight = self.size_weight * KEEP_TRADE + 1
        mean = self.size_sum / self.size_weight
        self.bucket_size = self.bucket_size or BUCKET_TRADES * mean
        self.bucket_lots = saturated(self.bucket_lots + qty)
        self.bucket_signed = saturated(self.bucket_signed + signed_qty)
        if self.bucket_lots >= self.bucket_size:
            self.buckets.append((self.bucket_lots, abs(self.bucket_signed)))
            self.bucket_lots = self.bucket_signed = 0
            self.bucket_size = BUCKET_TRADES * mean

    def clip(self) -> float | None:
        """Return ten mean trades."""
        return 10 * self.size_sum / self.size_weight if self.size_weight else None

    def vpin(self) -> float | None:
        """Return the part of the last 50 buckets that was one-sided."""
        last = self.buckets[-50:]
        if len(last) < 10:
            return None
        return float(sum(tilt for _, tilt in last)) / float(sum(lots for lots, _ in last))


@dataclass(slots=True)
class PlainArrivals:
    """Times between the events of an instrument, s."""

    last_ns: int | None = None
    gaps: float = 0.0
    squares: float = 0.0
    weight: float = 0.0
    count: int = 0

    def arrive(self, ts_ns: int) -> None:
        """Take one event."""
        if self.last_ns is not None:
            gap = (ts_ns - self.last_ns) * 1e-9
            self.gaps = self.gaps * KEEP_EVENT + gap
            self.squares = self.squares * KEEP_EVENT + gap * gap
            self.weight = self.weight * KEEP_EVENT + 1
            self.count += 1
        self.last_ns = ts_ns

    def burstiness(self) -> float | None:
        """Goh, Barabasi 2008."""
        if self.count < 32:
            return None
        mean = self.gaps / self.weight
        deviation = math.sqrt(max(self.squares / self.weight - mean * mean, 0.0))
        return (deviation - mean) / (deviation + mean) if deviation + mean > 0 else None
