"""What passes through the SQL function: scaled ticks in, scores out. Plain columns behind a fixed head.

The scaled form carries all that the tier tracker needs later, so that only two byte strings travel through SQL. Rejected:
Arrow streams, which cost 0.6 ms a tick where bytes are touched ten times a second (cold caches), and may not be read on
a task's own thread (``jobs.operators.python_thread``). Little-endian; a check sum covers everything.
"""

import struct
import zlib
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from features.spec import SCORED, SPEC_HASH
from schemas.errors import MessageError

SCALED: Final = b"tidegate.scaled.v2"
SCORES: Final = b"tidegate.scores.v2"

_WIDTH: Final = len(SCORED)
_HEAD: Final = struct.Struct("<18sI")
"""Format; check sum of all that follows."""

_SHAPE: Final = struct.Struct("<16sIH?")
"""Hash of the features, rows, length of the name that follows, degraded."""

_START: Final = _HEAD.size + _SHAPE.size

_Columns = tuple[tuple[str, int], ...]
_SCALED_COLUMNS: Final[_Columns] = (
    ("<i8", 1), ("<i8", 1), ("<f8", _WIDTH), ("<u4", 1), ("<u4", 1), ("<f4", _WIDTH), ("?", 1)
)  # fmt: skip
_SCORES_COLUMNS: Final[_Columns] = (("<f8", 1), ("<f4", _WIDTH))


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
    columns = (
        ticks.tick_ns,
        ticks.ref_price,
        ticks.values,
        ticks.instrument_id,
        ticks.status,
        ticks.z,
        ticks.scored,
    )
    return _write(SCALED, _SCALED_COLUMNS, columns, name=ticks.channel_id, degraded=False)


def decode_scaled(raw: bytes) -> ScaledTicks:
    """Return the scaled ticks in ``raw``, as views of it.

    Raises:
        MessageError: ``unknown_schema`` (another format), ``wrong_features``, ``bad_record`` (damaged).
    """
    channel_id, _, columns = _read(raw, SCALED, _SCALED_COLUMNS)
    tick_ns, ref_price, values, instrument_id, status, z, scored = columns
    return ScaledTicks(channel_id, tick_ns, instrument_id, status, ref_price, values, z, scored)


def encode_scores(scores: Scores) -> bytes:
    """Return scores as bytes."""
    return _write(SCORES, _SCORES_COLUMNS, (scores.error, scores.share), name=scores.model_id, degraded=scores.degraded)


def decode_scores(raw: bytes) -> Scores:
    """Return the scores in ``raw``, as views of it.

    Raises:
        MessageError: As :func:`decode_scaled`.
    """
    model_id, degraded, (error, share) = _read(raw, SCORES, _SCORES_COLUMNS)
    return Scores(model_id, degraded, error, share)


def _write(form: bytes, wanted: _Columns, columns: tuple[npt.NDArray[Any], ...], *, name: str, degraded: bool) -> bytes:
    rows = len(columns[0])
    named = name.encode()
    parts = [np.ascontiguousarray(c, dtype=kind).tobytes() for (kind, _), c in zip(wanted, columns, strict=True)]
    body = b"".join((_SHAPE.pack(SPEC_HASH.encode(), rows, len(named), degraded), named, *parts))
    return _HEAD.pack(form, zlib.crc32(body)) + body


def _read(raw: bytes, wanted: bytes, columns: _Columns) -> tuple[str, bool, list[npt.NDArray[Any]]]:
    if not raw.startswith(wanted):
        raise MessageError("unknown_schema", f"format was {raw[: len(wanted)]!r}, wanted {wanted!r}")
    if len(raw) < _START:
        raise MessageError("bad_record", f"{len(raw)} bytes are cut short")
    if zlib.crc32(raw[_HEAD.size :]) != _HEAD.unpack_from(raw)[1]:
        raise MessageError("bad_record", "the check sum is wrong")
    spec_hash, rows, name_bytes, degraded = _SHAPE.unpack_from(raw, _HEAD.size)
    if spec_hash != SPEC_HASH.encode():
        raise MessageError("wrong_features", f"feature spec was {spec_hash!r}, wanted {SPEC_HASH}")
    start = _START + name_bytes
    if len(raw) != start + rows * sum(np.dtype(kind).itemsize * width for kind, width in columns):
        raise MessageError("bad_record", f"{len(raw)} bytes do not hold {rows} rows")
    found = []
    for kind, width in columns:
        column = np.frombuffer(raw, kind, rows * width, start)
        start += column.nbytes
        found.append(column if width == 1 else column.reshape(rows, width))
    return raw[_START : _START + name_bytes].decode(), degraded, found
