"""Which of two values of a policy field is the tighter, field by field. Pure.

Invariant: ``tightest`` is commutative, associative and idempotent, and never looser than either value; ``is_looser`` says
yes where the direction of a change cannot be told. Two administrators who state different facts (a tick size) are in
`CONFLICT`, which blocks: neither of them can be taken at his word. Rejected: one order over whole envelopes (most pairs
have none).
"""

import math
from collections.abc import Callable, Mapping
from enum import Enum, auto
from typing import Any, Final

from schemas.records import Tier, TierRule

QTY_MAX: Final = 2**31 - 1
"""Largest ``qty_min`` and ``qty_step`` that a row holds."""

CONFLICT: Final = -1


class Tightness(Enum):
    """How values of a field compare."""

    SMALLER = auto()
    LARGER = auto()
    STEP = auto()  # a multiple of both
    FACT = auto()  # neither is tighter: they agree, or conflict
    FLAG = auto()  # true
    COMMON = auto()  # what both sets hold


_LIMITS: Final = {
    "max_order_qty": Tightness.SMALLER,
    "max_order_value": Tightness.SMALLER,
    "max_long": Tightness.SMALLER,
    "max_short": Tightness.SMALLER,
    "price_band_bps": Tightness.SMALLER,
    "price_band_ticks": Tightness.SMALLER,
    "period_band_bps": Tightness.SMALLER,
    "quote_offset_bps": Tightness.LARGER,
}
RULE_FIELDS: Final = {
    "qty_permille": Tightness.SMALLER,
    "band_permille": Tightness.SMALLER,
    "halt": Tightness.FLAG,
    "value_permille": Tightness.SMALLER,
    "position_permille": Tightness.SMALLER,
    "rate_permille": Tightness.SMALLER,
    "margin_permille": Tightness.LARGER,
    "quote_offset_bps": Tightness.LARGER,
}
ENVELOPE_FIELDS: Final[Mapping[str, Tightness]] = {
    **{f"limits.{name}": kind for name, kind in _LIMITS.items()},
    **{f"stale_limits.{name}": kind for name, kind in _LIMITS.items()},
    **{f"tiers.{tier.name}.{name}": kind for tier in Tier for name, kind in RULE_FIELDS.items()},
    "tick_size": Tightness.FACT,
    "lot_nano": Tightness.FACT,
    "qty_min": Tightness.LARGER,
    "qty_step": Tightness.STEP,
    "class_id": Tightness.FACT,
    "restricted": Tightness.FLAG,
    "needs_locate": Tightness.FLAG,
    "warn_permille": Tightness.SMALLER,
    "pend_permille": Tightness.SMALLER,
    "ref_ttl_ms": Tightness.SMALLER,
    "period_ms": Tightness.LARGER,
    "message_weight_permille": Tightness.LARGER,
    "margin_permille": Tightness.LARGER,
}
ACCOUNT_FIELDS: Final[Mapping[str, Tightness]] = {
    "gross_value": Tightness.SMALLER,
    "net_value": Tightness.SMALLER,
    "instrument_value": Tightness.SMALLER,
    "instrument_permille": Tightness.SMALLER,
    "credit": Tightness.SMALLER,
    "day_loss": Tightness.SMALLER,
    "drawdown": Tightness.SMALLER,
    "period_value": Tightness.SMALLER,
    "basket_value": Tightness.SMALLER,
    "open_orders": Tightness.SMALLER,
    "messages_per_s": Tightness.SMALLER,
    "message_burst": Tightness.SMALLER,
    "repeats_max": Tightness.SMALLER,
    "period_ms": Tightness.LARGER,
    "duplicate_ms": Tightness.LARGER,
    "class_ids": Tightness.COMMON,
}
assert set(RULE_FIELDS) == set(TierRule.__dataclass_fields__) - {"tier"}, "a rule's field has no direction"


def tightest(kind: Tightness, one: Any, other: Any) -> Any:
    """Return the loosest value that is no looser than either; neither is ``None``."""
    return _TIGHTEST[kind](one, other)


def is_looser(kind: Tightness, before: Any, after: Any) -> bool:
    """Return whether an order may pass under ``after`` that ``before`` refuses; neither is ``None``."""
    return bool(_IS_LOOSER[kind](before, after))


def _common_multiple(one: int, other: int) -> int:
    if CONFLICT in {one, other}:
        return CONFLICT
    step = math.lcm(one, other)
    return step if step <= QTY_MAX else CONFLICT


_TIGHTEST: Final[Mapping[Tightness, Callable[[Any, Any], Any]]] = {
    Tightness.SMALLER: min,
    Tightness.LARGER: max,
    Tightness.STEP: _common_multiple,
    Tightness.FACT: lambda one, other: one if one == other else CONFLICT,
    Tightness.FLAG: lambda one, other: one or other,
    Tightness.COMMON: lambda one, other: one & other,
}
_IS_LOOSER: Final[Mapping[Tightness, Callable[[Any, Any], Any]]] = {
    Tightness.SMALLER: lambda before, after: after > before,
    Tightness.LARGER: lambda before, after: after < before,
    Tightness.STEP: lambda before, after: after != CONFLICT and (before == CONFLICT or after % before),
    Tightness.FACT: lambda before, after: after not in {before, CONFLICT},
    Tightness.FLAG: lambda before, after: before and not after,
    Tightness.COMMON: lambda before, after: after - before,
}
