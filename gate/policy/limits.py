"""What a tier does to an envelope: the three columns of an instrument's row, and what cannot be an envelope. Pure.

Invariants: no dynamic limit is looser than the envelope, whatever the tier table says; a tighter tier is never looser; a
tier without a rule halts; a limit that would be tighter than a row can hold halts. Rejected: factors in the limit table
(a reader would have to know which envelope they multiply).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from gate.policy.tier_table import AS_IT_IS, rule_in_force
from gate.policy.tightness import QTY_MAX
from gate.rows import BPS_MAX, MARGIN_MAX, UNLIMITED, WEIGHT_MAX, Limits
from schemas.records import AccountEnvelope, Envelope, LimitSet, Tier

CLASS_IDS: Final = range(64)
PERIOD_MS_MAX: Final = 3_600_000
SESSION_LIMITS: Final = ("messages_per_s", "message_burst")
"""What is judged of a session."""


@dataclass(frozen=True, slots=True)
class DynamicLimits:
    """Limits of one instrument in one tier.

    Attributes:
        limits: The dynamic column; a field is ``None`` = unset where the envelope's is.
        halt: Every new order that does not reduce a position is blocked.
    """

    limits: Limits
    halt: bool


def envelope_column(envelope: Envelope) -> Limits:
    """Return the envelope as the first column of a row."""
    return _column(envelope.limits, envelope)


def stale_column(envelope: Envelope) -> Limits:
    """Return the column in force when the market state is unknown; message weight and margin are the envelope's."""
    return _column(envelope.stale_limits, envelope)


def dynamic_limits(envelope: Envelope, tier: Tier) -> DynamicLimits:
    """Return the limits of ``tier``: the envelope in permille of the tier's rule.

    Of the limits that are tighter when smaller the result is rounded down and at most the envelope's; of the others
    rounded up and at least the envelope's.
    """
    rule = rule_in_force(envelope.tiers, tier)
    hard = envelope_column(envelope)
    limits = replace(
        hard,
        order_qty=_shrunk(hard.order_qty, rule.qty_permille),
        order_value=_shrunk(hard.order_value, rule.value_permille),
        long=_shrunk(hard.long, rule.position_permille),
        short=_shrunk(hard.short, rule.position_permille),
        band_bps=_shrunk(hard.band_bps, rule.band_permille),
        band_ticks=_shrunk(hard.band_ticks, rule.band_permille),
        period_band_bps=_shrunk(hard.period_band_bps, rule.band_permille),
        quote_offset_bps=None if hard.quote_offset_bps is None else max(hard.quote_offset_bps, rule.quote_offset_bps),
        message_weight=_divided(hard.message_weight, rule.rate_permille),
        margin=_grown(hard.margin, rule.margin_permille),
    )
    fitting = replace(
        limits,
        quote_offset_bps=_at_most(limits.quote_offset_bps, BPS_MAX),
        message_weight=_at_most(limits.message_weight, WEIGHT_MAX),
        margin=_at_most(limits.margin, MARGIN_MAX),
    )
    # A limit cut to what a row holds would be looser than what people asked for: then nothing passes.
    return DynamicLimits(fitting, halt=rule.halt or fitting != limits)


def envelope_fault(envelope: Envelope) -> str | None:
    """Return why the envelope cannot be used, for a person; ``None`` when it can."""
    tiers = [rule.tier for rule in envelope.tiers]
    if len(set(tiers)) != len(tiers):
        return "a tier has two rules"
    return next(_out_of_range(_envelope_numbers(envelope)), None)


def account_fault(account: AccountEnvelope) -> str | None:
    """Return why the account limits cannot be used, for a person; ``None`` when they can."""
    return next(_out_of_range(_account_numbers(account)), None)


def session_fault(limits: AccountEnvelope) -> str | None:
    """Return why limits cannot be those of a session, for a person; ``None`` when they can.

    A session has a rate and a burst, both said, and nothing else: what is not judged must not look as if it were.
    """
    missing = [name for name in SESSION_LIMITS if getattr(limits, name) is None]
    others = [name for name in AccountEnvelope.__slots__ if name not in SESSION_LIMITS]
    foreign = [name for name in others if getattr(limits, name) is not None]
    if missing:
        return f"{missing[0]} is not said, a session needs {' and '.join(SESSION_LIMITS)}"
    return f"{foreign[0]} is not judged of a session" if foreign else None


Number = tuple[str, int | None, int, int]
"""Name, value, smallest, largest."""


def _envelope_numbers(envelope: Envelope) -> Iterator[Number]:
    for part, limits in (("limits", envelope.limits), ("stale_limits", envelope.stale_limits)):
        for name in LimitSet.__slots__:
            largest = BPS_MAX if name == "quote_offset_bps" else UNLIMITED
            yield f"{part}.{name}", getattr(limits, name), 0, largest
    for rule in envelope.tiers:
        for name in ("qty", "band", "value", "position", "rate", "margin"):
            yield f"tiers.{rule.tier.name}.{name}_permille", getattr(rule, f"{name}_permille"), 0, UNLIMITED
        yield f"tiers.{rule.tier.name}.quote_offset_bps", rule.quote_offset_bps, 0, BPS_MAX
    yield "tick_size", envelope.tick_size, 1, UNLIMITED
    yield "lot_nano", envelope.lot_nano, 1, UNLIMITED
    yield "qty_min", envelope.qty_min, 1, QTY_MAX
    yield "qty_step", envelope.qty_step, 1, QTY_MAX
    yield "class_id", envelope.class_id, CLASS_IDS[0], CLASS_IDS[-1]
    yield "warn_permille", envelope.warn_permille, 0, AS_IT_IS
    yield "pend_permille", envelope.pend_permille, 0, AS_IT_IS
    yield "ref_ttl_ms", envelope.ref_ttl_ms, 1, UNLIMITED
    yield "period_ms", envelope.period_ms, 1, PERIOD_MS_MAX
    yield "message_weight_permille", envelope.message_weight_permille, 0, WEIGHT_MAX
    yield "margin_permille", envelope.margin_permille, 0, MARGIN_MAX


def _account_numbers(account: AccountEnvelope) -> Iterator[Number]:
    for name in AccountEnvelope.__slots__:
        if name not in {"instrument_permille", "period_ms", "duplicate_ms", "class_ids"}:
            yield name, getattr(account, name), 0, UNLIMITED
    yield "instrument_permille", account.instrument_permille, 0, AS_IT_IS
    yield "period_ms", account.period_ms, 1, PERIOD_MS_MAX
    yield "duplicate_ms", account.duplicate_ms, 0, PERIOD_MS_MAX
    for class_id in account.class_ids or ():
        yield "class_ids", class_id, CLASS_IDS[0], CLASS_IDS[-1]


def _out_of_range(numbers: Iterator[Number]) -> Iterator[str]:
    for name, value, smallest, largest in numbers:
        if value is not None and not smallest <= value <= largest:
            yield f"{name} was {value}, must be {smallest} to {largest}"


def _column(limits: LimitSet, envelope: Envelope) -> Limits:
    return Limits(
        order_qty=limits.max_order_qty,
        order_value=limits.max_order_value,
        long=limits.max_long,
        short=limits.max_short,
        band_bps=limits.price_band_bps,
        band_ticks=limits.price_band_ticks,
        period_band_bps=limits.period_band_bps,
        quote_offset_bps=limits.quote_offset_bps,
        message_weight=envelope.message_weight_permille,
        margin=envelope.margin_permille,
    )


def instrument_value_of(account: AccountEnvelope) -> int | None:
    """Return the largest gross value in one instrument: what is said, and the share of all, whichever is tighter.

    A share of a gross value that nobody set is unset, and blocks.
    """
    said = [] if account.instrument_value is None else [account.instrument_value]
    if account.instrument_permille is not None:
        if account.gross_value is None:
            return None
        share = _shrunk(account.gross_value, account.instrument_permille)
        assert share is not None, "a part of a number is a number"
        said.append(share)
    return min(said, default=None)


def _shrunk(limit: int | None, permille: int) -> int | None:
    if limit is None or permille >= AS_IT_IS:
        return limit
    if limit == UNLIMITED and permille > 0:
        return limit  # a part of no limit is no limit
    return limit * permille // AS_IT_IS


def _grown(limit: int | None, permille: int) -> int | None:
    return None if limit is None else max(limit, -(-limit * permille // AS_IT_IS))


def _divided(weight: int | None, rate_permille: int) -> int | None:
    if weight is None or rate_permille >= AS_IT_IS:
        return weight
    return UNLIMITED if rate_permille == 0 else -(-weight * AS_IT_IS // rate_permille)


def _at_most(limit: int | None, largest: int) -> int | None:
    return None if limit is None else min(limit, largest)
