"""Who must stand behind a change of limits, and what is in force when a loosening ends."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate.policy.administrators import NO_ENVELOPE, NO_LIMITS, combined, loosens
from gate.policy.commands import CommandRefusedError
from gate.policy.grants import Grants
from schemas.records import Envelope, RiskCommand
from tests.gate.policies import COMMAND, ENVELOPE, LIMITS, alone, envelopes

NOTHING = Grants(NO_ENVELOPE, NO_ENVELOPE)


def of_qty(qty: int | None) -> Envelope:
    return replace(ENVELOPE, limits=replace(LIMITS, max_order_qty=qty))


def over(grants: Grants[Envelope]) -> Grants[Envelope]:
    """Return the grants when every loosening has ended."""
    return replace(grants, caps=tuple(replace(cap, is_over=True) for cap in grants.caps))


def change(grants: Grants[Envelope], policy: Envelope, at_ns: int = 0, **changes: Any) -> Grants[Envelope]:
    return grants.changed(replace(COMMAND, envelope=policy, **changes), policy, at_ns)


def qty(grants: Grants[Envelope]) -> int | None:
    return grants.in_force().limits.max_order_qty


@pytest.fixture
def granted() -> Grants[Envelope]:
    return change(NOTHING, ENVELOPE, expires_ns=None)


@pytest.mark.parametrize(
    ("policy", "changes", "cause"),
    [
        (of_qty(499), {"checker": None, "reason": "", "expires_ns": None}, None),
        (of_qty(None), {"checker": None, "reason": "", "expires_ns": None}, "no_checker"),
        (of_qty(499), {"maker": "  "}, "no_maker"),
        (of_qty(499), {"checker": "Maker "}, "same_person"),
        (of_qty(501), {}, None),
        (of_qty(501), {"checker": None}, "no_checker"),
        (of_qty(501), {"checker": ""}, "no_checker"),
        (of_qty(501), {"checker": "MAKER"}, "same_person"),
        (of_qty(501), {"reason": " "}, "no_reason"),
        (of_qty(501), {"expires_ns": None}, "no_expiry"),
        (replace(ENVELOPE, tick_size=5), {"expires_ns": None}, None),
        (replace(ENVELOPE, tick_size=5), {"checker": None}, "no_checker"),
    ],
)
def test_loosening_needs_two_people_a_reason_and_an_end_and_tightening_one_person(
    granted: Grants[Envelope], policy: Envelope, changes: dict[str, Any], cause: str | None
) -> None:
    if cause is None:
        assert change(granted, policy, **changes).said[""] == policy
    else:
        with pytest.raises(CommandRefusedError) as caught:
            change(granted, policy, **changes)
        assert caught.value.cause == cause


def test_first_limits_need_two_people_and_may_be_without_an_end() -> None:
    with pytest.raises(CommandRefusedError, match="second person"):
        change(NOTHING, ENVELOPE, checker=None)
    assert qty(over(change(NOTHING, ENVELOPE, expires_ns=None))) == 500
    assert over(change(NOTHING, ENVELOPE, expires_ns=9)).in_force().limits == NO_LIMITS


def test_other_administrator_tightens_alone_and_takes_it_back_with_two_even_where_it_is_hidden(
    granted: Grants[Envelope],
) -> None:
    broker: dict[str, Any] = {"administrator": "broker", "checker": None, "expires_ns": None}
    with_broker = change(granted, of_qty(700), **broker)
    assert qty(with_broker) == 500, "the firm's own limit is the tighter one"
    with pytest.raises(CommandRefusedError) as caught:
        change(with_broker, of_qty(800), **broker)
    assert caught.value.cause == "no_checker"
    assert qty(change(with_broker, of_qty(300), **broker)) == 300


def test_end_of_a_loosening_brings_back_what_was_and_later_tightenings_stay(granted: Grants[Envelope]) -> None:
    raised = change(granted, of_qty(1000), expires_ns=100)
    assert (qty(raised), qty(over(raised))) == (1000, 500)
    tightened = raised.changed(alone(COMMAND), of_qty(900), at_ns=50)
    assert (qty(tightened), qty(over(tightened))) == (900, 500)
    tighter = raised.changed(alone(COMMAND), of_qty(400), at_ns=50)
    assert (qty(tighter), qty(over(tighter))) == (400, 400)


def test_second_loosening_replaces_the_first_and_its_end_brings_back_what_was_before_both(
    granted: Grants[Envelope],
) -> None:
    twice = change(change(granted, of_qty(1000), expires_ns=100), of_qty(2000), at_ns=50, expires_ns=200)
    assert (qty(twice), qty(over(twice))) == (2000, 500)
    assert not twice.ends_with(replace(COMMAND, expires_ns=100))
    assert twice.ends_with(replace(COMMAND, expires_ns=200))


def test_shorter_loosening_within_a_longer_one_falls_back_to_it_and_then_to_what_was_before_both() -> None:
    day = change(NOTHING, ENVELOPE, expires_ns=1000)
    noon = replace(COMMAND, expires_ns=100)
    raised = change(day, of_qty(900), at_ns=50, expires_ns=100)
    assert [qty(grants) for grants in (raised, raised.ended(noon), over(raised))] == [900, 500, None]
    later = raised.ended(noon).changed(alone(COMMAND), of_qty(400), at_ns=150)
    assert [qty(grants) for grants in (later, over(later))] == [400, None]


def test_after_the_end_one_person_cannot_bring_the_loosening_back_and_two_can(granted: Grants[Envelope]) -> None:
    ended = over(change(granted, of_qty(1000), expires_ns=100))
    again = ended.changed(alone(COMMAND), of_qty(900), at_ns=150)
    assert qty(again) == 500, "one person may lower what is hidden, but the cap stays"
    with pytest.raises(CommandRefusedError) as caught:
        ended.changed(replace(COMMAND, expires_ns=None), of_qty(900), at_ns=150)
    assert caught.value.cause == "no_expiry"
    renewed = change(ended, of_qty(900), at_ns=150, expires_ns=300)
    assert (qty(renewed), qty(over(renewed))) == (900, 500)
    assert qty(change(ended, of_qty(450), at_ns=150)) == 450


def test_unsetting_a_limit_and_setting_it_looser_is_a_loosening(granted: Grants[Envelope]) -> None:
    unset = change(granted, of_qty(None))
    assert qty(unset) is None
    with pytest.raises(CommandRefusedError) as caught:
        change(unset, of_qty(501), expires_ns=None)
    assert caught.value.cause == "no_expiry"


def test_limit_granted_for_good_while_another_is_raised_survives_the_end() -> None:
    without_long = replace(ENVELOPE, limits=replace(LIMITS, max_long=None))
    raised = change(
        change(NOTHING, without_long, expires_ns=None),
        replace(without_long, limits=replace(LIMITS, max_order_qty=900, max_long=None)),
        expires_ns=100,
    )
    complete = over(change(raised, of_qty(900), at_ns=50, expires_ns=None))
    assert (qty(complete), complete.in_force().limits.max_long) == (500, LIMITS.max_long)


def test_topic_read_again_long_after_the_end_is_judged_as_it_was(granted: Grants[Envelope]) -> None:
    raised = change(granted, of_qty(1000), expires_ns=100)
    for grants in (raised, over(raised)):
        lowered = grants.changed(alone(COMMAND), of_qty(900), at_ns=50)
        assert lowered.said[""] == of_qty(900)
        with pytest.raises(CommandRefusedError):
            grants.changed(alone(COMMAND), of_qty(1001), at_ns=50)


people = st.sampled_from([{}, {"checker": None}, {"expires_ns": None}, {"checker": None, "expires_ns": None}])
steps = st.lists(
    st.tuples(envelopes, people, st.sampled_from(["", "broker"]), st.integers(0, 60), st.booleans()), max_size=6
)


@given(steps)
def test_after_any_history_nothing_in_force_is_looser_than_the_administrators_and_one_person_never_loosened(
    history: list[tuple[Envelope, dict[str, Any], str, int, bool]],
) -> None:
    grants, now_ns = NOTHING, 0
    for policy, changes, administrator, end_ns, is_over in history:
        now_ns += 10
        before = grants.in_force()
        command: RiskCommand = replace(COMMAND, **{"expires_ns": end_ns, "administrator": administrator, **changes})
        try:
            grants = grants.changed(command, policy, now_ns)
        except CommandRefusedError:
            assert command.checker is None or command.expires_ns is None
            continue
        if command.checker is None:
            assert loosens(before, grants.in_force()) == []
        assert loosens(combined(grants.said.values(), NO_ENVELOPE), grants.in_force()) == []
        if is_over:
            at_the_end = over(grants).in_force()
            assert loosens(grants.in_force(), at_the_end) == [], "time never loosens"
            grants = over(grants)
