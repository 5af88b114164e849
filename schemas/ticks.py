"""`features.ticks`: Arrow IPC stream, a row per (tick, instrument), one Kafka record per frame that closed ticks.

The columns after the fixed ones are the features, float64, named and ordered by ``features.spec`` (whose hash
travels in the metadata, so that a model cannot be fed features of another meaning). NaN means "not known yet".
"""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.errors import MessageError
from schemas.frames import READ_ERRORS

FORMAT: Final = b"tidegate.ticks.v1"
_F64: Final = pa.float64()

FIXED: Final = (
    ("tick_ns", pa.int64()),  # event time of the tick's end, a multiple of TICK_NS
    ("instrument_id", pa.uint32()),
    ("status", pa.uint32()),  # schemas.events.TickStatus bits
    ("ref_price", pa.int64()),  # mid price at the tick's end, 1e-9 currency; 0 when a side is empty
)


@dataclass(frozen=True, slots=True, eq=False)
class Ticks:
    """Rows of features, ordered by ``(tick_ns, instrument_id)``.

    Attributes:
        channel_id: Channel of all rows.
        epoch: Deployment epoch of the job that wrote them.
        spec_hash: Hash of the feature specification.
        feature_names: Names of the columns of ``values``.
        tick_ns: ``(rows,)`` int64.
        instrument_id: ``(rows,)`` uint32.
        status: ``(rows,)`` uint32, ``TickStatus`` bits.
        ref_price: ``(rows,)`` int64, 1e-9 currency, 0 = none.
        values: ``(rows, features)`` float64, C-contiguous, NaN = null.
    """

    channel_id: str
    epoch: int
    spec_hash: str
    feature_names: tuple[str, ...]
    tick_ns: npt.NDArray[np.int64] = field(repr=False)
    instrument_id: npt.NDArray[np.uint32] = field(repr=False)
    status: npt.NDArray[np.uint32] = field(repr=False)
    ref_price: npt.NDArray[np.int64] = field(repr=False)
    values: npt.NDArray[np.float64] = field(repr=False)

    @property
    def row_count(self) -> int:
        """Number of rows."""
        return len(self.tick_ns)


def encode_ticks(ticks: Ticks) -> bytes:
    """Return the rows as an Arrow IPC stream; equal ticks give equal bytes."""
    schema = _schema(ticks.channel_id, ticks.epoch, ticks.spec_hash, feature_names=ticks.feature_names)
    fixed = (ticks.tick_ns, ticks.instrument_id, ticks.status, ticks.ref_price)
    arrays = [pa.array(values, type=kind) for values, (_, kind) in zip(fixed, FIXED, strict=True)]
    rows, features = ticks.values.shape
    whole = pa.py_buffer(np.ascontiguousarray(ticks.values.T, dtype=np.float64))
    size = 8 * rows
    arrays += [pa.Array.from_buffers(_F64, rows, [None, whole.slice(n * size, size)]) for n in range(features)]
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
    return bytes(sink.getvalue())


@lru_cache(maxsize=256)
def _schema(channel_id: str, epoch: int, spec_hash: str, *, feature_names: tuple[str, ...]) -> Any:
    """Return the Arrow schema of a channel's messages: equal from one to the next, and a third of the cost of each."""
    fields = [pa.field(name, kind, nullable=False) for name, kind in FIXED]
    fields += [pa.field(name, _F64, nullable=False) for name in feature_names]
    metadata = {
        b"format": FORMAT,
        b"channel_id": channel_id.encode(),
        b"epoch": b"%d" % epoch,
        b"spec_hash": spec_hash.encode(),
    }
    return pa.schema(fields, metadata=metadata)


def decode_ticks(raw: bytes) -> Ticks:
    """Return the rows in ``raw``.

    Raises:
        MessageError: ``bad_arrow`` (not an Arrow stream, or cut short) or ``unknown_schema``.
    """
    batch = read_batch(raw)
    meta = batch.schema.metadata
    names = tuple(batch.schema.names[len(FIXED) :])
    try:
        channel_id, epoch, spec_hash = meta[b"channel_id"].decode(), int(meta[b"epoch"]), meta[b"spec_hash"].decode()
        columns = [batch.column(i).to_numpy() for i in range(len(FIXED))]
        features = batch.columns[len(FIXED) :]
        joined = pa.concat_arrays(features).to_numpy() if features else np.empty(0)
    except (*READ_ERRORS, ValueError) as error:
        raise MessageError("bad_arrow", str(error).splitlines()[0]) from error
    return Ticks(
        channel_id=channel_id,
        epoch=epoch,
        spec_hash=spec_hash,
        feature_names=names,
        tick_ns=columns[0],
        instrument_id=columns[1],
        status=columns[2],
        ref_price=columns[3],
        values=np.ascontiguousarray(joined.reshape(len(features), batch.num_rows).T),
    )


def read_batch(raw: bytes) -> pa.RecordBatch:
    """Return the one record batch in ``raw``, checked for format and fixed columns (history inserts it as it is).

    Raises:
        MessageError: As :func:`decode_ticks`.
    """
    try:
        with pa.ipc.open_stream(raw) as reader:
            batch = reader.read_next_batch()
            batch.validate()
            head = tuple((f.name, f.type) for f in map(batch.schema.field, range(min(len(FIXED), batch.num_columns))))
            meta = batch.schema.metadata or {}
    except (*READ_ERRORS, StopIteration) as error:
        raise MessageError("bad_arrow", (str(error) or "no record batch").splitlines()[0]) from error
    if meta.get(b"format") != FORMAT:
        raise MessageError("unknown_schema", f"format was {meta.get(b'format')!r}, wanted {FORMAT!r}")
    if head != FIXED or not {b"channel_id", b"epoch", b"spec_hash"} <= meta.keys():
        raise MessageError("unknown_schema", f"columns were {batch.schema.names[: len(FIXED)]}")
    return batch
