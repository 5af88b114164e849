"""Plain columns behind a fixed head: how bytes look that pass through the SQL function, and the network's answer.

Rejected: Arrow streams, which cost 0.6 ms a tick where bytes are touched ten times a second (cold caches), and may not be
read on a task's own thread (``jobs.operators.python_thread``). Little-endian; a check sum covers everything.
"""

import math
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from features.spec import SCORED, SPEC_HASH
from schemas.errors import MessageError

SCORES: Final = b"tidegate.scores.v3"

Columns = tuple[tuple[str, tuple[int, ...]], ...]
"""Kind and shape of a row of each column."""

_WIDTH: Final = len(SCORED)
_HEAD: Final = struct.Struct("<18sI")
"""Format; check sum of all that follows."""

_SHAPE: Final = struct.Struct("<16sIHHHH?")
"""Hash of the features, rows, lengths of the two names that follow, two sizes, a flag."""

_START: Final = _HEAD.size + _SHAPE.size


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
    """Answers of the network, row by row of the viewed ticks.

    Attributes:
        model_id: Model that was asked.
        degraded: The network did not answer; ``parts`` says nothing.
        parts: ``(rows, features)`` float32, parts of the error, never negative; 0 where the row has no opinion.
    """

    model_id: str
    degraded: bool
    parts: npt.NDArray[np.float32] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Head:
    """What stands before the columns.

    Attributes:
        rows: Rows of every column.
        names: Two names.
        sizes: Two numbers that columns depend on.
        flag: A flag.
    """

    rows: int
    names: tuple[str, str]
    sizes: tuple[int, int] = (0, 0)
    flag: bool = False


def encode_scores(scores: Scores) -> bytes:
    """Return scores as bytes."""
    head = Head(len(scores.parts), (scores.model_id, ""), flag=scores.degraded)
    return write(SCORES, head, _scores_columns((0, 0)), columns=(scores.parts,))


def decode_scores(raw: bytes) -> Scores:
    """Return the scores in ``raw``, as views of it.

    Raises:
        MessageError: As :func:`read`.
    """
    head, (parts,) = read(raw, SCORES, _scores_columns)
    return Scores(head.names[0], head.flag, parts)


def write(form: bytes, head: Head, wanted: Columns, *, columns: tuple[npt.NDArray[Any], ...]) -> bytes:
    """Return columns of ``head.rows`` rows behind a head."""
    named = [name.encode() for name in head.names]
    parts = [np.ascontiguousarray(c, dtype=kind).tobytes() for (kind, _), c in zip(wanted, columns, strict=True)]
    shape = _SHAPE.pack(SPEC_HASH.encode(), head.rows, len(named[0]), len(named[1]), *head.sizes, head.flag)
    body = b"".join((shape, *named, *parts))
    return _HEAD.pack(form, zlib.crc32(body)) + body


def read(
    raw: bytes, form: bytes, columns_of: Callable[[tuple[int, int]], Columns]
) -> tuple[Head, list[npt.NDArray[Any]]]:
    """Return the head and the columns, as views of ``raw``.

    Raises:
        MessageError: ``unknown_schema`` (another format), ``wrong_features``, ``bad_record`` (damaged).
    """
    if not raw.startswith(form):
        raise MessageError("unknown_schema", f"format was {raw[: len(form)]!r}, wanted {form!r}")
    if len(raw) < _START:
        raise MessageError("bad_record", f"{len(raw)} bytes are cut short")
    if zlib.crc32(raw[_HEAD.size :]) != _HEAD.unpack_from(raw)[1]:
        raise MessageError("bad_record", "the check sum is wrong")
    spec_hash, rows, first, second, *sizes, flag = _SHAPE.unpack_from(raw, _HEAD.size)
    if spec_hash != SPEC_HASH.encode():
        raise MessageError("wrong_features", f"feature spec was {spec_hash!r}, wanted {SPEC_HASH}")
    columns = columns_of((sizes[0], sizes[1]))
    start = _START + first + second
    if len(raw) != start + rows * sum(np.dtype(kind).itemsize * math.prod(shape) for kind, shape in columns):
        raise MessageError("bad_record", f"{len(raw)} bytes do not hold {rows} rows")
    names = raw[_START : _START + first].decode(), raw[_START + first : start].decode()
    found = []
    for kind, shape in columns:
        column = np.frombuffer(raw, kind, rows * math.prod(shape), start)
        start += column.nbytes
        found.append(column.reshape(rows, *shape))
    return Head(rows, names, (sizes[0], sizes[1]), flag), found


def _scores_columns(_sizes: tuple[int, int]) -> Columns:
    return (("<f4", (_WIDTH,)),)
