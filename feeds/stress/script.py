"""What a session's market is told: curves that bend its rates, absences of makers, forced orders and faults of the feed.

Mechanisms write a script (``feeds.stress.crises``, ``feeds.stress.negatives``), the streams and the market read it; neither
knows the other. Curves are multipliers on a grid of one tick (100 ms), 1 = as always. Rejected: scenario files as the demo's
simulator has them (each parameter of a benchmark has to come from a distribution, not from a file).
"""

from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from feeds.stress.universe import Traits
from schemas.units import NS_PER_S, TICK_NS

Vector = npt.NDArray[np.float64]
SideIndex = Literal[0, 1]

BID: Final[SideIndex] = 0
ASK: Final[SideIndex] = 1
STEPS_PER_S: Final = NS_PER_S // TICK_NS


@dataclass(frozen=True, slots=True)
class Absence:
    """A maker's quotes on one side are gone from ``leave_s`` on, and come again from ``back_s`` on (infinite: never)."""

    maker: int
    side: SideIndex
    leave_s: float
    back_s: float


@dataclass(frozen=True, slots=True)
class Aggression:
    """A market order that a mechanism forces.

    Attributes:
        at_s: When.
        side: Side of the book that it takes from.
        qty: Lots at most.
        reach: Furthest price it takes, as a fraction of the fair price away from it; 0 = as protected as any market order.
    """

    at_s: float
    side: SideIndex
    qty: int
    reach: float = 0.0


@dataclass(frozen=True, slots=True)
class Quote:
    """A limit order that a mechanism forces; ``distance_ticks`` from the fair price."""

    at_s: float
    side: SideIndex
    distance_ticks: float
    qty: int
    until_s: float


@dataclass(frozen=True, slots=True)
class Call:
    """Trading is halted until prints of ``fills`` lots at one price; quotes come and go meanwhile."""

    from_s: float
    until_s: float
    fills: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Fault:
    """The feed shows nothing in between; at its end it lists the book anew, or flushes what it held back."""

    from_s: float
    until_s: float
    flush: bool


@dataclass(slots=True, eq=False)
class Script:
    """One session, before any chance is drawn from it; every curve is ``(steps,)``, pairs are bid and ask.

    Attributes:
        traits: The instrument.
        steps: Length of the grid.
        limit: Rate of new orders, per side.
        cancel: Rate of cancels of each order, per side.
        size: Sizes of new orders, per side.
        spread: Distance of the keenest quotes, per side.
        width: Distance behind the keenest.
        market: Rate of market orders.
        market_size: Their sizes.
        volatility: Of the fair price.
        drift: Log move of the fair price that the mechanism adds, as a path from 0.
    """

    traits: Traits
    steps: int
    limit: Vector = field(init=False)
    cancel: Vector = field(init=False)
    size: Vector = field(init=False)
    spread: Vector = field(init=False)
    width: Vector = field(init=False)
    market: Vector = field(init=False)
    market_size: Vector = field(init=False)
    volatility: Vector = field(init=False)
    drift: Vector = field(init=False)
    absences: list[Absence] = field(default_factory=list)
    aggressions: list[Aggression] = field(default_factory=list)
    quotes: list[Quote] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Start from a market as always."""
        for name in ("limit", "cancel", "size", "spread"):
            setattr(self, name, np.ones((2, self.steps)))
        for name in ("width", "market", "market_size", "volatility"):
            setattr(self, name, np.ones(self.steps))
        self.drift = np.zeros(self.steps)

    @property
    def seconds(self) -> Vector:
        """``(steps,)`` time of the grid, s since the session's start."""
        return np.arange(self.steps) / STEPS_PER_S

    def bump(self, corners: list[tuple[float, float]]) -> Vector:
        """Return the curve through ``(time, value)``, linear between and flat beyond."""
        times, values = zip(*corners, strict=True)
        curve: Vector = np.interp(self.seconds, times, values)
        return curve
