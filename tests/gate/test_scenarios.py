"""Two accidents that happened to others, replayed on both gates: a basket typed in units, and a router that would not stop."""

from dataclasses import replace

import pytest

from gate.reference import Order, Reason, Side, Sizes
from gate.rows import UNLIMITED, InstrumentRow
from tests.gate.gates import (
    ACCOUNT,
    CENT,
    MICROS,
    NOW,
    PRICE,
    SECOND_NS,
    Gate,
    NativeGate,
    grant,
    order,
    row,
)

BASKET = 44
BASKET_VALUE = 58_000_000  # currency: what was meant
STOCKS = 349


def stock(number: int) -> InstrumentRow:
    """A stock of 5 to 700 currency, with limits that a desk of this size has."""
    price = (5 + number * 2) * 10**9 + number % 97 * CENT
    return row(
        instrument_id=number, ref_price=price, ref_low=price, ref_high=price, band_bps=200, band_ticks=10_000,
        order_value=1_000_000 * MICROS, order_qty=120_000,
    )  # fmt: skip


def basket_order(number: int, qty: int) -> Order:
    return order(number, instrument_id=number, side=Side.SELL, qty=qty, price=stock(number).ref_price, basket=BASKET)


def meant(number: int) -> int:
    """Lots of a stock when the basket's value is spread evenly."""
    return BASKET_VALUE * 10**9 // STOCKS // stock(number).ref_price


@pytest.mark.slow
def test_basket_of_58_million_currency_passes_as_it_was_meant(wide_gate: Gate) -> None:
    wide_gate.grant(grant(basket_value=60_000_000 * MICROS))
    for number in range(1, STOCKS + 1):
        wide_gate.put(stock(number))
        assert wide_gate.submit(basket_order(number, meant(number)), NOW).reason is Reason.OK


def test_basket_of_58_million_typed_as_units_does_not_send_one_order(wide_gate: Gate) -> None:
    """Each stock's part of 58 m is taken for lots, not for currency: 444 bn of orders, and all of them refused."""
    wide_gate.grant(grant(basket_value=60_000_000 * MICROS))
    refused = set()
    for number in range(1, STOCKS + 1):
        wide_gate.put(stock(number))
        refused.add(wide_gate.submit(basket_order(number, BASKET_VALUE // STOCKS), NOW).reason)
    assert refused == {Reason.MAX_ORDER_SIZE}
    assert wide_gate.working() == []


def test_value_and_basket_refuse_the_same_typing_error_without_a_limit_of_quantity(wide_gate: Gate) -> None:
    typed, cheap = BASKET_VALUE // STOCKS, 5
    wide_gate.grant(grant(basket_value=60_000_000 * MICROS))
    for number in range(1, STOCKS + 1):
        wide_gate.put(replace(stock(number), envelope=replace(stock(number).envelope, order_qty=UNLIMITED),
                              dynamic=replace(stock(number).dynamic, order_qty=UNLIMITED)))  # fmt: skip
        found = wide_gate.submit(basket_order(number, typed), NOW)
        if number > cheap:
            assert found.reason is Reason.MAX_ORDER_VALUE
    assert sum(entry[8] * entry[9] for entry in wide_gate.working()) <= 60_000_000 * 10**9


def test_router_that_repeats_212_parents_is_stopped_by_the_throttle_of_each(wide_gate: Gate) -> None:
    """212 parents became 4 million children in 45 minutes. Here each strategy trips on its 51st equal child."""
    wide_gate.put(row())
    wide_gate.grant(grant(repeats_max=50, period_ns=60 * SECOND_NS))
    accepted = send_children(wide_gate, strategy_of=lambda parent: 1 + parent % 32)
    assert accepted == 32 * 50
    wide_gate.rearm(1, 1)
    assert wide_gate.submit(order(10**6, strategy=1, parent=32, qty=100), NOW + SECOND_NS).reason is Reason.OK
    assert (
        wide_gate.submit(order(10**6 + 1, strategy=2, parent=1, qty=100), NOW + SECOND_NS).reason
        is Reason.REPEATED_EXECUTION
    )


def test_router_that_repeats_212_parents_never_exceeds_what_people_ordered(wide_gate: Gate) -> None:
    """Without any throttle: the children of a parent may not fill more than the parent."""
    wide_gate.put(row())
    wide_gate.grant(grant())
    assert send_children(wide_gate, strategy_of=lambda parent: 0) == PARENTS * PARENT_LOTS // 100
    assert sum(position[2] for position in wide_gate.positions()) == PARENTS * PARENT_LOTS


PARENTS, PARENT_LOTS, CHILDREN = 212, 1_000, 30


def send_children(gate: Gate, strategy_of: object) -> int:
    """Send 30 children of 100 lots for each parent of 1,000, fill what is accepted, and return how many that were."""
    assert callable(strategy_of)
    accepted = 0
    for parent in range(1, PARENTS + 1):
        assert gate.parent(ACCOUNT, parent, PARENT_LOTS)
    for child in range(CHILDREN * PARENTS):
        parent = 1 + child % PARENTS
        sent = order(child + 1, parent=parent, strategy=strategy_of(parent), qty=100)
        if gate.submit(sent, NOW + child * 400_000).reason is Reason.OK:
            accepted += 1
            assert gate.filled(ACCOUNT, sent.order_id, qty=100, price=sent.price)
    return accepted


@pytest.mark.slow
@pytest.mark.parametrize(("repeats_max", "accepted"), [(50, 212 * 50), (UNLIMITED, 212 * 100)])
def test_four_million_children_in_45_minutes_are_stopped(repeats_max: int, accepted: int) -> None:
    """At full size, by the native gate alone: the throttle of each router, or without it what people ordered."""
    gate = NativeGate(sizes=Sizes(accounts=256, positions=1024, orders=65_536))
    gate.put(row())
    routes = []
    for number in range(1, PARENTS + 1):
        gate.grant(grant(account=number, repeats_max=repeats_max, period_ns=3600 * SECOND_NS))
        assert gate.parent(number, 7, 10_000)
        routes.append((number, gate.gate.route(number, 0, 0, 900 + number)))
    passed, children = 0, 4_000_000 // PARENTS
    for child in range(1, children + 1):
        now_ns = NOW + child * (45 * 60 * SECOND_NS // children)
        for number, route in routes:
            if route.submit(1, child, 0, 1, 1, 0, 100, PRICE, now_ns, 0, 7)[1] == 0:
                passed += 1
                gate.gate.filled(number, child, 100, PRICE)
    assert passed == accepted
    gate.close()
