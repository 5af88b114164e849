"""A trading process that embeds the gate: each order is judged inline, and what happened to it is told to Kafka.

Its decisions and facts leave through the shipper; the requests go to ``orders.requests`` and the reports of the simulated
venue to ``orders.executions``, where `enforce_orders` judges and books them with the same core. The two must agree. The venue
takes every order as immediate-or-cancel: it trades whole at the reference price, or expires.
"""

import shutil
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import confluent_kafka

from gate.desk import Holding
from gate.rows import InstrumentRow
from gate.trading import TradingGate, TradingSettings
from schemas import codec, topics
from schemas.orders import (
    ExecutionKind,
    ExecutionSource,
    OrderAction,
    OrderDecision,
    OrderExecution,
    OrderRequest,
    OrderSide,
    Verdict,
)
from schemas.units import NS_PER_MS

VENUE: Final = "SIM"
NAME: Final = "desk"
FOLDER: Final = "desk"
"""Folder of ledger, ring and journal within the state folder of the stack."""


class Desk:
    """One trading process.

    Args:
        bootstrap_servers: Kafka.
        table_path: The limit table.
        folder: Where what survives the process lies.
        is_fresh: Forget what a past life left there: the positions of a simulation end with it.
        metrics_port: Where Prometheus may ask; 0 = no metrics.
    """

    def __init__(
        self, bootstrap_servers: str, table_path: Path, folder: Path, *, is_fresh: bool = True, metrics_port: int = 0
    ) -> None:
        if is_fresh:
            shutil.rmtree(folder, ignore_errors=True)
        self._gate = TradingGate(
            TradingSettings(table_path, folder, NAME, bootstrap_servers=bootstrap_servers, metrics_port=metrics_port)
        )
        self._producer = confluent_kafka.Producer(
            {"bootstrap.servers": bootstrap_servers, "linger.ms": 0, "enable.idempotence": True, "log_level": 2}
        )

    def send(self, order: OrderRequest) -> OrderDecision:
        """Judge one order inline, publish the request and what the venue made of it, and return the decision."""
        decision, request = self._gate.submit(order)
        self._publish(topics.ORDERS_REQUESTS, request)
        execution = execution_of(order, decision)
        if execution is not None:
            self._publish(topics.ORDERS_EXECUTIONS, self._gate.report(execution).execution)
        return decision

    def trade(self, orders: list[OrderRequest], start_ns: int, speed: float, *, begin_ns: int | None = None) -> None:
        """Send orders at their times: event time ``start_ns`` is now (or at ``begin_ns``, monotonic)."""
        begin_ns = time.monotonic_ns() if begin_ns is None else begin_ns
        for order in orders:
            due_ns = begin_ns + int((order.ts_event_ns - start_ns) / speed)
            time.sleep(max(0.0, (due_ns - time.monotonic_ns()) / 1e9))
            self.send(order)
        self._producer.flush(30)

    @property
    def gate(self) -> TradingGate:
        """The gate, for what no order and no report says: days, sessions, positions set by hand."""
        return self._gate

    def row(self, instrument_id: int) -> InstrumentRow | None:
        """Return the limits of an instrument as this process sees them."""
        raw = self._gate.table.read(instrument_id)
        return None if raw is None else InstrumentRow.unpack(raw)

    def holdings(self) -> list[Holding]:
        """Return the positions of this process's ledger."""
        return self._gate.holdings()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._producer.flush(30)
        self._gate.close()

    def _publish(self, topic: str, record: OrderRequest | OrderExecution) -> None:
        stamp_ms = record.ts_event_ns // NS_PER_MS
        self._producer.produce(topic, codec.encode(topic, record), key=record.account_id, timestamp=stamp_ms)
        self._producer.poll(0)


def execution_of(order: OrderRequest, decision: OrderDecision) -> OrderExecution | None:
    """Return what the simulated venue makes of an order, ``None`` when it never gets there. Pure.

    A market order, and a limit order that meets the reference price, trades whole at it; any other expires at once.
    """
    if decision.verdict is not Verdict.ACCEPT or order.action is not OrderAction.NEW:
        return None
    reference, price = decision.ref_price, order.price
    assert reference is not None, "no order is accepted without a reference price"
    is_buy = order.side is OrderSide.BUY
    meets = price is None or (price >= reference if is_buy else price <= reference)
    is_filled = meets and not order.post_only
    return OrderExecution(
        exec_id=f"{order.order_id}.1",
        order_id=order.order_id,
        account_id=order.account_id,
        instrument_id=order.instrument_id,
        ts_event_ns=order.ts_event_ns,
        kind=ExecutionKind.FILLED if is_filled else ExecutionKind.EXPIRED,
        side=order.side,
        qty=order.qty,
        price=reference if is_filled else None,
        venue_id=VENUE,
        source=ExecutionSource.VENUE,
    )
