"""Questions about the stream of orders, each at its boundary, on both gates."""

from typing import Any

import pytest

from gate.reference import Action, Order, OrderType, Side
from gate.rows import UNLIMITED
from tests.gate.gates import ACCOUNT, CENT, LOT_MICROS, NOW, OTHER, PRICE, ROW, SECOND_NS, Gate, grant, order, row

SELL: dict[str, Any] = {"side": Side.SELL}
INT64_MAX = 2**63 - 1
OK = ("OK", None, None)
Numbers = tuple[str, int | None, int | None]


def ask(gate: Gate, sent: Order, now_ns: int = NOW) -> Numbers:
    found = gate.check(sent, now_ns)
    return found.reason.name, found.limit, found.observed


def send(gate: Gate, sent: Order, now_ns: int = NOW) -> Numbers:
    """Submit what a check is asked about first: both must say the same."""
    checked, found = gate.check(sent, now_ns), gate.submit(sent, now_ns)
    assert checked == found
    return found.reason.name, found.limit, found.observed


def test_id_of_a_working_order_cannot_be_used_again(gate: Gate) -> None:
    assert send(gate, order()) == OK
    assert send(gate, order(qty=3)) == ("DUPLICATE_ORDER", None, None)
    assert send(gate, order(account=OTHER)) == OK


def test_last_256_ids_are_known_after_their_orders_are_gone(gate: Gate) -> None:
    for order_id in range(1, 258):
        assert send(gate, order(order_id)) == OK
        assert gate.closed(ACCOUNT, order_id)
    assert ask(gate, order(2))[0] == "DUPLICATE_ORDER"
    assert ask(gate, order(1)) == OK


def test_working_order_keeps_its_id_however_many_follow(gate: Gate) -> None:
    for order_id in range(1, 300):
        assert send(gate, order(order_id)) == OK
    assert ask(gate, order(1))[0] == "DUPLICATE_ORDER"


@pytest.mark.parametrize(("after_ns", "again"), [(0, True), (99, True), (100, False), (-5, True)])
def test_equal_order_within_the_window_is_one_sent_twice(gate: Gate, after_ns: int, *, again: bool) -> None:
    gate.grant(grant(duplicate_ns=100))
    assert send(gate, order(1)) == OK
    assert (ask(gate, order(2), NOW + after_ns)[0] == "DUPLICATE_ORDER") is again


@pytest.mark.parametrize("field", [
    {"side": Side.SELL, "price": PRICE + CENT}, {"qty": 2}, {"price": PRICE + CENT}, {"strategy": 8},
    {"order_type": OrderType.MARKET}, {"account": OTHER},
], ids=str)  # fmt: skip
def test_order_that_differs_is_not_sent_twice(gate: Gate, field: dict[str, Any]) -> None:
    gate.grant(grant(duplicate_ns=100))
    assert send(gate, order(1)) == OK
    assert ask(gate, order(2, **field)) == OK


def test_equal_order_is_known_among_the_last_four_of_its_position(gate: Gate) -> None:
    gate.grant(grant(duplicate_ns=SECOND_NS))
    for order_id in range(1, 5):
        assert send(gate, order(order_id, qty=order_id)) == OK
    assert ask(gate, order(9, qty=1))[0] == "DUPLICATE_ORDER"
    assert send(gate, order(5, qty=5)) == OK
    assert ask(gate, order(9, qty=1)) == OK
    assert ask(gate, order(9, qty=2))[0] == "DUPLICATE_ORDER"


def test_replace_is_no_duplicate_of_what_it_replaces(gate: Gate) -> None:
    gate.grant(grant(duplicate_ns=SECOND_NS))
    assert send(gate, order(1)) == OK
    assert send(gate, order(2, action=Action.REPLACE, target_id=1)) == OK
    assert ask(gate, order(2, action=Action.REPLACE, target_id=1))[0] != "OK"


def test_burst_of_messages_passes_and_the_next_waits_for_the_refill(gate: Gate) -> None:
    gate.grant(grant(messages_per_s=10, message_burst=3))
    for order_id in (1, 2, 3):
        assert send(gate, order(order_id)) == OK
    assert send(gate, order(4)) == ("MESSAGE_RATE", 10, 1)
    assert ask(gate, order(4), NOW + SECOND_NS // 10 - 1)[0] == "MESSAGE_RATE"
    assert send(gate, order(4), NOW + SECOND_NS // 10) == OK


@pytest.mark.parametrize("per_s", [3, 7, 1_500_000, 999_999_937])
def test_refill_is_exact_however_often_it_is_asked(gate: Gate, per_s: int) -> None:
    gate.grant(grant(messages_per_s=per_s, message_burst=1))
    step_ns = -(-SECOND_NS // (3 * per_s))
    assert send(gate, order(1)) == OK
    accepted, asked = 0, 400
    for count in range(1, asked + 1):
        accepted += send(gate, order(count + 1), NOW + count * step_ns)[0] == "OK"
    elapsed_ns = asked * step_ns
    least = elapsed_ns // (step_ns * -(-SECOND_NS // (per_s * step_ns)))
    assert least <= accepted <= elapsed_ns * per_s // SECOND_NS + 1


def test_bucket_holds_no_more_than_the_burst(gate: Gate) -> None:
    gate.grant(grant(messages_per_s=10, message_burst=2))
    assert send(gate, order(1)) == OK
    late_ns = NOW + 3600 * SECOND_NS
    assert [send(gate, order(i), late_ns)[0] for i in (2, 3, 4)] == ["OK", "OK", "MESSAGE_RATE"]


@pytest.mark.parametrize(("weight", "passes"), [(0, 9), (500, 4), (999, 2), (1000, 2), (1001, 1), (2001, 0)])
def test_heavier_order_takes_more_of_the_bucket(gate: Gate, weight: int, passes: int) -> None:
    gate.put(row(message_weight=weight))
    gate.grant(grant(messages_per_s=0, message_burst=2))
    found = [send(gate, order(order_id)) for order_id in range(1, 10)]
    assert [f[0] for f in found].count("OK") == passes
    assert all(f == ("MESSAGE_RATE", 0, -(-weight // 1000)) for f in found[passes:])


@pytest.mark.parametrize(
    ("per_s", "burst"), [(UNLIMITED, 0), (UNLIMITED, UNLIMITED), (INT64_MAX - 1, INT64_MAX - 1), (0, UNLIMITED)]
)
def test_unlimited_messages_pass(gate: Gate, per_s: int, burst: int) -> None:
    gate.grant(grant(messages_per_s=per_s, message_burst=burst))
    assert [send(gate, order(order_id), NOW + order_id) for order_id in range(1, 9)] == [OK] * 8


def test_clock_that_goes_back_refills_nothing(gate: Gate) -> None:
    gate.grant(grant(messages_per_s=1, message_burst=1))
    assert send(gate, order(1)) == OK
    assert send(gate, order(2), NOW - 900 * SECOND_NS)[0] == "MESSAGE_RATE"
    assert send(gate, order(3), NOW + SECOND_NS) == OK


def test_strategy_that_repeats_itself_trips_until_a_person_looks(gate: Gate) -> None:
    gate.grant(grant(repeats_max=3))
    tripped = ("REPEATED_EXECUTION", 3, 4)
    assert [send(gate, order(i, strategy=5)) for i in (1, 2, 3)] == [OK] * 3
    assert ask(gate, order(4, strategy=5)) == tripped
    assert ask(gate, order(4, strategy=5, qty=2)) == OK
    assert send(gate, order(4, strategy=5)) == tripped
    assert send(gate, order(5, strategy=5, qty=2)) == tripped
    assert send(gate, order(5, strategy=5), NOW + 3600 * SECOND_NS) == tripped
    assert send(gate, order(5, strategy=6)) == OK
    gate.rearm(5, 1)
    assert [send(gate, order(i, strategy=5))[0] for i in (6, 7, 8, 9)] == ["OK"] * 3 + ["REPEATED_EXECUTION"]
    assert send(gate, order(10, strategy=5)) == tripped
    gate.rearm(5, 2)
    assert send(gate, order(10, strategy=5)) == OK


@pytest.mark.parametrize(("between", "reason"), [
    ({}, "REPEATED_EXECUTION"), ({"qty": 2}, "OK"), ({"side": Side.SELL, "price": PRICE + CENT}, "OK"),
    ({"strategy": 6}, "REPEATED_EXECUTION"), ({"strategy": 0}, "REPEATED_EXECUTION"),
    ({"price": PRICE - CENT}, "REPEATED_EXECUTION"),
], ids=str)  # fmt: skip
def test_different_order_ends_the_run(gate: Gate, between: dict[str, Any], reason: str) -> None:
    gate.grant(grant(repeats_max=3))
    for order_id in (1, 2):
        assert send(gate, order(order_id, strategy=5)) == OK
    assert send(gate, order(3, **({"strategy": 5} | between))) == OK
    more = [send(gate, order(order_id, strategy=5))[0] for order_id in (4, 5)]
    assert more[-1] == reason


@pytest.mark.parametrize(("after_ns", "reason"), [(SECOND_NS - 1, "REPEATED_EXECUTION"), (SECOND_NS, "OK")])
def test_run_ends_with_its_period(gate: Gate, after_ns: int, reason: str) -> None:
    gate.grant(grant(repeats_max=1))
    assert send(gate, order(1, strategy=5)) == OK
    assert send(gate, order(2, strategy=5), NOW + after_ns)[0] == reason


def test_no_repeat_allowed_means_no_order_of_any_strategy(gate: Gate) -> None:
    gate.grant(grant(repeats_max=0))
    assert send(gate, order(1, strategy=5)) == ("REPEATED_EXECUTION", 0, 1)
    assert send(gate, order(1)) == OK


def test_thirty_third_strategy_has_no_room_until_a_period_has_passed(gate: Gate) -> None:
    gate.grant(grant(repeats_max=9))
    for strategy in range(1, 33):
        assert send(gate, order(strategy, strategy=strategy)) == OK
    assert send(gate, order(99, strategy=99)) == ("NO_ROOM", None, None)
    assert send(gate, order(98, strategy=7)) == OK
    assert send(gate, order(99, strategy=99), NOW + SECOND_NS) == OK


@pytest.mark.parametrize(("limit", "want"), [
    (5 * LOT_MICROS + 1, OK), (5 * LOT_MICROS, OK), (5 * LOT_MICROS - 1, ("PERIOD_VALUE", 5 * LOT_MICROS - 1, 5 * LOT_MICROS)),
    (UNLIMITED, OK),
])  # fmt: skip
@pytest.mark.parametrize("what", ["period_value", "basket_value"])
def test_value_of_a_period_and_of_a_basket_at_their_limits(gate: Gate, what: str, limit: int, want: Numbers) -> None:
    gate.grant(grant(**{what: limit}))
    assert send(gate, order(1, qty=2, basket=4)) == OK
    assert send(gate, order(2, qty=2, basket=4)) == OK
    assert send(gate, order(3, basket=4)) == ((what.upper(), *want[1:]) if want != OK else OK)


@pytest.mark.parametrize("start_ns", [NOW, NOW + 1, NOW + SECOND_NS // 8 - 1, NOW + 777_777_777])
@pytest.mark.parametrize("period_ns", [SECOND_NS, SECOND_NS + 7, 1_000_000])
def test_value_counts_for_the_whole_period_and_no_longer_than_an_eighth_more(
    gate: Gate, start_ns: int, period_ns: int
) -> None:
    gate.grant(grant(period_value=LOT_MICROS, period_ns=period_ns))
    assert send(gate, order(1), start_ns) == OK
    for eighth in range(9):
        assert ask(gate, order(2), start_ns + period_ns * eighth // 8)[0] == "PERIOD_VALUE"
    assert ask(gate, order(2), start_ns + period_ns + period_ns // 8 + 9) == OK


def test_clock_that_goes_back_forgets_no_value(gate: Gate) -> None:
    gate.grant(grant(period_value=LOT_MICROS))
    assert send(gate, order(1)) == OK
    assert ask(gate, order(2), NOW - 10 * SECOND_NS)[0] == "PERIOD_VALUE"


def test_baskets_are_counted_apart_and_kept_past_the_period(gate: Gate) -> None:
    gate.grant(grant(basket_value=LOT_MICROS))
    assert send(gate, order(1, basket=4)) == OK
    assert send(gate, order(2, basket=5)) == OK
    assert send(gate, order(3)) == OK
    assert send(gate, order(4, basket=4), NOW + 9 * SECOND_NS) == ("BASKET_VALUE", LOT_MICROS, 2 * LOT_MICROS)


def test_sixty_fifth_basket_has_no_room_until_one_went_unused_for_a_period(gate: Gate) -> None:
    gate.grant(grant(basket_value=UNLIMITED - 1))
    for basket in range(1, 65):
        assert send(gate, order(basket, basket=basket)) == OK
    assert send(gate, order(99, basket=99)) == ("NO_ROOM", None, None)
    assert send(gate, order(98, basket=7)) == OK
    assert send(gate, order(99, basket=99), NOW + SECOND_NS) == OK


def test_child_of_a_parent_that_nobody_declared_is_refused(gate: Gate) -> None:
    assert send(gate, order(parent=3)) == ("PARENT_QTY", None, None)
    assert gate.parent(ACCOUNT, 3, 1)
    assert send(gate, order(parent=3, account=OTHER)) == ("PARENT_QTY", None, None)
    assert send(gate, order(parent=3)) == OK


@pytest.mark.parametrize(("parent", "qty"), [(0, 5), (3, 0), (3, -1)])
def test_parent_without_a_name_or_a_quantity_is_not_declared(gate: Gate, parent: int, qty: int) -> None:
    assert not gate.parent(ACCOUNT, parent, qty)


def test_children_never_exceed_their_parent(gate: Gate) -> None:
    assert gate.parent(ACCOUNT, 3, 10)
    assert send(gate, order(1, parent=3, qty=6)) == OK
    assert ask(gate, order(2, parent=3, qty=5)) == ("PARENT_QTY", 10, 11)
    assert gate.filled(ACCOUNT, 1, qty=2, price=PRICE)
    assert ask(gate, order(2, parent=3, qty=5)) == ("PARENT_QTY", 10, 11)
    assert gate.closed(ACCOUNT, 1)
    assert ask(gate, order(2, parent=3, qty=9)) == ("PARENT_QTY", 10, 11)
    assert send(gate, order(2, parent=3, qty=8)) == OK
    assert gate.parent(ACCOUNT, 3, 11)
    assert send(gate, order(3, parent=3, qty=2)) == ("PARENT_QTY", 11, 12)
    assert send(gate, order(3, parent=3, qty=1)) == OK


@pytest.mark.parametrize("parent", [0, 3])
def test_replace_counts_its_increase_on_the_parent_even_when_it_names_none(gate: Gate, parent: int) -> None:
    assert gate.parent(ACCOUNT, 3, 10)
    assert send(gate, order(1, parent=3, qty=6)) == OK
    swap = {"action": Action.REPLACE, "target_id": 1, "parent": parent}
    assert ask(gate, order(2, qty=11, **swap)) == ("PARENT_QTY", 10, 11)
    assert send(gate, order(2, qty=9, **swap)) == OK
    assert ask(gate, order(3, parent=3, qty=2)) == ("PARENT_QTY", 10, 11)
    assert gate.replaced(ACCOUNT, 2)
    assert ask(gate, order(3, parent=3, qty=2)) == ("PARENT_QTY", 10, 11)
    assert ask(gate, order(3, parent=3, qty=1)) == OK


def test_overfill_of_a_child_counts_whole(gate: Gate) -> None:
    assert gate.parent(ACCOUNT, 3, 10)
    assert send(gate, order(1, parent=3, qty=2)) == OK
    assert gate.filled(ACCOUNT, 1, qty=9, price=PRICE)
    assert ask(gate, order(2, parent=3, qty=2)) == ("PARENT_QTY", 10, 11)
    assert send(gate, order(2, parent=3, qty=1)) == OK


def test_new_day_forgets_parents_that_nothing_works_for(gate: Gate) -> None:
    assert gate.parent(ACCOUNT, 3, 10)
    assert gate.parent(ACCOUNT, 4, 10)
    assert send(gate, order(1, parent=3)) == OK
    gate.new_day()
    assert send(gate, order(2, parent=3)) == OK
    assert send(gate, order(3, parent=4)) == ("PARENT_QTY", None, None)


def test_parents_of_an_account_are_bounded(gate: Gate) -> None:
    assert all(gate.parent(ACCOUNT, parent, 1) for parent in range(1, 257))
    assert not gate.parent(ACCOUNT, 999, 1)
    assert gate.parent(ACCOUNT, 256, 2)
    assert gate.parent(OTHER, 999, 1)


def test_new_day_begins_the_value_of_the_period_anew_and_forgets_nothing_else(gate: Gate) -> None:
    gate.grant(
        grant(period_value=LOT_MICROS, basket_value=LOT_MICROS, repeats_max=1, messages_per_s=0, message_burst=2)
    )
    gate.put(ROW)
    assert send(gate, order(1, basket=4, strategy=5)) == OK
    gate.new_day()
    assert ask(gate, order(1, strategy=6))[0] == "DUPLICATE_ORDER"
    assert ask(gate, order(2, strategy=5))[0] == "REPEATED_EXECUTION"
    assert ask(gate, order(2, basket=4))[0] == "BASKET_VALUE"
    assert send(gate, order(2)) == OK
    assert ask(gate, order(3))[0] == "MESSAGE_RATE"
