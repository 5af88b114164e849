"""Questions about what the account would hold, each at its boundary, on both gates."""

from dataclasses import replace
from typing import Any

import pytest

from gate.reference import FIRM, REDUCE_ONLY, Action, Order, OrderType, Side
from gate.rows import UNLIMITED, AccountRow
from tests.gate.gates import ACCOUNT, CENT, LOT_MICROS, MICROS, NOW, OTHER, PRICE, ROW, Gate, grant, held, order, row

SELL: dict[str, Any] = {"side": Side.SELL}
INT64_MAX = 2**63 - 1
OK = ("OK", None, None)
Numbers = tuple[str, int | None, int | None]
FIRM_ROW = AccountRow(FIRM, gross_value=UNLIMITED)


def ask(gate: Gate, sent: Order, now_ns: int = NOW) -> Numbers:
    found = gate.check(sent, now_ns)
    return found.reason.name, found.limit, found.observed


def send(gate: Gate, sent: Order, now_ns: int = NOW) -> Numbers:
    checked, found = gate.check(sent, now_ns), gate.submit(sent, now_ns)
    assert checked == found
    return found.reason.name, found.limit, found.observed


@pytest.mark.parametrize(("side", "name", "limit"), [(Side.BUY, "MAX_LONG", "long"), (Side.SELL, "MAX_SHORT", "short")])
def test_position_and_working_orders_count_on_their_side(gate: Gate, side: Side, name: str, limit: str) -> None:
    gate.put(row(**{limit: 10}))
    sign = 1 if side == Side.BUY else -1
    gate.reconcile(ACCOUNT, 1, 4 * sign, done=True)
    assert send(gate, order(1, side=side, qty=3)) == OK
    assert ask(gate, order(2, side=side, qty=2)) == OK
    assert ask(gate, order(2, side=side, qty=3)) == OK
    assert ask(gate, order(2, side=side, qty=4)) == (name, 10, 11)
    assert gate.filled(ACCOUNT, 1, qty=1, price=PRICE)
    assert ask(gate, order(2, side=side, qty=4)) == (name, 10, 11)
    assert gate.closed(ACCOUNT, 1)
    assert ask(gate, order(2, side=side, qty=6)) == (name, 10, 11)
    assert ask(gate, order(2, side=side, qty=5)) == OK


@pytest.mark.parametrize("side", [Side.BUY, Side.SELL])
def test_orders_of_the_other_side_give_no_room(gate: Gate, side: Side) -> None:
    gate.put(row(long=10, short=10))
    other = Side.SELL if side == Side.BUY else Side.BUY
    away = PRICE + (CENT if other == Side.SELL else -CENT)
    assert send(gate, order(1, side=other, qty=10, price=away)) == OK
    assert ask(gate, order(2, side=side, qty=11))[1:] == (10, 11)
    assert ask(gate, order(2, side=side, qty=10)) == OK


@pytest.mark.parametrize(("qty", "want"), [(3, OK), (10, OK), (11, ("MAX_LONG", 10, 11))])
def test_replace_counts_no_less_than_its_target(gate: Gate, qty: int, want: Numbers) -> None:
    gate.put(row(long=10))
    assert send(gate, order(1, qty=5)) == OK
    assert send(gate, order(2, qty=qty, action=Action.REPLACE, target_id=1)) == want
    if want == OK:
        assert held(gate)[0][3] == max(5, qty)


def test_largest_quantities_are_added_without_overflow(gate: Gate) -> None:
    assert send(gate, order(1, qty=2**62)) == OK
    assert send(gate, order(2)) == ("MAX_LONG", 2**62, 2**62 + 1)
    assert send(gate, order(3, qty=2**62)) == ("MAX_LONG", 2**62, INT64_MAX)
    assert gate.filled(ACCOUNT, 1, qty=2**62, price=2**62)
    assert gate.executed(order(9, qty=2**62))
    assert held(gate)[0][2] == 2**62
    assert send(gate, order(4))[0] == "MAX_LONG"


@pytest.mark.parametrize(("position", "working", "qty", "want"), [
    (5, 0, 5, OK), (5, 0, 6, ("REDUCE_ONLY", 5, 6)), (5, 2, 3, OK), (5, 2, 4, ("REDUCE_ONLY", 3, 4)),
    (0, 0, 1, ("REDUCE_ONLY", 0, 1)), (-5, 0, 1, ("REDUCE_ONLY", 0, 1)), (5, 5, 1, ("REDUCE_ONLY", 0, 1)),
    (5, 9, 1, ("REDUCE_ONLY", 0, 1)),
])  # fmt: skip
@pytest.mark.parametrize("side", [Side.SELL, Side.BUY])
def test_reduce_only_order_brings_the_position_to_zero_at_most(
    *, gate: Gate, side: Side, position: int, working: int, qty: int, want: Numbers
) -> None:
    gate.reconcile(ACCOUNT, 1, position if side == Side.SELL else -position, done=True)
    if working:
        assert send(gate, order(1, side=side, qty=working)) == OK
    assert ask(gate, order(2, side=side, qty=qty, flags=REDUCE_ONLY)) == want


def test_reduce_only_replace_leaves_its_target_aside(gate: Gate) -> None:
    gate.reconcile(ACCOUNT, 1, 5, done=True)
    assert send(gate, order(1, qty=5, flags=REDUCE_ONLY, **SELL)) == OK
    swap = {"action": Action.REPLACE, "target_id": 1, "flags": REDUCE_ONLY} | SELL
    assert ask(gate, order(2, qty=6, **swap)) == ("REDUCE_ONLY", 5, 6)
    assert send(gate, order(2, qty=5, **swap)) == OK


def test_exit_passes_what_is_asked_of_how_much_is_held(gate: Gate) -> None:
    gate.reconcile(ACCOUNT, 1, 5, done=True)
    gate.put(row(short=0, long=0, halted=True, needs_locate=True))
    zero = dict.fromkeys(
        ("gross_value", "net_value", "instrument_value", "credit", "day_loss", "drawdown", "open_orders"), 0
    )
    gate.grant(grant(**zero))
    gate.grant(replace(FIRM_ROW, gross_value=0))
    assert send(gate, order(1, qty=5, flags=REDUCE_ONLY, **SELL)) == OK


@pytest.mark.parametrize(("located", "position", "qty", "want"), [
    (None, 0, 1, ("SHORT_LOCATE", 0, 1)), (None, 3, 3, OK), (None, 3, 4, ("SHORT_LOCATE", 0, 1)), (5, 0, 5, OK),
    (5, 0, 6, ("SHORT_LOCATE", 5, 6)), (5, -2, 3, OK), (5, -2, 4, ("SHORT_LOCATE", 5, 6)),
])  # fmt: skip
def test_short_position_needs_a_locate(  # the tidy test counts parameters of the rooms alone
    gate: Gate, located: int | None, position: int, qty: int, want: Numbers
) -> None:
    gate.put(row(needs_locate=True))
    gate.reconcile(ACCOUNT, 1, position, done=True)
    if located is not None:
        gate.locate(ACCOUNT, 1, lots=located)
    assert ask(gate, order(qty=qty, **SELL)) == want
    assert ask(gate, order(qty=qty)) == OK


@pytest.mark.parametrize(("side", "rests", "cents", "meets"), [
    (Side.BUY, 5, 4, False), (Side.BUY, 5, 5, True), (Side.BUY, 5, 6, True), (Side.SELL, -5, -4, False), (Side.SELL, -5, -5, True),
    (Side.SELL, -5, -6, True),
])  # fmt: skip
@pytest.mark.parametrize("order_type", [OrderType.LIMIT, OrderType.MARKET])
def test_order_that_would_meet_one_of_the_accounts_own_is_refused(  # the tidy test counts parameters of the rooms alone
    gate: Gate, side: Side, rests: int, cents: int, order_type: OrderType, *, meets: bool
) -> None:
    other = Side.SELL if side == Side.BUY else Side.BUY
    best, price = PRICE + rests * CENT, PRICE + cents * CENT
    worse = best + (CENT if other == Side.SELL else -CENT)
    assert send(gate, order(1, side=other, price=worse)) == OK
    assert send(gate, order(2, side=other, price=best)) == OK
    sent = order(3, side=side, price=price, order_type=order_type)
    assert ask(gate, sent) == (("SELF_MATCH", best, price) if meets else OK)
    assert ask(gate, replace(sent, account=OTHER)) == OK
    assert gate.closed(ACCOUNT, 2)
    assert ask(gate, sent)[0] == ("SELF_MATCH" if cents in {6, -6} else "OK")


def test_unpriced_market_order_meets_at_its_worst_price(gate: Gate) -> None:
    gate.put(row(band_bps=10))
    assert send(gate, order(1, price=PRICE + 10 * CENT, **SELL)) == OK
    market = order(2, order_type=OrderType.MARKET, price=0)
    assert ask(gate, market) == ("SELF_MATCH", PRICE + 10 * CENT, PRICE + 10 * CENT)


@pytest.mark.parametrize(
    ("limit", "want"), [(4, OK), (3, OK), (2, ("OPEN_ORDERS", 2, 3)), (0, ("OPEN_ORDERS", 0, 3)), (UNLIMITED, OK)]
)
def test_working_orders_are_counted(gate: Gate, limit: int, want: Numbers) -> None:
    assert [send(gate, order(i)) for i in (1, 2)] == [OK, OK]
    gate.grant(grant(open_orders=limit))
    assert ask(gate, order(3)) == want
    assert ask(gate, order(3, action=Action.REPLACE, target_id=1)) == OK
    assert ask(gate, order(3, account=OTHER)) == OK


@pytest.mark.parametrize("side", [Side.BUY, Side.SELL])
@pytest.mark.parametrize(("limit", "reason"), [
    ("instrument_value", "CONCENTRATION"), ("gross_value", "GROSS_VALUE"), ("net_value", "NET_VALUE"), ("credit", "CREDIT"),
    ("firm", "FIRM_VALUE"),
])  # fmt: skip
def test_value_of_position_and_working_orders_at_its_limit(gate: Gate, limit: str, reason: str, side: Side) -> None:
    gate.reconcile(ACCOUNT, 1, 2 if side == Side.BUY else -2, done=True)
    assert send(gate, order(1, side=side, qty=3)) == OK
    other = Side.SELL if side == Side.BUY else Side.BUY
    assert send(gate, order(2, side=other, qty=4, price=PRICE + (CENT if other == Side.SELL else -CENT))) == OK
    if limit == "firm":
        gate.grant(replace(FIRM_ROW, gross_value=6 * LOT_MICROS + 10))
    else:
        gate.grant(grant(**{limit: 6 * LOT_MICROS}))
    assert ask(gate, order(3, side=side)) == OK
    found = ask(gate, order(3, side=side, qty=2))
    assert found[0] == reason
    assert found[2] is not None
    assert 0 <= found[2] - 7 * LOT_MICROS <= (10 if limit == "firm" else 0)
    if limit != "firm":
        gate.grant(grant(**{limit: 6 * LOT_MICROS - 1}))
        assert ask(gate, order(3, side=side)) == (reason, 6 * LOT_MICROS - 1, 6 * LOT_MICROS)


def test_long_and_short_positions_net_in_one_sum_and_not_in_the_other(gate: Gate) -> None:
    gate.put(row(instrument_id=2))
    gate.reconcile(ACCOUNT, 1, 5, done=True)
    gate.reconcile(ACCOUNT, 2, -5, done=True)
    gate.grant(grant(net_value=2 * LOT_MICROS))
    assert ask(gate, order(1, qty=2)) == OK
    assert ask(gate, order(1, qty=3)) == ("NET_VALUE", 2 * LOT_MICROS, 3 * LOT_MICROS)
    gate.grant(grant(gross_value=12 * LOT_MICROS))
    assert ask(gate, order(1, qty=2)) == OK
    assert ask(gate, order(1, qty=3)) == ("GROSS_VALUE", 12 * LOT_MICROS, 13 * LOT_MICROS)
    gate.grant(grant(instrument_value=7 * LOT_MICROS))
    assert ask(gate, order(1, qty=2)) == OK
    assert ask(gate, order(1, qty=3)) == ("CONCENTRATION", 7 * LOT_MICROS, 8 * LOT_MICROS)


@pytest.mark.parametrize("margin", [0, 1, 1000, 1001, 1500])
def test_margin_weighs_the_position_in_the_credit(gate: Gate, margin: int) -> None:
    gate.put(row(instrument_id=2))
    assert send(gate, order(1, instrument_id=2)) == OK
    gate.put(row(margin=margin))
    gate.grant(grant(credit=99 * MICROS))
    assert ask(gate, order(2, qty=2)) == ("CREDIT", 99 * MICROS, 100 * MICROS + 200 * MICROS * margin // 1000)


def test_firm_sums_every_account_and_unset_blocks(gate: Gate) -> None:
    assert send(gate, order(1, qty=3, account=OTHER)) == OK
    gate.grant(replace(FIRM_ROW, gross_value=5 * LOT_MICROS + 10))
    assert send(gate, order(1, qty=2)) == OK
    assert ask(gate, order(2, qty=1))[:2] == ("FIRM_VALUE", 5 * LOT_MICROS + 10)
    gate.grant(replace(FIRM_ROW, gross_value=None))
    assert ask(gate, order(2, qty=1)) == ("LIMIT_UNSET", None, None)
    gate.grant(FIRM_ROW)
    assert ask(gate, order(2, qty=1)) == OK


@pytest.mark.parametrize(("limit", "reason"), [("day_loss", "DAY_LOSS"), ("drawdown", "DRAWDOWN")])
def test_loss_blocks_what_is_no_exit(gate: Gate, limit: str, reason: str) -> None:
    assert send(gate, order(1, qty=10)) == OK
    assert gate.filled(ACCOUNT, 1, qty=10, price=PRICE)
    gate.put(row(ref_price=PRICE - 2 * CENT))
    gate.grant(grant(**{limit: MICROS // 5}))
    assert ask(gate, order(2)) == OK
    gate.grant(grant(**{limit: MICROS // 5 - 1}))
    assert ask(gate, order(2)) == (reason, MICROS // 5 - 1, MICROS // 5)
    assert ask(gate, order(2, qty=10, flags=REDUCE_ONLY, **SELL)) == OK


@pytest.mark.parametrize("position", [10, -10])
def test_drawdown_is_measured_from_the_highest_of_the_day(gate: Gate, position: int) -> None:
    sign = 1 if position > 0 else -1
    gate.reconcile(ACCOUNT, 1, position, done=True)
    gate.grant(grant(drawdown=MICROS, day_loss=0))
    gate.put(row(ref_price=PRICE + sign * 20 * CENT))
    gate.mark()
    gate.put(row(ref_price=PRICE + sign * 10 * CENT))
    assert ask(gate, order(2)) == OK
    gate.put(row(ref_price=PRICE + sign * 9 * CENT))
    assert ask(gate, order(2)) == ("DRAWDOWN", MICROS, 11 * MICROS // 10)
    gate.mark()
    gate.new_day()
    assert ask(gate, order(2)) == OK
    gate.put(row(ref_price=PRICE - sign * CENT))
    assert ask(gate, order(2))[0] == "DAY_LOSS"


def test_day_of_one_account_begins_anew_and_of_no_other(gate: Gate) -> None:
    for account in (ACCOUNT, OTHER):
        gate.put(ROW)
        gate.reconcile(account, 1, 10, done=True)
        gate.grant(grant(account=account, day_loss=MICROS))
    gate.put(row(ref_price=PRICE - 20 * CENT))
    gate.mark()
    assert ask(gate, order(1))[0] == ask(gate, order(1, account=OTHER))[0] == "DAY_LOSS"
    gate.new_day_account(ACCOUNT)
    gate.new_day_account(99)
    assert ask(gate, order(1)) == OK
    assert ask(gate, order(1, account=OTHER)) == ("DAY_LOSS", MICROS, 2 * MICROS)


@pytest.mark.parametrize("instruments", [(1, 2), (2, 1)])
def test_hedged_book_that_is_marked_has_no_high_from_the_half_of_it(gate: Gate, instruments: tuple[int, int]) -> None:
    for number, instrument_id in enumerate(instruments):
        gate.put(row(instrument_id=instrument_id))
        gate.reconcile(ACCOUNT, instrument_id, 10 if number else -10, done=True)
    gate.grant(grant(drawdown=0, day_loss=0))
    for cents in (5, -5, 0):
        for instrument_id in instruments:
            gate.put(row(instrument_id=instrument_id, ref_price=PRICE + cents * CENT))
        gate.mark()
        assert ask(gate, order(1)) == OK


@pytest.mark.parametrize("known", [True, False], ids=["marked", "unmarked"])
def test_position_from_the_books_of_record_is_no_profit_and_no_loss(gate: Gate, *, known: bool) -> None:
    gate.put(row(ref_price=PRICE if known else 0))
    gate.grant(grant(day_loss=0, drawdown=0))
    for position in (10, -7, 400):
        gate.reconcile(ACCOUNT, 1, position, done=True)
        gate.put(ROW)
        gate.mark()
        assert ask(gate, order(1)) == OK
    gate.put(row(ref_price=PRICE - CENT))
    assert ask(gate, order(1)) == ("DAY_LOSS", 0, 4 * MICROS)


@pytest.mark.parametrize("side", [Side.BUY, Side.SELL])
def test_position_traded_before_its_row_existed_is_no_profit_and_no_loss(gate: Gate, side: Side) -> None:
    gate.grant(grant(day_loss=0, drawdown=0))
    assert gate.executed(order(9, instrument_id=2, qty=10, side=side))
    gate.put(row(instrument_id=2))
    assert ask(gate, order(1, instrument_id=2)) == OK
    assert send(gate, order(1, instrument_id=2)) == OK
    gate.put(row(instrument_id=2, ref_price=PRICE + (CENT if side == Side.SELL else -CENT)))
    assert ask(gate, order(2, instrument_id=2, price=PRICE - CENT)) == ("DAY_LOSS", 0, MICROS // 10)


def test_position_elsewhere_counts_at_its_last_mark(gate: Gate) -> None:
    gate.put(row(instrument_id=2))
    gate.reconcile(ACCOUNT, 2, 10, done=True)
    gate.put(row(instrument_id=2, ref_price=2 * PRICE))
    gate.grant(grant(gross_value=20 * LOT_MICROS))
    assert ask(gate, order(1, qty=10)) == OK
    gate.mark()
    assert ask(gate, order(1, qty=1)) == ("GROSS_VALUE", 20 * LOT_MICROS, 21 * LOT_MICROS)


def test_saturated_value_is_above_every_limit_and_below_unlimited(gate: Gate) -> None:
    gate.put(row(lot_nano=INT64_MAX))
    assert ask(gate, order(qty=2**62)) == OK
    gate.grant(grant(gross_value=UNLIMITED - 1))
    assert ask(gate, order(qty=2**62)) == ("GROSS_VALUE", UNLIMITED - 1, INT64_MAX)
    gate.grant(grant(credit=UNLIMITED - 1))
    assert ask(gate, order(qty=2**62)) == ("CREDIT", UNLIMITED - 1, INT64_MAX)
    gate.grant(grant())
    gate.grant(replace(FIRM_ROW, gross_value=UNLIMITED - 1))
    assert ask(gate, order(qty=2**62)) == ("FIRM_VALUE", UNLIMITED - 1, INT64_MAX)
