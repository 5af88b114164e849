"""What a tier does to an envelope."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate._native import BAND_BPS_MAX
from gate.limits import INT64_MAX, DynamicLimits, dynamic_limits, envelope_fault
from schemas.records import Envelope, LimitSet, Tier, TierRule

RULES = (
    TierRule(Tier.NORMAL, qty_permille=1000, band_permille=1000, halt=False),
    TierRule(Tier.ELEVATED, qty_permille=500, band_permille=1000, halt=False),
    TierRule(Tier.HIGH_ALERT, qty_permille=100, band_permille=333, halt=False),
)
ENVELOPE = Envelope(LimitSet(505, 500), LimitSet(50, 100), RULES)

limit_sets = st.builds(LimitSet, st.none() | st.integers(0, INT64_MAX), st.none() | st.integers(0, BAND_BPS_MAX))
rules = st.builds(TierRule, st.sampled_from(Tier), st.integers(0, 5000), st.integers(0, 5000), st.booleans())
envelopes = st.builds(Envelope, limit_sets, limit_sets, st.lists(rules, max_size=4).map(tuple))


@pytest.mark.parametrize(
    ("tier", "expected"),
    [
        (Tier.NORMAL, DynamicLimits(505, 500, halt=False)),
        (Tier.ELEVATED, DynamicLimits(252, 500, halt=False)),
        (Tier.HIGH_ALERT, DynamicLimits(50, 166, halt=False)),
        (Tier.CRITICAL, DynamicLimits(0, 0, halt=True)),
    ],
)
def test_tier_scales_the_envelope_rounded_down_and_a_tier_without_a_rule_halts(
    tier: Tier, expected: DynamicLimits
) -> None:
    assert dynamic_limits(ENVELOPE, tier) == expected


def test_unset_envelope_gives_unset_limits() -> None:
    assert dynamic_limits(Envelope(LimitSet(None, None), LimitSet(1, 1), RULES), Tier.NORMAL) == DynamicLimits(
        None, None, halt=False
    )


@given(envelopes, st.sampled_from(Tier))
def test_no_tier_is_looser_than_the_envelope(envelope: Envelope, tier: Tier) -> None:
    limits = dynamic_limits(envelope, tier)
    for dynamic, hard in (
        (limits.max_order_qty, envelope.limits.max_order_qty),
        (limits.price_band_bps, envelope.limits.price_band_bps),
    ):
        assert (dynamic is None) == (hard is None)
        if dynamic is not None and hard is not None:
            assert 0 <= dynamic <= hard


@pytest.mark.parametrize(
    ("envelope", "fault"),
    [
        (ENVELOPE, None),
        (Envelope(LimitSet(None, None), LimitSet(None, None), ()), None),
        (Envelope(LimitSet(-1, 1), LimitSet(1, 1), RULES), "limits.max_order_qty"),
        (Envelope(LimitSet(1, 1), LimitSet(1, BAND_BPS_MAX + 1), RULES), "stale_limits.price_band_bps"),
        (Envelope(LimitSet(1, 1), LimitSet(1, 1), (*RULES, RULES[0])), "two rules"),
        (Envelope(LimitSet(1, 1), LimitSet(1, 1), (TierRule(Tier.NORMAL, -1, 0, halt=False),)), "permille"),
    ],
)
def test_envelope_that_cannot_be_meant_is_named(envelope: Envelope, fault: str | None) -> None:
    found = envelope_fault(envelope)
    assert found is None if fault is None else fault in str(found)
