"""What passes through the SQL function: scaled ticks in, scores out, both Arrow IPC streams.

``tidegate.scaled.v1`` carries all that the tier tracker needs later, so that only two byte strings travel through SQL.
"""

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.spec import FEATURE_NAMES, SPEC_HASH
from schemas.errors import MessageError
from schemas.frames import READ_ERRORS

SCALED: Final = b"tidegate.scaled.v1"
SCORES: Final = b"tidegate.scores.v1"

_WIDTH: Final = len(FEATURE_NAMES)
_SCALED_SCHEMA: Final = pa.schema(
    [
        ("tick_ns", pa.int64()),
        ("instrument_id", pa.uint32()),
        ("status", pa.uint32()),
        ("ref_price", pa.int64()),
        ("values", pa.list_(pa.float64(), _WIDTH)),
        ("z", pa.list_(pa.float32(), _WIDTH)),
        ("scored", pa.bool_()),
    ]
)
_SCORES_SCHEMA: Final = pa.schema([("error", pa.float64()), ("share", pa.list_(pa.float32(), _WIDTH))])


@dataclass(frozen=True, slots=True, eq=False)
class ScaledTicks:
    """Ticks with robust scores.

    Attributes:
        channel_id: Channel of all rows.
        tick_ns: ``(rows,)`` int64.
        instrument_id: ``(rows,)`` uint32.
        status: ``(rows,)`` uint32, ``TickStatus`` bits.
        ref_price: ``(rows,)`` int64, 1e-9 currency, 0 = none.
        values: ``(rows, features)`` float64, raw, NaN = null.
        z: ``(rows, features)`` float32, clipped; 0 where null or not scored.
        scored: ``(rows,)`` bool: the instrument is warm and its book is whole.
    """

    channel_id: str
    tick_ns: npt.NDArray[np.int64] = field(repr=False)
    instrument_id: npt.NDArray[np.uint32] = field(repr=False)
    status: npt.NDArray[np.uint32] = field(repr=False)
    ref_price: npt.NDArray[np.int64] = field(repr=False)
    values: npt.NDArray[np.float64] = field(repr=False)
    z: npt.NDArray[np.float32] = field(repr=False)
    scored: npt.NDArray[np.bool_] = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """Answers of a scorer, row by row of the scaled ticks.

    Attributes:
        model_id: Model that scored.
        degraded: The simple stack scored alone.
        error: ``(rows,)`` float64, anomaly measure of the back end that scored; larger is stranger.
        share: ``(rows, features)`` float32, parts of the error, each row sums to 1 (or is 0).
    """

    model_id: str
    degraded: bool
    error: npt.NDArray[np.float64] = field(repr=False)
    share: npt.NDArray[np.float32] = field(repr=False)


def encode_scaled(ticks: ScaledTicks) -> bytes:
    """Return scaled ticks as bytes."""
    columns = [
        pa.array(ticks.tick_ns),
        pa.array(ticks.instrument_id),
        pa.array(ticks.status),
        pa.array(ticks.ref_price),
        _matrix(ticks.values),
        _matrix(ticks.z),
        pa.array(ticks.scored),
    ]
    return _write(
        columns,
        _SCALED_SCHEMA,
        {b"format": SCALED, b"channel_id": ticks.channel_id.encode(), b"spec_hash": SPEC_HASH.encode()},
    )


def decode_scaled(raw: bytes) -> ScaledTicks:
    """Return the scaled ticks in ``raw``.

    Raises:
        MessageError: Damaged, of another format, or of other features.
    """
    batch, meta = _read(raw, SCALED, _SCALED_SCHEMA)
    if meta.get(b"spec_hash") != SPEC_HASH.encode():
        raise MessageError("wrong_features", f"feature spec was {meta.get(b'spec_hash')!r}, wanted {SPEC_HASH}")
    column = batch.column
    return ScaledTicks(
        channel_id=_text(meta, b"channel_id"),
        tick_ns=column(0).to_numpy(),
        instrument_id=column(1).to_numpy(),
        status=column(2).to_numpy(),
        ref_price=column(3).to_numpy(),
        values=_from_matrix(column(4)),
        z=_from_matrix(column(5)),
        scored=column(6).to_numpy(zero_copy_only=False),
    )


def encode_scores(scores: Scores) -> bytes:
    """Return scores as bytes."""
    columns = [pa.array(scores.error), _matrix(scores.share)]
    degraded = b"1" if scores.degraded else b"0"
    return _write(
        columns, _SCORES_SCHEMA, {b"format": SCORES, b"model_id": scores.model_id.encode(), b"degraded": degraded}
    )


def decode_scores(raw: bytes) -> Scores:
    """Return the scores in ``raw``.

    Raises:
        MessageError: Damaged or of another format.
    """
    batch, meta = _read(raw, SCORES, _SCORES_SCHEMA)
    return Scores(
        model_id=_text(meta, b"model_id"),
        degraded=_text(meta, b"degraded") == "1",
        error=batch.column(0).to_numpy(),
        share=_from_matrix(batch.column(1)),
    )


def _matrix(values: npt.NDArray[Any]) -> pa.FixedSizeListArray:
    flat = pa.array(np.ascontiguousarray(values).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, _WIDTH)


def _from_matrix(column: Any) -> npt.NDArray[Any]:
    matrix: npt.NDArray[Any] = column.flatten().to_numpy().reshape(-1, _WIDTH)
    return matrix


def _write(columns: list[Any], schema: Any, meta: dict[bytes, bytes]) -> bytes:
    batch = pa.record_batch(columns, schema=schema.with_metadata(meta))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


def _read(raw: bytes, wanted: bytes, schema: Any) -> tuple[Any, dict[bytes, bytes]]:
    try:
        with pa.ipc.open_stream(raw) as reader:
            meta = reader.schema.metadata or {}
            batch = reader.read_next_batch()
            batch.validate()
            same = batch.schema.equals(schema)
    except (*READ_ERRORS, StopIteration) as error:
        raise MessageError("bad_arrow", (str(error) or "no record batch").splitlines()[0]) from error
    if meta.get(b"format") != wanted:
        raise MessageError("unknown_schema", f"format was {meta.get(b'format')!r}, wanted {wanted!r}")
    if not same:
        raise MessageError("unknown_schema", f"its {batch.num_columns} columns are not those of {wanted.decode()}")
    lists = [column for column in batch.columns if pa.types.is_fixed_size_list(column.type)]
    if any(column.null_count for column in [*batch.columns, *(matrix.values for matrix in lists)]):
        raise MessageError("bad_arrow", "a column held nulls")
    return batch, meta


def _text(meta: dict[bytes, bytes], key: bytes) -> str:
    try:
        return meta[key].decode()
    except (KeyError, UnicodeDecodeError) as error:
        raise MessageError("unknown_schema", f"metadata {key!r}: {error}") from error
