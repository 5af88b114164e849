"""Avro values on the wire: single-object encoding, or the Confluent frame when a registry is used.

Single-object: ``C3 01``, the 8-byte little-endian CRC-64-AVRO fingerprint of the writer's schema, the body. The
reader knows every version under ``schemas/<topic>/``, so nothing needs a registry. Confluent: ``00``, 4-byte
big-endian schema id, the body. Both are told apart by their first byte, so readers accept either.
"""

import dataclasses
import enum
import functools
import io
import json
import struct
import types
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol

import fastavro
import fastavro.schema

from schemas import records, topics
from schemas.errors import MessageError
from schemas.model_events import ModelEvent
from schemas.quality import QualityResult

Record = (
    records.RiskState
    | records.RiskAlert
    | records.RiskCommand
    | records.OrderRequest
    | records.OrderDecision
    | records.OrderExecution
    | records.OrderFact
    | ModelEvent
    | QualityResult
    | records.DeadLetter
)

RECORD_OF: Final[dict[str, type[Record]]] = {
    topics.RISK_STATES: records.RiskState,
    topics.RISK_ALERTS: records.RiskAlert,
    topics.RISK_COMMANDS: records.RiskCommand,
    topics.ORDERS_REQUESTS: records.OrderRequest,
    topics.ORDERS_DECISIONS: records.OrderDecision,
    topics.ORDERS_EXECUTIONS: records.OrderExecution,
    topics.ORDERS_FACTS: records.OrderFact,
    topics.MODELS_EVENTS: ModelEvent,
    topics.QUALITY_RESULTS: QualityResult,
    topics.DEAD_LETTERS: records.DeadLetter,
}

SCHEMA_ROOT: Final = Path(__file__).parent
_SINGLE_OBJECT: Final = b"\xc3\x01"
_CONFLUENT: Final = 0
_PLAIN: Final = frozenset({type(None), bool, int, float, str, bytes})


class Registry(Protocol):
    """What the codec needs of a schema registry; :class:`schemas.registry.ConfluentRegistry` is one."""

    def id_of(self, subject: str, schema_json: str) -> int:
        """Return the id of the schema under ``subject``, registering it when new."""

    def schema_of(self, schema_id: int) -> str:
        """Return the schema with this id as JSON; raise ``KeyError`` when there is none."""


def versions(topic: str) -> list[int]:
    """Return the schema versions of an Avro topic, oldest first."""
    return sorted(int(path.stem[1:]) for path in (SCHEMA_ROOT / topic).glob("v*.avsc"))


def schema_json(topic: str, version: int | None = None) -> str:
    """Return the schema text of an Avro topic, the newest version unless told."""
    chosen = versions(topic)[-1] if version is None else version
    return (SCHEMA_ROOT / topic / f"v{chosen}.avsc").read_text()


def encode(topic: str, record: Record, registry: Registry | None = None) -> bytes:
    """Return ``record`` as the value of a message of ``topic``.

    Raises:
        MessageError: ``bad_record`` when a field does not fit the schema.
    """
    body = io.BytesIO()
    if registry is None:
        body.write(_SINGLE_OBJECT + _fingerprint(topic, versions_newest(topic)))
    else:
        body.write(struct.pack(">BI", _CONFLUENT, registry.id_of(f"{topic}-value", schema_json(topic))))
    try:
        fastavro.schemaless_writer(body, _parsed(topic, versions_newest(topic)), to_plain(record))
    except (ValueError, TypeError, OverflowError) as error:
        raise MessageError("bad_record", f"{type(record).__name__}: {error}") from error
    return body.getvalue()


def decode(topic: str, raw: bytes, registry: Registry | None = None) -> Record:
    """Return the record in the value of a message of ``topic``.

    Raises:
        MessageError: ``unknown_schema`` (neither frame, or a schema nobody published), ``bad_avro`` (cut short or
            not of that schema).
    """
    writer, start = _writer_schema(topic, raw, registry)
    body = io.BytesIO(raw)
    body.seek(start)
    try:
        plain = fastavro.schemaless_reader(body, writer, _parsed(topic, versions_newest(topic)))
    except Exception as error:  # fastavro raises IndexError, EOFError, struct.error, ... on damaged bytes
        raise MessageError("bad_avro", f"{type(error).__name__}: {error}") from error
    if body.tell() != len(raw):
        raise MessageError("bad_avro", f"{len(raw) - body.tell()} bytes were left over")
    return typing.cast(Record, _builder(_record_type(topic))(plain))


@functools.lru_cache(maxsize=64)
def versions_newest(topic: str) -> int:
    """Return the newest schema version of an Avro topic."""
    return versions(topic)[-1]


def to_plain(value: Any) -> Any:
    """Return a record as dicts, lists and plain values, the form of Avro and of the published JSON examples."""
    if type(value) in _PLAIN:  # most fields, told in one look
        return value
    if isinstance(value, enum.Enum):
        return value.name
    if dataclasses.is_dataclass(value):
        return {f.name: to_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [to_plain(item) for item in value]
    return value


def from_plain(topic: str, plain: dict[str, Any]) -> Record:
    """Return the record of ``topic`` whose plain form this is."""
    return typing.cast(Record, _builder(_record_type(topic))(plain))


@functools.lru_cache(maxsize=64)
def _parsed(topic: str, version: int) -> Any:
    return fastavro.parse_schema(json.loads(schema_json(topic, version)))


@functools.lru_cache(maxsize=64)
def _fingerprint(topic: str, version: int) -> bytes:
    canonical = fastavro.schema.to_parsing_canonical_form(json.loads(schema_json(topic, version)))
    return bytes.fromhex(fastavro.schema.fingerprint(canonical, "CRC-64-AVRO"))


@functools.lru_cache(maxsize=64)
def _by_fingerprint(topic: str) -> dict[bytes, Any]:
    return {_fingerprint(topic, version): _parsed(topic, version) for version in versions(topic)}


def _writer_schema(topic: str, raw: bytes, registry: Registry | None) -> tuple[Any, int]:
    if raw[:2] == _SINGLE_OBJECT and len(raw) >= 10:
        found = _by_fingerprint(topic).get(raw[2:10])
        if found is None:
            raise MessageError("unknown_schema", f"fingerprint {raw[2:10].hex()} is not published for {topic}")
        return found, 10
    if raw[:1] == b"\0" and len(raw) >= 5 and registry is not None:
        (schema_id,) = struct.unpack_from(">I", raw, 1)
        try:
            return fastavro.parse_schema(json.loads(registry.schema_of(schema_id))), 5
        except KeyError as error:
            raise MessageError("unknown_schema", f"schema id {schema_id} is not in the registry") from error
    raise MessageError("unknown_schema", f"value starts with {raw[:2].hex() or 'nothing'}, not an Avro frame")


@functools.lru_cache(maxsize=64)
def _builder(cls: Any) -> Callable[[Any], Any]:
    """Return a function from plain form to ``cls``, built once per type."""
    if isinstance(cls, type) and issubclass(cls, enum.Enum):
        members = {member.name: member for member in cls}
        return members.__getitem__
    if typing.get_origin(cls) is types.UnionType:
        (inner,) = [arg for arg in typing.get_args(cls) if arg is not types.NoneType]
        build = _builder(inner)
        return lambda plain: None if plain is None else build(plain)
    if typing.get_origin(cls) is tuple:
        build_item = _builder(typing.get_args(cls)[0])
        return lambda plain: tuple(build_item(item) for item in plain)
    if dataclasses.is_dataclass(cls):
        hints = typing.get_type_hints(cls)
        parts = [(f.name, _builder(hints[f.name])) for f in dataclasses.fields(cls)]
        make: Any = cls
        return lambda plain: make(**{name: build(plain[name]) for name, build in parts})
    return lambda plain: plain


def _record_type(topic: str) -> Any:
    return RECORD_OF[topic]
