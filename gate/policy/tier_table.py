"""Tier tables: which rule is in force in a tier, and the tighter of two rules. Pure.

Invariants: a tier without a rule halts, and a higher tier is never looser than a lower one, whatever the table says.
Rejected: refusing a table that is looser in a higher tier (the looser envelope before it would stay in force).
"""

from collections.abc import Iterable
from functools import reduce
from typing import Final

from schemas.records import Tier, TierRule

AS_IT_IS: Final = 1000
"""Thousandths that change nothing."""


def halting(tier: Tier) -> TierRule:
    """Return the rule of a tier that nobody gave one."""
    return TierRule(
        tier=tier,
        qty_permille=0,
        band_permille=0,
        halt=True,
        value_permille=0,
        position_permille=0,
        rate_permille=0,
        margin_permille=AS_IT_IS,
        quote_offset_bps=0,
    )


def tighter_rule(one: TierRule, other: TierRule) -> TierRule:
    """Return the rule of ``one.tier`` that is nowhere looser than either."""
    return TierRule(
        tier=one.tier,
        qty_permille=min(one.qty_permille, other.qty_permille),
        band_permille=min(one.band_permille, other.band_permille),
        halt=one.halt or other.halt,
        value_permille=min(one.value_permille, other.value_permille),
        position_permille=min(one.position_permille, other.position_permille),
        rate_permille=min(one.rate_permille, other.rate_permille),
        margin_permille=max(one.margin_permille, other.margin_permille),
        quote_offset_bps=max(one.quote_offset_bps, other.quote_offset_bps),
    )


def full_table(rules: Iterable[TierRule]) -> tuple[TierRule, ...]:
    """Return one rule per tier, lowest first."""
    known = {rule.tier: rule for rule in rules}
    return tuple(known.get(tier, halting(tier)) for tier in Tier)


def rule_in_force(rules: Iterable[TierRule], tier: Tier) -> TierRule:
    """Return the tightest of the rules up to ``tier``."""
    table = full_table(rules)
    return reduce(tighter_rule, [rule for rule in table if rule.tier < tier], table[tier])
