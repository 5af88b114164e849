"""The instruments of the suite: what differs from name to name and stays the same from session to session.

Tick regimes matter most: where the tick is a large part of the spread, queues are deep and the spread cannot move; where it is
small, liquidity lies scattered. A detector that reads raw spreads or depths meets both. Rejected: one instrument with many
sessions (a detector would learn its numbers, not what fragility looks like).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from schemas.units import PRICE_SCALE

FIRST_ID: Final = 7_001
"""Instrument ids of the suite start here."""

TICK_SIZES: Final = (0.001, 0.005, 0.01, 0.01, 0.01, 0.02, 0.05)
LOT_SIZES: Final = (0.001, 1.0, 1.0, 100.0)


@dataclass(frozen=True, slots=True)
class Traits:
    """One simulated instrument; rates per second in calm at noon.

    Attributes:
        instrument_id: Instrument.
        tick_size: 1e-9 currency.
        lot_size: 1e-9 units.
        price_ticks: Usual price, ticks.
        half_spread_ticks: Distance of the keenest quotes from the fair price; below 0.5 the tick rules the spread.
        width_ticks: Mean distance of a quote behind the keenest.
        limit_rate: New orders a side.
        life_s: Mean life of an order that is not traded.
        market_rate: Market orders.
        qty_mean: Mean size of an order, lots.
        market_qty_mean: Mean size of a market order, lots.
        volatility_bps: Of the fair price, bp per square root of a second.
        makers: Market makers.
        maker_share: Their share of new orders.
    """

    instrument_id: int
    tick_size: int
    lot_size: int
    price_ticks: float
    half_spread_ticks: float
    width_ticks: float
    limit_rate: float
    life_s: float
    market_rate: float
    qty_mean: float
    market_qty_mean: float
    volatility_bps: float
    makers: int
    maker_share: float


def universe(seed: int, count: int) -> tuple[Traits, ...]:
    """Return ``count`` instruments; the first of a longer universe are those of a shorter one."""
    return tuple(_traits(np.random.Generator(np.random.PCG64([seed, 1, number])), number) for number in range(count))


def _traits(rng: np.random.Generator, number: int) -> Traits:
    spread_bps = rng.uniform(1.5, 6.0)
    spread_ticks = (1.0, rng.uniform(2.0, 4.0), rng.uniform(5.0, 14.0))[number % 3]
    tick = float(rng.choice(TICK_SIZES))
    limit_rate = rng.uniform(16.0, 36.0)
    qty_mean = float(np.exp(rng.uniform(np.log(4.0), np.log(80.0))))
    return Traits(
        instrument_id=FIRST_ID + number,
        tick_size=round(tick * PRICE_SCALE),
        lot_size=round(float(rng.choice(LOT_SIZES)) * PRICE_SCALE),
        price_ticks=spread_ticks / (spread_bps * 1e-4),
        half_spread_ticks=0.25 if number % 3 == 0 else spread_ticks / 2,
        width_ticks=max(1.8, spread_ticks * rng.uniform(0.8, 1.6)),
        limit_rate=limit_rate,
        life_s=rng.uniform(3.0, 8.0),
        market_rate=limit_rate * rng.uniform(0.06, 0.12),
        qty_mean=qty_mean,
        market_qty_mean=qty_mean * rng.uniform(0.8, 1.6),
        volatility_bps=spread_bps * rng.uniform(0.08, 0.22),
        makers=int(rng.integers(4, 10)),
        maker_share=rng.uniform(0.8, 0.93),
    )
