"""Messages of `features.ticks` as rows of table ``ticks``. The rules are those of ``history.rows``.

A message is an Arrow stream: a head (schema, metadata, where each column lies in the body) and the body, which is values alone.
Invariant: a head is read and checked in full once; a message that starts with the same bytes and is as long differs in its values
and in nothing else, so its columns are cut out of it by place. A channel sends the same head for every tick. Rejected: an Arrow
reader per message (some 70 columns are made to be joined and thrown away: most of the writer's time).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from schemas import ticks
from schemas.errors import MessageError

TIME: Final = pa.timestamp("ns", "UTC")
TICKS: Final = "ticks"
HEADS_MAX: Final = 4_096
"""Heads known at once: channels times the numbers of rows that their messages have."""

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

TICK_SCHEMA: Final = pa.schema(
    [
        pa.field(name, kind, nullable=False)
        for name, kind in (*ticks.FIXED, *((name, pa.float64()) for name in FEATURES))
    ]
)
_WIDTHS: Final = [field.type.bit_width // 8 for field in TICK_SCHEMA]


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """What messages that start with the same bytes have in common.

    Attributes:
        start: Their first bytes: everything before the body.
        rows: Rows of each.
        places: Where each column begins, counted from the start of the message.
        channel_id: Of all rows.
        epoch: Of all rows.
        spec_hash: Of all rows.
    """

    start: bytes
    rows: int
    places: tuple[int, ...]
    channel_id: str
    epoch: int
    spec_hash: str


@dataclass(frozen=True, slots=True, eq=False)
class TickRows:
    """The rows of one message."""

    head: Head
    raw: bytes

    @property
    def row_count(self) -> int:
        """Number of rows."""
        return self.head.rows


class TickReader:
    """Reads messages; remembers heads."""

    def __init__(self) -> None:
        self._heads: dict[int, list[Head]] = {}
        self._count = 0

    def read(self, raw: bytes) -> TickRows:
        """Return the rows of a message.

        Raises:
            MessageError: Not of the format; ``unknown_columns`` for other features; ``bad_record`` for nulls or an epoch that the
                table cannot hold.
        """
        for head in self._heads.get(len(raw), ()):
            if raw.startswith(head.start):
                return TickRows(head, raw)
        rows = _read_whole(raw)
        if self._count >= HEADS_MAX:
            self._heads, self._count = {}, 0
        self._heads.setdefault(len(rows.raw), []).append(rows.head)
        self._count += 1
        return rows


def ticks_table(parts: Sequence[TickRows]) -> Any:
    """Return messages, joined, as the Arrow table to insert; ordered by head, then as they came."""
    groups: dict[int, list[TickRows]] = {}
    for part in parts:
        if part.head.rows:
            groups.setdefault(id(part.head), []).append(part)
    same = list(groups.values())
    if not same:
        return _table([np.empty(0, np.uint8)] * len(_WIDTHS), [], [])
    bodies = [_columns(group) for group in same]
    joined = [np.concatenate(columns) if len(same) > 1 else columns[0] for columns in zip(*bodies, strict=True)]
    return _table(joined, [group[0].head for group in same], [len(group) * group[0].head.rows for group in same])


def _columns(group: list[TickRows]) -> list[Any]:
    """Return the bytes of each column of messages of one head."""
    head = group[0].head
    skipped = min(head.places)
    bodies = b"".join([memoryview(part.raw)[skipped:] for part in group])
    whole = np.frombuffer(bodies, np.uint8).reshape(len(group), -1)
    return [
        np.ascontiguousarray(whole[:, place - skipped : place - skipped + width * head.rows]).ravel()
        for place, width in zip(head.places, _WIDTHS, strict=True)
    ]


def _table(columns: list[Any], heads: list[Head], lengths: list[int]) -> Any:
    rows = sum(lengths)
    made = {
        field.name: pa.Array.from_buffers(
            TIME if field.name == "tick_ns" else field.type, rows, [None, pa.py_buffer(column)]
        )
        for field, column in zip(TICK_SCHEMA, columns, strict=True)
    }
    made["channel_id"] = _repeat([head.channel_id for head in heads], lengths)
    made["spec_hash"] = _repeat([head.spec_hash for head in heads], lengths)
    made["epoch"] = pa.array(np.repeat(np.array([head.epoch for head in heads], np.uint64), lengths))
    return pa.table(made)


def _read_whole(raw: bytes) -> TickRows:
    batch = ticks.read_batch(raw)
    meta = batch.schema.metadata
    if batch.schema.remove_metadata().equals(TICK_SCHEMA):
        _refuse_nulls(batch)
    else:
        raw, batch = _canonical(_checked(batch), meta)
    places = _places(raw, batch)
    if places is None:  # compressed, or otherwise not where a plain stream has it
        raw, batch = _canonical(batch.replace_schema_metadata(None), meta)
        places = _places(raw, batch)
        assert places is not None, "a stream of ours is plain"
    try:
        channel_id, spec_hash = meta[b"channel_id"].decode(), meta[b"spec_hash"].decode()
        epoch = int(meta[b"epoch"])
    except ValueError as error:
        raise MessageError("bad_arrow", str(error)) from error
    if not 0 <= epoch < 1 << 64:
        raise MessageError("bad_record", f"epoch was {epoch}")
    start = raw[: min(places)] if batch.num_rows else raw
    return TickRows(Head(start, batch.num_rows, places, channel_id, epoch, spec_hash), raw)


def _places(raw: bytes, batch: Any) -> tuple[int, ...] | None:
    """Return where each column's values begin in ``raw``; ``None`` when one of them lies elsewhere."""
    if not batch.num_rows:
        return (0,) * len(_WIDTHS)
    whole = pa.py_buffer(raw)
    places = []
    for column, width in zip(batch.columns, _WIDTHS, strict=True):
        place = column.buffers()[1].address + column.offset * width - whole.address
        if not 0 <= place <= len(raw) - width * batch.num_rows:
            return None
        places.append(place)
    return tuple(places)


def _canonical(batch: Any, meta: dict[bytes, bytes]) -> tuple[bytes, Any]:
    """Return the message that our own encoder would have sent, and its batch."""
    schema = TICK_SCHEMA.with_metadata(meta)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays(batch.columns, schema=schema))
    raw = bytes(sink.getvalue())
    return raw, ticks.read_batch(raw)


def _checked(batch: Any) -> Any:
    """Return a batch with fields marked otherwise (nullable) under the one schema."""
    schema = batch.schema
    if schema.names != TICK_SCHEMA.names or schema.types != TICK_SCHEMA.types:
        got, wanted = set(schema.names), set(TICK_SCHEMA.names)
        raise MessageError(
            "unknown_columns",
            f"missing {sorted(wanted - got)}, unknown {sorted(got - wanted)}, "
            "or in another order or type; a new feature needs a migration of history",
        )
    _refuse_nulls(batch)
    return pa.RecordBatch.from_arrays(batch.columns, schema=TICK_SCHEMA)


def _refuse_nulls(batch: Any) -> None:
    if any(column.null_count for column in batch.columns):
        raise MessageError("bad_record", "a column holds Arrow nulls; unknown values are NaN")


def _repeat(values: list[str], lengths: list[int]) -> Any:
    """Return each text as often as its messages have rows, as an Arrow dictionary (LowCardinality in the table)."""
    distinct = list(dict.fromkeys(values))
    number = {value: index for index, value in enumerate(distinct)}
    indices = np.repeat(np.array([number[value] for value in values], np.int32), lengths)
    return pa.DictionaryArray.from_arrays(pa.array(indices), pa.array(distinct, pa.string()))
