"""The C check against its twin in plain Python, and laws that hold for every row and order."""

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from gate import _native, reference
from gate._native import LimitRow, LimitTable, account_hash
from gate.reference import PlainDecision, PlainOrder

INT64_MAX = 2**63 - 1
DESK = account_hash("DESK-1")

small = st.integers(0, 5)
int64 = st.integers(-(2**63), INT64_MAX) | st.integers(-3, 12_000)
limits = st.none() | st.integers(0, INT64_MAX) | st.integers(0, 12_000)
bands = st.none() | st.integers(0, _native.BAND_BPS_MAX) | st.integers(0, 12_000)
rows = st.fixed_dictionaries(
    {
        "envelope_qty": limits,
        "dynamic_qty": limits,
        "stale_qty": limits,
        "envelope_band_bps": bands,
        "dynamic_band_bps": bands,
        "stale_band_bps": bands,
        "halted": st.booleans(),
        "killed": st.booleans(),
        "stale": st.booleans(),
        "tier": st.integers(0, 3),
        "ref_price": int64,
        "valid_until_ns": int64,
        "epoch": int64,
        "tick_ns": int64,
        "score": st.floats(allow_nan=False),
        "model_id": st.text(st.characters(min_codepoint=1, max_codepoint=127), max_size=24),
        "written_ns": int64,
    }
)
orders = st.builds(PlainOrder, action=small, side=small, order_type=small, qty=int64, price=int64)
near = st.builds(
    PlainOrder,
    action=st.just(0),
    side=st.integers(1, 2),
    order_type=st.integers(1, 2),
    qty=st.integers(1, 12_000),
    price=st.integers(1, INT64_MAX) | st.integers(1, 30_000),
)
fresh_rows = st.builds(
    lambda row, ref_price: row | {"halted": False, "killed": False, "ref_price": ref_price},
    rows,
    st.integers(1, 20_000),
)


def put(row: dict[str, Any]) -> tuple[LimitTable, LimitRow]:
    table = LimitTable.private(2)
    assert table.put(1, **row)
    read = table.read(1)
    assert read is not None
    return table, read


def in_c(table: LimitTable, order: PlainOrder, now_ns: int) -> PlainDecision:
    d = table.decide(1, DESK, order.action, order.side, order.order_type, order.qty, order.price, now_ns)
    return PlainDecision(_native.REASONS[d.reason], d.limit, d.observed, d.stale)


@given(rows)
def test_row_reads_back_as_it_was_written(row: dict[str, Any]) -> None:
    _, read = put(row)
    assert {name: getattr(read, name) for name in row} == row


@given(rows, orders, int64, st.sampled_from([0, 1]))
def test_hostile_row_and_order_get_the_decision_of_the_twin(
    row: dict[str, Any], order: PlainOrder, now_ns: int, killed: int
) -> None:
    table, read = put(row)
    table.kill_firm(bool(killed))
    assert in_c(table, order, now_ns) == reference.decide(read, order, now_ns, blocked=bool(killed))


@given(fresh_rows, near, st.integers(-1, 12_000))
@example({"ref_price": INT64_MAX, "dynamic_band_bps": 1, "envelope_band_bps": 1, "envelope_qty": 9, "dynamic_qty": 9,
          "valid_until_ns": 5}, PlainOrder(0, 2, 1, 1, 1), 1)  # fmt: skip
def test_plausible_row_and_order_get_the_decision_of_the_twin(
    row: dict[str, Any], order: PlainOrder, now_ns: int
) -> None:
    table, read = put(row)
    assert in_c(table, order, now_ns) == reference.decide(read, order, now_ns, blocked=False)


@given(orders, int64)
def test_order_without_a_row_gets_the_decision_of_the_twin(order: PlainOrder, now_ns: int) -> None:
    assert in_c(LimitTable.private(2), order, now_ns) == reference.decide(None, order, now_ns, blocked=False)


@given(rows, near, int64)
def test_accepted_order_is_within_the_envelope_whatever_the_row_says(
    row: dict[str, Any], order: PlainOrder, now_ns: int
) -> None:
    table, read = put(row)
    if in_c(table, order, now_ns).reason != "ok":
        return
    assert read.envelope_qty is not None
    assert order.qty <= read.envelope_qty
    if order.order_type == _native.ORDER_LIMIT:
        assert read.envelope_band_bps is not None
        beyond = order.price - read.ref_price if order.side == _native.ORDER_BUY else read.ref_price - order.price
        assert beyond * 10_000 <= read.ref_price * read.envelope_band_bps


@given(rows, near, int64)
def test_what_a_fresh_row_refuses_an_expired_one_refuses_too(
    row: dict[str, Any], order: PlainOrder, now_ns: int
) -> None:
    fresh, _ = put(row | {"valid_until_ns": INT64_MAX, "stale": False, "dynamic_qty": 7, "dynamic_band_bps": 7})
    silent, _ = put(row | {"valid_until_ns": 0, "stale": False, "dynamic_qty": 7, "dynamic_band_bps": 7})
    if in_c(silent, order, now_ns).reason == "ok":
        assert in_c(fresh, order, max(1, now_ns % 1000)).reason == "ok"


@given(rows, orders, int64)
def test_cancel_always_passes(row: dict[str, Any], order: PlainOrder, now_ns: int) -> None:
    table, _ = put(row)
    table.kill_firm(True)
    assert table.check(1, DESK, _native.ORDER_CANCEL, order.side, order.order_type, order.qty, order.price, now_ns) == 0


@given(st.text())
def test_account_hash_is_that_of_the_twin(account: str) -> None:
    try:
        account.encode()
    except UnicodeEncodeError:
        return
    assert account_hash(account) == reference.account_hash(account)
    assert account_hash(account) != 0
