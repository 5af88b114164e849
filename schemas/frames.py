"""`market.frames`: the unit of flow, an Arrow IPC stream with one record batch of one channel's events.

Two formats share the topic, the header and the channel's sequence numbers: market events (:class:`Frame`) and signals
(:class:`SignalFrame`, ``schemas.signals``); the header says which. Invariant: a frame is decoded whole or refused whole, and
its numbering can be checked without reading a column. A heartbeat has no rows, ``seq_first = seq_last + 1`` and says how far
the channel's clock has come. Rejected: one Kafka record per event (Python in Flink reaches some 50 k/s) and Arrow files (a
stream needs no footer).
"""

from dataclasses import dataclass, field
from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.errors import MessageError
from schemas.events import FrameFlag
from schemas.signals import fault_of
from schemas.units import NS_PER_MS

FORMAT: Final = b"tidegate.frame.v1"
SIGNAL_FORMAT: Final = b"tidegate.signal.v1"

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
SIGNAL_COLUMNS: Final = (
    ("ts_event_ns", pa.int64()),  # when it could be known, UTC; may lie before what the channel has reached
    ("seq", pa.int64()),  # channel sequence number, rising by one per event of either format
    ("instrument_id", pa.uint32()),
    ("kind", pa.uint8()),  # schemas.signals.SignalKind
    ("score", pa.int64()),  # 1e-9, 0 unless a headline
    ("order_qty", pa.int64()),  # lots of the whole own order, 0 for a headline
    ("fill_qty", pa.int64()),  # lots of this execution, 0 for the others
)

NUMBER_MAX: Final = 2**62
"""Sequence numbers and times beyond it (the year 2116) are damage; one such frame would make every later one a repeat."""

READ_ERRORS: Final = (pa.ArrowException, OSError, UnicodeDecodeError, OverflowError)
"""What pyarrow raises on damaged bytes."""

Columns = dict[str, npt.NDArray[np.generic]]


@dataclass(frozen=True, slots=True)
class Layout:
    """What tells a format from the other: its name in the header, and its columns."""

    format: bytes
    columns: tuple[tuple[str, pa.DataType], ...]

    @property
    def arrow_schema(self) -> pa.Schema:
        """The columns as Arrow has them, without a header."""
        return pa.schema([pa.field(name, kind, nullable=False) for name, kind in self.columns])

    def empty(self) -> Columns:
        """Return the columns without rows."""
        return {name: np.empty(0, dtype=kind.to_pandas_dtype()) for name, kind in self.columns}


@dataclass(frozen=True, slots=True, eq=False)
class ChannelFrame:
    """One frame of either format, decoded.

    Attributes:
        channel_id: Ordered sequence from one venue feed; the Kafka key.
        seq_first: Sequence number of the first event (of the next one, for a heartbeat).
        seq_last: Sequence number of the last event (of the last one sent before, for a heartbeat).
        ts_first_ns: Event time of the first event.
        ts_last_ns: Event time that the channel has reached; the Kafka timestamp, in ms.
        flags: ``FrameFlag`` bits.
        columns: 1-D C-contiguous arrays of equal length, one per name in the layout.
    """

    LAYOUT: ClassVar[Layout]

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


class Frame(ChannelFrame):
    """Market events; the columns are ``COLUMNS``, the flag ``HEARTBEAT`` says that there are no rows."""

    __slots__ = ()
    LAYOUT = Layout(FORMAT, COLUMNS)


class SignalFrame(ChannelFrame):
    """One or more signals; the columns are ``SIGNAL_COLUMNS``.

    They stand where the channel has reached ``ts_last_ns``: the largest ``ts_event_ns``, or what the channel had reached
    before when all are late.
    """

    __slots__ = ()
    LAYOUT = Layout(SIGNAL_FORMAT, SIGNAL_COLUMNS)


_CLASSES: Final[dict[bytes, type[Frame | SignalFrame]]] = {kind.LAYOUT.format: kind for kind in (Frame, SignalFrame)}
_SCHEMAS: Final = {name: kind.LAYOUT.arrow_schema for name, kind in _CLASSES.items()}


def encode_frame(frame: ChannelFrame) -> bytes:
    """Return the frame as bytes of an Arrow IPC stream; equal frames give equal bytes."""
    layout = frame.LAYOUT
    schema = _SCHEMAS[layout.format].with_metadata(
        {
            b"format": layout.format,
            b"channel_id": frame.channel_id.encode(),
            b"seq_first": b"%d" % frame.seq_first,
            b"seq_last": b"%d" % frame.seq_last,
            b"ts_first_ns": b"%d" % frame.ts_first_ns,
            b"ts_last_ns": b"%d" % frame.ts_last_ns,
            b"flags": b"%d" % int(frame.flags),
        }
    )
    arrays = [pa.array(frame.columns[name], type=kind) for name, kind in layout.columns]
    batch = pa.record_batch(arrays, schema=schema)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        if batch.num_rows:
            writer.write_batch(batch)
    return bytes(sink.getvalue())


def decode_frame(raw: bytes) -> Frame | SignalFrame:
    """Return the frame in ``raw``, of the format that its header names.

    Raises:
        MessageError: ``bad_arrow`` (not an Arrow stream, or cut short), ``unknown_schema`` (another format or other
            columns), ``bad_frame`` (numbering and rows disagree), ``bad_signal`` (a row that is no signal).
    """
    try:
        with pa.ipc.open_stream(raw) as reader:
            schema = reader.schema
            meta = _metadata(schema)
            batches = list(reader)
    except READ_ERRORS as error:
        raise MessageError("bad_arrow", str(error).splitlines()[0]) from error
    frame = _CLASSES[meta["format"].encode()](
        channel_id=meta["channel_id"],
        seq_first=_integer(meta, "seq_first"),
        seq_last=_integer(meta, "seq_last"),
        ts_first_ns=_integer(meta, "ts_first_ns"),
        ts_last_ns=_integer(meta, "ts_last_ns"),
        flags=FrameFlag(_integer(meta, "flags")),
        columns=_columns(schema, batches),
    )
    _check(frame)
    if isinstance(frame, SignalFrame):
        _check_signals(frame)
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
    return Frame.LAYOUT.empty()


def _metadata(schema: pa.Schema) -> dict[str, str]:
    raw = schema.metadata or {}
    kind = _CLASSES.get(raw.get(b"format", b""))
    if kind is None:
        wanted = b" or ".join(_CLASSES).decode()
        raise MessageError("unknown_schema", f"format was {raw.get(b'format')!r}, wanted {wanted}")
    if tuple((f.name, f.type) for f in schema) != kind.LAYOUT.columns:
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
        return {f.name: np.empty(0, dtype=f.type.to_pandas_dtype()) for f in schema}
    batch = batches[0]
    try:
        batch.validate()
    except READ_ERRORS as error:
        raise MessageError("bad_arrow", str(error).splitlines()[0]) from error
    if any(column.null_count for column in batch.columns):
        raise MessageError("bad_frame", "a column held nulls")
    return {name: batch.column(i).to_numpy() for i, name in enumerate(schema.names)}


def _check(frame: ChannelFrame) -> None:
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


def _check_signals(frame: SignalFrame) -> None:
    if not frame.event_count:
        raise MessageError("bad_frame", "a signal frame held no signals")
    fault = fault_of(frame.columns, frame.ts_last_ns)
    if fault is not None:
        row, why = fault
        raise MessageError("bad_signal", f"seq {frame.seq_first + row}: {why}")
