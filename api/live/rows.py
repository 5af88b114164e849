"""One instrument in one row: what the overview shows, and what a stream carries ten times a second."""

import math
from typing import Any, Final

from api.live.view import LiveView
from schemas.units import NS_PER_MS, PRICE_SCALE

COLUMNS: Final = (
    "instrument_id", "tick_ms", "tier", "score", "flags", "mid", "spread_bps", "depth_bid_5", "depth_ask_5",
    "realised_vol_60s", "imbalance_l5", "max_order_qty", "because", "valid_for_ms", "model_id", "tick_status",
    "systemic_score", "systemic_tier",
)  # fmt: skip
"""Columns of a row. ``mid`` is currency, ``tick_ms`` event time in ms since the epoch, ``flags`` bits as below."""

LATCHED: Final = 1
STALE: Final = 2
DEGRADED: Final = 4
HALTED: Final = 8
EXPIRED: Final = 16


def row_of(view: LiveView, instrument_id: int, now_ns: int) -> list[Any]:
    """Return the row of an instrument as ``COLUMNS``; ``None`` = not known."""
    held, tick = view.held(instrument_id), view.tick(instrument_id)
    force = view.in_force(instrument_id, now_ns)
    valid_for_ms = view.valid_for_ms(held, now_ns) if held else 0
    flags = HALTED * force.step.halt + EXPIRED * (valid_for_ms == 0)
    if held:
        flags |= LATCHED * held.state.latched | STALE * held.state.stale | DEGRADED * held.state.degraded
    newest_ns = max(tick.tick_ns if tick else 0, held.state.tick_ns if held else 0)
    price = tick.ref_price if tick else held.state.ref_price if held else None
    shown = [_number(value) for value in tick.values] if tick else [None] * 5
    return [
        instrument_id,
        newest_ns // NS_PER_MS or None,
        int(held.state.tier) if held else None,
        _number(held.state.score) if held else None,
        flags,
        None if price is None else price / PRICE_SCALE,
        *shown,
        force.step.limits.max_order_qty,
        force.because,
        valid_for_ms,
        held.state.model_id if held else None,
        tick.status if tick else None,
        _number(held.state.systemic_score) if held else None,
        int(held.state.systemic_tier) if held else None,
    ]


def _number(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None
