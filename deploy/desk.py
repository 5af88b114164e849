"""A trading process that embeds the gate: each order is checked inline against shared memory, and is also sent to Flink.

The inline verdict is published as a decision of enforcer ``gate``; the request goes to ``orders.requests``, where
`enforce_orders` judges it with the same C core. The two must agree.
"""

import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import confluent_kafka

from gate._native import (
    ORDER_BUY,
    ORDER_CANCEL,
    ORDER_LIMIT,
    ORDER_MARKET,
    ORDER_NEW,
    ORDER_REPLACE,
    ORDER_SELL,
    REASONS,
    LimitRow,
    LimitTable,
    account_hash,
)
from schemas import codec, topics
from schemas.records import OrderAction, OrderDecision, OrderRequest, OrderSide, OrderType, Tier, Verdict
from schemas.units import NS_PER_MS

ENFORCER: Final = "gate"
_ACTIONS: Final = {OrderAction.NEW: ORDER_NEW, OrderAction.REPLACE: ORDER_REPLACE, OrderAction.CANCEL: ORDER_CANCEL}
_SIDES: Final = {OrderSide.BUY: ORDER_BUY, OrderSide.SELL: ORDER_SELL}
_TYPES: Final = {OrderType.LIMIT: ORDER_LIMIT, OrderType.MARKET: ORDER_MARKET}


class Desk:
    """One trading process."""

    def __init__(self, bootstrap_servers: str, table_path: Path) -> None:
        self._table = LimitTable.attach(table_path)
        self._producer = confluent_kafka.Producer(
            {"bootstrap.servers": bootstrap_servers, "linger.ms": 0, "enable.idempotence": True, "log_level": 2}
        )

    def send(self, order: OrderRequest) -> OrderDecision:
        """Check one order inline, publish verdict and request, and return the verdict."""
        found = self._table.decide(
            order.instrument_id,
            account_hash(order.account_id),
            _ACTIONS[order.action],
            _SIDES[order.side],
            _TYPES[order.order_type],
            order.qty,
            order.price or 0,
            time.monotonic_ns(),
        )
        decision = OrderDecision(
            order_id=order.order_id,
            account_id=order.account_id,
            instrument_id=order.instrument_id,
            ts_event_ns=order.ts_event_ns,
            enforcer=ENFORCER,
            verdict=Verdict.REJECT if found.reason else Verdict.ACCEPT,
            reason=REASONS[found.reason],
            limit=found.limit,
            observed=found.observed,
            tier=Tier(found.tier),
            stale=found.stale,
            epoch=found.epoch,
            tick_ns=found.tick_ns,
            model_id=found.model_id,
            score=found.score,
        )
        stamp = order.ts_event_ns // NS_PER_MS
        for topic, record in ((topics.ORDERS_DECISIONS, decision), (topics.ORDERS_REQUESTS, order)):
            value = codec.encode(topic, record)
            self._producer.produce(topic, value, key=order.account_id, timestamp=stamp)
        self._producer.poll(0)
        return decision

    def trade(self, orders: list[OrderRequest], start_ns: int, speed: float, *, begin_ns: int | None = None) -> None:
        """Send orders at their times: event time ``start_ns`` is now (or at ``begin_ns``, monotonic)."""
        begin_ns = time.monotonic_ns() if begin_ns is None else begin_ns
        for order in orders:
            due_ns = begin_ns + int((order.ts_event_ns - start_ns) / speed)
            time.sleep(max(0.0, (due_ns - time.monotonic_ns()) / 1e9))
            self.send(order)
        self._producer.flush(30)

    def row(self, instrument_id: int) -> LimitRow | None:
        """Return the limits of an instrument as this process sees them."""
        return self._table.read(instrument_id)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._producer.flush(30)
        self._table.close()
