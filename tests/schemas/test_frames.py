"""The Arrow frame and the Arrow ticks: round trips, golden bytes, damaged input."""

import contextlib
import dataclasses
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import frames, ticks, topics
from schemas.codec import SCHEMA_ROOT
from schemas.errors import MessageError
from schemas.events import FrameFlag
from schemas.frames import Columns, Frame, channel_of, decode_frame, empty_columns, encode_frame
from schemas.ticks import Ticks, decode_ticks, encode_ticks

GOLDEN = Path(__file__).parents[1] / "golden" / "schemas"


def a_frame(rows: int = 3, first: int = 7) -> Frame:
    columns: Columns = {
        "ts_event_ns": np.arange(rows, dtype=np.int64) * 1_000 + 1_768_487_428_000_000_000,
        "seq": np.arange(first, first + rows, dtype=np.int64),
        "instrument_id": np.full(rows, 1, dtype=np.uint32),
        "kind": np.full(rows, 1, dtype=np.uint8),
        "side": np.where(np.arange(rows) % 2, 1, -1).astype(np.int8),
        "order_id": np.arange(rows, dtype=np.uint64) + 900,
        "price": np.full(rows, 50_000_000_000, dtype=np.int64),
        "qty": np.arange(rows, dtype=np.int64) + 1,
    }
    ts = columns["ts_event_ns"].tolist()
    return Frame("SIM", first, first + rows - 1, int(ts[0]), int(ts[-1]), FrameFlag(0), columns)


def some_ticks() -> Ticks:
    return Ticks(
        channel_id="SIM",
        epoch=1,
        spec_hash="0123456789abcdef",
        feature_names=("spread_bps", "imbalance_l1"),
        tick_ns=np.array([100, 100], dtype=np.int64),
        instrument_id=np.array([1, 2], dtype=np.uint32),
        status=np.array([0, 1], dtype=np.uint32),
        ref_price=np.array([50_000_000_000, 0], dtype=np.int64),
        values=np.array([[1.5, -0.25], [np.nan, np.nan]]),
    )


def equal(left: Frame, right: Frame) -> bool:
    names = ("channel_id", "seq_first", "seq_last", "ts_first_ns", "ts_last_ns", "flags")
    return all(getattr(left, n) == getattr(right, n) for n in names) and all(
        np.array_equal(left.columns[n], right.columns[n]) for n in left.columns
    )


def test_frame_bytes_are_golden_and_decode_to_the_same_frame() -> None:
    raw = (GOLDEN / "market.frames.v1.three_adds.bin").read_bytes()
    assert encode_frame(a_frame()) == raw
    assert equal(decode_frame(raw), a_frame())
    assert channel_of(raw) == "SIM"


def test_heartbeat_has_no_rows_and_keeps_its_numbers() -> None:
    beat = Frame("SIM", 10, 9, 5, 5, FrameFlag.HEARTBEAT, empty_columns())
    assert equal(decode_frame(encode_frame(beat)), beat)


def test_ticks_bytes_are_golden_and_decode_to_the_same_ticks() -> None:
    raw = (GOLDEN / "features.ticks.v1.two_rows.bin").read_bytes()
    assert encode_ticks(some_ticks()) == raw
    back = decode_ticks(raw)
    assert back.feature_names == some_ticks().feature_names
    np.testing.assert_array_equal(back.values, some_ticks().values)
    np.testing.assert_array_equal(back.status, some_ticks().status)


@pytest.mark.parametrize(
    ("topic", "head"), [(topics.MARKET_FRAMES, frames.COLUMNS), (topics.FEATURES_TICKS, ticks.FIXED)]
)
def test_published_arrow_schema_matches_the_code(topic: str, head: tuple[tuple[str, object], ...]) -> None:
    published = json.loads((SCHEMA_ROOT / topic / "v1.arrow.json").read_text())["columns"]
    assert [(c["name"], c["type"]) for c in published] == [(name, str(kind)) for name, kind in head]


def test_every_truncation_of_a_frame_is_refused() -> None:
    raw = encode_frame(a_frame())
    end_mark = 8  # an Arrow stream may end without its end-of-stream mark
    for cut in range(len(raw) - end_mark):
        with pytest.raises(MessageError):
            decode_frame(raw[:cut])


@given(st.binary(max_size=300))
def test_random_bytes_are_refused_not_crashed_on(raw: bytes) -> None:
    for read in (decode_frame, channel_of, decode_ticks):
        with pytest.raises(MessageError):
            read(raw)


def test_flipped_bytes_never_raise_anything_but_a_message_error() -> None:
    raw = bytearray(encode_frame(a_frame()))
    rng = random.Random(7)
    for _ in range(2_000):
        damaged = bytearray(raw)
        damaged[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
        with contextlib.suppress(MessageError):
            decode_frame(bytes(damaged))


def test_ticks_are_not_taken_for_a_frame() -> None:
    with pytest.raises(MessageError, match="unknown_schema"):
        decode_frame(encode_ticks(some_ticks()))


@pytest.mark.parametrize(
    ("field", "value"),
    [("seq_last", 99), ("seq_first", 1), ("ts_first_ns", 2**62), ("ts_first_ns", -1), ("ts_last_ns", 2**63 - 1)],
)
def test_numbering_that_disagrees_with_the_rows_is_refused(field: str, value: int) -> None:
    changed: dict[str, Any] = {field: value}
    with pytest.raises(MessageError, match="bad_frame"):
        decode_frame(encode_frame(dataclasses.replace(a_frame(), **changed)))
