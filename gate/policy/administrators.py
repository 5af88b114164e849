"""What several administrators set, combined field by field, and what a change loosens. Pure.

A policy is an `Envelope` or an `AccountEnvelope`. Flat, it is a dict of every field by its dotted name; ``None`` in what an
administrator says means "says nothing", ``None`` in what is in force means "unset", which blocks. The tightest wins, so
combining is commutative and associative and never looser than any of them. Rejected: the last one wins (a client could
undo his broker's limit).
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import reduce
from typing import Any, Final, TypeVar

from gate.policy.tier_table import AS_IT_IS, full_table
from gate.policy.tightness import ACCOUNT_FIELDS, ENVELOPE_FIELDS, RULE_FIELDS, Tightness, is_looser, tightest
from gate.rows import UNLIMITED
from schemas.records import AccountEnvelope, Envelope, LimitSet, Tier, TierRule

Policy = TypeVar("Policy", Envelope, AccountEnvelope)
Flat = Mapping[str, Any]

_SETS: Final = ("limits", "stale_limits")
_SOFT: Final = {"warn_permille", "pend_permille"}
_PLAIN: Final = tuple(name for name in ENVELOPE_FIELDS if "." not in name)

NO_LIMITS: Final = LimitSet(None, None, None, None, None, None, None, None)
NO_ENVELOPE: Final = Envelope(
    limits=NO_LIMITS,
    stale_limits=NO_LIMITS,
    tiers=(),
    tick_size=None,
    lot_nano=None,
    qty_min=None,
    qty_step=None,
    class_id=None,
    restricted=False,
    needs_locate=False,
    warn_permille=None,
    pend_permille=None,
    ref_ttl_ms=None,
    period_ms=None,
    message_weight_permille=None,
    margin_permille=None,
)
"""The envelope that says nothing: in force, it blocks."""

NO_ACCOUNT: Final = AccountEnvelope(**dict.fromkeys(ACCOUNT_FIELDS, None))
"""Account limits that say nothing: in force, they block."""

NO_SESSION: Final = replace(NO_ACCOUNT, messages_per_s=UNLIMITED, message_burst=UNLIMITED)
"""What a session may that nobody said anything of: a rate tightens it, so one person can set the first."""


def combined(policies: Iterable[Policy], nothing: Policy) -> Policy:
    """Return what several administrators allow together: per field the tightest of what they say.

    Args:
        policies: One per administrator.
        nothing: `NO_ENVELOPE`, `NO_ACCOUNT` or `NO_SESSION`.
    """
    kinds = fields_of(nothing)
    return policy_of(nothing, reduce(lambda one, other: _joined(kinds, one, other), map(flat, policies), flat(nothing)))


def capped(policy: Policy, cap: Policy) -> Policy:
    """Return ``policy`` where no field is looser than in ``cap``; what either leaves unset is unset."""
    one, other = flat(policy), flat(cap)
    both = {
        name: None if one[name] is None or other[name] is None else tightest(kind, one[name], other[name])
        for name, kind in fields_of(policy).items()
    }
    return policy_of(policy, both)


def loosens(before: Policy, after: Policy) -> list[str]:
    """Return the fields, by dotted name, that ``after`` in force has looser than ``before`` in force.

    An unset field blocks, so setting it loosens and unsetting it does not. Where no direction can be told (another tick
    size), the change counts as loosening.
    """
    one, other = flat(before), flat(after)
    return [
        name
        for name, kind in fields_of(before).items()
        if other[name] is not None and (one[name] is None or is_looser(kind, one[name], other[name]))
    ]


def withdraws(before: Policy, after: Policy) -> list[str]:
    """Return the fields in which one administrator says less than he said before.

    The same as :func:`loosens`, but saying nothing is the loosest: a limit that somebody else's hides today must not be
    given up by one person either.
    """
    one, other = flat(before), flat(after)
    return [
        name
        for name, kind in fields_of(before).items()
        if one[name] is not None and (other[name] is None or is_looser(kind, one[name], other[name]))
    ]


def is_fact(policy: Policy, name: str) -> bool:
    """Return whether a field states a fact, of which no value is the tighter one."""
    return fields_of(policy)[name] in {Tightness.FACT, Tightness.STEP}


def fields_of(policy: Envelope | AccountEnvelope) -> Mapping[str, Tightness]:
    """Return the fields of a policy by dotted name, with their directions."""
    return ENVELOPE_FIELDS if isinstance(policy, Envelope) else ACCOUNT_FIELDS


def flat(policy: Envelope | AccountEnvelope) -> dict[str, Any]:
    """Return every field by its dotted name; a soft limit that nobody set is said as 1000, never."""
    if isinstance(policy, AccountEnvelope):
        plain = {name: getattr(policy, name) for name in ACCOUNT_FIELDS}
        return plain | {"class_ids": None if policy.class_ids is None else frozenset(policy.class_ids)}
    found = {f"{part}.{name}": getattr(getattr(policy, part), name) for part in _SETS for name in LimitSet.__slots__}
    for rule in full_table(policy.tiers):
        for name in RULE_FIELDS:
            found[f"tiers.{rule.tier.name}.{name}"] = getattr(rule, name) if policy.tiers else None
    for name in _PLAIN:
        value = getattr(policy, name)
        found[name] = AS_IT_IS if value is None and name in _SOFT else value
    return found


def policy_of(like: Policy, fields: Flat) -> Policy:
    """Return the policy of the type of ``like`` that has these flat fields."""
    if isinstance(like, AccountEnvelope):
        ids = fields["class_ids"]
        return AccountEnvelope(**{**fields, "class_ids": None if ids is None else tuple(sorted(ids))})
    sets: dict[str, Any] = {
        part: LimitSet(**{name: fields[f"{part}.{name}"] for name in LimitSet.__slots__}) for part in _SETS
    }
    is_said = fields[f"tiers.{Tier.NORMAL.name}.halt"] is not None
    tiers = tuple(
        TierRule(tier=tier, **{name: fields[f"tiers.{tier.name}.{name}"] for name in RULE_FIELDS}) for tier in Tier
    )
    return Envelope(**sets, tiers=tiers if is_said else (), **{name: fields[name] for name in _PLAIN})


def _joined(kinds: Mapping[str, Tightness], one: Flat, other: Flat) -> Flat:
    return {
        name: other[name]
        if one[name] is None
        else one[name]
        if other[name] is None
        else tightest(kind, one[name], other[name])
        for name, kind in kinds.items()
    }
