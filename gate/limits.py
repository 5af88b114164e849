"""What a tier does to an envelope: absolute dynamic limits. Pure.

Invariant: no dynamic limit is looser than the envelope, whatever the tier table says, and a tier without a rule
halts. Rejected: factors in the limit table (a reader would have to know which envelope they multiply).
"""

from dataclasses import dataclass

from gate._native import BAND_BPS_MAX
from schemas.records import Envelope, LimitSet, Tier, TierRule

INT64_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True)
class DynamicLimits:
    """Limits of one instrument in one tier.

    Attributes:
        max_order_qty: Largest order, lots; ``None`` = unset, because the envelope is.
        price_band_bps: Largest aggressive distance from the reference price, bp; ``None`` = unset.
        halt: Every new order is blocked.
    """

    max_order_qty: int | None
    price_band_bps: int | None
    halt: bool


def dynamic_limits(envelope: Envelope, tier: Tier) -> DynamicLimits:
    """Return the limits of ``tier``: the envelope in permille of the tier's rule, rounded down."""
    rule = _rule(envelope, tier)
    return DynamicLimits(
        max_order_qty=_scaled(envelope.limits.max_order_qty, rule.qty_permille),
        price_band_bps=_scaled(envelope.limits.price_band_bps, rule.band_permille),
        halt=rule.halt,
    )


def envelope_fault(envelope: Envelope) -> str | None:
    """Return why the envelope cannot be used, for a person; ``None`` when it can."""
    for name, limits in (("limits", envelope.limits), ("stale_limits", envelope.stale_limits)):
        if fault := _limit_set_fault(limits):
            return f"{name}.{fault}"
    tiers = [rule.tier for rule in envelope.tiers]
    if len(set(tiers)) != len(tiers):
        return "a tier has two rules"
    if any(rule.qty_permille < 0 or rule.band_permille < 0 for rule in envelope.tiers):
        return "a permille is below 0"
    return None


def _rule(envelope: Envelope, tier: Tier) -> TierRule:
    for rule in envelope.tiers:
        if rule.tier == tier:
            return rule
    return TierRule(tier=tier, qty_permille=0, band_permille=0, halt=True)


def _scaled(limit: int | None, permille: int) -> int | None:
    if limit is None:
        return None
    return max(0, min(limit, limit * permille // 1000))


def _limit_set_fault(limits: LimitSet) -> str | None:
    for name, value, largest in (
        ("max_order_qty", limits.max_order_qty, INT64_MAX),
        ("price_band_bps", limits.price_band_bps, BAND_BPS_MAX),
    ):
        if value is not None and not 0 <= value <= largest:
            return f"{name} was {value}, must be 0 to {largest}"
    return None
