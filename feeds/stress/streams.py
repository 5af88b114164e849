"""All of a session's chance, drawn at once: orders with the time of their birth and death, and market orders, in time order.

Invariant: what is drawn here needs no book; prices and trades, which do, are the market's (``feeds.stress.market``). Rates that
vary are drawn by stretching time: an exponential or uniform number in units of the integrated rate, mapped back. Rejected: the
next event drawn from the present rates (Gillespie), which costs several draws an event in the slowest place, the loop.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from feeds.stress.script import ASK, BID, STEPS_PER_S, Absence, Script, SideIndex, Vector
from schemas.units import NS_PER_S

Integers = npt.NDArray[np.int64]

FAR_SHARE: Final = 0.12
"""Of the orders of others than makers: far from the market and long-lived."""

STUBS: Final = 90
"""Orders a side that never leave, from 0.2 % to 14 % away: a sweep always meets somebody."""

STUB_REACH: Final = (0.002, 0.14)
RETREAT_S: Final = 0.25
"""Within this time a leaving maker's quotes are gone."""

NEVER_NS: Final = 2**62

COLLAR_SPREADS: Final = 12.0
COLLAR_MIN: Final = 0.003
"""Market orders are protected, as venues and brokers do: they take no price further from the fair one than this."""


@dataclass(frozen=True, slots=True, eq=False)
class Orders:
    """Limit orders; equal lengths, an order's number is its place.

    Attributes:
        side: 0 bid, 1 ask.
        birth_ns: Since the session's start.
        death_ns: When it is cancelled if it was not traded; ``NEVER_NS`` = never.
        distance_ticks: From the fair price.
        qty: Lots.
    """

    side: Integers
    birth_ns: Integers
    death_ns: Integers
    distance_ticks: Vector = field(repr=False)
    qty: Integers = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Takers:
    """Market orders, in time order.

    Attributes:
        at_ns: Since the session's start.
        side: Side that it takes from; -1 = what ``chance`` and the market say.
        chance: Uniform in 0..1.
        qty: Lots.
        reach: Furthest price, as a fraction of the fair price.
    """

    at_ns: Integers
    side: Integers
    chance: Vector = field(repr=False)
    qty: Integers = field(repr=False)
    reach: Vector = field(repr=False)


def fair_path(script: Script, rng: np.random.Generator) -> Vector:
    """Return ``(steps,)`` what the instrument is worth, in ticks."""
    shocks = rng.standard_normal(script.steps) * script.volatility
    log_path = np.cumsum(shocks) * script.traits.volatility_bps * 1e-4 / np.sqrt(STEPS_PER_S)
    start = script.traits.price_ticks * np.exp(rng.uniform(-0.12, 0.12))
    path: Vector = start * np.exp(log_path + script.drift)
    return path


def draw_orders(script: Script, fair: Vector, rng: np.random.Generator) -> Orders:
    """Return the session's limit orders; makers that are absent send none and leave none behind."""
    traits = script.traits
    moved = np.abs(fair - np.concatenate([np.full(STEPS_PER_S, fair[0]), fair[:-STEPS_PER_S]]))
    repricing = 1 + 1.5 * moved / (2 * max(traits.half_spread_ticks, 0.5))
    weights = rng.dirichlet(np.full(traits.makers, 6.0))
    parts = [_of_side(script, rng, side=side, weights=weights, repricing=repricing) for side in (BID, ASK)]
    parts += [_stubs(script, side, float(fair[0])) for side in (BID, ASK)]
    quotes = sorted(script.quotes, key=lambda quote: quote.at_s)
    parts.append(
        Orders(
            np.array([quote.side for quote in quotes], np.int64),
            _ns(np.array([quote.at_s for quote in quotes])),
            _ns(np.array([quote.until_s for quote in quotes])),
            np.array([quote.distance_ticks for quote in quotes], np.float64),
            np.array([quote.qty for quote in quotes], np.int64),
        )
    )
    return Orders(*(np.concatenate([getattr(part, name) for part in parts]) for name in Orders.__slots__))


def draw_takers(script: Script, rng: np.random.Generator) -> Takers:
    """Return the session's market orders; none while a call holds trading up."""
    traits = script.traits
    births = _arrivals(traits.market_rate * script.market, rng)
    sizes = traits.market_qty_mean * _at(script.market_size, births)
    forced = script.aggressions
    at_s = np.concatenate([births, [one.at_s for one in forced]])
    side = np.concatenate([np.full(len(births), -1, np.int64), np.array([one.side for one in forced], np.int64)])
    qty = np.concatenate([_sizes(sizes, rng), np.array([one.qty for one in forced], np.int64)])
    collar = max(COLLAR_MIN, COLLAR_SPREADS * 2 * max(traits.half_spread_ticks, 0.5) / traits.price_ticks)
    reach = np.concatenate(
        [np.full(len(births), collar), np.array([one.reach or collar for one in forced], np.float64)]
    )
    kept = at_s < script.steps / STEPS_PER_S
    for call in script.calls:
        kept &= (at_s < call.from_s) | (at_s >= call.until_s)
    order = np.flatnonzero(kept)[np.argsort(at_s[kept], kind="stable")]
    return Takers(_ns(at_s[order]), side[order], rng.random(len(order)), qty[order], reach[order])


def _of_side(
    script: Script, rng: np.random.Generator, *, side: SideIndex, weights: Vector, repricing: Vector
) -> Orders:
    traits = script.traits
    hazard = np.concatenate([[0.0], np.cumsum(script.cancel[side] * repricing)]) / (traits.life_s * STEPS_PER_S)
    births = _arrivals(traits.limit_rate * script.limit[side] * repricing, rng, life_s=traits.life_s)
    count = len(births)
    makers = rng.choice(traits.makers, size=count, p=weights)
    is_maker = rng.random(count) < traits.maker_share
    is_far = ~is_maker & (rng.random(count) < FAR_SHARE)
    ages = rng.exponential(size=count) * np.where(is_far, 8.0, 1.0)
    grid = np.arange(len(hazard)) / STEPS_PER_S
    ends = np.interp(births, grid, hazard) + ages
    deaths = np.where(ends < hazard[-1], np.interp(ends, hazard, grid), np.inf)
    behind = rng.exponential(size=count) * np.where(is_maker, 0.7, 1.6) * traits.width_ticks
    behind *= np.where(is_far, rng.uniform(3.0, 12.0, count), 1.0) * _at(script.width, births)
    ahead = traits.half_spread_ticks * _at(script.spread[side], births) * rng.uniform(0.9, 1.3, count)
    sizes = _sizes(traits.qty_mean * _at(script.size[side], births), rng)
    kept = np.ones(count, np.bool_)
    owner = np.where(is_maker, makers, -1)
    for absence in script.absences:
        if absence.side == side:
            _leave(absence, (births, deaths, kept), owner=owner, rng=rng)
    kept &= deaths > births
    return Orders(
        np.full(int(kept.sum()), side, np.int64),
        _ns(births[kept]),
        _ns(deaths[kept]),
        (ahead + behind)[kept],
        sizes[kept],
    )


def _leave(
    absence: Absence, orders: tuple[Vector, Vector, npt.NDArray[np.bool_]], *, owner: Integers, rng: np.random.Generator
) -> None:
    births, deaths, kept = orders
    its = owner == absence.maker
    kept &= ~(its & (births >= absence.leave_s) & (births < absence.back_s))
    before = its & (births < absence.leave_s)
    gone = absence.leave_s + rng.uniform(0, RETREAT_S, len(births))
    deaths[before] = np.minimum(deaths[before], gone[before])


def _stubs(script: Script, side: SideIndex, fair: float) -> Orders:
    places = np.geomspace(*STUB_REACH, STUBS) * fair
    size = max(1, round(3 * script.traits.qty_mean))
    none = np.zeros(STUBS, np.int64)
    return Orders(none + side, none, none + NEVER_NS, places, none + size)


def _arrivals(rate: Vector, rng: np.random.Generator, *, life_s: float = 0.0) -> Vector:
    """Return times of arrivals at a rate per second on the grid; with a life, first those that already rest at 0."""
    total = np.concatenate([[0.0], np.cumsum(rate)]) / STEPS_PER_S
    resting = int(rng.poisson(rate[0] * life_s))
    drawn = np.sort(rng.uniform(0, total[-1], int(rng.poisson(total[-1]))))
    times = np.interp(drawn, total, np.arange(len(total)) / STEPS_PER_S)
    return np.concatenate([np.zeros(resting), times])


def _at(curve: Vector, seconds: Vector) -> Vector:
    steps = np.minimum((seconds * STEPS_PER_S).astype(np.int64), len(curve) - 1)
    found: Vector = curve[steps]
    return found


def _sizes(mean: Vector, rng: np.random.Generator) -> Integers:
    """Return sizes with heavy tails: log-normal, at least one lot."""
    drawn = np.maximum(mean, 1.0) * np.exp(0.8 * rng.standard_normal(len(mean)) - 0.32)
    sizes: Integers = np.maximum(1, np.rint(drawn)).astype(np.int64)
    return sizes


def _ns(seconds: Vector) -> Integers:
    whole: Integers = np.where(np.isfinite(seconds), np.minimum(seconds, 1e8) * NS_PER_S, NEVER_NS).astype(np.int64)
    return whole
