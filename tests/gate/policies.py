"""Policies, states and commands that the tests of the gate's keeping side share."""

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from gate.policy.administrators import NO_ACCOUNT, NO_ENVELOPE, NO_LIMITS
from gate.rows import BPS_MAX, MARGIN_MAX, UNLIMITED, WEIGHT_MAX
from schemas.records import (
    AccountEnvelope,
    CommandKind,
    Envelope,
    LimitSet,
    RiskCommand,
    RiskState,
    Tier,
    TierRule,
)

REF = 50_000_000_000
TICK_NS = 10_000_000_000
FAR_NS = 2**62


def rule(tier: Tier, qty: int = 1000, band: int = 1000, *, halt: bool = False, **changes: Any) -> TierRule:
    plain = {"value_permille": 1000, "position_permille": 1000, "rate_permille": 1000, "margin_permille": 1000}
    return TierRule(tier, qty, band, halt, **{**plain, "quote_offset_bps": 0, **changes})


LIMITS = LimitSet(
    max_order_qty=500,
    max_order_value=10**12,
    max_long=5_000,
    max_short=4_000,
    price_band_bps=500,
    price_band_ticks=900,
    period_band_bps=400,
    quote_offset_bps=2,
)
STALE = replace(LIMITS, max_order_qty=50, price_band_bps=100)
RULES = (
    rule(Tier.NORMAL),
    rule(Tier.ELEVATED, 500, rate_permille=300),
    rule(Tier.HIGH_ALERT, 100, position_permille=333, margin_permille=1501, quote_offset_bps=7),
    rule(Tier.CRITICAL, 0, halt=True),
)
ENVELOPE = Envelope(
    limits=LIMITS,
    stale_limits=STALE,
    tiers=RULES,
    tick_size=10_000_000,
    lot_nano=10**9,
    qty_min=1,
    qty_step=1,
    class_id=3,
    restricted=False,
    needs_locate=False,
    warn_permille=800,
    pend_permille=900,
    ref_ttl_ms=2_000,
    period_ms=5_000,
    message_weight_permille=1000,
    margin_permille=1000,
)
ACCOUNT = AccountEnvelope(
    gross_value=10**13,
    net_value=10**13,
    instrument_value=10**13,
    instrument_permille=900,
    credit=10**13,
    day_loss=10**12,
    drawdown=10**12,
    period_value=UNLIMITED,
    basket_value=10**12,
    open_orders=100,
    messages_per_s=50,
    message_burst=100,
    repeats_max=20,
    period_ms=1_000,
    duplicate_ms=50,
    class_ids=(0, 3),
)
STATE = RiskState(
    instrument_id=1,
    channel_id="SIM",
    tick_ns=TICK_NS,
    epoch=1,
    tier=Tier.NORMAL,
    tier_before=Tier.NORMAL,
    latched=False,
    stale=False,
    degraded=False,
    score=0.5,
    score01=0.1,
    p=0.3,
    adverse_share=0.5,
    ref_price=REF,
    model_id="model-1",
    causes=(),
)
COMMAND = RiskCommand(
    "c", CommandKind.SET_ENVELOPE, "instrument:1", TICK_NS, "maker", "checker", "why", FAR_NS, ENVELOPE
)
"""By two people, with a reason and an end: it may loosen."""


def alone(command: RiskCommand, **changes: Any) -> RiskCommand:
    """Return the command of one person, without an end."""
    return replace(command, **{"checker": None, "reason": "", "expires_ns": None, **changes})


def _number(largest: int, smallest: int = 0) -> st.SearchStrategy[int]:
    return st.integers(smallest, min(largest, smallest + 60)) | st.just(largest)


def _maybe(largest: int, smallest: int = 0) -> st.SearchStrategy[int | None]:
    return st.none() | _number(largest, smallest)


limit_sets = st.builds(LimitSet, *[_maybe(UNLIMITED)] * 7, _maybe(BPS_MAX)) | st.just(NO_LIMITS)
rules = st.builds(
    TierRule, st.sampled_from(Tier), _number(3000), _number(3000), st.booleans(), *[_number(3000)] * 4, _number(BPS_MAX)
)
tables = st.lists(rules, max_size=4, unique_by=lambda made: made.tier).map(tuple)
envelopes: st.SearchStrategy[Envelope] = st.builds(
    Envelope,
    limits=limit_sets,
    stale_limits=limit_sets,
    tiers=tables,
    tick_size=st.none() | st.sampled_from([1, 2]),
    lot_nano=st.none() | st.sampled_from([1, 2]),
    qty_min=_maybe(2**31 - 1, 1),
    qty_step=_maybe(2**31 - 1, 1),
    class_id=st.none() | st.integers(0, 63),
    restricted=st.booleans(),
    needs_locate=st.booleans(),
    warn_permille=_maybe(1000),
    pend_permille=_maybe(1000),
    ref_ttl_ms=_maybe(UNLIMITED, 1),
    period_ms=_maybe(3_600_000, 1),
    message_weight_permille=_maybe(WEIGHT_MAX),
    margin_permille=_maybe(MARGIN_MAX),
) | st.just(NO_ENVELOPE)
accounts: st.SearchStrategy[AccountEnvelope] = st.builds(
    AccountEnvelope,
    *[_maybe(UNLIMITED)] * 3,
    _maybe(1000),
    *[_maybe(UNLIMITED)] * 9,
    period_ms=_maybe(3_600_000, 1),
    duplicate_ms=_maybe(3_600_000),
    class_ids=st.none() | st.sets(st.integers(0, 63), max_size=5).map(lambda ids: tuple(sorted(ids))),
) | st.just(NO_ACCOUNT)
