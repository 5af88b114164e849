"""Defects that were seen in other risk engines, each as the smallest case that shows it, on both gates."""

from typing import Any

import pytest

from gate.reference import REDUCE_ONLY, Action, Order, OrderType, Side
from gate.rows import UNLIMITED
from tests.gate.gates import ACCOUNT, CENT, LOT_MICROS, MICROS, NOW, PRICE, Gate, grant, held, order, row

SELL: dict[str, Any] = {"side": Side.SELL}
MARKET: dict[str, Any] = {"order_type": OrderType.MARKET, "price": 0}


def said(gate: Gate, sent: Order) -> str:
    return gate.submit(sent, NOW).reason.name


def test_value_a_hair_above_its_limit_is_seen_where_a_32_bit_float_would_round_it_away(gate: Gate) -> None:
    """400 x 250,000.01 = 100,000,004.00, which a float of 24 bits takes for 100,000,000 or 100,000,008."""
    price = 250_000_010_000_000
    gate.put(row(order_value=100_000_000 * MICROS, ref_price=price, ref_low=price, ref_high=price))
    found = gate.check(order(qty=400, price=price), NOW)
    assert (found.reason.name, found.limit, found.observed) == (
        "MAX_ORDER_VALUE",
        100_000_000 * MICROS,
        100_000_004 * MICROS,
    )
    gate.put(row(order_value=100_000_004 * MICROS, ref_price=price, ref_low=price, ref_high=price))
    assert gate.check(order(qty=400, price=price), NOW).reason.name == "OK"


@pytest.mark.parametrize("terms", [{"ref_price": 0}, {"ref_until_ns": NOW}, {"ref_low": 0}], ids=str)
def test_market_order_without_a_quote_does_not_skip_the_checks_of_value(gate: Gate, terms: dict[str, int]) -> None:
    gate.put(row(order_value=0, **terms))
    assert said(gate, order(qty=10**9, **MARKET)) == "NO_REFERENCE_PRICE"


@pytest.mark.parametrize(("price", "kind", "reason"), [
    (0, OrderType.LIMIT, "INVALID_ORDER"), (0, OrderType.MARKET, "MAX_ORDER_VALUE"), (CENT, OrderType.MARKET, "OK"),
])  # fmt: skip
def test_price_zero_is_not_value_zero(gate: Gate, price: int, kind: OrderType, reason: str) -> None:
    gate.put(row(order_value=LOT_MICROS, band_bps=10))
    assert said(gate, order(qty=2, price=price, order_type=kind)) == reason


@pytest.mark.parametrize(("limits", "grants", "fields", "reason"), [
    ({"order_qty": 5}, {}, {"qty": 6}, "MAX_ORDER_SIZE"), ({"order_value": 5 * LOT_MICROS}, {}, {"qty": 6}, "MAX_ORDER_VALUE"),
    ({"band_bps": 10}, {}, {"price": PRICE + 11 * CENT}, "PRICE_BAND"), ({"long": 5}, {}, {"qty": 6}, "MAX_LONG"),
    ({}, {"gross_value": 5 * LOT_MICROS}, {"qty": 6}, "GROSS_VALUE"),
    ({}, {"period_value": 8 * LOT_MICROS}, {"qty": 5}, "PERIOD_VALUE"),
    ({}, {"messages_per_s": 0, "message_burst": 1}, {}, "MESSAGE_RATE"), ({"halted": True}, {}, {"qty": 1}, "HALTED"),
    ({}, {}, {"order_id": 1}, "DUPLICATE_ORDER"), ({"tick_size": 2 * CENT}, {}, {"price": PRICE + CENT}, "TICK_SIZE"),
    ({}, {}, {"qty": 0}, "INVALID_ORDER"), ({"killed": True}, {}, {}, "KILLED"),
], ids=str)  # fmt: skip
def test_replace_is_judged_like_any_order(
    gate: Gate, limits: dict[str, Any], grants: dict[str, int], fields: dict[str, Any], reason: str
) -> None:
    gate.grant(grant(**grants))
    assert said(gate, order(1, qty=4)) == "OK"
    gate.put(row(**limits))
    assert said(gate, order(**({"order_id": 2, "action": Action.REPLACE, "target_id": 1, "qty": 4} | fields))) == reason


@pytest.mark.parametrize("slices", [(6,), (5, 1), (3, 3), (1, 5), (2, 2, 2)])
def test_reduce_only_orders_together_never_flip_the_position(gate: Gate, slices: tuple[int, ...]) -> None:
    gate.reconcile(ACCOUNT, 1, 5, done=True)
    sent = [order(count, qty=qty, flags=REDUCE_ONLY, **SELL) for count, qty in enumerate(slices, 1)]
    accepted = [one for one in sent if said(gate, one) == "OK"]
    assert sum(one.qty for one in accepted) <= 5
    for one in accepted:
        assert gate.filled(ACCOUNT, one.order_id, qty=one.qty, price=PRICE)
    assert all(position[2] >= 0 for position in held(gate))
    assert said(gate, order(9, qty=5, flags=REDUCE_ONLY)) == "REDUCE_ONLY"


def test_mass_cancel_leaves_no_counter_up(gate: Gate) -> None:
    gate.put(row(long=30, short=30))
    gate.grant(grant(open_orders=30, gross_value=60 * LOT_MICROS, credit=60 * LOT_MICROS, net_value=60 * LOT_MICROS))
    gate.parent(ACCOUNT, 3, 30)
    for day in range(3):
        ids = range(100 * day + 1, 100 * day + 31)
        assert [said(gate, order(i, parent=3)) for i in ids] == ["OK"] * 30
        assert said(gate, order(999, parent=3)) == "PARENT_QTY"
        assert said(gate, order(999)) == "MAX_LONG"
        for order_id in ids:
            assert gate.submit(order(order_id, action=Action.CANCEL, target_id=order_id), NOW).reason.name == "OK"
        for order_id in ids:
            assert gate.closed(ACCOUNT, order_id)
            assert not gate.closed(ACCOUNT, order_id)
        assert (gate.working(), held(gate)) == ([], [])


def test_replaces_that_fail_leave_no_counter_up(gate: Gate) -> None:
    gate.put(row(long=30))
    assert said(gate, order(1, qty=10)) == "OK"
    for order_id in range(2, 60):
        assert said(gate, order(order_id, action=Action.REPLACE, target_id=1, qty=30)) == "OK"
        assert gate.closed(ACCOUNT, order_id)
    assert held(gate)[0][3] == 10
    assert said(gate, order(99, qty=20)) == "OK"


def test_cancel_of_a_partly_filled_order_frees_the_rest_alone(gate: Gate) -> None:
    gate.put(row(long=10))
    assert said(gate, order(1, qty=10)) == "OK"
    assert gate.filled(ACCOUNT, 1, qty=4, price=PRICE)
    assert gate.closed(ACCOUNT, 1)
    assert said(gate, order(2, qty=7)) == "MAX_LONG"
    assert said(gate, order(2, qty=6)) == "OK"


@pytest.mark.parametrize("terms", [{}, {"lot_nano": 2**63 - 1}, {"ref_price": 2**62, "ref_low": 2**62}], ids=str)
def test_largest_numbers_do_not_wrap_into_small_ones(gate: Gate, terms: dict[str, int]) -> None:
    gate.put(row(order_value=UNLIMITED - 1, **terms))
    price = terms.get("ref_price", PRICE) // CENT * CENT
    assert said(gate, order(qty=2**62, price=price)) == "MAX_ORDER_VALUE"


def test_sell_of_nothing_held_is_short_from_the_first_lot(gate: Gate) -> None:
    gate.put(row(short=0))
    assert said(gate, order(**SELL)) == "MAX_SHORT"
    gate.put(row(short=UNLIMITED, needs_locate=True))
    assert said(gate, order(**SELL)) == "SHORT_LOCATE"
