"""Sums that fade, and the bound on whole ones."""

from dataclasses import dataclass
from typing import Final

TICK_S: Final = 0.1

LOTS_MAX: Final = 2**55
"""Most lots that a tick can count."""

FADED: Final = 1e-200
"""Below this a fading sum is nothing."""

Features = dict[str, float | None]


@dataclass(slots=True)
class Fading:
    """A sum over ticks in which a tick of one half-life ago counts half."""

    half_life_s: float
    total: float = 0.0
    ticks: float = 0.0

    def tick(self, value: float) -> None:
        """Let one more tick pass, which brought ``value``."""
        keep = 2.0 ** (-TICK_S / self.half_life_s)
        total = self.total * keep + value
        self.total = 0.0 if abs(total) < FADED else total
        self.ticks = self.ticks * keep + 1

    def mean(self) -> float:
        """Return the mean per tick, 0 before the first."""
        return self.total / self.ticks if self.ticks else 0.0


def saturated(value: int) -> int:
    """Return the value within what a tick can count."""
    return min(max(value, -LOTS_MAX), LOTS_MAX)


def over(a: float, b: float) -> float | None:
    """Return ``a / b``, null unless ``b`` is positive."""
    return a / b if b > 0 else None
