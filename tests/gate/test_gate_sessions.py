"""The message rate of a session, on both gates: at its boundary, beside the account's, shared, kept, and lawful."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gate import _native
from gate.reference import Action, Order, Reason
from gate.rows import UNLIMITED, AccountRow
from tests.gate.gates import (
    ACCOUNT,
    GRANT,
    NOW,
    OTHER,
    ROW,
    SECOND_NS,
    SMALL,
    Gate,
    NativeGate,
    TwinGate,
    grant,
    order,
    row,
)
from tests.gate.histories import ACCOUNTS, SESSIONS, START_NS, Step, opening, random_history

SESSION, SECOND = 91, 92
OK = ("OK", None, None)
Numbers = tuple[str, int | None, int | None]


def rate(per_s: int | None, burst: int | None, session: int = SESSION) -> AccountRow:
    return AccountRow(session, messages_per_s=per_s, message_burst=burst)


def sent(order_id: int, **fields: Any) -> Order:
    return order(order_id, **({"session": SESSION} | fields))


def send(gate: Gate, what: Order, now_ns: int = NOW) -> Numbers:
    """Submit what a check is asked about first: both must say the same."""
    checked, found = gate.check(what, now_ns), gate.submit(what, now_ns)
    assert checked == found
    return found.reason.name, found.limit, found.observed


def test_burst_of_a_session_passes_and_the_next_waits_for_the_refill(gate: Gate) -> None:
    gate.grant(rate(10, 3))
    assert [send(gate, sent(order_id)) for order_id in (1, 2, 3)] == [OK] * 3
    assert send(gate, sent(4)) == ("SESSION_RATE", 10, 1)
    assert send(gate, sent(4), NOW + SECOND_NS // 10 - 1) == ("SESSION_RATE", 10, 1)
    assert send(gate, sent(4), NOW + SECOND_NS // 10) == OK


@pytest.mark.parametrize(("weight", "passes"), [(0, 9), (999, 3), (1000, 3), (1001, 2), (3000, 1), (3001, 0)])
def test_heavier_order_takes_more_of_the_session(gate: Gate, weight: int, passes: int) -> None:
    gate.put(row(message_weight=weight))
    gate.grant(rate(0, 3))
    found = [send(gate, sent(order_id)) for order_id in range(1, 10)]
    assert [name for name, *_ in found].count("OK") == passes
    assert all(f == ("SESSION_RATE", 0, -(-weight // 1000)) for f in found[passes:])


def test_replace_counts_and_a_cancel_weighs_nothing(gate: Gate) -> None:
    gate.grant(rate(0, 2))
    assert send(gate, sent(1)) == OK
    assert send(gate, sent(2, action=Action.REPLACE, target_id=1, qty=2)) == OK
    assert send(gate, sent(3, action=Action.REPLACE, target_id=1, qty=2))[0] == "UNKNOWN_ORDER"
    assert gate.replaced(ACCOUNT, 2)
    assert send(gate, sent(3, action=Action.REPLACE, target_id=2, qty=3)) == ("SESSION_RATE", 0, 1)
    assert [send(gate, sent(4, action=Action.CANCEL, target_id=2)) for _ in range(5)] == [OK] * 5


def test_session_is_bound_where_people_set_a_rate_and_free_otherwise(gate: Gate) -> None:
    gate.grant(rate(0, 0))
    assert send(gate, sent(1)) == ("SESSION_RATE", 0, 1)
    assert [send(gate, sent(order_id, session=SECOND)) for order_id in range(2, 7)] == [OK] * 5
    assert [send(gate, sent(order_id, session=0)) for order_id in range(7, 12)] == [OK] * 5
    assert send(gate, sent(12)) == ("SESSION_RATE", 0, 1)


@pytest.mark.parametrize(("per_s", "burst", "want"), [
    (None, 5, "LIMIT_UNSET"), (5, None, "LIMIT_UNSET"), (None, None, "LIMIT_UNSET"), (UNLIMITED, None, "LIMIT_UNSET"),
    (UNLIMITED, 0, "OK"), (UNLIMITED, UNLIMITED, "OK"), (0, UNLIMITED, "OK"), (UNLIMITED - 1, UNLIMITED - 1, "OK"),
    (0, 0, "SESSION_RATE"),
])  # fmt: skip
def test_rate_that_is_half_said_blocks_the_session_and_unlimited_frees_it(
    gate: Gate, per_s: int | None, burst: int | None, want: str
) -> None:
    gate.grant(rate(per_s, burst))
    assert [send(gate, sent(order_id), NOW + order_id)[0] for order_id in range(1, 6)] == [want] * 5


def test_order_must_pass_both_buckets_and_the_decision_says_which_was_empty(gate: Gate) -> None:
    gate.grant(grant(messages_per_s=0, message_burst=3))
    gate.grant(rate(0, 2))
    assert [send(gate, sent(order_id)) for order_id in (1, 2)] == [OK] * 2
    assert send(gate, sent(3)) == ("SESSION_RATE", 0, 1)
    assert send(gate, sent(3, session=0)) == OK  # what the session refused took nothing of the account
    assert send(gate, sent(4)) == ("MESSAGE_RATE", 0, 1)
    gate.grant(rate(0, 1, SECOND))
    assert send(gate, sent(4, session=SECOND)) == ("MESSAGE_RATE", 0, 1)
    assert (
        send(gate, sent(5, session=SECOND, account=OTHER)) == OK
    )  # and what the account refused nothing of the session
    assert send(gate, sent(6, session=SECOND, account=OTHER)) == ("SESSION_RATE", 0, 1)


def test_accounts_share_the_bucket_of_their_session(gate: Gate) -> None:
    gate.grant(rate(10, 4))
    found = [send(gate, sent(number, account=ACCOUNT if number % 2 else OTHER))[0] for number in range(1, 7)]
    assert found == ["OK"] * 4 + ["SESSION_RATE"] * 2
    assert send(gate, sent(7, account=OTHER), NOW + SECOND_NS // 10) == OK
    assert send(gate, sent(8), NOW + SECOND_NS // 10) == ("SESSION_RATE", 10, 1)


def test_rate_binds_from_the_next_order_on_however_many_went_before(gate: Gate) -> None:
    for number in range(1, 10):
        assert send(gate, sent(number)) == OK
    gate.grant(rate(0, 2))
    assert [send(gate, sent(number))[0] for number in (10, 11, 12)] == ["OK", "OK", "SESSION_RATE"]
    gate.grant(rate(UNLIMITED, 0))
    assert [send(gate, sent(number)) for number in (13, 14, 15, 16)] == [OK] * 4
    gate.grant(rate(0, 2))
    assert send(gate, sent(17))[0] == "SESSION_RATE"


def test_orders_by_turns_over_two_sessions_are_counted_apart(gate: Gate) -> None:
    gate.grant(rate(0, 2, SECOND))
    found = [send(gate, sent(number, session=(SESSION, SECOND)[number % 2]))[0] for number in range(1, 9)]
    assert found == ["OK", "OK", "OK", "OK", "SESSION_RATE", "OK", "SESSION_RATE", "OK"]


def test_session_whose_hash_looks_like_that_of_a_row_is_free(gate: Gate) -> None:
    gate.grant(rate(0, 0))
    alike = SESSION + 64  # the same bit of the table's filter, and of an account's likewise
    assert [send(gate, sent(number, session=alike)) for number in (1, 2, 3)] == [OK] * 3
    assert [send(gate, sent(number, session=ACCOUNT + 64)) for number in (4, 5, 6)] == [OK] * 3
    gate.grant(rate(0, 1, alike))
    assert [send(gate, sent(number, session=alike))[0] for number in (7, 8)] == ["OK", "SESSION_RATE"]


def test_clock_that_goes_back_refills_nothing_and_a_new_day_neither(gate: Gate) -> None:
    gate.grant(rate(1, 1))
    assert send(gate, sent(1)) == OK
    assert send(gate, sent(2), NOW - 900 * SECOND_NS)[0] == "SESSION_RATE"
    gate.new_day()
    assert send(gate, sent(2))[0] == "SESSION_RATE"
    assert send(gate, sent(2), NOW + SECOND_NS) == OK


def test_session_that_has_the_name_of_an_account_has_a_bucket_of_its_own(gate: Gate) -> None:
    gate.grant(grant(messages_per_s=0, message_burst=3))
    gate.grant(grant(account=OTHER, messages_per_s=0, message_burst=3))
    found = [send(gate, sent(1 + number, session=ACCOUNT))[0] for number in range(4)]
    assert found == ["OK"] * 3 + ["MESSAGE_RATE"]
    assert send(gate, sent(9, account=OTHER, session=ACCOUNT)) == ("SESSION_RATE", 0, 1)
    assert send(gate, sent(9, account=OTHER, session=OTHER)) == OK


def test_nobody_trades_under_the_row_of_a_session(gate: Gate) -> None:
    gate.grant(rate(10, 10))
    assert send(gate, sent(1, account=SESSION)) == ("LIMIT_UNSET", None, None)


def test_two_hundred_and_fifty_seventh_session_with_a_rate_has_no_room(gate: Gate) -> None:
    for session in range(1_000, 1_257):
        gate.grant(rate(0, 1, session))
    for session in range(1_000, 1_256):
        assert send(gate, sent(session, session=session)) == OK
    assert send(gate, sent(1, session=1_256)) == ("NO_ROOM", None, None)
    assert send(gate, sent(1, session=1_000)) == ("SESSION_RATE", 0, 1)
    assert send(gate, sent(1, session=0)) == OK


def test_refused_order_takes_no_place_of_a_session(gate: Gate) -> None:
    for session in range(1_000, 1_300):
        gate.grant(rate(0, 0, session))
        assert send(gate, sent(session, session=session)) == ("SESSION_RATE", 0, 1)


def emptied(ledger: Path | None = None) -> NativeGate:
    """A native gate of which the session's bucket of two is empty."""
    gate = NativeGate(ledger)
    gate.put(ROW)
    gate.grant(GRANT)
    gate.grant(rate(1, 2))
    assert [send(gate, sent(number)) for number in (1, 2)] == [OK] * 2
    return gate


def test_bucket_of_a_session_outlives_the_process_that_emptied_it(tmp_path: Path) -> None:
    gate = emptied(tmp_path / "ledger")
    gate.reopen()
    assert send(gate, sent(3), NOW + SECOND_NS - 1) == ("SESSION_RATE", 1, 1)
    assert send(gate, sent(3), NOW + SECOND_NS) == OK
    gate.close()


def test_bucket_of_a_session_is_in_the_snapshot() -> None:
    gate = emptied()
    snapshot = gate.gate.snapshot()
    with _native.Gate(
        gate.table, accounts=SMALL.accounts, positions=SMALL.positions, orders=SMALL.orders, snapshot=snapshot
    ) as loaded:
        assert loaded.snapshot() == snapshot
        route = loaded.route(ACCOUNT, session=SESSION)
        found = [route.submit(1, 9, 0, 1, 1, 0, 1, ROW.ref_price, now_ns).reason for now_ns in (NOW, NOW + SECOND_NS)]
        assert found == [Reason.SESSION_RATE, Reason.OK]
    gate.close()


def test_decision_names_the_rule_of_the_session() -> None:
    assert (_native.REASONS[Reason.SESSION_RATE], _native.RULES[Reason.SESSION_RATE]) == (
        "session_rate",
        "TG-FLOW-SESSION",
    )
    assert _native.RULES[Reason.MESSAGE_RATE] == "TG-FLOW-RATE"


@pytest.mark.parametrize("kind", ["twin", "native"])
@given(seed=st.integers(0, 10**6), orders=st.integers(0, 60), session=st.sampled_from(SESSIONS),
       account=st.sampled_from(ACCOUNTS), per_s=st.integers(0, 30), burst=st.integers(0, 30),
       less=st.tuples(st.integers(0, 30), st.integers(0, 30)))  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_rate_of_a_session_and_a_lower_one_never_turn_a_refusal_into_an_acceptance(
    *, kind: str, seed: int, orders: int, session: int, account: int, per_s: int, burst: int, less: tuple[int, int]
) -> None:
    gate: Gate = TwinGate() if kind == "twin" else NativeGate()
    for step in random_history(seed, orders):
        step.on(gate)
    asked = replace(order(10**9), account=account, session=session)
    said = []
    for row_said in (rate(UNLIMITED, UNLIMITED, session), rate(per_s, burst, session),
                     rate(max(0, per_s - less[0]), max(0, burst - less[1]), session)):  # fmt: skip
        gate.grant(row_said)
        said.append(gate.check(asked, START_NS + 10**10).reason is Reason.OK)
    gate.close()
    assert said == sorted(said, reverse=True)


@given(
    gaps=st.lists(st.integers(0, SECOND_NS), min_size=1, max_size=40), per_s=st.integers(0, 12), burst=st.integers(0, 5)
)
@settings(max_examples=60, deadline=None)
def test_session_never_sends_more_than_its_burst_and_what_its_rate_refills(
    gaps: list[int], per_s: int, burst: int
) -> None:
    gate = TwinGate()
    for step in (*opening(), Step("grant", (rate(per_s, burst),))):
        step.on(gate)
    free, now_ns, times = order(1, account=ACCOUNTS[0], session=SESSION), START_NS, []
    for number, gap_ns in enumerate(gaps, 1):
        now_ns += gap_ns
        if gate.submit(replace(free, order_id=number, qty=1 + number % 7), now_ns).reason is Reason.OK:
            times.append(now_ns)
            gate.closed(ACCOUNTS[0], number)
    for at, since_ns in enumerate(times):
        for count, until_ns in enumerate(times[at:], 1):
            assert count <= burst + (until_ns - since_ns) * per_s / SECOND_NS
