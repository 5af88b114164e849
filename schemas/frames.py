"""`market.frames`: the unit of flow, an Arrow IPC stream with one record batch of one channel's events.

Invariant: a frame is decoded whole or refused whole, and its numbering can be checked without reading a column.
A heartbeat has no rows, ``seq_first = seq_last + 1`` and says how far the channel's clock has come. Rejected: one
Kafka record per event (Python in Flink reaches some 50 k/s) and Arrow files (a stream needs no footer).
"""

import functools
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.errors import MessageError
from schemas.events import FrameFlag
from schemas.units import NS_PER_MS

FORMAT: Final = b"tidegate.frame.v1"

COLUMNS: Final = (
    ("ts_event_ns", pa.int64()),  # venue time, ns since the epoch, UTC
    ("seq", pa.int64()),  # channel sequence number, rising by one per event
    ("instrument_id", pa.uint32()),
    ("kind", pa.uint8()),  # schemas.events.Kind
    ("side", pa.int8()),  # schemas.events.Side, of the resting order
    ("order_id", pa.uint64()),  # 0 when the kind has none
    ("price", pa.int64()),  # 1e-9 currency
    ("qty", pa.int64()),  # lots
)
ARROW_SCHEMA: Final = pa.schema([pa.field(name, kind, nullable=False) for name, kind in COLUMNS])
_DTYPES: Final = {name: kind.to_pandas_dtype() for name, kind in COLUMNS}

NUMBER_MAX: Final = 2**62
"""Sequence numbers and times beyond it (the year 2116) are damage; one such frame would make every later one a repeat."""

READ_ERRORS: Final = (pa.ArrowException, OSError, UnicodeDecodeError, OverflowError)
"""What pyarrow raises on damaged bytes."""

Columns = dict[str, npt.NDArray[np.generic]]


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One frame, decoded.

    Attributes:
        channel_id: Ordered sequence from one venue feed; the Kafka key.
        seq_first: Sequence number of the first event (of the next one, for a heartbeat).
        seq_last: Sequence number of the last event (of the last one sent before, for a heartbeat).
        ts_first_ns: Event time of the first event.
        ts_last_ns: Event time that the channel has reached; the Kafka timestamp, in ms.
        flags: ``FrameFlag`` bits.
        columns: 1-D C-contiguous arrays of equal length, one per name in ``COLUMNS``.
    """

    channel_id: str
    seq_first: int
    seq_last: int
    ts_first_ns: int
    ts_last_ns: int
    flags: FrameFlag
    columns: Columns = field(repr=False)

    @property
    def event_count(self) -> int:
        """Number of events in the frame."""
        return len(self.columns["seq"])

    @property
    def timestamp_ms(self) -> int:
        """Kafka record timestamp."""
        return self.ts_last_ns // NS_PER_MS


def encode_frame(frame: Frame) -> bytes:
    """Return the frame as bytes of an Arrow IPC stream; equal frames give equal bytes."""
    schema = ARROW_SCHEMA.with_metadata(
        {
            b"format": FORMAT,
            b"channel_id": frame.channel_id.encode(),
            b"seq_first": b"%d" % frame.seq_first,
            b"seq_last": b"%d" % frame.seq_last,
            b"ts_first_ns": b"%d" % frame.ts_first_ns,
            b"ts_last_ns": b"%d" % frame.ts_last_ns,
            b"flags": b"%d" % int(frame.flags),
        }
    )
    arrays = [pa.array(frame.columns[name], type=kind) for name, kind in COLUMNS]
    batch = pa.record_batch(arrays, schema=schema)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        if batch.num_rows:
            writer.write_batch(batch)
    return bytes(sink.getvalue())


def decode_frame(raw: bytes) -> Frame:
    """Return the frame in ``raw``.

    Raises:
        MessageError: ``bad_arrow`` (not an Arrow stream, or cut short), ``unknown_schema`` (another format or other
            columns), ``bad_frame`` (numbering and rows disagree).
    """
    try:
        with pa.ipc.open_stream(raw) as reader:
            schema = reader.schema
            meta = _metadata(schema)
            batches = list(reader)
    except READ_ERRORS as error:
        raise MessageError("bad_arrow", str(error).splitlines()[0]) from error
    columns = _columns(schema, batches)
    frame = Frame(
        channel_id=meta["channel_id"],
        seq_first=_integer(meta, "seq_first"),
        seq_last=_integer(meta, "seq_last"),
        ts_first_ns=_integer(meta, "ts_first_ns"),
        ts_last_ns=_integer(meta, "ts_last_ns"),
        flags=FrameFlag(_integer(meta, "flags")),
        columns=columns,
    )
    _check(frame)
    return frame


def channel_of(raw: bytes) -> str:
    """Return the channel of an encoded frame, reading the header alone.

    Raises:
        MessageError: As :func:`decode_frame`, for what the header shows.
    """
    try:
        with pa.ipc.open_stream(raw) as reader:
            return _metadata(reader.schema)["channel_id"]
    except READ_ERRORS as error:
        raise MessageError("bad_arrow", str(error).splitlines()[0]) from error


def empty_columns() -> Columns:
    """Return the columns of a frame without events."""
    return {name: np.empty(0, dtype=dtype) for name, dtype in _DTYPES.items()}


@functools.lru_cache(maxsize=1)
def _field_set() -> tuple[tuple[str, pa.DataType], ...]:
    return tuple((f.name, f.type) for f in ARROW_SCHEMA)


def _metadata(schema: pa.Schema) -> dict[str, str]:
    raw = schema.metadata or {}
    if raw.get(b"format") != FORMAT:
        raise MessageError("unknown_schema", f"format was {raw.get(b'format')!r}, wanted {FORMAT!r}")
    if tuple((f.name, f.type) for f in schema) != _field_set():
        raise MessageError("unknown_schema", f"columns were {schema.names}")
    meta = {key.decode(): value.decode() for key, value in raw.items()}
    if not meta.get("channel_id"):
        raise MessageError("bad_frame", "channel_id was missing or empty")
    return meta


def _integer(meta: dict[str, str], name: str) -> int:
    try:
        return int(meta[name])
    except (KeyError, ValueError) as error:
        raise MessageError("bad_frame", f"{name} was {meta.get(name)!r}") from error


def _columns(schema: pa.Schema, batches: list[pa.RecordBatch]) -> Columns:
    if len(batches) > 1:
        raise MessageError("bad_frame", f"held {len(batches)} record batches, wanted one")
    if not batches:
        return empty_columns()
    batch = batches[0]
    try:
        batch.validate()
    except READ_ERRORS as error:
        raise MessageError("bad_arrow", str(error).splitlines()[0]) from error
    if any(column.null_count for column in batch.columns):
        raise MessageError("bad_frame", "a column held nulls")
    return {name: batch.column(i).to_numpy() for i, name in enumerate(schema.names)}


def _check(frame: Frame) -> None:
    rows = frame.event_count
    if frame.seq_last - frame.seq_first + 1 != rows:
        raise MessageError("bad_frame", f"seq {frame.seq_first}..{frame.seq_last} does not match {rows} rows")
    if frame.seq_first < 0 or frame.seq_last > NUMBER_MAX:
        raise MessageError("bad_frame", f"seq {frame.seq_first}..{frame.seq_last} was outside 0..{NUMBER_MAX}")
    if frame.ts_first_ns < 0 or frame.ts_last_ns > NUMBER_MAX:
        raise MessageError("bad_frame", f"time {frame.ts_first_ns}..{frame.ts_last_ns} was outside 0..{NUMBER_MAX}")
    if frame.ts_last_ns < frame.ts_first_ns:
        raise MessageError("bad_frame", "ts_last_ns was before ts_first_ns")
    if rows:
        seq = frame.columns["seq"]
        if int(seq[0]) != frame.seq_first or not bool(np.all(np.diff(seq) == 1)):
            raise MessageError("bad_frame", "column seq does not rise by one from seq_first")
