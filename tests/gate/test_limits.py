"""What a tier does to an envelope."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate.policy.administrators import NO_ENVELOPE, NO_LIMITS
from gate.policy.limits import (
    account_fault,
    dynamic_limits,
    envelope_column,
    envelope_fault,
    instrument_value_of,
    stale_column,
)
from gate.rows import BPS_MAX, LARGER_IS_TIGHTER, LIMIT_NAMES, MARGIN_MAX, UNLIMITED, WEIGHT_MAX, Limits
from schemas.records import AccountEnvelope, Envelope, Tier
from tests.gate.policies import ACCOUNT, ENVELOPE, LIMITS, RULES, accounts, envelopes, rule

NORMAL = Limits(
    order_qty=500,
    order_value=10**12,
    long=5_000,
    short=4_000,
    band_bps=500,
    band_ticks=900,
    period_band_bps=400,
    quote_offset_bps=2,
    message_weight=1000,
    margin=1000,
)


@pytest.mark.parametrize(
    ("tier", "expected"),
    [
        (Tier.NORMAL, NORMAL),
        (Tier.ELEVATED, replace(NORMAL, order_qty=250, message_weight=3334)),
        (
            Tier.HIGH_ALERT,
            replace(NORMAL, order_qty=50, long=1665, short=1332, message_weight=3334, margin=1501, quote_offset_bps=7),
        ),
    ],
)
def test_tier_scales_every_limit_rounded_to_the_tight_side(tier: Tier, expected: Limits) -> None:
    dynamic = dynamic_limits(ENVELOPE, tier)
    assert dynamic.limits == expected
    assert not dynamic.halt


def test_every_multiplier_reaches_its_limits() -> None:
    changes: dict[str, Any] = {
        "value_permille": 501,
        "position_permille": 502,
        "rate_permille": 500,
        "margin_permille": 1003,
    }
    table = (rule(Tier.NORMAL, 500, 499, **changes, quote_offset_bps=9),)
    assert dynamic_limits(replace(ENVELOPE, tiers=table), Tier.NORMAL).limits == Limits(
        order_qty=250,
        order_value=501 * 10**9,
        long=2510,
        short=2008,
        band_bps=249,
        band_ticks=449,
        period_band_bps=199,
        quote_offset_bps=9,
        message_weight=2000,
        margin=1003,
    )


def test_critical_and_a_tier_without_a_rule_halt() -> None:
    assert dynamic_limits(ENVELOPE, Tier.CRITICAL).halt
    without = dynamic_limits(replace(ENVELOPE, tiers=RULES[:1]), Tier.ELEVATED)
    assert without.halt
    assert without.limits.order_qty == without.limits.order_value == without.limits.long == 0
    assert dynamic_limits(NO_ENVELOPE, Tier.NORMAL).halt


def test_higher_tier_of_a_careless_table_is_as_tight_as_the_lower_one() -> None:
    careless = replace(ENVELOPE, tiers=(rule(Tier.NORMAL), rule(Tier.ELEVATED, 100, halt=True), rule(Tier.HIGH_ALERT)))
    high = dynamic_limits(careless, Tier.HIGH_ALERT)
    assert high.limits.order_qty == 50
    assert high.halt


def test_part_of_no_limit_is_no_limit_and_none_of_it_is_nothing() -> None:
    free = replace(
        ENVELOPE, limits=replace(LIMITS, max_long=UNLIMITED), tiers=(rule(Tier.NORMAL, position_permille=1),)
    )
    assert dynamic_limits(free, Tier.NORMAL).limits.long == UNLIMITED
    shut = replace(free, tiers=(rule(Tier.NORMAL, position_permille=0),))
    assert dynamic_limits(shut, Tier.NORMAL).limits.long == 0


@pytest.mark.parametrize(
    ("changes", "margin"), [({"rate_permille": 0}, 1000), ({"margin_permille": 2**40}, MARGIN_MAX)]
)
def test_limit_tighter_than_a_row_can_hold_halts(changes: dict[str, Any], margin: int) -> None:
    dynamic = dynamic_limits(replace(ENVELOPE, tiers=(rule(Tier.NORMAL, **changes),)), Tier.NORMAL)
    assert dynamic.halt
    assert dynamic.limits.margin == margin
    assert (dynamic.limits.message_weight or 0) <= WEIGHT_MAX


def test_stale_column_has_the_weight_and_margin_of_the_envelope() -> None:
    assert stale_column(ENVELOPE) == replace(NORMAL, order_qty=50, band_bps=100)


@given(envelopes, st.sampled_from(Tier))
def test_no_tier_is_looser_than_the_envelope(envelope: Envelope, tier: Tier) -> None:
    hard, dynamic = envelope_column(envelope), dynamic_limits(envelope, tier)
    for name in LIMIT_NAMES:
        was, will = getattr(hard, name), getattr(dynamic.limits, name)
        assert (was is None) == (will is None)
        if was is not None and will is not None:
            assert 0 <= was <= will if name in LARGER_IS_TIGHTER else 0 <= will <= was
    assert envelope_fault(envelope) is None
    assert dynamic.halt or (dynamic.limits.quote_offset_bps or 0) <= BPS_MAX


@given(envelopes, st.sampled_from(list(Tier)[1:]))
def test_no_tier_is_looser_than_the_one_below(envelope: Envelope, tier: Tier) -> None:
    below, above = dynamic_limits(envelope, Tier(tier - 1)), dynamic_limits(envelope, tier)
    assert above.halt or not below.halt
    for name in LIMIT_NAMES:
        low, high = getattr(below.limits, name), getattr(above.limits, name)
        assert low is None or (high >= low if name in LARGER_IS_TIGHTER else high <= low)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({}, None),
        ({"limits": NO_LIMITS, "stale_limits": NO_LIMITS, "tiers": ()}, None),
        ({"limits": replace(LIMITS, price_band_bps=UNLIMITED)}, None),
        ({"limits": replace(LIMITS, max_order_qty=-1)}, "limits.max_order_qty was -1"),
        ({"stale_limits": replace(LIMITS, quote_offset_bps=BPS_MAX + 1)}, "stale_limits.quote_offset_bps"),
        ({"limits": replace(LIMITS, max_order_value=UNLIMITED + 1)}, "limits.max_order_value"),
        ({"tiers": (*RULES, RULES[0])}, "two rules"),
        ({"tiers": (rule(Tier.NORMAL, -1),)}, "tiers.NORMAL.qty_permille"),
        ({"tiers": (rule(Tier.NORMAL, quote_offset_bps=-1),)}, "tiers.NORMAL.quote_offset_bps"),
        ({"tick_size": 0}, "tick_size"),
        ({"lot_nano": -5}, "lot_nano"),
        ({"qty_step": 2**31}, "qty_step"),
        ({"qty_min": 0}, "qty_min"),
        ({"class_id": 64}, "class_id was 64, must be 0 to 63"),
        ({"warn_permille": 1001}, "warn_permille"),
        ({"ref_ttl_ms": 0}, "ref_ttl_ms"),
        ({"period_ms": 3_600_001}, "period_ms"),
        ({"message_weight_permille": WEIGHT_MAX + 1}, "message_weight_permille"),
        ({"margin_permille": MARGIN_MAX + 1}, "margin_permille"),
    ],
)
def test_envelope_that_cannot_be_meant_is_named(changes: dict[str, Any], fault: str | None) -> None:
    found = envelope_fault(replace(ENVELOPE, **changes))
    assert found is None if fault is None else fault in str(found)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({}, None),
        ({"credit": -1}, "credit was -1"),
        ({"messages_per_s": UNLIMITED + 1}, "messages_per_s"),
        ({"period_ms": 0}, "period_ms"),
        ({"duplicate_ms": -1}, "duplicate_ms"),
        ({"duplicate_ms": 0, "class_ids": ()}, None),
        ({"class_ids": (0, 64)}, "class_ids was 64"),
    ],
)
def test_account_limits_that_cannot_be_meant_are_named(changes: dict[str, Any], fault: str | None) -> None:
    found = account_fault(replace(ACCOUNT, **changes))
    assert found is None if fault is None else fault in str(found)


@given(accounts)
def test_account_of_the_strategies_is_without_fault(account: AccountEnvelope) -> None:
    assert account_fault(account) is None


@pytest.mark.parametrize(
    ("gross", "value", "permille", "limit"),
    [
        (1_000, None, 250, 250),
        (1_000, 200, 250, 200),
        (1_000, 300, 250, 250),
        (999, None, 250, 249),
        (1_000, 300, None, 300),
        (UNLIMITED, 300, 250, 300),
        (UNLIMITED, None, 250, UNLIMITED),
        (UNLIMITED, None, 0, 0),
        (None, 300, 250, None),
        (1_000, None, None, None),
    ],
)
def test_value_in_one_instrument_is_what_is_said_or_the_share_of_all_whichever_is_tighter(
    gross: int | None, value: int | None, permille: int | None, limit: int | None
) -> None:
    account = replace(ACCOUNT, gross_value=gross, instrument_value=value, instrument_permille=permille)
    assert instrument_value_of(account) == limit
