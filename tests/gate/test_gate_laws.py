"""Laws that hold after every history, on both gates."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gate.reference import REDUCE_ONLY, Action, Order, Reason, Side
from gate.reference.limits import LARGER_IS_TIGHTER
from gate.rows import LIMIT_NAMES, UNLIMITED, AccountRow, InstrumentRow, Limits
from tests.gate.gates import CENT, PRICE, Gate, NativeGate, TwinGate, with_column, with_limit
from tests.gate.histories import ACCOUNTS, ENVELOPE, GRANTS, INSTRUMENTS, START_NS, plain_row, random_history

LATER_NS = START_NS + 10**13
KINDS = ["twin", "native"]

orders = st.builds(
    Order, instrument_id=st.sampled_from(INSTRUMENTS), order_id=st.just(10**9), account=st.sampled_from(ACCOUNTS),
    side=st.sampled_from(list(Side)), qty=st.integers(1, 20) | st.integers(1, 120),
    price=st.integers(-25, 25).map(lambda cents: PRICE + cents * CENT),
    order_type=st.just(1), flags=st.sampled_from([0, 0, 0, 0, 0, 1, 2]), strategy=st.sampled_from([0, 501, 502]),
)  # fmt: skip
LOOSEST = Limits(**{name: 0 if name in LARGER_IS_TIGHTER else UNLIMITED for name in LIMIT_NAMES})
histories = st.tuples(st.integers(0, 10**6), st.integers(0, 60))
small = settings(max_examples=80, deadline=None)


def after(kind: str, history: tuple[int, int]) -> Gate:
    """A gate after a random history."""
    gate: Gate = TwinGate() if kind == "twin" else NativeGate()
    for step in random_history(*history):
        step.on(gate)
    gate.kill_firm(killed=False)
    return gate


def tightened(limits: Limits, name: str, by: int) -> Limits:
    value = getattr(limits, name)
    return with_limit(limits, name, value + by if name in LARGER_IS_TIGHTER else max(0, value - by))


@st.composite
def columns(draw: st.DrawFn) -> Limits:
    """A column near the envelope, on either side of it."""
    drawn = {name: max(0, getattr(ENVELOPE, name) * draw(st.integers(50, 300)) // 100) for name in LIMIT_NAMES}
    return Limits(**drawn)


@st.composite
def rows(draw: st.DrawFn, instrument_id: int) -> InstrumentRow:
    drift = draw(st.integers(-20, 20)) * CENT
    return replace(
        plain_row(instrument_id), dynamic=draw(columns()), stale_limits=draw(columns()), stale=draw(st.booleans()),
        halted=draw(st.integers(0, 4)) == 0, ref_price=PRICE + drift,
        ref_low=PRICE + drift - 10 * CENT, ref_high=PRICE + drift + 10 * CENT,
    )  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@given(history=histories, sent=orders, data=st.data())
@small
def test_order_that_the_envelope_alone_refuses_is_never_accepted(
    kind: str, history: tuple[int, int], sent: Order, data: st.DataObject
) -> None:
    gate = after(kind, history)
    row = data.draw(rows(sent.instrument_id))
    gate.put(row)
    accepted = gate.check(sent, LATER_NS).reason is Reason.OK
    gate.put(replace(row, dynamic=row.envelope, stale_limits=row.envelope, stale=False, halted=False))
    alone = gate.check(sent, LATER_NS)
    gate.close()
    assert not accepted or alone.reason is Reason.OK, alone


@pytest.mark.parametrize("kind", KINDS)
@given(history=histories, sent=orders, data=st.data(), name=st.sampled_from(LIMIT_NAMES), by=st.integers(0, 10**9))
@small
def test_tightening_a_limit_never_turns_a_refusal_into_an_acceptance(  # the tidy test counts parameters of the rooms alone
    *, kind: str, history: tuple[int, int], sent: Order, data: st.DataObject, name: str, by: int
) -> None:
    gate = after(kind, history)
    row = replace(data.draw(rows(sent.instrument_id)), halted=False)
    gate.put(row)
    refused = gate.check(sent, LATER_NS).reason is not Reason.OK
    column = data.draw(st.sampled_from(["envelope", "dynamic", "stale_limits"]))
    gate.put(with_column(row, column, tightened(getattr(row, column), name, by)))
    tighter = gate.check(sent, LATER_NS).reason
    gate.close()
    assert not refused or tighter is not Reason.OK


@pytest.mark.parametrize("kind", KINDS)
@given(history=histories, sent=orders, at=st.integers(0, 2), name=st.sampled_from([f.name for f in fields(AccountRow)][1:13]),
       limit=st.integers(0, 10**10))  # fmt: skip
@small
def test_tightening_an_account_never_turns_a_refusal_into_an_acceptance(  # the tidy test counts parameters of the rooms alone
    *, kind: str, history: tuple[int, int], sent: Order, at: int, name: str, limit: int
) -> None:
    gate, granted = after(kind, history), GRANTS[at]
    ours = replace(sent, account=granted.account, flags=0)
    refused = gate.check(ours, LATER_NS).reason is not Reason.OK
    narrower: dict[str, Any] = {name: min(limit, getattr(granted, name))}
    gate.grant(replace(granted, **narrower))
    tighter = gate.check(ours, LATER_NS).reason
    gate.close()
    assert not refused or tighter is not Reason.OK


@pytest.mark.parametrize("kind", KINDS)
@given(history=histories, sent=orders, fields=st.dictionaries(
    st.sampled_from(["instrument_id", "account", "side", "qty", "price", "order_type", "flags", "order_id"]), st.integers(0, 200)
), now_ns=st.integers(-(2**63), 2**63 - 1))  # fmt: skip
@small
def test_cancel_always_passes(
    *, kind: str, history: tuple[int, int], sent: Order, fields: dict[str, Any], now_ns: int
) -> None:
    gate = after(kind, history)
    gate.kill_firm()
    found = gate.submit(replace(sent, action=Action.CANCEL, **fields), now_ns)
    gate.close()
    assert found.reason is Reason.OK


@pytest.mark.parametrize("kind", KINDS)
@given(history=histories, sent=orders, data=st.data())
@small
def test_exit_passes_or_fails_whatever_the_dynamic_column_and_halts_say(
    kind: str, history: tuple[int, int], sent: Order, data: st.DataObject
) -> None:
    gate, leaving = after(kind, history), replace(sent, flags=REDUCE_ONLY)
    row = replace(data.draw(rows(sent.instrument_id)), halted=False)
    gate.put(replace(row, dynamic=LOOSEST))
    free = gate.check(leaving, LATER_NS)
    gate.put(replace(row, halted=True, dynamic=Limits.UNSET))
    halted = gate.check(leaving, LATER_NS)
    gate.close()
    assert halted == free


@pytest.mark.parametrize("kind", KINDS)
@given(history=histories, data=st.data())
@small
def test_reduce_only_orders_never_flip_a_position_even_when_all_of_them_trade(
    kind: str, history: tuple[int, int], data: st.DataObject
) -> None:
    gate = after(kind, history)
    account, instrument_id = ACCOUNTS[1], 2
    gate.put(plain_row(instrument_id))
    before = {key[:2]: key for key in gate.positions()}.get((account, instrument_id), (0, 0, 0, 0, 0, 0))
    side = Side.SELL if before[2] > 0 else Side.BUY
    reduces = before[4] if side == Side.SELL else before[3]
    for number in range(6):
        sent = data.draw(orders)
        mine = replace(
            sent, account=account, instrument_id=instrument_id, side=side, order_id=10**9 + number, flags=REDUCE_ONLY
        )
        if gate.submit(mine, LATER_NS + number).reason is Reason.OK:
            reduces += mine.qty
            assert reduces <= abs(before[2])
    gate.close()


@given(history=histories, sent=orders)
@small
def test_check_and_refusal_change_nothing_in_the_twin(history: tuple[int, int], sent: Order) -> None:
    gate = after("twin", history)
    assert isinstance(gate, TwinGate)
    ledger = deepcopy(gate.ledger)
    checked = gate.check(sent, LATER_NS)
    assert gate.ledger == ledger
    assert gate.submit(sent, LATER_NS) == checked
    if checked.reason not in {Reason.OK, Reason.REPEATED_EXECUTION}:
        assert gate.ledger == ledger


@pytest.mark.parametrize("kind", KINDS)
@given(history=histories)
@small
def test_what_works_is_the_sum_of_the_working_orders(kind: str, history: tuple[int, int]) -> None:
    gate = after(kind, history)
    works: dict[tuple[int, int], list[int]] = {}
    for entry in gate.working():
        works.setdefault((entry[0], entry[7]), [0, 0])[entry[10] - 1] += entry[8]
    held = {position[:2]: list(position[3:5]) for position in gate.positions() if any(position[3:5])}
    gate.close()
    assert held == {key: lots for key, lots in works.items() if any(lots)}


@pytest.mark.parametrize("kind", KINDS)
@given(seed=st.integers(0, 10**6))
@settings(max_examples=10, deadline=None)
def test_gate_with_every_order_closed_holds_positions_alone(kind: str, seed: int) -> None:
    gate = after(kind, (seed, 150))
    for _ in range(2):
        for entry in gate.working():
            gate.closed(entry[0], entry[1])
    assert gate.working() == []
    assert not any(any(position[3:5]) for position in gate.positions())
    gate.close()


def test_history_is_the_same_for_the_same_seed() -> None:
    def said(seed: int) -> Iterator[str]:
        return map(repr, random_history(seed, 50))

    assert list(said(3)) == list(said(3))
    assert list(said(3)) != list(said(4))
