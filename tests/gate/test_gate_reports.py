"""What the venue and people report, and what the gate then knows, on both gates."""

from typing import Any

import pytest

from gate.reference import REDUCE_ONLY, Action, Order, Side, Sizes
from tests.gate.gates import (
    ACCOUNT,
    CENT,
    GRANT,
    NOW,
    OTHER,
    PRICE,
    ROW,
    Gate,
    NativeGate,
    TwinGate,
    grant,
    held,
    order,
    row,
)

SELL: dict[str, Any] = {"side": Side.SELL}
CASH = 10**9  # 1e-18 currency in a lot and a price unit of a plain row
LOT_CASH = PRICE * CASH


def send(gate: Gate, sent: Order, now_ns: int = NOW) -> str:
    return gate.submit(sent, now_ns).reason.name


def replacing(order_id: int, target_id: int, qty: int, **fields: Any) -> Order:
    return order(order_id, action=Action.REPLACE, target_id=target_id, qty=qty, **fields)


def works(gate: Gate) -> dict[int, int]:
    """Open lots by order id."""
    return {entry[1]: entry[8] for entry in gate.working()}


def test_refused_order_leaves_nothing_behind(gate: Gate) -> None:
    gate.put(row(order_qty=5))
    assert send(gate, order(qty=6)) == "MAX_ORDER_SIZE"
    assert (gate.working(), held(gate)) == ([], [])


def test_check_leaves_nothing_behind(gate: Gate) -> None:
    gate.grant(grant(duplicate_ns=10**9, messages_per_s=0, message_burst=1, open_orders=1, repeats_max=1))
    for _ in range(3):
        assert gate.check(order(strategy=5), NOW).reason.name == "OK"
    assert (gate.working(), held(gate)) == ([], [])


def test_accepted_order_works_with_all_its_ids_until_it_is_filled(gate: Gate) -> None:
    scopes = {"trader": 11, "desk": 12, "strategy": 13, "venue": 14, "session": 15}
    assert send(gate, order(1, qty=5, **scopes)) == "OK"
    assert gate.working() == [(ACCOUNT, 1, 11, 12, 13, 14, 15, 1, 5, PRICE, Side.BUY, 0)]
    assert gate.filled(ACCOUNT, 1, qty=2, price=PRICE)
    assert (works(gate), held(gate)) == ({1: 3}, [(ACCOUNT, 1, 2, 3, 0, -2 * LOT_CASH)])
    assert gate.filled(ACCOUNT, 1, qty=3, price=PRICE + 1)
    assert (works(gate), held(gate)) == ({}, [(ACCOUNT, 1, 5, 0, 0, -5 * LOT_CASH - 3 * CASH)])
    assert not gate.filled(ACCOUNT, 1, qty=1, price=PRICE)


def test_sell_brings_cash_and_takes_lots(gate: Gate) -> None:
    assert send(gate, order(1, qty=5, **SELL)) == "OK"
    assert gate.filled(ACCOUNT, 1, qty=2, price=PRICE)
    assert held(gate) == [(ACCOUNT, 1, -2, 0, 3, 2 * LOT_CASH)]


def test_overfill_is_booked_whole_and_closes_the_order(gate: Gate) -> None:
    assert send(gate, order(1, qty=5)) == "OK"
    assert gate.filled(ACCOUNT, 1, qty=8, price=PRICE)
    assert (works(gate), held(gate)) == ({}, [(ACCOUNT, 1, 8, 0, 0, -8 * LOT_CASH)])


@pytest.mark.parametrize(
    ("qty", "price"), [(0, PRICE), (-1, PRICE), (1, 0), (1, -1), (2**62 + 1, PRICE), (1, 2**62 + 1)]
)
def test_report_that_makes_no_sense_books_nothing(gate: Gate, qty: int, price: int) -> None:
    assert send(gate, order(1)) == "OK"
    before = (works(gate), held(gate))
    assert not gate.filled(ACCOUNT, 1, qty=qty, price=price)
    assert not gate.executed(order(2, qty=qty, price=price))
    assert (works(gate), held(gate)) == before


def test_report_of_an_unknown_order_is_false(gate: Gate) -> None:
    assert send(gate, order(1)) == "OK"
    for account, order_id in ((ACCOUNT, 2), (OTHER, 1), (99, 1)):
        assert not gate.filled(account, order_id, qty=1, price=PRICE)
        assert not gate.closed(account, order_id)
        assert not gate.replaced(account, order_id)
    assert not gate.replaced(ACCOUNT, 1)
    assert works(gate) == {1: 1}


def test_closed_order_gives_its_lots_back_once(gate: Gate) -> None:
    assert send(gate, order(1, qty=5)) == "OK"
    assert gate.closed(ACCOUNT, 1)
    assert not gate.closed(ACCOUNT, 1)
    assert (works(gate), held(gate)) == ({}, [])


def test_cancel_books_nothing_until_the_venue_closes(gate: Gate) -> None:
    assert send(gate, order(1, qty=5)) == "OK"
    assert send(gate, order(2, action=Action.CANCEL, target_id=1)) == "OK"
    assert works(gate) == {1: 5}


@pytest.mark.parametrize(("qty", "share"), [(3, 0), (5, 0), (9, 4)])
def test_pending_replace_reserves_its_increase_beside_its_target(gate: Gate, qty: int, share: int) -> None:
    assert send(gate, order(1, qty=5)) == "OK"
    assert send(gate, replacing(2, 1, qty)) == "OK"
    assert (works(gate), held(gate)[0][3]) == ({1: 5, 2: share}, 5 + share)
    assert gate.replaced(ACCOUNT, 2)
    assert (works(gate), held(gate)[0][3]) == ({2: qty}, qty)


def test_refused_replace_leaves_its_target_as_it_was(gate: Gate) -> None:
    assert send(gate, order(1, qty=5)) == "OK"
    assert send(gate, replacing(2, 1, 9)) == "OK"
    assert gate.closed(ACCOUNT, 2)
    assert (works(gate), held(gate)[0][3]) == ({1: 5}, 5)
    assert send(gate, replacing(3, 1, 9)) == "OK"


def test_fills_of_the_target_take_from_its_replace(gate: Gate) -> None:
    assert send(gate, order(1, qty=5)) == "OK"
    assert send(gate, replacing(2, 1, 9)) == "OK"
    assert gate.filled(ACCOUNT, 1, qty=2, price=PRICE)
    assert (works(gate), held(gate)[0][2:4]) == ({1: 3, 2: 4}, (2, 7))
    assert gate.replaced(ACCOUNT, 2)
    assert (works(gate), held(gate)[0][2:4]) == ({2: 7}, (2, 7))


@pytest.mark.parametrize("how", ["filled", "closed"])
def test_replace_stands_alone_when_its_target_is_gone(gate: Gate, how: str) -> None:
    assert send(gate, order(1, qty=5)) == "OK"
    assert send(gate, replacing(2, 1, 9)) == "OK"
    if how == "filled":
        assert gate.filled(ACCOUNT, 1, qty=5, price=PRICE)
    else:
        assert gate.closed(ACCOUNT, 1)
    left = 4 if how == "filled" else 9
    assert (works(gate), held(gate)[0][3]) == ({2: left}, left)
    assert gate.replaced(ACCOUNT, 2)
    assert works(gate) == {2: left}
    assert gate.closed(ACCOUNT, 2)
    assert works(gate) == {}


def test_replace_with_nothing_left_is_gone_when_it_takes_effect(gate: Gate) -> None:
    assert send(gate, order(1, qty=5)) == "OK"
    assert send(gate, replacing(2, 1, 3)) == "OK"
    assert gate.filled(ACCOUNT, 1, qty=4, price=PRICE)
    assert works(gate) == {1: 1, 2: 0}
    assert gate.replaced(ACCOUNT, 2)
    assert (works(gate), held(gate)) == ({}, [(ACCOUNT, 1, 4, 0, 0, -4 * LOT_CASH)])


def test_fill_of_a_pending_replace_says_that_it_took_effect(gate: Gate) -> None:
    assert send(gate, order(1, qty=5)) == "OK"
    assert send(gate, replacing(2, 1, 9)) == "OK"
    assert gate.filled(ACCOUNT, 2, qty=1, price=PRICE)
    assert (works(gate), held(gate)[0][2:4]) == ({2: 8}, (1, 8))


@pytest.mark.parametrize("fields", [
    {"target_id": 9}, {"target_id": 3}, {"target_id": 4}, {"target_id": 1, "instrument_id": 2}, {"target_id": 1, "side": Side.SELL},
    {"target_id": 1, "account": OTHER}, {"target_id": 2},
], ids=str)  # fmt: skip
def test_replace_needs_a_target_that_works_here_and_is_not_being_replaced(gate: Gate, fields: dict[str, Any]) -> None:
    gate.put(row(instrument_id=2))
    assert [send(gate, order(i)) for i in (1, 2, 3)] == ["OK"] * 3
    assert gate.closed(ACCOUNT, 3)
    assert send(gate, replacing(4, 2, 1)) == "OK"
    found = gate.check(order(5, **({"action": Action.REPLACE} | fields)), NOW)
    assert (found.reason.name, found.limit) == ("UNKNOWN_ORDER", None)


def test_replace_can_be_replaced_once_it_took_effect(gate: Gate) -> None:
    assert send(gate, order(1)) == "OK"
    for order_id in (2, 3, 4):
        assert send(gate, replacing(order_id, order_id - 1, order_id)) == "OK"
        assert gate.replaced(ACCOUNT, order_id)
    assert works(gate) == {4: 4}


def test_reduce_only_replace_cannot_flip_by_fills_of_its_target(gate: Gate) -> None:
    gate.reconcile(ACCOUNT, 1, 5, done=True)
    assert send(gate, order(1, qty=3, flags=REDUCE_ONLY, **SELL)) == "OK"
    assert send(gate, replacing(2, 1, 5, flags=REDUCE_ONLY, **SELL)) == "OK"
    assert gate.filled(ACCOUNT, 1, qty=3, price=PRICE)
    assert works(gate) == {2: 2}
    assert gate.filled(ACCOUNT, 2, qty=2, price=PRICE)
    assert held(gate)[0][2] == 0


def test_execution_elsewhere_moves_the_position(gate: Gate) -> None:
    assert gate.executed(order(qty=4))
    assert gate.executed(order(qty=9, **SELL))
    assert held(gate) == [(ACCOUNT, 1, -5, 0, 0, 5 * LOT_CASH)]
    assert not gate.executed(order(side=3))


def test_reconcile_says_what_was_believed(gate: Gate) -> None:
    assert gate.reconcile(ACCOUNT, 1, 7, done=False) == 0
    assert gate.reconcile(ACCOUNT, 1, -3, done=True) == 7
    assert held(gate) == [(ACCOUNT, 1, -3, 0, 0, 0)]


def test_account_torn_by_a_death_is_refused_until_it_is_reconciled() -> None:
    gate = TwinGate()
    gate.put(ROW)
    gate.grant(GRANT)
    gate.tear(ACCOUNT)
    assert send(gate, order()) == "NOT_RECONCILED"
    gate.reconcile(ACCOUNT, 1, 3, done=False)
    assert send(gate, order()) == "NOT_RECONCILED"
    gate.reconcile(ACCOUNT, 1, 3, done=True)
    assert send(gate, order()) == "OK"


@pytest.mark.parametrize(
    "scope", ["account", "trader", "desk", "strategy", "venue", "session", "down", "firm", "instrument"]
)
def test_working_orders_of_what_is_killed_or_down_are_marked(gate: Gate, scope: str) -> None:
    member = ACCOUNT if scope == "account" else 555
    ids = (
        {scope: member} if scope in {"account", "trader", "desk", "strategy", "venue", "session"} else {"session": 555}
    )
    assert send(gate, order(1, **ids)) == "OK"
    assert send(gate, order(1, account=OTHER)) == "OK"
    assert not any(entry[-1] for entry in gate.working())
    if scope == "down":
        gate.session(555, up=False)
    elif scope == "firm":
        gate.kill_firm()
    elif scope == "instrument":
        gate.put(row(killed=True))
    else:
        gate.block(member)
    blocked = {entry[0] for entry in gate.working() if entry[-1]}
    assert blocked == ({ACCOUNT, OTHER} if scope in {"firm", "instrument"} else {ACCOUNT})


def test_session_without_a_name_is_refused(gate: Gate) -> None:
    assert not gate.session(0, up=False)
    assert send(gate, order()) == "OK"


def test_sessions_that_do_not_fit_bring_all_of_them_down(gate: Gate) -> None:
    assert all(gate.session(session, up=False) for session in range(1, 65))
    assert gate.session(64, up=False)
    assert send(gate, order(1, session=99)) == "OK"
    assert not gate.session(65, up=False)
    assert send(gate, order(2, session=99)) == "SESSION_DOWN"
    assert send(gate, order(2)) == "OK"


@pytest.mark.parametrize("kind", ["twin", "native"])
def test_bounds_of_the_ledger_refuse_what_does_not_fit(kind: str) -> None:
    sizes = Sizes(accounts=1, positions=2, orders=3)
    gate: Gate = TwinGate(sizes) if kind == "twin" else NativeGate(sizes=sizes)
    for instrument_id in (1, 2, 3):
        gate.put(row(instrument_id=instrument_id))
    gate.grant(GRANT)
    gate.grant(grant(account=OTHER))
    assert [send(gate, order(i, instrument_id=i)) for i in (1, 2, 3)] == ["OK", "OK", "NO_ROOM"]
    assert send(gate, order(1, account=OTHER)) == "NO_ROOM"
    assert not gate.parent(OTHER, 1, 1)
    assert gate.reconcile(OTHER, 1, 1, done=True) is None
    assert not gate.executed(order(account=OTHER))
    assert send(gate, order(3)) == "OK"
    assert send(gate, order(4)) == "NO_ROOM"
    assert send(gate, order(4, qty=2**62 + 1)) == "INVALID_ORDER"
    assert gate.closed(ACCOUNT, 1)
    assert send(gate, order(4, price=PRICE - CENT)) == "OK"
    gate.close()
