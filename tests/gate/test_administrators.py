"""Envelopes of several administrators: laws of combining, and what counts as loosening."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate.policy.administrators import NO_ACCOUNT, NO_ENVELOPE, NO_LIMITS, capped, combined, loosens, withdraws
from gate.policy.limits import dynamic_limits, envelope_column, stale_column
from gate.policy.tightness import CONFLICT
from gate.rows import LARGER_IS_TIGHTER, LIMIT_NAMES, Limits
from schemas.records import AccountEnvelope, Envelope, LimitSet, Tier
from tests.gate.policies import ACCOUNT, ENVELOPE, LIMITS, RULES, accounts, envelopes, rule

Policy = Envelope | AccountEnvelope


def together(*policies: Any) -> Any:
    return combined(policies, NO_ENVELOPE if isinstance(policies[0], Envelope) else NO_ACCOUNT)


def test_tightest_of_every_field_wins_and_what_one_says_alone_counts() -> None:
    broker = replace(
        NO_ENVELOPE,
        limits=replace(NO_LIMITS, max_order_qty=200, max_long=9_999, quote_offset_bps=5),
        tiers=(*RULES[:2], rule(Tier.HIGH_ALERT, 50, margin_permille=3000), rule(Tier.CRITICAL, 1000)),
        qty_min=10,
        needs_locate=True,
        ref_ttl_ms=1_000,
        period_ms=60_000,
    )
    both = together(ENVELOPE, broker)
    assert both.limits == replace(LIMITS, max_order_qty=200, quote_offset_bps=5)
    assert both.tiers[2] == rule(Tier.HIGH_ALERT, 50, position_permille=333, margin_permille=3000, quote_offset_bps=7)
    assert both.tiers[3].halt
    assert (both.qty_min, both.needs_locate, both.ref_ttl_ms, both.period_ms) == (10, True, 1_000, 60_000)
    assert both.tick_size == ENVELOPE.tick_size


def test_tier_that_one_table_leaves_out_halts_but_an_empty_table_says_nothing() -> None:
    both = together(ENVELOPE, replace(NO_ENVELOPE, tiers=RULES[:1]))
    assert [rule.halt for rule in both.tiers] == [False, True, True, True]
    assert together(ENVELOPE, NO_ENVELOPE).tiers == RULES


@pytest.mark.parametrize("name", ["tick_size", "lot_nano", "class_id"])
def test_administrators_who_state_different_facts_are_in_conflict(name: str) -> None:
    other = replace(ENVELOPE, **{name: getattr(ENVELOPE, name) + 1})
    assert getattr(together(ENVELOPE, other), name) == CONFLICT
    assert getattr(together(ENVELOPE, other, ENVELOPE), name) == CONFLICT
    assert loosens(ENVELOPE, together(ENVELOPE, other)) == []
    assert loosens(together(ENVELOPE, other), ENVELOPE) == [name]


def test_quantity_steps_combine_to_a_multiple_of_both() -> None:
    assert together(replace(ENVELOPE, qty_step=4), replace(ENVELOPE, qty_step=6)).qty_step == 12
    large = (replace(ENVELOPE, qty_step=2**31 - 1), replace(ENVELOPE, qty_step=2**31 - 2))
    assert together(*large).qty_step == CONFLICT


def test_account_may_trade_what_every_administrator_permits() -> None:
    broker = replace(NO_ACCOUNT, class_ids=(3, 5), gross_value=7, period_ms=9_000)
    both = together(ACCOUNT, broker)
    assert (both.class_ids, both.gross_value, both.period_ms) == ((3,), 7, 9_000)
    assert together(ACCOUNT, NO_ACCOUNT) == ACCOUNT
    assert together(NO_ACCOUNT, NO_ACCOUNT).class_ids is None


def check_laws(one: Any, two: Any, three: Any) -> None:
    assert together(one, two) == together(two, one)
    assert together(together(one, two), three) == together(one, together(two, three))
    assert together(one, one) == together(one)
    both = together(one, two)
    for said in (one, two):
        assert withdraws(said, both) == []
    cap = capped(one, two)
    for bound in (one, two):
        assert loosens(bound, cap) == []


@given(envelopes, envelopes, envelopes)
def test_combining_envelopes_is_commutative_and_associative_and_never_looser_than_any(
    one: Envelope, two: Envelope, three: Envelope
) -> None:
    check_laws(one, two, three)


@given(accounts, accounts, accounts)
def test_combining_accounts_is_commutative_and_associative_and_never_looser_than_any(
    one: AccountEnvelope, two: AccountEnvelope, three: AccountEnvelope
) -> None:
    check_laws(one, two, three)


def is_looser_column(before: Limits, after: Limits) -> bool:
    """Return whether some limit is looser; an unset limit of ``before`` blocks and is not compared."""
    for name in LIMIT_NAMES:
        was, will = getattr(before, name), getattr(after, name)
        if was is not None and will is not None and (will < was if name in LARGER_IS_TIGHTER else will > was):
            return True
    return False


@given(envelopes, envelopes, st.sampled_from(Tier))
def test_no_column_in_force_is_looser_than_what_one_administrator_alone_would_give(
    one: Envelope, two: Envelope, tier: Tier
) -> None:
    both = together(one, two)
    for said in (one, two):
        assert not is_looser_column(envelope_column(said), envelope_column(both))
        assert not is_looser_column(stale_column(said), stale_column(both))
        if said.tiers:
            alone, with_other = dynamic_limits(said, tier), dynamic_limits(both, tier)
            assert not is_looser_column(alone.limits, with_other.limits)
            assert with_other.halt or not alone.halt


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({}, []),
        ({"limits": replace(LIMITS, max_long=4_999, price_band_bps=None)}, []),
        ({"limits": replace(LIMITS, max_long=5_001)}, ["limits.max_long"]),
        ({"limits": replace(LIMITS, quote_offset_bps=1)}, ["limits.quote_offset_bps"]),
        ({"limits": replace(LIMITS, quote_offset_bps=3)}, []),
        ({"tick_size": 5}, ["tick_size"]),
        ({"qty_step": 2}, []),
        ({"qty_min": 2}, []),
        ({"class_id": 4}, ["class_id"]),
        ({"restricted": True, "needs_locate": True}, []),
        ({"warn_permille": None}, ["warn_permille"]),
        ({"pend_permille": 899}, []),
        ({"ref_ttl_ms": 2_001}, ["ref_ttl_ms"]),
        ({"period_ms": 4_999}, ["period_ms"]),
        ({"period_ms": 5_001}, []),
        ({"message_weight_permille": 999}, ["message_weight_permille"]),
        ({"margin_permille": None}, []),
        ({"tiers": ()}, []),
        ({"tiers": (rule(Tier.NORMAL), rule(Tier.ELEVATED, 501, rate_permille=300), *RULES[2:])},
         ["tiers.ELEVATED.qty_permille"]),
        ({"tiers": (*RULES[:3], rule(Tier.CRITICAL, 0))}, ["tiers.CRITICAL.halt"]),
    ],
)  # fmt: skip
def test_what_a_change_in_force_loosens(changes: dict[str, Any], fields: list[str]) -> None:
    assert loosens(ENVELOPE, replace(ENVELOPE, **changes)) == fields


def test_setting_the_first_limits_loosens_and_taking_a_limit_back_does_not() -> None:
    first = loosens(NO_ENVELOPE, ENVELOPE)
    assert {"limits.max_order_qty", "stale_limits.max_order_qty", "tiers.NORMAL.halt", "tick_size"} <= set(first)
    assert loosens(ENVELOPE, NO_ENVELOPE) == ["warn_permille", "pend_permille"], "no soft limit blocks nothing"
    assert loosens(ACCOUNT, NO_ACCOUNT) == []
    assert set(loosens(NO_ACCOUNT, ACCOUNT)) == set(AccountEnvelope.__slots__)


def test_administrator_who_says_less_withdraws_also_what_another_hides() -> None:
    assert withdraws(NO_ENVELOPE, ENVELOPE) == []
    assert withdraws(ENVELOPE, replace(ENVELOPE, limits=replace(LIMITS, max_order_qty=None))) == [
        "limits.max_order_qty"
    ]
    assert withdraws(ACCOUNT, replace(ACCOUNT, class_ids=(0,))) == []
    assert withdraws(ACCOUNT, replace(ACCOUNT, class_ids=(0, 5))) == ["class_ids"]


@given(envelopes, envelopes)
def test_change_that_loosens_nothing_is_capped_by_what_was(before: Envelope, after: Envelope) -> None:
    before, after = together(before), together(after)
    if not loosens(before, after):
        assert loosens(capped(after, before), after) == []


def test_every_field_of_a_limit_set_takes_part() -> None:
    for name in LimitSet.__slots__:
        looser = getattr(LIMITS, name) + (-1 if name == "quote_offset_bps" else 1)
        assert loosens(ENVELOPE, replace(ENVELOPE, limits=replace(LIMITS, **{name: looser}))) == [f"limits.{name}"]
