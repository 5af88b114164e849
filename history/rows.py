"""Published messages as rows of the store: one Arrow schema per table, equal to its migration.

Invariant: a message becomes rows whole or is refused whole with a cause; one message never spoils a batch. Ticks stay
columnar from the job to the table (``history.tick_rows``).
"""

import dataclasses
import json
from collections.abc import Callable, Sequence
from typing import Any, Final

import pyarrow as pa

from history.order_rows import ORDER_SCHEMAS, order_row
from history.score_rows import SCORES, scores_table
from history.tick_rows import FEATURES, TICKS, TIME, TickReader, TickRows, ticks_table
from schemas import codec, topics
from schemas.errors import MessageError
from schemas.model_events import ModelEvent
from schemas.quality import QualityResult
from schemas.records import (
    DeadLetter,
    OrderDecision,
    OrderExecution,
    OrderFact,
    OrderRequest,
    RiskAlert,
    RiskCommand,
    RiskState,
)
from schemas.scores import ScoreRows, decode_scores
from schemas.units import NS_PER_MS

_TEXT: Final = pa.string()
_U32: Final = pa.uint32()
_U64: Final = pa.uint64()
_I64: Final = pa.int64()
_F64: Final = pa.float64()
_BOOL: Final = pa.bool_()

__all__ = [
    "FEATURES",
    "TICKS",
    "TickRows",
    "parse",
    "row_count",
    "rows_table",
    "table_of_parts",
    "ticks_table",
    "to_row",
]

TABLE_OF: Final = {
    topics.FEATURES_TICKS: TICKS,
    topics.RISK_STATES: "risk_states",
    topics.RISK_SCORES: SCORES,
    topics.RISK_ALERTS: "risk_alerts",
    topics.RISK_COMMANDS: "commands",
    topics.ORDERS_REQUESTS: "requests",
    topics.ORDERS_DECISIONS: "decisions",
    topics.ORDERS_EXECUTIONS: "executions",
    topics.ORDERS_FACTS: "facts",
    topics.MODELS_EVENTS: "model_events",
    topics.QUALITY_RESULTS: "quality_results",
    topics.DEAD_LETTERS: "dead_letters",
}

SCHEMAS: Final[dict[str, Any]] = {
    "risk_states": pa.schema(
        {
            "tick_ns": TIME, "instrument_id": _U32, "channel_id": _TEXT, "epoch": _U64, "tier": _TEXT,
            "tier_before": _TEXT, "latched": _BOOL, "stale": _BOOL, "degraded": _BOOL, "score": _F64, "score01": _F64,
            "p": _F64, "adverse_share": _F64, "ref_price": _I64, "model_id": _TEXT, "causes.name": pa.list_(_TEXT),
            "causes.value": pa.list_(_F64), "causes.z": pa.list_(_F64), "causes.share": pa.list_(_F64),
            "causes.adverse": pa.list_(_BOOL), "systemic_tier": _TEXT, "systemic_score": _F64,
        }
    ),
    "risk_alerts": pa.schema(
        {
            "alert_id": _TEXT, "kind": _TEXT, "instrument_id": _U32, "ts_ns": TIME, "epoch": _U64, "tier": _TEXT,
            "message": _TEXT, "source": _TEXT,
        }
    ),
    "commands": pa.schema(
        {
            "command_id": _TEXT, "kind": _TEXT, "scope": _TEXT, "ts_ns": TIME, "maker": _TEXT, "checker": _TEXT,
            "reason": _TEXT, "expires_ns": TIME, "envelope": _TEXT, "administrator": _TEXT, "account": _TEXT,
            "instrument_id": _U32, "qty": _I64, "model": _TEXT, "model_epoch": _I64,
        }
    ),
    "dead_letters": pa.schema(
        {
            "topic": _TEXT, "partition": pa.int32(), "offset": _I64, "source": _TEXT, "cause": _TEXT, "detail": _TEXT,
            "raw": pa.binary(), "observed_ns": TIME,
        }
    ),
    "model_events": pa.schema(
        {
            "event_id": _TEXT, "kind": _TEXT, "model_id": _TEXT, "ts_ns": TIME, "maker": _TEXT, "checker": _TEXT,
            "reason": _TEXT, "previous_model_id": _TEXT, "spec_hash": _TEXT, "metrics.name": pa.list_(_TEXT),
            "metrics.value": pa.list_(_F64), "detail": _TEXT, "source": _TEXT,
        }
    ),
    "quality_results": pa.schema(
        {
            "result_id": _TEXT, "suite": _TEXT, "expectation": _TEXT, "table": _TEXT, "column": _TEXT,
            "instrument_id": _U32, "ts_ns": TIME, "since_ns": TIME, "until_ns": TIME, "passed": _BOOL,
            "severity": _TEXT, "rows": _I64, "unexpected": _I64, "detail": _TEXT, "source": _TEXT,
        }
    ),
    **ORDER_SCHEMAS,
}  # fmt: skip

_TICKS: Final = TickReader()
"""Remembers what it has read, so that a channel's next message is read by comparison; nothing that it answers depends on it."""

Row = dict[str, Any]
Parsed = TickRows | ScoreRows | Row


def parse(topic: str, raw: bytes, timestamp_ms: int, *, registry: codec.Registry | None = None) -> Parsed:
    """Return the rows of one message.

    Args:
        topic: A key of ``TABLE_OF``.
        raw: Value of the message.
        timestamp_ms: Kafka time of the message, the ``observed_ns`` of a dead letter.
        registry: Schema registry, where one is used.

    Raises:
        MessageError: Not of the topic's format; ``unknown_columns`` for ticks with other features; ``bad_record`` for a
            value that the table cannot hold.
    """
    if topic == topics.FEATURES_TICKS:
        return _TICKS.read(raw)
    if topic == topics.RISK_SCORES:
        return decode_scores(raw)
    row = to_row(codec.decode(topic, raw, registry), timestamp_ms)
    _check(row, SCHEMAS[TABLE_OF[topic]])
    return row


def to_row(record: codec.Record, timestamp_ms: int) -> Row:
    """Return a record as a row of its table, by column name."""
    return _ROW_OF[type(record)](record, timestamp_ms)


def rows_table(table: str, rows: Sequence[Row]) -> Any:
    """Return rows as the Arrow table to insert."""
    return pa.Table.from_pylist(list(rows), schema=SCHEMAS[table])


def row_count(parsed: Parsed) -> int:
    """Return how many rows a message became."""
    if isinstance(parsed, TickRows):
        return parsed.row_count
    return len(parsed.tick_ns) if isinstance(parsed, ScoreRows) else 1


def table_of_parts(name: str, parts: Sequence[Parsed]) -> Any:
    """Return parsed messages of one table, joined, as the Arrow table to insert."""
    if name == TICKS:
        return ticks_table([part for part in parts if isinstance(part, TickRows)])
    if name == SCORES:
        return scores_table([part for part in parts if isinstance(part, ScoreRows)])
    return rows_table(name, [part for part in parts if isinstance(part, dict)])


def _check(row: Row, schema: Any) -> None:
    try:
        for field in schema:
            pa.scalar(row[field.name], type=field.type)
    except (pa.ArrowException, OverflowError, TypeError, ValueError) as error:
        raise MessageError("bad_record", f"{field.name}: {error}") from error


def _fields(record: Any) -> Row:
    return {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}


def _state(record: RiskState, _timestamp_ms: int) -> Row:
    tiers = {name: getattr(record, name).name for name in ("tier", "tier_before", "systemic_tier")}
    row = _fields(record) | tiers
    causes = row.pop("causes")
    for part in ("name", "value", "z", "share", "adverse"):
        row[f"causes.{part}"] = [getattr(cause, part) for cause in causes]
    return row


def _alert(record: RiskAlert, _timestamp_ms: int) -> Row:
    return _fields(record) | {"kind": record.kind.value, "tier": record.tier.name}


def _command(record: RiskCommand, _timestamp_ms: int) -> Row:
    grants = {"envelope": _json(record.envelope), "account": _json(record.account)}
    return _fields(record) | grants | {"kind": record.kind.value}


def _json(grant: Any) -> str:
    return "" if grant is None else json.dumps(codec.to_plain(grant), sort_keys=True)


def _model_event(record: ModelEvent, _timestamp_ms: int) -> Row:
    row = _fields(record) | {"kind": record.kind.value}
    metrics = row.pop("metrics")
    row["metrics.name"] = [metric.name for metric in metrics]
    row["metrics.value"] = [metric.value for metric in metrics]
    return row


def _quality(record: QualityResult, _timestamp_ms: int) -> Row:
    return _fields(record)


def _letter(record: DeadLetter, timestamp_ms: int) -> Row:
    return _fields(record) | {"observed_ns": max(timestamp_ms, 0) * NS_PER_MS}


_ROW_OF: Final[dict[Any, Callable[[Any, int], Row]]] = {
    RiskState: _state,
    RiskAlert: _alert,
    RiskCommand: _command,
    OrderRequest: order_row,
    OrderDecision: order_row,
    OrderExecution: order_row,
    OrderFact: order_row,
    ModelEvent: _model_event,
    QualityResult: _quality,
    DeadLetter: _letter,
}
