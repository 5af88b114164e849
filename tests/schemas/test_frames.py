"""The Arrow frame and the Arrow ticks: round trips, golden bytes, damaged input."""

import contextlib
import dataclasses
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import frames, scores, ticks, topics
from schemas.codec import SCHEMA_ROOT
from schemas.errors import MessageError
from schemas.events import FrameFlag
from schemas.frames import (
    ChannelFrame,
    Columns,
    Frame,
    SignalFrame,
    channel_of,
    decode_frame,
    empty_columns,
    encode_frame,
)
from schemas.signals import SCORE_SCALE, Signal, SignalKind, signals_in
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


def a_signal_frame(**changes: list[int]) -> SignalFrame:
    """A late headline, an order of 10 lots and its execution of 4, where the channel has reached a second."""
    rows: dict[str, list[int]] = {
        "ts_event_ns": [999_000_000, 1_000_000_000, 1_000_000_000],
        "seq": [7, 8, 9],
        "instrument_id": [1, 2, 2],
        "kind": [1, 2, 3],
        "score": [-250_000_000, 0, 0],
        "order_qty": [0, 10, 10],
        "fill_qty": [0, 0, 4],
    }
    columns: Columns = {
        name: np.array((rows | changes)[name], kind.to_pandas_dtype()) for name, kind in frames.SIGNAL_COLUMNS
    }
    return SignalFrame("SIM", 7, 9, 999_000_000, 1_000_000_000, FrameFlag(0), columns)


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


def equal(left: ChannelFrame, right: ChannelFrame) -> bool:
    names = ("channel_id", "seq_first", "seq_last", "ts_first_ns", "ts_last_ns", "flags")
    return (
        type(left) is type(right)
        and all(getattr(left, n) == getattr(right, n) for n in names)
        and all(np.array_equal(left.columns[n], right.columns[n]) for n in left.columns)
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


def test_signal_frame_bytes_are_golden_and_decode_to_the_same_signals() -> None:
    raw = (GOLDEN / "market.frames.signal.v1.three_signals.bin").read_bytes()
    assert encode_frame(a_signal_frame()) == raw
    found = decode_frame(raw)
    assert isinstance(found, SignalFrame)
    assert equal(found, a_signal_frame())
    assert channel_of(raw) == "SIM"
    assert signals_in(found.columns) == [
        Signal(999_000_000, 1, SignalKind.HEADLINE, score=-SCORE_SCALE // 4),
        Signal(1_000_000_000, 2, SignalKind.ORDER, order_qty=10),
        Signal(1_000_000_000, 2, SignalKind.EXECUTION, order_qty=10, fill_qty=4),
    ]
    assert signals_in(found.columns, 2) == signals_in(found.columns)[2:]


@pytest.mark.parametrize(
    ("file", "form", "head"),
    [
        (f"{topics.MARKET_FRAMES}/v1", frames.FORMAT, frames.COLUMNS),
        (f"{topics.MARKET_FRAMES}/signal.v1", frames.SIGNAL_FORMAT, frames.SIGNAL_COLUMNS),
        (f"{topics.FEATURES_TICKS}/v1", ticks.FORMAT, ticks.FIXED),
        (f"{topics.RISK_SCORES}/v1", scores.FORMAT, scores.FIXED),
    ],
)
def test_published_arrow_schema_matches_the_code(file: str, form: bytes, head: tuple[tuple[str, object], ...]) -> None:
    schema = json.loads((SCHEMA_ROOT / f"{file}.arrow.json").read_text())
    published = schema["columns"]
    assert schema["format"] == form.decode()
    assert [(c["name"], c["type"]) for c in published] == [(name, str(kind)) for name, kind in head]


@pytest.mark.parametrize("frame", [a_frame(), a_signal_frame()])
def test_every_truncation_of_a_frame_is_refused(frame: ChannelFrame) -> None:
    raw = encode_frame(frame)
    end_mark = 8  # an Arrow stream may end without its end-of-stream mark
    for cut in range(len(raw) - end_mark):
        with pytest.raises(MessageError):
            decode_frame(raw[:cut])


@given(st.binary(max_size=300))
def test_random_bytes_are_refused_not_crashed_on(raw: bytes) -> None:
    for read in (decode_frame, channel_of, decode_ticks):
        with pytest.raises(MessageError):
            read(raw)


@pytest.mark.parametrize("frame", [a_frame(), a_signal_frame()])
def test_flipped_bytes_never_raise_anything_but_a_message_error(frame: ChannelFrame) -> None:
    raw = bytearray(encode_frame(frame))
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


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"ts_event_ns": [5, 1_000_000_001, 5]}, "seq 8: a time"),
        ({"ts_event_ns": [5, 5, -1]}, "seq 9: a time"),
        ({"kind": [0, 2, 3]}, "seq 7: an unknown kind"),
        ({"kind": [1, 4, 3]}, "seq 8: an unknown kind"),
        ({"score": [1_000_000_001, 0, 0]}, "seq 7: a score"),
        ({"score": [-(2**63), 0, 0]}, "seq 7: a score"),
        ({"score": [0, 1, 0]}, "seq 8: a score"),
        ({"order_qty": [1, 10, 10]}, "seq 7: an order"),
        ({"order_qty": [0, 0, 10]}, "seq 8: an order"),
        ({"order_qty": [0, 10, -4]}, "seq 9: an order"),
        ({"fill_qty": [0, 1, 4]}, "seq 8: a fill"),
        ({"fill_qty": [0, 0, 0]}, "seq 9: a fill"),
        ({"fill_qty": [0, 0, 11]}, "seq 9: a fill"),
    ],
)
def test_row_that_is_no_signal_refuses_the_frame_and_names_its_number(
    changes: dict[str, list[int]], detail: str
) -> None:
    with pytest.raises(MessageError, match=f"bad_signal: {detail}"):
        decode_frame(encode_frame(a_signal_frame(**changes)))


def test_signal_frame_without_signals_is_refused() -> None:
    empty = SignalFrame("SIM", 7, 6, 5, 5, FrameFlag(0), SignalFrame.LAYOUT.empty())
    with pytest.raises(MessageError, match="bad_frame: a signal frame held no signals"):
        decode_frame(encode_frame(empty))


def test_columns_of_one_format_under_the_name_of_the_other_are_refused() -> None:
    frame = a_signal_frame()
    schema = SignalFrame.LAYOUT.arrow_schema.with_metadata({b"format": frames.FORMAT, b"channel_id": b"SIM"})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(pa.record_batch([frame.columns[name] for name in schema.names], schema=schema))
    raw = bytes(sink.getvalue())
    with pytest.raises(MessageError, match="unknown_schema"):
        decode_frame(raw)
