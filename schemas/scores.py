"""`risk.scores`: Arrow IPC stream, a row per (tick, instrument) that a model scored, one Kafka record per frame that closed ticks.

A state is told on change and each second; a score at every tick, also by models that decide nothing (``shadow``): what calibration
and the comparison of models need. The columns after the fixed ones are the tail probabilities of the model's measures, named
``p_<measure>``; NaN means "no opinion". Rejected: an Avro record per score (Python would pay per instrument and tick).
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.errors import MessageError
from schemas.frames import READ_ERRORS

FORMAT: Final = b"tidegate.scores.v1"
MEASURE_PREFIX: Final = "p_"
_F64: Final = pa.float64()

FIXED: Final = (
    ("tick_ns", pa.int64()),  # event time of the tick's end
    ("instrument_id", pa.uint32()),
    ("score", _F64),  # -log10 p; NaN = no opinion
    ("p", _F64),  # calibrated tail probability of all measures that the model combines
    ("adverse_share", _F64),  # share of the anomaly that points in the dangerous direction
)
_METADATA: Final = (b"format", b"channel_id", b"epoch", b"model_id", b"shadow")


@dataclass(frozen=True, slots=True, eq=False)
class ScoreRows:
    """Scores of one model, ordered by ``(tick_ns, instrument_id)``.

    Attributes:
        channel_id: Channel of all rows.
        epoch: Deployment epoch of the job that wrote them.
        model_id: Model folder name.
        shadow: The model decides nothing.
        measures: Names of the columns of ``measure_p``, without the prefix.
        tick_ns: ``(rows,)`` int64.
        instrument_id: ``(rows,)`` uint32.
        score: ``(rows,)`` float64.
        p: ``(rows,)`` float64 in [0, 1].
        adverse_share: ``(rows,)`` float64 in [0, 1].
        measure_p: ``(rows, measures)`` float64 in [0, 1], NaN = no opinion.
    """

    channel_id: str
    epoch: int
    model_id: str
    shadow: bool
    measures: tuple[str, ...]
    tick_ns: npt.NDArray[np.int64] = field(repr=False)
    instrument_id: npt.NDArray[np.uint32] = field(repr=False)
    score: npt.NDArray[np.float64] = field(repr=False)
    p: npt.NDArray[np.float64] = field(repr=False)
    adverse_share: npt.NDArray[np.float64] = field(repr=False)
    measure_p: npt.NDArray[np.float64] = field(repr=False)


def encode_scores(scores: ScoreRows) -> bytes:
    """Return the rows as an Arrow IPC stream; equal scores give equal bytes."""
    fields = [pa.field(name, kind, nullable=False) for name, kind in FIXED]
    fields += [pa.field(MEASURE_PREFIX + name, _F64, nullable=False) for name in scores.measures]
    metadata = {
        b"format": FORMAT,
        b"channel_id": scores.channel_id.encode(),
        b"epoch": b"%d" % scores.epoch,
        b"model_id": scores.model_id.encode(),
        b"shadow": b"1" if scores.shadow else b"0",
    }
    schema = pa.schema(fields, metadata=metadata)
    fixed = (scores.tick_ns, scores.instrument_id, scores.score, scores.p, scores.adverse_share)
    arrays = [pa.array(values, type=kind) for values, (_, kind) in zip(fixed, FIXED, strict=True)]
    arrays += [pa.array(np.ascontiguousarray(column), type=_F64) for column in scores.measure_p.T]
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
    return bytes(sink.getvalue())


def decode_scores(raw: bytes) -> ScoreRows:
    """Return the rows in ``raw``.

    Raises:
        MessageError: ``bad_arrow`` (not an Arrow stream, or cut short), ``unknown_schema`` or ``bad_record`` (nulls, an epoch
            below 0).
    """
    try:
        with pa.ipc.open_stream(raw) as reader:
            batch = reader.read_next_batch()
            batch.validate()
            head = tuple((f.name, f.type) for f in map(batch.schema.field, range(min(len(FIXED), batch.num_columns))))
            meta = batch.schema.metadata or {}
    except (*READ_ERRORS, StopIteration) as error:
        raise MessageError("bad_arrow", (str(error) or "no record batch").splitlines()[0]) from error
    rest = [(f.name, f.type) for f in batch.schema][len(FIXED) :]
    if meta.get(b"format") != FORMAT:
        raise MessageError("unknown_schema", f"format was {meta.get(b'format')!r}, wanted {FORMAT!r}")
    odd = [name for name, kind in rest if not name.startswith(MEASURE_PREFIX) or kind != _F64]
    if head != FIXED or odd or not set(_METADATA) <= meta.keys():
        raise MessageError("unknown_schema", f"columns were {batch.schema.names}")
    if any(column.null_count for column in batch.columns):
        raise MessageError("bad_record", "a column holds Arrow nulls; unknown values are NaN")
    return _rows(batch, meta)


def _rows(batch: pa.RecordBatch, meta: dict[bytes, bytes]) -> ScoreRows:
    try:
        channel_id, model_id, epoch = meta[b"channel_id"].decode(), meta[b"model_id"].decode(), int(meta[b"epoch"])
        columns = [column.to_numpy() for column in batch.columns]
    except (*READ_ERRORS, ValueError) as error:
        raise MessageError("bad_arrow", str(error).splitlines()[0]) from error
    if not 0 <= epoch < 1 << 64:
        raise MessageError("bad_record", f"epoch was {epoch}")
    measures = columns[len(FIXED) :]
    return ScoreRows(
        channel_id=channel_id,
        epoch=epoch,
        model_id=model_id,
        shadow=meta[b"shadow"] == b"1",
        measures=tuple(name.removeprefix(MEASURE_PREFIX) for name in batch.schema.names[len(FIXED) :]),
        tick_ns=columns[0],
        instrument_id=columns[1],
        score=columns[2],
        p=columns[3],
        adverse_share=columns[4],
        measure_p=np.stack(measures, axis=1) if measures else np.empty((batch.num_rows, 0)),
    )
