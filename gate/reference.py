"""The order check in slow, plain Python: the judge of ``native/order_check.c``. Pure.

Invariant: written from the rules and not from the C code: bounds are exact fractions, columns are taken by name, and
nothing is shared but the row. Tests hold both equal on hostile input. Never used in a process.
"""

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

from gate._native import LimitRow

INT64_MAX: Final = 2**63 - 1
_ACTIONS: Final = {0: "NEW", 1: "REPLACE", 2: "CANCEL"}
_SIDES: Final = {1: "BUY", 2: "SELL"}
_TYPES: Final = {1: "LIMIT", 2: "MARKET"}


@dataclass(frozen=True, slots=True)
class PlainOrder:
    """An order in the numbers of ``gate._native``: qty in lots, price in 1e-9 currency."""

    action: int
    side: int
    order_type: int
    qty: int
    price: int


@dataclass(frozen=True, slots=True)
class PlainDecision:
    """The decision: reason in words, ``limit`` and ``observed`` in lots or bp where a number decided."""

    reason: str
    limit: int | None = None
    observed: int | None = None
    stale: bool = False


def decide(row: LimitRow | None, order: PlainOrder, now_ns: int, *, blocked: bool) -> PlainDecision:
    """Return what the gate must say.

    Args:
        row: Row of the order's instrument; ``None`` = there is none.
        order: The order.
        now_ns: Time on the clock of ``row.valid_until_ns``.
        blocked: The firm or the account is killed.
    """
    stale = row is not None and (row.stale or now_ns <= 0 or now_ns >= row.valid_until_ns)
    if _ACTIONS.get(order.action) == "CANCEL":
        found = PlainDecision("ok")
    elif not _is_valid(order):
        found = PlainDecision("invalid_order")
    elif blocked or (row is not None and row.killed):
        found = PlainDecision("killed")
    elif row is None:
        found = PlainDecision("unknown_instrument")
    else:
        found = _judge_on_row(row, order, stale=stale)
    return replace(found, stale=stale)


def account_hash(account: str) -> int:
    """Return FNV-1a (64 bit) of the UTF-8 account id, 1 in place of 0; source: Fowler, Noll, Vo."""
    value = 0xCBF29CE484222325
    for byte in account.encode():
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value or 1


def _judge_on_row(row: LimitRow, order: PlainOrder, *, stale: bool) -> PlainDecision:
    largest = _in_force(row.envelope_qty, row.dynamic_qty, row.stale_qty, stale=stale)
    band = _in_force(row.envelope_band_bps, row.dynamic_band_bps, row.stale_band_bps, stale=stale)
    if largest is None or band is None:
        return PlainDecision("limit_unset")
    if row.halted:
        return PlainDecision("halted")
    if order.qty > largest:
        return PlainDecision("max_order_size", largest, order.qty)
    return PlainDecision("ok") if _TYPES[order.order_type] == "MARKET" else _judge_price(row.ref_price, order, band)


def _judge_price(ref_price: int, order: PlainOrder, band_bps: int) -> PlainDecision:
    if ref_price <= 0:
        return PlainDecision("no_reference_price")
    above = Fraction(order.price - ref_price, ref_price)
    aggressive_bps = 10_000 * (above if _SIDES[order.side] == "BUY" else -above)
    if aggressive_bps > band_bps:
        return PlainDecision("price_band", band_bps, min(math.ceil(aggressive_bps), INT64_MAX))
    return PlainDecision("ok")


def _is_valid(order: PlainOrder) -> bool:
    known = order.action in _ACTIONS and order.side in _SIDES and order.order_type in _TYPES
    return known and order.qty > 0 and (_TYPES[order.order_type] == "MARKET" or order.price > 0)


def _in_force(envelope: int | None, dynamic: int | None, stale_limit: int | None, *, stale: bool) -> int | None:
    needed = [envelope, stale_limit] if stale else [envelope, dynamic]
    if None in needed:
        return None
    return min(limit for limit in (*needed, dynamic) if limit is not None)
