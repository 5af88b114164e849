"""Records of orders as rows: requests, decisions, executions, facts. The rules are those of ``history.rows``."""

import dataclasses
from enum import Enum
from typing import Any, Final

import pyarrow as pa

TIME: Final = pa.timestamp("ns", "UTC")
_TEXT: Final = pa.string()
_U32: Final = pa.uint32()
_U64: Final = pa.uint64()
_I64: Final = pa.int64()
_F64: Final = pa.float64()
_BOOL: Final = pa.bool_()

ORDER_SCHEMAS: Final[dict[str, Any]] = {
    "requests": pa.schema(
        {
            "order_id": _TEXT, "account_id": _TEXT, "instrument_id": _U32, "ts_event_ns": TIME, "action": _TEXT,
            "side": _TEXT, "order_type": _TEXT, "qty": _I64, "price": _I64, "post_only": _BOOL, "reduce_only": _BOOL,
            "orig_order_id": _TEXT, "trader_id": _TEXT, "desk_id": _TEXT, "strategy_id": _TEXT, "venue_id": _TEXT,
            "session_id": _TEXT, "parent_order_id": _TEXT, "basket_id": _TEXT,
            "parent_qty": _I64, "executions_seen": _I64, "facts_seen": _I64,
        }
    ),
    "decisions": pa.schema(
        {
            "order_id": _TEXT, "enforcer": _TEXT, "account_id": _TEXT, "instrument_id": _U32, "ts_event_ns": TIME,
            "verdict": _TEXT, "reason": _TEXT, "limit": _I64, "observed": _I64, "tier": _TEXT, "stale": _BOOL,
            "epoch": _U64, "tick_ns": TIME, "model_id": _TEXT, "score": _F64, "decision_id": _TEXT, "instance": _TEXT,
            "seq": _U64, "decided_ns": _I64, "rule_id": _TEXT, "warned": _BOOL, "ref_price": _I64, "worst_price": _I64,
            "action": _TEXT, "side": _TEXT, "order_type": _TEXT, "qty": _I64, "price": _I64, "post_only": _BOOL,
            "reduce_only": _BOOL, "position_before": _I64, "working_buy_before": _I64, "working_sell_before": _I64,
        }
    ),
    "executions": pa.schema(
        {
            "exec_id": _TEXT, "order_id": _TEXT, "account_id": _TEXT, "instrument_id": _U32, "ts_event_ns": TIME,
            "kind": _TEXT, "side": _TEXT, "qty": _I64, "price": _I64, "venue_id": _TEXT, "source": _TEXT,
            "requests_sent": _I64, "facts_seen": _I64,
        }
    ),
    "facts": pa.schema(
        {
            "fact_id": _TEXT, "account_id": _TEXT, "kind": _TEXT, "ts_event_ns": TIME, "sender": _TEXT, "number": _I64,
            "requests_sent": _I64, "executions_seen": _I64, "session_id": _TEXT, "instrument_id": _U32,
            "position": _I64, "is_reconciled": _BOOL, "maker": _TEXT, "checker": _TEXT, "reason": _TEXT,
        }
    ),
}  # fmt: skip


def order_row(record: Any, _timestamp_ms: int) -> dict[str, Any]:
    """Return a record of an order as a row, enumerations by name."""
    values = {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}
    return {name: value.name if isinstance(value, Enum) else value for name, value in values.items()}
