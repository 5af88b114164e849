"""Questions about the price: is there a reference, how far from it may the order go, and what is its worst price.

Invariant: after these questions the case has an effective price, also for a market order; so no value is ever
judged at zero. Distances are exact fractions.
"""

import math
from collections.abc import Iterator
from fractions import Fraction

from gate.reference.case import INT64_MAX, INT64_MIN, Case, Refusal, whole
from gate.reference.ledger import value_of
from gate.reference.orders import POST_ONLY, PRICE_MAX, OrderType, Reason

BPS = 10_000


def judge_price(case: Case) -> Refusal | None:
    """Set the effective price and its value, or refuse."""
    row = case.row
    if row.ref_price <= 0 or case.now_ns <= 0 or case.now_ns >= row.ref_until_ns or _extreme(case) <= 0:
        return Refusal(Reason.NO_REFERENCE_PRICE)
    if case.order.price == 0:
        case.price = worst_price(case)
        refusal = None if 0 < case.price <= PRICE_MAX else Refusal(Reason.PRICE_BAND)
    else:
        case.price = case.order.price
        refusal = next(filter(None, _distances(case)), None)
    case.value = value_of(case.order.qty, case.price, row.lot_nano)
    return refusal


def worst_price(case: Case) -> int:
    """Return the worst price on a tick that a market order may trade at, 1e-9 currency; <= 0 = there is none."""
    row, limits = case.row, case.limits
    assert limits.band_bps is not None
    assert limits.band_ticks is not None
    assert limits.period_band_bps is not None
    sign = 1 if case.order.is_buy else -1
    bounds: list[Fraction] = [
        Fraction(row.ref_price * (BPS + sign * limits.band_bps), BPS),
        Fraction(row.ref_price + sign * limits.band_ticks * row.tick_size),
        Fraction(_extreme(case) * (BPS + sign * limits.period_band_bps), BPS),
    ]
    if case.order.is_buy:
        return math.floor(min(bounds)) // row.tick_size * row.tick_size
    return -(-max(1, math.ceil(max(bounds))) // row.tick_size) * row.tick_size


def _extreme(case: Case) -> int:
    """The price of the period that a buy may not be far above, a sell far below."""
    return case.row.ref_low if case.order.is_buy else case.row.ref_high


def _distances(case: Case) -> Iterator[Refusal | None]:
    row, limits, sign = case.row, case.limits, 1 if case.order.is_buy else -1
    beyond = sign * (case.price - row.ref_price)
    yield _too_far(Reason.PRICE_BAND, limits.band_bps, Fraction(BPS * beyond, row.ref_price))
    yield _too_far(Reason.PRICE_BAND_TICKS, limits.band_ticks, Fraction(beyond, row.tick_size))
    beyond_period = sign * (case.price - _extreme(case))
    yield _too_far(Reason.PERIOD_BAND, limits.period_band_bps, Fraction(BPS * beyond_period, _extreme(case)))
    offset = limits.quote_offset_bps
    assert offset is not None
    behind = Fraction(-BPS * beyond, row.ref_price)
    if case.order.order_type == OrderType.LIMIT and case.order.flags & POST_ONLY and behind < offset:
        observed = max(INT64_MIN, min(math.floor(behind), INT64_MAX))
        yield Refusal(Reason.QUOTE_OFFSET, offset, observed)


def _too_far(reason: Reason, limit: int | None, distance: Fraction) -> Refusal | None:
    assert limit is not None
    return Refusal(reason, limit, whole(distance)) if distance > limit else None
