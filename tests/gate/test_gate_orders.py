"""Questions that need no history, each at its boundary, on both gates: scopes, rows, limits in force, quantity, price."""

from dataclasses import replace
from typing import Any

import pytest

from gate.reference import POST_ONLY, REDUCE_ONLY, Action, Decision, Order, OrderType, Reason, Side, Verdict
from gate.rows import BPS_MAX, LIMIT_NAMES, TICKS_MAX, UNLIMITED, Limits
from tests.gate.gates import (
    ACCOUNT,
    CENT,
    FREE,
    LOT_MICROS,
    MICROS,
    NOW,
    OTHER,
    PRICE,
    ROW,
    Gate,
    grant,
    order,
    row,
    with_column,
    with_limit,
)

INT64_MAX = 2**63 - 1
MARKET: dict[str, Any] = {"order_type": OrderType.MARKET, "price": 0}
SELL: dict[str, Any] = {"side": Side.SELL}


def numbers(decision: Decision) -> tuple[str, int | None, int | None]:
    return decision.reason.name, decision.limit, decision.observed


OK = ("OK", None, None)


@pytest.mark.parametrize("fields", [
    {"action": 3}, {"action": 255}, {"side": 0}, {"side": 3}, {"order_type": 0}, {"order_type": 3}, {"flags": 4}, {"flags": 255},
    {"qty": 0}, {"qty": -1}, {"qty": 2**62 + 1}, {"qty": INT64_MAX}, {"price": 0}, {"price": -1}, {"price": 2**62 + 1},
    {"order_id": 0}, {"account": 0}, {"action": Action.REPLACE}, MARKET | {"flags": POST_ONLY}, MARKET | {"price": -CENT},
    MARKET | {"flags": POST_ONLY | REDUCE_ONLY},
], ids=str)  # fmt: skip
def test_order_that_makes_no_sense_is_invalid_even_when_all_is_killed(gate: Gate, fields: dict[str, Any]) -> None:
    gate.kill_firm()
    assert numbers(gate.check(order(**fields), NOW)) == ("INVALID_ORDER", None, None)


@pytest.mark.parametrize(
    "fields", [{}, {"qty": 0}, {"instrument_id": 99}, {"account": 0}, {"flags": 9}, {"side": 7}], ids=str
)
def test_cancel_passes_whatever_else_is_wrong(gate: Gate, fields: dict[str, Any]) -> None:
    gate.kill_firm()
    gate.put(replace(ROW, killed=True, halted=True, restricted=True, stale=True, envelope=Limits.UNSET))
    assert gate.submit(order(action=Action.CANCEL, **fields), -1) == Decision(Reason.OK, Verdict.ACCEPT)
    assert not gate.working()


@pytest.mark.parametrize("scope", ["account", "trader", "desk", "strategy", "venue", "session"])
def test_killed_scope_blocks_its_orders_and_no_others(gate: Gate, scope: str) -> None:
    sent = order(**{scope: ACCOUNT if scope == "account" else 555})
    gate.block(ACCOUNT if scope == "account" else 555)
    assert numbers(gate.check(sent, NOW)) == ("KILLED", None, None)
    assert numbers(gate.check(order(account=OTHER), NOW)) == OK
    gate.block(ACCOUNT if scope == "account" else 555, blocked=False)
    assert numbers(gate.check(sent, NOW)) == OK


def test_killed_firm_blocks_until_it_is_released(gate: Gate) -> None:
    gate.kill_firm()
    assert numbers(gate.check(order(), NOW)) == ("KILLED", None, None)
    gate.kill_firm(killed=False)
    assert numbers(gate.check(order(), NOW)) == OK


def test_row_that_is_missing_killed_or_restricted_blocks_in_that_order(gate: Gate) -> None:
    assert numbers(gate.check(order(instrument_id=2), NOW))[0] == "UNKNOWN_INSTRUMENT"
    gate.put(row(killed=True, restricted=True))
    assert numbers(gate.check(order(), NOW))[0] == "KILLED"
    gate.put(row(restricted=True))
    assert numbers(gate.check(order(), NOW))[0] == "RESTRICTED"


def test_instrument_restricted_for_one_customer_blocks_that_customer(gate: Gate) -> None:
    gate.block((ACCOUNT, 1))
    assert numbers(gate.check(order(), NOW))[0] == "RESTRICTED"
    assert numbers(gate.check(order(account=OTHER), NOW)) == OK


def test_account_without_a_row_is_unknown(gate: Gate) -> None:
    assert numbers(gate.check(order(account=99), NOW))[0] == "UNKNOWN_ACCOUNT"


@pytest.mark.parametrize("limit", [
    "gross_value", "net_value", "instrument_value", "credit", "day_loss", "drawdown", "period_value", "basket_value",
    "open_orders", "messages_per_s", "message_burst", "repeats_max", "period_ns", "duplicate_ns",
])  # fmt: skip
def test_account_limit_that_nobody_set_blocks(gate: Gate, limit: str) -> None:
    gate.grant(grant(**{limit: None}))
    assert numbers(gate.check(order(), NOW)) == ("LIMIT_UNSET", None, None)


@pytest.mark.parametrize("class_id", [0, 1, 62, 63])
def test_class_needs_its_bit(gate: Gate, class_id: int) -> None:
    gate.put(row(class_id=class_id))
    gate.grant(grant(class_mask=2**64 - 1 - 2**class_id))
    assert numbers(gate.check(order(), NOW)) == ("NOT_PERMITTED", None, None)
    gate.grant(grant(class_mask=2**class_id))
    assert numbers(gate.check(order(), NOW)) == OK


def test_session_that_is_down_blocks_its_orders(gate: Gate) -> None:
    assert gate.session(9, up=False)
    assert numbers(gate.check(order(session=9), NOW))[0] == "SESSION_DOWN"
    assert numbers(gate.check(order(session=8), NOW)) == OK
    assert numbers(gate.check(order(), NOW)) == OK
    assert gate.session(9, up=True)
    assert numbers(gate.check(order(session=9), NOW)) == OK


COLUMNS = ("envelope", "dynamic", "stale_limits")


@pytest.mark.parametrize("name", LIMIT_NAMES)
@pytest.mark.parametrize("column", COLUMNS)
def test_limit_that_nobody_set_blocks_where_its_column_is_needed(gate: Gate, column: str, name: str) -> None:
    gate.put(with_column(ROW, column, with_limit(FREE, name, None)))
    fresh = gate.check(order(), NOW)
    assert numbers(fresh) == (OK if column == "stale_limits" else ("LIMIT_UNSET", None, None))
    assert not fresh.stale
    gate.put(with_column(row(stale=True), column, with_limit(FREE, name, None)))
    expired = gate.check(order(), NOW)
    assert numbers(expired) == (OK if column == "dynamic" else ("LIMIT_UNSET", None, None))
    assert expired.stale


@pytest.mark.parametrize("term", ["tick_size", "lot_nano", "qty_min", "qty_step"])
def test_instrument_term_that_nobody_set_blocks(gate: Gate, term: str) -> None:
    gate.put(row(**{term: 0}))
    assert numbers(gate.check(order(), NOW)) == ("LIMIT_UNSET", None, None)


@pytest.mark.parametrize(("column", "stale", "exits", "binds"), [
    ("envelope", False, False, True), ("envelope", True, False, True), ("envelope", False, True, True),
    ("envelope", True, True, True), ("dynamic", False, False, True), ("dynamic", True, False, True),
    ("dynamic", False, True, False), ("dynamic", True, True, False), ("stale_limits", False, False, False),
    ("stale_limits", True, False, True), ("stale_limits", False, True, False), ("stale_limits", True, True, True),
])  # fmt: skip
def test_column_binds_where_it_is_in_force(gate: Gate, column: str, *, stale: bool, exits: bool, binds: bool) -> None:
    gate.reconcile(ACCOUNT, 1, -10, done=True)
    gate.put(with_column(row(stale=stale), column, replace(FREE, order_qty=4)))
    sent = order(qty=5, flags=REDUCE_ONLY if exits else 0)
    assert numbers(gate.check(sent, NOW)) == (("MAX_ORDER_SIZE", 4, 5) if binds else OK)


@pytest.mark.parametrize(
    ("valid_until_ns", "now_ns", "stale"), [(NOW + 1, NOW, False), (NOW, NOW, True), (0, NOW, True)]
)
def test_row_is_stale_from_its_expiry_on(gate: Gate, valid_until_ns: int, now_ns: int, *, stale: bool) -> None:
    gate.put(row(valid_until_ns=valid_until_ns))
    assert gate.check(order(), now_ns).stale is stale


@pytest.mark.parametrize(("silent_ns", "stale"), [(99, False), (100, False), (101, True)])
def test_silent_writer_makes_every_row_stale(gate: Gate, silent_ns: int, *, stale: bool) -> None:
    gate.heartbeat(NOW - silent_ns, 100)
    assert gate.check(order(), NOW).stale is stale


@pytest.mark.parametrize("now_ns", [0, -1, -(2**63)])
def test_broken_clock_is_stale_and_has_no_reference(gate: Gate, now_ns: int) -> None:
    found = gate.check(order(), now_ns)
    assert (numbers(found), found.stale) == (("NO_REFERENCE_PRICE", None, None), True)


def test_halt_blocks_all_but_exits(gate: Gate) -> None:
    gate.reconcile(ACCOUNT, 1, 5, done=True)
    gate.put(row(halted=True))
    assert numbers(gate.check(order(**SELL), NOW)) == ("HALTED", None, None)
    assert numbers(gate.check(order(flags=REDUCE_ONLY, **SELL), NOW)) == OK


@pytest.mark.parametrize(("terms", "qty", "want"), [
    ({"qty_min": 5}, 4, ("QTY_STEP", 5, 4)), ({"qty_min": 5}, 5, OK), ({"qty_step": 5}, 5, OK),
    ({"qty_step": 5}, 6, ("QTY_STEP", 5, 6)), ({"qty_min": 5, "qty_step": 2}, 3, ("QTY_STEP", 5, 3)),
    ({"order_qty": 9}, 8, OK), ({"order_qty": 9}, 9, OK), ({"order_qty": 9}, 10, ("MAX_ORDER_SIZE", 9, 10)),
    ({"order_qty": 0}, 1, ("MAX_ORDER_SIZE", 0, 1)), ({"order_qty": 2**62}, 2**62, OK), ({}, 2**62, OK),
    ({"order_qty": 2**62 - 1}, 2**62, ("MAX_ORDER_SIZE", 2**62 - 1, 2**62)),
    ({"order_value": 3 * LOT_MICROS}, 3, OK), ({"order_value": 3 * LOT_MICROS}, 2, OK),
    ({"order_value": 3 * LOT_MICROS - 1}, 3, ("MAX_ORDER_VALUE", 3 * LOT_MICROS - 1, 3 * LOT_MICROS)),
    ({"order_value": 0}, 1, ("MAX_ORDER_VALUE", 0, LOT_MICROS)),
    ({"order_value": UNLIMITED - 1}, 2**62, ("MAX_ORDER_VALUE", UNLIMITED - 1, INT64_MAX)),
    ({"order_value": UNLIMITED, "lot_nano": INT64_MAX}, 2**62, OK),
    ({"order_value": 0, "lot_nano": 1}, 1, ("MAX_ORDER_VALUE", 0, 1)),
], ids=str)  # fmt: skip
def test_quantity_and_value_at_their_limits(
    gate: Gate, terms: dict[str, int], qty: int, want: tuple[str, int | None, int | None]
) -> None:
    gate.put(row(**terms))
    assert numbers(gate.check(order(qty=qty), NOW)) == want


@pytest.mark.parametrize(("fields", "want"), [
    ({"price": PRICE + 1}, ("TICK_SIZE", CENT, PRICE + 1)), ({"price": PRICE - CENT + 1}, ("TICK_SIZE", CENT, PRICE - CENT + 1)),
    (MARKET | {"price": CENT - 1}, ("TICK_SIZE", CENT, CENT - 1)), (MARKET, OK),
], ids=str)  # fmt: skip
def test_price_stands_on_a_tick(gate: Gate, fields: dict[str, Any], want: tuple[str, int | None, int | None]) -> None:
    assert numbers(gate.check(order(**fields), NOW)) == want


@pytest.mark.parametrize(
    "sent", [order(), order(**SELL), order(**MARKET), order(**SELL, **MARKET)], ids=["b", "s", "mb", "ms"]
)
@pytest.mark.parametrize(
    "terms", [{"ref_price": 0}, {"ref_price": -1}, {"ref_until_ns": NOW}, {"ref_until_ns": 0}], ids=str
)
def test_nothing_is_judged_without_a_reference_price(gate: Gate, terms: dict[str, int], sent: Order) -> None:
    gate.put(row(**terms))
    assert numbers(gate.check(sent, NOW)) == ("NO_REFERENCE_PRICE", None, None)


@pytest.mark.parametrize("price", [0, PRICE])
def test_extreme_of_the_period_is_needed_on_its_side_alone(gate: Gate, price: int) -> None:
    fields = MARKET | {"price": price}
    gate.put(row(ref_low=0))
    assert numbers(gate.check(order(**fields), NOW))[0] == "NO_REFERENCE_PRICE"
    assert numbers(gate.check(order(**fields, **SELL), NOW)) == OK
    gate.put(row(ref_high=0))
    assert numbers(gate.check(order(**fields), NOW)) == OK
    assert numbers(gate.check(order(**fields, **SELL), NOW))[0] == "NO_REFERENCE_PRICE"


@pytest.mark.parametrize("order_type", [OrderType.LIMIT, OrderType.MARKET])
@pytest.mark.parametrize(("terms", "cents", "want"), [
    ({"band_bps": 50}, 49, OK), ({"band_bps": 50}, 50, OK), ({"band_bps": 50}, 51, ("PRICE_BAND", 50, 51)),
    ({"band_bps": 0}, 0, OK), ({"band_bps": 0}, 1, ("PRICE_BAND", 0, 1)), ({"band_bps": 0}, -3000, OK),
    ({"band_ticks": 7}, 6, OK), ({"band_ticks": 7}, 7, OK), ({"band_ticks": 7}, 8, ("PRICE_BAND_TICKS", 7, 8)),
    ({"band_ticks": 0}, -1, OK), ({"period_band_bps": 30}, 29, OK), ({"period_band_bps": 30}, 30, OK),
    ({"period_band_bps": 30}, 31, ("PERIOD_BAND", 30, 31)), ({"band_bps": 5, "band_ticks": 5}, 6, ("PRICE_BAND", 5, 6)),
    ({"period_band_bps": 5, "band_ticks": 5}, 6, ("PRICE_BAND_TICKS", 5, 6)),
], ids=str)  # fmt: skip
@pytest.mark.parametrize("side", [Side.BUY, Side.SELL])
def test_price_beyond_the_reference_at_its_limits(
    *,
    gate: Gate,
    side: Side,
    order_type: OrderType,
    terms: dict[str, int],
    cents: int,
    want: tuple[str, int | None, int | None],
) -> None:
    gate.put(row(**terms))
    price = PRICE + (cents if side == Side.BUY else -cents) * CENT
    found = gate.check(order(side=side, order_type=order_type, price=price), NOW)
    assert numbers(found) == want
    assert found.worst_price == (price if order_type == OrderType.MARKET and want == OK else 0)


def test_period_band_is_measured_from_the_low_for_buys_and_from_the_high_for_sells(gate: Gate) -> None:
    gate.put(row(ref_low=PRICE // 2, ref_high=2 * PRICE, period_band_bps=9_999))
    assert numbers(gate.check(order(price=PRICE), NOW)) == ("PERIOD_BAND", 9_999, 10_000)
    gate.put(row(ref_low=PRICE // 2, ref_high=2 * PRICE, period_band_bps=4_999))
    assert numbers(gate.check(order(price=PRICE, **SELL), NOW)) == ("PERIOD_BAND", 4_999, 5_000)


@pytest.mark.parametrize(("offset", "cents", "want"), [
    (10, 11, OK), (10, 10, OK), (10, 9, ("QUOTE_OFFSET", 10, 9)), (0, 0, OK), (0, -1, ("QUOTE_OFFSET", 0, -1)),
])  # fmt: skip
@pytest.mark.parametrize("side", [Side.BUY, Side.SELL])
def test_post_only_order_stands_behind_the_reference(
    gate: Gate, side: Side, offset: int, cents: int, want: tuple[str, int | None, int | None]
) -> None:
    gate.put(row(quote_offset_bps=offset))
    price = PRICE - (cents if side == Side.BUY else -cents) * CENT
    assert numbers(gate.check(order(side=side, price=price, flags=POST_ONLY), NOW)) == want
    assert numbers(gate.check(order(side=side, price=price), NOW)) == OK


@pytest.mark.parametrize(("terms", "buy", "sell"), [
    ({"band_bps": 10}, PRICE + 10 * CENT, PRICE - 10 * CENT),
    ({"band_ticks": 3}, PRICE + 3 * CENT, PRICE - 3 * CENT),
    ({"period_band_bps": 7}, PRICE + 7 * CENT, PRICE - 7 * CENT),
    ({"band_bps": 10, "tick_size": 3 * CENT}, PRICE - CENT + 9 * CENT, PRICE - CENT + 3 * CENT - 12 * CENT),
    ({"band_bps": BPS_MAX, "band_ticks": TICKS_MAX}, PRICE * (10_000 + BPS_MAX) // 10_000, CENT),
], ids=str)  # fmt: skip
def test_market_order_gets_the_worst_price_that_no_bound_forbids(
    gate: Gate, terms: dict[str, int], buy: int, sell: int
) -> None:
    gate.put(row(**terms))
    ticks = terms.get("tick_size", CENT)
    found = gate.check(order(**MARKET), NOW).worst_price, gate.check(order(**MARKET, **SELL), NOW).worst_price
    bound = PRICE + terms.get("band_ticks", TICKS_MAX) * ticks
    assert found == (min(buy, bound) // ticks * ticks, sell)


def test_market_order_with_no_tick_inside_its_bounds_is_refused(gate: Gate) -> None:
    gate.put(row(tick_size=3 * PRICE, band_bps=10))
    assert numbers(gate.check(order(**MARKET), NOW)) == ("PRICE_BAND", None, None)


def test_value_of_a_market_order_is_judged_at_its_worst_price(gate: Gate) -> None:
    gate.put(row(band_bps=100, order_value=101 * MICROS))
    assert numbers(gate.check(order(**MARKET), NOW)) == OK
    gate.put(row(band_bps=100, order_value=101 * MICROS - 1))
    assert numbers(gate.check(order(**MARKET), NOW)) == ("MAX_ORDER_VALUE", 101 * MICROS - 1, 101 * MICROS)


@pytest.mark.parametrize(("terms", "qty", "reason", "warned"), [
    ({"warn_permille": 500}, 50, "OK", False), ({"warn_permille": 500}, 51, "OK", True),
    ({"pend_permille": 800}, 80, "OK", False), ({"pend_permille": 800}, 81, "NEEDS_APPROVAL", False),
    ({"pend_permille": 800, "warn_permille": 500}, 80, "OK", True), ({"pend_permille": 0}, 1, "NEEDS_APPROVAL", False),
    ({"warn_permille": 1000, "pend_permille": 1000}, 100, "OK", False),
], ids=str)  # fmt: skip
@pytest.mark.parametrize("limit", ["order_qty", "order_value"])
def test_large_order_is_warned_of_or_waits(  # the tidy test counts parameters of the rooms alone
    gate: Gate, limit: str, terms: dict[str, int], qty: int, reason: str, *, warned: bool
) -> None:
    unit = 1 if limit == "order_qty" else LOT_MICROS
    gate.put(row(**{limit: 100 * unit}, **terms))
    found = gate.check(order(qty=qty), NOW)
    assert (found.reason.name, found.warned) == (reason, warned)
    if reason != "OK":
        assert (found.verdict, found.limit, found.observed) == (Verdict.PEND, 100 * unit, qty * unit)


@pytest.mark.parametrize(("until_ns", "reason"), [(NOW, "NEEDS_APPROVAL"), (NOW + 1, "OK")])
def test_approved_order_passes_until_the_approval_ends(gate: Gate, until_ns: int, reason: str) -> None:
    gate.put(row(order_qty=100, pend_permille=500))
    gate.approve(1, until_ns)
    assert gate.check(order(qty=60), NOW).reason.name == reason
    assert gate.check(order(2, qty=60), NOW).reason.name == "NEEDS_APPROVAL"


def test_both_gates_say_the_same_reasons() -> None:
    from gate import _native

    assert [reason.name.lower() for reason in Reason] == list(_native.REASONS)
