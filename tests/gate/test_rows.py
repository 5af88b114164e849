"""Rows as bytes: exactly C's structs, through C and back, and nothing cut on the way."""

import struct
from dataclasses import astuple, fields, replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gate import _native, rows
from gate._native import LimitTable
from gate.rows import BPS_MAX, COUNT_MAX, LIMIT_NAMES, UNLIMITED, AccountRow, InstrumentRow, Limits

LARGEST = dict(
    zip(LIMIT_NAMES, [UNLIMITED] * 4 + [BPS_MAX, rows.TICKS_MAX, BPS_MAX, BPS_MAX, rows.WEIGHT_MAX, rows.MARGIN_MAX],
        strict=True)
)  # fmt: skip

int64s = st.integers(-(2**63), 2**63 - 1)
counts = st.none() | st.integers(0, COUNT_MAX) | st.just(UNLIMITED)
values = st.none() | st.integers(0, UNLIMITED)
limits = st.builds(Limits, **{name: st.none() | st.integers(0, largest) for name, largest in LARGEST.items()})
instrument_rows = st.builds(
    InstrumentRow,
    instrument_id=st.integers(1, 2**32 - 1),
    envelope=limits,
    dynamic=limits,
    stale_limits=limits,
    tier=st.integers(0, 3),
    class_id=st.integers(0, 63),
    warn_permille=st.integers(0, 1000),
    pend_permille=st.integers(0, 1000),
    qty_min=st.integers(0, rows.QTY_STEP_MAX),
    qty_step=st.integers(0, rows.QTY_STEP_MAX),
    score=st.floats(allow_nan=False),
    model_id=st.text(st.characters(min_codepoint=1, max_codepoint=127), max_size=24),
    **dict.fromkeys(("halted", "killed", "stale", "restricted", "needs_locate"), st.booleans()),
    **dict.fromkeys(
        ("ref_price", "ref_low", "ref_high", "ref_until_ns", "valid_until_ns", "tick_size", "lot_nano"), int64s
    ),
    **dict.fromkeys(("epoch", "tick_ns", "written_ns"), int64s),
)
account_rows = st.builds(
    AccountRow,
    account=st.integers(1, 2**64 - 1),
    class_mask=st.integers(0, 2**64 - 1),
    period_ns=st.none() | st.integers(rows.PERIOD_MIN_NS, rows.PERIOD_MAX_NS),
    open_orders=counts,
    repeats_max=counts,
    **dict.fromkeys(
        ("gross_value", "net_value", "instrument_value", "credit", "day_loss", "drawdown", "period_value", "basket_value",
         "messages_per_s", "message_burst", "duplicate_ns"),
        values,
    ),
)  # fmt: skip


def thrice(limits: Limits, **fields: Any) -> InstrumentRow:
    return InstrumentRow(1, limits, limits, limits, **fields)


def account(*values: Any) -> AccountRow:
    return AccountRow(*values)


def through_c(row: InstrumentRow) -> InstrumentRow:
    with LimitTable.private(1) as table:
        assert table.put(row.pack())
        read = table.read(row.instrument_id)
        assert read is not None
        return InstrumentRow.unpack(read)


def account_through_c(row: AccountRow) -> AccountRow:
    with LimitTable.private(1) as table:
        assert table.put_account(row.pack())
        read = table.read_account(row.account)
        assert read is not None
        return AccountRow.unpack(read)


def test_rows_have_the_size_of_the_structs() -> None:
    assert len(InstrumentRow(1).pack()) == _native.ROW_BYTES
    assert len(AccountRow(1).pack()) == _native.ACCOUNT_ROW_BYTES


@pytest.mark.parametrize(
    ("name", "native"),
    [(name, name) for name in ("UNLIMITED", "BPS_MAX", "TICKS_MAX", "WEIGHT_MAX", "MARGIN_MAX", "QTY_STEP_MAX")]
    + [(name, name) for name in ("PERIOD_MIN_NS", "PERIOD_MAX_NS", "MODEL_ID_BYTES_MAX")]
    + [("COUNT_MAX", "OPEN_ORDERS_MAX"), ("COUNT_MAX", "REPEATS_MAX")],
)
def test_bounds_are_those_of_the_header(name: str, native: str) -> None:
    assert getattr(rows, name) == getattr(_native, native)


def test_every_field_comes_back_from_its_own_place() -> None:
    columns = [Limits(*range(first, first + 10)) for first in (100, 200, 300)]
    row = InstrumentRow(7, columns[0], columns[1], columns[2], tier=2,
                        class_id=41, warn_permille=801, pend_permille=902, ref_price=1, ref_low=2,
                        ref_high=3, ref_until_ns=4, valid_until_ns=5, tick_size=6, lot_nano=7, qty_min=8, qty_step=9,
                        epoch=10, tick_ns=11, written_ns=12, score=0.5, model_id="model")  # fmt: skip
    assert through_c(row) == row
    for switch in ("halted", "killed", "stale", "restricted", "needs_locate"):
        switched = replace(row, **{switch: True})  # type: ignore[arg-type]
        assert through_c(switched) == switched
    granted = account(3, *range(11, 23), rows.PERIOD_MIN_NS, 25, 26)
    assert account_through_c(granted) == granted


@given(instrument_rows)
@example(InstrumentRow(1))
@example(replace(thrice(Limits(**LARGEST)), instrument_id=2**32 - 1))
@example(thrice(Limits(*[0] * 10), warn_permille=0, pend_permille=0))
def test_any_row_comes_back_from_c_as_it_went(row: InstrumentRow) -> None:
    assert InstrumentRow.unpack(row.pack()) == row
    assert through_c(row) == row


@given(account_rows)
@example(AccountRow(1))
@example(account(1, *[UNLIMITED] * 12, rows.PERIOD_MAX_NS, UNLIMITED, 2**64 - 1))
@example(account(1, *[0] * 12, rows.PERIOD_MIN_NS, 0, 0))
def test_any_account_comes_back_from_c_as_it_went(row: AccountRow) -> None:
    assert AccountRow.unpack(row.pack()) == row
    assert account_through_c(row) == row


@pytest.mark.parametrize("name", ["band_bps", "band_ticks", "period_band_bps"])
@pytest.mark.parametrize("above", [1, 2**40, None])
def test_limit_above_what_the_table_holds_is_brought_down_where_that_is_tighter(name: str, above: int | None) -> None:
    said = UNLIMITED if above is None else LARGEST[name] + above
    row = through_c(thrice(Limits(**{name: said})))
    for column in (row.envelope, row.dynamic, row.stale_limits):
        assert column == Limits(**{name: LARGEST[name]})


@pytest.mark.parametrize("name", ["quote_offset_bps", "message_weight", "margin"])
@pytest.mark.parametrize("above", [1, 2**40, None])
def test_limit_above_what_the_table_holds_is_unset_where_less_would_be_looser(name: str, above: int | None) -> None:
    said = UNLIMITED if above is None else LARGEST[name] + above
    row = through_c(thrice(Limits(**{name: said})))
    assert row.envelope == row.dynamic == row.stale_limits == Limits.UNSET


@pytest.mark.parametrize("name", ["open_orders", "repeats_max"])
def test_count_above_what_the_table_holds_is_brought_down_and_unlimited_is_kept(name: str) -> None:
    def kept(value: int) -> object:
        return getattr(account_through_c(AccountRow(1, **{name: value})), name)

    assert kept(COUNT_MAX + 1) == COUNT_MAX
    assert kept(UNLIMITED - 1) == COUNT_MAX
    assert kept(UNLIMITED) == UNLIMITED


def test_numbers_that_only_raw_bytes_can_say_become_what_blocks() -> None:
    raw = bytearray(InstrumentRow(1, qty_min=1, qty_step=1).pack())
    at = 16 + 3 * 80 + 7 * 8
    struct.pack_into("=2q", raw, at, 2**31, -5)
    struct.pack_into("=q", raw, 16, -(2**63))
    with LimitTable.private(1) as table:
        assert table.put(bytes(raw))
        read = table.read(1)
        assert read is not None
        row = InstrumentRow.unpack(read)
        assert (row.qty_min, row.qty_step, row.envelope.order_qty) == (0, 0, None)
    raw = bytearray(AccountRow(1, period_ns=rows.PERIOD_MIN_NS).pack())
    for period_ns in (0, rows.PERIOD_MIN_NS - 1, rows.PERIOD_MAX_NS + 1, UNLIMITED, -7):
        struct.pack_into("=q", raw, 8 + 8 * rows.ACCOUNT_LIMIT_NAMES.index("period_ns"), period_ns)
        with LimitTable.private(1) as table:
            assert table.put_account(bytes(raw))
            kept = table.read_account(1)
            assert kept is not None
            assert AccountRow.unpack(kept).period_ns is None


@pytest.mark.parametrize(
    ("field", "value"),
    [("instrument_id", 0), ("instrument_id", 2**32), ("tier", 4), ("tier", -1), ("class_id", 64), ("warn_permille", 1001),
     ("pend_permille", -1), ("qty_min", -1), ("qty_step", 2**31), ("ref_price", 2**63), ("epoch", -(2**63) - 1),
     ("model_id", "m" * 25), ("model_id", "modèle"), ("model_id", "a\0b"), ("envelope", Limits(order_qty=-1)),
     ("dynamic", Limits(margin=2**63)), ("stale_limits", Limits(short=-5))],
)  # fmt: skip
def test_row_that_makes_no_sense_is_refused_with_its_field(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=field):
        replace(InstrumentRow(1), **{field: value}).pack()


@pytest.mark.parametrize(
    ("field", "value"),
    [("account", 0), ("account", 2**64), ("class_mask", -1), ("gross_value", -1), ("open_orders", 2**63),
     ("period_ns", 0), ("period_ns", rows.PERIOD_MAX_NS + 1), ("period_ns", UNLIMITED), ("duplicate_ns", -1)],
)  # fmt: skip
def test_account_that_makes_no_sense_is_refused_with_its_field(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=field):
        replace(AccountRow(1), **{field: value}).pack()


@pytest.mark.parametrize("kind", [InstrumentRow, AccountRow])
def test_bytes_of_another_length_are_no_row(kind: type[InstrumentRow | AccountRow]) -> None:
    for raw in (b"", kind(1).pack()[:-1], kind(1).pack() + b"\0"):
        with pytest.raises(struct.error):
            kind.unpack(raw)


def test_limits_are_in_the_order_of_the_header() -> None:
    assert Limits(*range(10)).values() == tuple(range(10)) == astuple(Limits(*range(10)))
    assert [field.name for field in fields(Limits)] == list(LIMIT_NAMES)
    assert Limits.UNSET.values() == (None,) * 10


@given(limits, limits)
def test_tighter_is_never_looser_than_either_and_unset_is_the_tightest(a: Limits, b: Limits) -> None:
    both, where_set = rows.tighter(a, b), rows.tighter_where_set(a, b)
    assert both == rows.tighter(b, a)
    assert where_set == rows.tighter_where_set(b, a)
    for name in LIMIT_NAMES:
        x, y = getattr(a, name), getattr(b, name)
        known = [value for value in (x, y) if value is not None]
        best = (max if name in {"quote_offset_bps", "message_weight", "margin"} else min)(known, default=None)
        assert getattr(where_set, name) == best
        assert getattr(both, name) == (best if len(known) == 2 else None)
