"""Published messages as rows of the store: one Arrow schema per table, equal to its migration.

Invariant: a message becomes rows whole or is refused whole with a cause; one message never spoils a batch. Ticks stay
columnar from the job to the table: their record batches are joined, never taken apart.
"""

import dataclasses
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from history.order_rows import ORDER_SCHEMAS, TIME, order_row
from schemas import codec, ticks, topics
from schemas.errors import MessageError
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
from schemas.units import NS_PER_MS

_TEXT: Final = pa.string()
_TEXTS: Final = pa.dictionary(pa.int32(), pa.string())
_U32: Final = pa.uint32()
_U64: Final = pa.uint64()
_I64: Final = pa.int64()
_F64: Final = pa.float64()
_BOOL: Final = pa.bool_()

FEATURES: Final = (
    "spread_bps", "spread_ticks", "bid_qty_top", "ask_qty_top", "depth_bid_5", "depth_ask_5", "depth_total_10",
    "imbalance_l1", "imbalance_l5", "book_pressure", "ofi_1s", "ofi_10s", "trade_to_order", "add_rate", "cancel_rate",
    "trade_rate", "signed_trade_rate", "liquidity_decay_s", "realised_vol_60s", "mid_return_1s_bps",
    "mid_return_10s_bps", "microprice_bps", "imbalance_l2", "imbalance_l3", "imbalance_l4", "imbalance_l6",
    "imbalance_l7", "imbalance_l8", "imbalance_l9", "imbalance_l10", "book_pressure_slow", "book_pressure_inverse",
    "depth_bid_5bp", "depth_ask_5bp", "depth_bid_10bp", "depth_ask_10bp", "depth_bid_25bp", "depth_ask_25bp",
    "book_slope_bid", "book_slope_ask", "buy_cost_bps", "sell_cost_bps", "ofi_deep_1s", "ofi_deep_10s",
    "trade_imbalance_1s", "trade_imbalance_10s", "trade_to_order_1s", "trade_to_order_60s", "cancel_to_trade_1s",
    "cancel_to_trade_10s", "cancel_to_trade_60s", "queue_depletion_bid", "queue_depletion_ask",
    "liquidity_decay_events", "quote_lifetime_s", "burstiness", "vpin", "jump_share", "vol_ratio", "kyle_lambda",
    "amihud", "mid_run", "lead_correlation", "first_factor_share", "sentiment_ew", "headline_rate", "own_fill_ratio",
)  # fmt: skip
"""Feature columns of table ``ticks``; a test compares them with the feature specification and the migrations."""

TICKS: Final = "ticks"
TABLE_OF: Final = {
    topics.FEATURES_TICKS: TICKS,
    topics.RISK_STATES: "risk_states",
    topics.RISK_ALERTS: "risk_alerts",
    topics.RISK_COMMANDS: "commands",
    topics.ORDERS_REQUESTS: "requests",
    topics.ORDERS_DECISIONS: "decisions",
    topics.ORDERS_EXECUTIONS: "executions",
    topics.ORDERS_FACTS: "facts",
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
    **ORDER_SCHEMAS,
}  # fmt: skip

_TICK_SCHEMA: Final = pa.schema(
    [pa.field(name, kind, nullable=False) for name, kind in (*ticks.FIXED, *((name, _F64) for name in FEATURES))]
)


@dataclass(frozen=True, slots=True)
class TickRows:
    """The rows of one tick message with what its metadata says of all of them."""

    batch: Any
    channel_id: str
    epoch: int
    spec_hash: str


Row = dict[str, Any]
Parsed = TickRows | Row


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
        return _parse_ticks(raw)
    row = to_row(codec.decode(topic, raw, registry), timestamp_ms)
    _check(row, SCHEMAS[TABLE_OF[topic]])
    return row


def to_row(record: codec.Record, timestamp_ms: int) -> Row:
    """Return a record as a row of its table, by column name."""
    return _ROW_OF[type(record)](record, timestamp_ms)


def rows_table(table: str, rows: Sequence[Row]) -> Any:
    """Return rows as the Arrow table to insert."""
    return pa.Table.from_pylist(list(rows), schema=SCHEMAS[table])


def ticks_table(parts: Sequence[TickRows]) -> Any:
    """Return tick messages, joined, as the Arrow table to insert; columns are not copied row by row."""
    joined = pa.Table.from_batches([part.batch for part in parts])
    lengths = [part.batch.num_rows for part in parts]
    columns = {name: joined.column(name) for name in _TICK_SCHEMA.names}
    columns["tick_ns"] = columns["tick_ns"].cast(TIME)
    columns["channel_id"] = _repeat([part.channel_id for part in parts], lengths)
    columns["spec_hash"] = _repeat([part.spec_hash for part in parts], lengths)
    columns["epoch"] = pa.array(np.repeat(np.array([part.epoch for part in parts], np.uint64), lengths))
    return pa.table(columns).combine_chunks()  # one block to insert, not one per message


def row_count(parsed: Parsed) -> int:
    """Return how many rows a message became."""
    return int(parsed.batch.num_rows) if isinstance(parsed, TickRows) else 1


def _parse_ticks(raw: bytes) -> TickRows:
    batch = ticks.read_batch(raw)
    meta = batch.schema.metadata
    # What our own encoder wrote is known by one comparison.
    batch = batch.replace_schema_metadata(None) if batch.schema.equals(_TICK_SCHEMA) else _checked(batch)
    try:
        channel_id, spec_hash = meta[b"channel_id"].decode(), meta[b"spec_hash"].decode()
        epoch = int(meta[b"epoch"])
    except ValueError as error:
        raise MessageError("bad_arrow", str(error)) from error
    if not 0 <= epoch < 1 << 64:
        raise MessageError("bad_record", f"epoch was {epoch}")
    return TickRows(batch, channel_id, epoch, spec_hash)


def _checked(batch: Any) -> Any:
    """Return a batch with fields marked otherwise (nullable) under the one schema, so that batches can be joined."""
    schema = batch.schema
    if schema.names != _TICK_SCHEMA.names or schema.types != _TICK_SCHEMA.types:
        got, wanted = set(schema.names), set(_TICK_SCHEMA.names)
        raise MessageError(
            "unknown_columns",
            f"missing {sorted(wanted - got)}, unknown {sorted(got - wanted)}, "
            "or in another order or type; a new feature needs a migration of history",
        )
    if any(column.null_count for column in batch.columns):
        raise MessageError("bad_record", "a column holds Arrow nulls; unknown values are NaN")
    return pa.RecordBatch.from_arrays(batch.columns, schema=_TICK_SCHEMA)


def _repeat(values: list[str], lengths: list[int]) -> Any:
    """Return each text as often as its message has rows, as an Arrow dictionary (LowCardinality in the table)."""
    distinct = list(dict.fromkeys(values))
    number = {value: index for index, value in enumerate(distinct)}
    indices = np.repeat(np.array([number[value] for value in values], np.int32), lengths)
    return pa.DictionaryArray.from_arrays(pa.array(indices), pa.array(distinct, pa.string()))


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
    DeadLetter: _letter,
}
