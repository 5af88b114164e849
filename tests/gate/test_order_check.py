"""The order check at its boundaries, a table per reason."""

from typing import Any

import pytest

from gate import _native
from gate._native import LimitTable, account_hash

BUY, SELL, UNKNOWN = _native.ORDER_BUY, _native.ORDER_SELL, 7
LIMIT, MARKET = _native.ORDER_LIMIT, _native.ORDER_MARKET
NEW, REPLACE, CANCEL = _native.ORDER_NEW, _native.ORDER_REPLACE, _native.ORDER_CANCEL
REF = 50_000_000_000
INT64_MAX = 2**63 - 1
FRESH_NS, EXPIRED_NS = 99, 100
DESK = account_hash("DESK-1")

ROW: dict[str, Any] = {
    "envelope_qty": 500,
    "dynamic_qty": 250,
    "stale_qty": 50,
    "envelope_band_bps": 500,
    "dynamic_band_bps": 400,
    "stale_band_bps": 100,
    "ref_price": REF,
    "valid_until_ns": EXPIRED_NS,
    "tier": 1,
    "epoch": 3,
    "tick_ns": 7,
    "model_id": "model-1",
    "score": 2.5,
}


def decide(row: dict[str, Any] | None = None, *, now_ns: int = FRESH_NS, **order: int) -> _native.Decision:
    table = LimitTable.private(4)
    if row is not None:
        assert table.put(1, **row)
    return decide_on(table, now_ns=now_ns, **order)


def decide_on(table: LimitTable, *, now_ns: int = FRESH_NS, **order: int) -> _native.Decision:
    o = {"id": 1, "account": DESK, "action": NEW, "side": BUY, "type": LIMIT, "qty": 1, "price": REF} | order
    arguments = (o["id"], o["account"], o["action"], o["side"], o["type"], o["qty"], o["price"], now_ns)
    decision = table.decide(*arguments)
    assert table.check(*arguments) == decision.reason, "the short answer agrees with the long one"
    return decision


def word(decision: _native.Decision) -> str:
    return _native.REASONS[decision.reason]


@pytest.mark.parametrize(
    ("now_ns", "changes", "qty", "reason", "limit"),
    [
        pytest.param(FRESH_NS, {}, 250, "ok", None, id="at-dynamic-limit"),
        pytest.param(FRESH_NS, {}, 251, "max_order_size", 250, id="one-above-dynamic-limit"),
        pytest.param(FRESH_NS, {"dynamic_qty": 900}, 500, "ok", None, id="at-envelope-under-looser-dynamic"),
        pytest.param(FRESH_NS, {"dynamic_qty": 900}, 501, "max_order_size", 500, id="envelope-beats-looser-dynamic"),
        pytest.param(EXPIRED_NS, {}, 50, "ok", None, id="at-stale-limit-when-expired"),
        pytest.param(EXPIRED_NS, {}, 51, "max_order_size", 50, id="one-above-stale-limit-when-expired"),
        pytest.param(FRESH_NS, {"stale": True}, 51, "max_order_size", 50, id="stale-state-takes-stale-column"),
        pytest.param(EXPIRED_NS, {"stale_qty": 900}, 251, "max_order_size", 250, id="silence-never-loosens-dynamic"),
        pytest.param(
            EXPIRED_NS, {"stale_qty": 900, "dynamic_qty": None}, 501, "max_order_size", 500, id="envelope-beats-stale"
        ),
        pytest.param(FRESH_NS, {"dynamic_qty": 0}, 1, "max_order_size", 0, id="zero-is-a-limit"),
        pytest.param(
            FRESH_NS,
            {"envelope_qty": INT64_MAX, "dynamic_qty": INT64_MAX},
            INT64_MAX,
            "ok",
            None,
            id="largest-number-at-limit",
        ),
        pytest.param(
            FRESH_NS,
            {"envelope_qty": INT64_MAX, "dynamic_qty": INT64_MAX - 1},
            INT64_MAX,
            "max_order_size",
            INT64_MAX - 1,
            id="largest-number-one-above",
        ),
    ],
)
def test_order_size_is_held_to_the_tightest_limit_in_force(
    now_ns: int, changes: dict[str, Any], qty: int, reason: str, limit: int | None
) -> None:
    for side, order_type in ((BUY, LIMIT), (SELL, LIMIT), (BUY, MARKET), (SELL, MARKET)):
        decision = decide(ROW | changes, now_ns=now_ns, qty=qty, side=side, type=order_type)
        assert (word(decision), decision.limit) == (reason, limit)
        assert decision.observed == (None if limit is None else qty)


@pytest.mark.parametrize(
    ("side", "price", "reason", "observed"),
    [
        pytest.param(BUY, REF * 104 // 100, "ok", None, id="buy-at-band"),
        pytest.param(BUY, REF * 104 // 100 + 1, "price_band", 401, id="buy-one-above-band"),
        pytest.param(SELL, REF * 96 // 100, "ok", None, id="sell-at-band"),
        pytest.param(SELL, REF * 96 // 100 - 1, "price_band", 401, id="sell-one-below-band"),
        pytest.param(BUY, 1, "ok", None, id="passive-buy-is-free"),
        pytest.param(SELL, INT64_MAX, "ok", None, id="passive-sell-is-free"),
        pytest.param(BUY, INT64_MAX, "price_band", 1_844_674_407_371 - 10_000, id="buy-at-largest-price"),
        pytest.param(SELL, 1, "price_band", 10_000, id="sell-for-nothing"),
    ],
)
def test_price_band_is_exact_and_directional(side: int, price: int, reason: str, observed: int | None) -> None:
    decision = decide(ROW, side=side, price=price)
    assert (word(decision), decision.observed) == (reason, observed)
    assert decision.limit == (None if observed is None else 400)


@pytest.mark.parametrize("now_ns", [EXPIRED_NS, EXPIRED_NS + 1, INT64_MAX, 0, -1], ids=str)
def test_band_of_an_expired_row_is_the_stale_one_also_when_the_clock_is_broken(now_ns: int) -> None:
    at, above = (
        decide(ROW, now_ns=now_ns, price=REF * 101 // 100),
        decide(ROW, now_ns=now_ns, price=REF * 101 // 100 + 1),
    )
    assert (word(at), at.stale) == ("ok", True)
    assert (word(above), above.stale, above.limit, above.observed) == ("price_band", True, 100, 101)


def test_band_distance_beyond_int64_is_reported_as_the_largest_number() -> None:
    decision = decide(ROW | {"ref_price": 1}, price=INT64_MAX)
    assert (word(decision), decision.observed) == ("price_band", INT64_MAX)


@pytest.mark.parametrize(
    "order",
    [
        pytest.param({"qty": 0}, id="no-lots"),
        pytest.param({"qty": -1}, id="negative-lots"),
        pytest.param({"qty": -(2**63)}, id="smallest-number-of-lots"),
        pytest.param({"price": 0}, id="limit-order-without-price"),
        pytest.param({"price": -1}, id="negative-price"),
        pytest.param({"side": UNKNOWN}, id="unknown-side"),
        pytest.param({"side": 0}, id="no-side"),
        pytest.param({"side": BUY + 2**32}, id="side-that-would-wrap-into-a-known-one"),
        pytest.param({"type": UNKNOWN}, id="unknown-type"),
        pytest.param({"action": UNKNOWN}, id="unknown-action"),
        pytest.param({"action": REPLACE, "qty": 0}, id="replace-to-no-lots"),
        pytest.param({"type": MARKET, "qty": 0}, id="market-order-of-no-lots"),
    ],
)
def test_malformed_order_is_invalid(order: dict[str, int]) -> None:
    assert word(decide(ROW, **order)) == "invalid_order"
    assert word(decide(None, **order)) == "invalid_order"


@pytest.mark.parametrize("column", [name for name in ROW if name.endswith(("_qty", "_bps"))])
def test_unset_limit_of_a_column_in_force_blocks(column: str) -> None:
    fresh, expired = decide(ROW | {column: None}), decide(ROW | {column: None}, now_ns=EXPIRED_NS)
    assert (word(fresh) == "limit_unset") == (not column.startswith("stale"))
    assert (word(expired) == "limit_unset") == (not column.startswith("dynamic"))


def test_market_order_needs_no_reference_price_but_a_limit_order_does() -> None:
    for ref_price in (0, -1):
        assert word(decide(ROW | {"ref_price": ref_price}, type=MARKET, price=0)) == "ok"
        assert word(decide(ROW | {"ref_price": ref_price})) == "no_reference_price"


def test_market_order_meets_size_and_halt() -> None:
    assert word(decide(ROW, type=MARKET, price=0, qty=251)) == "max_order_size"
    assert word(decide(ROW | {"halted": True}, type=MARKET, price=0)) == "halted"


@pytest.mark.parametrize("now_ns", [FRESH_NS, EXPIRED_NS])
def test_halt_outlives_the_expiry_of_its_state(now_ns: int) -> None:
    assert word(decide(ROW | {"halted": True}, now_ns=now_ns)) == "halted"


def test_replace_gets_the_whole_check() -> None:
    assert word(decide(ROW, action=REPLACE)) == "ok"
    assert word(decide(ROW, action=REPLACE, qty=251)) == "max_order_size"
    assert word(decide(ROW, action=REPLACE, price=REF * 2)) == "price_band"


@pytest.mark.parametrize("instrument_id", [0, -1, 2, 2**32, 2**32 + 1, -(2**63), INT64_MAX])
def test_instrument_without_a_row_is_unknown(instrument_id: int) -> None:
    assert word(decide(ROW, id=instrument_id)) == "unknown_instrument"


def test_cancel_passes_whatever_else_holds() -> None:
    table = LimitTable.private(4)
    table.put(1, **(ROW | {"halted": True, "killed": True, "envelope_qty": None}))
    table.kill_firm(True)
    for instrument_id in (1, 2, -5):
        assert word(decide_on(table, action=CANCEL, id=instrument_id, qty=-1, price=-1, side=UNKNOWN)) == "ok"


def test_reasons_are_judged_in_their_published_order() -> None:
    table = LimitTable.private(4)
    table.put(1, **(ROW | {"killed": True, "halted": True, "dynamic_qty": None, "ref_price": 0}))
    huge = {"qty": 10_000, "price": REF * 2}
    table.kill_firm(True)
    assert word(decide_on(table, id=9, qty=0)) == "invalid_order"
    assert word(decide_on(table, id=9)) == "killed"
    table.kill_firm(False)
    assert word(decide_on(table, id=9)) == "unknown_instrument"
    assert word(decide_on(table, **huge)) == "killed"
    changes: list[tuple[dict[str, Any], str]] = [
        ({"halted": True, "dynamic_qty": None, "ref_price": 0}, "limit_unset"),
        ({"halted": True, "ref_price": 0}, "halted"),
        ({"ref_price": 0}, "max_order_size"),
    ]
    for change, reason in changes:
        table.put(1, **(ROW | change))
        assert word(decide_on(table, **huge)) == reason
    table.put(1, **(ROW | {"ref_price": 0}))
    assert word(decide_on(table, price=REF * 2)) == "no_reference_price"


def test_decision_carries_the_risk_state_in_force() -> None:
    for decision in (decide(ROW), decide(ROW, qty=10_000), decide(ROW, action=CANCEL), decide(ROW, qty=0)):
        assert (decision.tier, decision.epoch, decision.tick_ns) == (1, 3, 7)
        assert (decision.model_id, decision.score, decision.stale) == ("model-1", 2.5, False)
    absent = decide(None)
    assert absent[3:] == (False, 0, 0, 0, "", 0.0)


@pytest.mark.parametrize("count", [0, 7, 9])
def test_wrong_number_of_arguments_is_an_error_and_no_decision(count: int) -> None:
    table = LimitTable.private(1)
    for method in (table.check, table.decide):
        with pytest.raises(TypeError):
            method(*[1] * count)


def test_number_beyond_int64_is_an_error_and_no_decision() -> None:
    table = LimitTable.private(1)
    with pytest.raises(OverflowError):
        table.check(1, DESK, NEW, BUY, LIMIT, 2**63, REF, 1)
    with pytest.raises(TypeError):
        table.check(1, DESK, NEW, BUY, LIMIT, 1.5, REF, 1)  # type: ignore[arg-type]
