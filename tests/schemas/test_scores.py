"""Scores as Arrow: round trip, golden bytes, damaged input."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from schemas.errors import MessageError
from schemas.scores import ScoreRows, decode_scores, encode_scores

GOLDEN = Path(__file__).parents[1] / "golden" / "schemas" / "risk.scores.v1.two_rows.bin"
T0_NS = 1_768_487_428_000_000_000


def some_scores() -> ScoreRows:
    return ScoreRows(
        channel_id="SIM",
        epoch=3,
        model_id="default",
        shadow=False,
        measures=("length", "network"),
        tick_ns=np.array([T0_NS, T0_NS]),
        instrument_id=np.array([1, 2], np.uint32),
        score=np.array([4.0, np.nan]),
        p=np.array([1e-4, np.nan]),
        adverse_share=np.array([0.75, 0.0]),
        measure_p=np.array([[0.02, 1e-5], [np.nan, np.nan]]),
    )


def test_bytes_are_golden_and_decode_to_the_same_scores() -> None:
    raw = GOLDEN.read_bytes()
    assert encode_scores(some_scores()) == raw
    found = decode_scores(raw)
    wanted = some_scores()
    assert (found.channel_id, found.epoch, found.model_id, found.shadow) == ("SIM", 3, "default", False)
    assert found.measures == wanted.measures
    for name in ("tick_ns", "instrument_id", "score", "p", "adverse_share", "measure_p"):
        np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name))


def test_model_without_measures_and_a_shadow_come_back() -> None:
    bare = replace(some_scores(), shadow=True, measures=(), measure_p=np.empty((2, 0)))
    found = decode_scores(encode_scores(bare))
    assert found.shadow
    assert found.measures == ()
    assert found.measure_p.shape == (2, 0)


def test_every_truncation_is_refused() -> None:
    raw = GOLDEN.read_bytes()
    for cut in range(len(raw) - 8):  # an Arrow stream may end without its end-of-stream mark
        with pytest.raises(MessageError):
            decode_scores(raw[:cut])


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({b"format": b"tidegate.ticks.v1"}, "unknown_schema"),
        ({b"epoch": b"-1"}, "bad_record"),
        ({b"epoch": b"soon"}, "bad_arrow"),
        ({b"model_id": b"\xff"}, "bad_arrow"),
    ],
)
def test_header_that_says_something_else_is_refused(change: dict[bytes, bytes], cause: str) -> None:
    batch = pa.ipc.open_stream(GOLDEN.read_bytes()).read_next_batch()
    assert refused(batch.replace_schema_metadata(batch.schema.metadata | change)) == cause


def test_other_columns_and_nulls_are_refused() -> None:
    batch = pa.ipc.open_stream(GOLDEN.read_bytes()).read_next_batch()
    meta = batch.schema.metadata
    renamed = [*batch.schema.names[:-1], "network"]
    assert refused(pa.RecordBatch.from_arrays(batch.columns, names=renamed, metadata=meta)) == "unknown_schema"
    assert refused(batch.select(["instrument_id"]).replace_schema_metadata(meta)) == "unknown_schema"
    columns = [*batch.columns[:-1], pa.array([None, 1.0])]
    assert refused(pa.RecordBatch.from_arrays(columns, names=batch.schema.names, metadata=meta)) == "bad_record"


def refused(batch: pa.RecordBatch) -> str:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    with pytest.raises(MessageError) as caught:
        decode_scores(bytes(sink.getvalue()))
    return caught.value.cause
