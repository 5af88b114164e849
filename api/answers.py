"""Answers: JSON with an entity tag, or the same rows as Arrow or CSV where the client asks for them.

Invariant: equal content gives an equal tag, and a client that has it gets 304 and no body; NaN never reaches JSON, it is null.
"""

import csv
import hashlib
import io
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import pyarrow as pa
from starlette.requests import Request
from starlette.responses import Response

from api.problems import ProblemError
from history.client import Result

JSON: Final = "application/json"
ARROW: Final = "application/vnd.apache.arrow.stream"
CSV: Final = "text/csv"
_ARROW_TYPES: Final = {
    "Int8": pa.int8(), "Int16": pa.int16(), "Int32": pa.int32(), "Int64": pa.int64(), "UInt8": pa.uint8(),
    "UInt16": pa.uint16(), "UInt32": pa.uint32(), "UInt64": pa.uint64(), "Float64": pa.float64(), "Float32": pa.float32(),
    "Bool": pa.bool_(),
}  # fmt: skip


def bulk_responses(model: Any) -> dict[int | str, dict[str, Any]]:
    """Return what OpenAPI says of an answer that may be JSON, Arrow or CSV."""
    binary = {"schema": {"type": "string", "format": "binary"}}
    return {200: {"model": model, "content": {ARROW: binary, CSV: {"schema": {"type": "string"}}}}}


def wanted(request: Request) -> str:
    """Return the media type that the client prefers: JSON, Arrow or CSV.

    Raises:
        ProblemError: 406, it takes none of the three.
    """
    asked: list[tuple[float, int, str]] = []
    for place, part in enumerate(request.headers.get("accept", "*/*").split(",")):
        name, *options = (word.strip().lower() for word in part.split(";"))
        found = {JSON: JSON, ARROW: ARROW, CSV: CSV, "*/*": JSON, "application/*": JSON, "text/*": CSV, "": JSON}.get(
            name
        )
        if found:
            asked.append((-_quality(options), place, found))
    refused = {name for quality, _, name in asked if quality == 0}
    for _, _, name in sorted(asked):
        if name not in refused:
            return name
    raise ProblemError(406, f"this answers {JSON}, {ARROW} or {CSV}")


def plain(request: Request, content: Any, *, headers: Mapping[str, str] | None = None) -> Response:
    """Return ``content`` as JSON, or 304 where the client has it."""
    body = json.dumps(finite(content), separators=(",", ":")).encode()
    tag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    every = {"ETag": tag, "Cache-Control": "private, no-cache", "Vary": "Accept, Authorization", **(headers or {})}
    if tag in {word.strip().removeprefix("W/") for word in request.headers.get("if-none-match", "").split(",")}:
        return Response(status_code=304, headers=every)
    return Response(body, 200, every, JSON)


def bulk(result: Result, media_type: str) -> Response:
    """Return rows as Arrow or CSV."""
    headers = {"Cache-Control": "private, no-store", "Vary": "Accept, Authorization"}
    if media_type == ARROW:
        sink = pa.BufferOutputStream()
        table = arrow_table(result)
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        return Response(sink.getvalue().to_pybytes(), 200, headers, ARROW)
    text = io.StringIO()
    writer_of_rows = csv.writer(text)
    writer_of_rows.writerow(result.columns)
    writer_of_rows.writerows([_cell(value) for value in row] for row in result.rows)
    return Response(text.getvalue(), 200, headers, CSV)


def arrow_table(result: Result) -> Any:
    """Return the rows as an Arrow table; types that are no number or truth value become text."""
    columns = list(zip(*result.rows, strict=True)) if result.rows else [() for _ in result.columns]
    arrays = []
    for values, kind in zip(columns, result.types, strict=True):
        bare = kind.removeprefix("LowCardinality(").rstrip(")").removeprefix("Nullable(")
        target = _ARROW_TYPES.get(bare, pa.string())
        cells = values if target is not pa.string() else [None if value is None else str(value) for value in values]
        arrays.append(pa.array(cells, type=target))
    return pa.table(arrays, names=list(result.columns))


def columns_of(result: Result) -> dict[str, list[Any]]:
    """Return rows as lists by column name."""
    lists: Sequence[Sequence[Any]] = list(zip(*result.rows, strict=True)) if result.rows else [()] * len(result.columns)
    return {name: list(values) for name, values in zip(result.columns, lists, strict=True)}


def finite(value: Any) -> Any:
    """Return ``value`` with null in place of every NaN and infinity."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: finite(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [finite(part) for part in value]
    return value


def _cell(value: Any) -> Any:
    """Return a cell that a spreadsheet does not take for a formula."""
    if isinstance(value, str) and value[:1] in {"=", "+", "-", "@", "\t", "\r"}:
        return f"'{value}"
    return value


def _quality(options: list[str]) -> float:
    for option in options:
        name, _, value = option.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
