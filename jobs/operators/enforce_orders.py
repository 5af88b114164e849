"""The operator of `enforce_orders`: orders, reports and facts under one key, states and commands broadcast to every instance."""

from collections.abc import Iterator
from typing import Any, Final

from pyflink.common import Row, Types
from pyflink.datastream import KeyedBroadcastProcessFunction, OutputTag, RuntimeContext
from pyflink.datastream.state import ListStateDescriptor, MapStateDescriptor, ValueStateDescriptor

from jobs.machines.order_desk import OrderDesk
from jobs.measuring import OperatorMetrics
from jobs.operators.python_thread import PythonThread
from jobs.sinks import MESSAGE
from jobs.sources import message_of
from schemas import metrics
from schemas.registry import ConfluentRegistry
from schemas.units import NS_PER_MS

DEAD_LETTERS = OutputTag("dead-letters", MESSAGE)
RULES = MapStateDescriptor("rules-v2", Types.STRING(), Types.PICKLED_BYTE_ARRAY())
"""Broadcast state: the newest state of each instrument and every applied command, as the machine wants them kept."""
STEP: Final = "enforce_orders"
FIRM: Final = "firm"
"""The one key: limits of the firm as a whole bind its accounts together, so one ledger is the unit of consistency."""


class EnforceOrders(KeyedBroadcastProcessFunction):
    """Orders and reports in, ``(account, decision)`` out; what cannot be used goes to the side output ``DEAD_LETTERS``.

    The machine dies with the operator; Flink restores snapshot, entries and rules, and the first message rebuilds it.
    """

    def __init__(self, *, ttl_ms: int, epoch: int, schema_registry_url: str) -> None:
        self._ttl_ms = ttl_ms
        self._epoch = epoch
        self._schema_registry_url = schema_registry_url

    def open(self, runtime_context: RuntimeContext) -> None:
        """Make the desk; its rules come from the broadcast state, its ledger from the keyed one, with the first message."""
        registry = ConfluentRegistry(self._schema_registry_url) if self._schema_registry_url else None
        self._thread = PythonThread("enforce-orders")
        self._desk = OrderDesk(ttl_ns=self._ttl_ms * NS_PER_MS, instance=f"epoch-{self._epoch}", registry=registry)
        self._relearned = self._restored = False
        self._snapshot = runtime_context.get_state(ValueStateDescriptor("ledger-v1", Types.PICKLED_BYTE_ARRAY()))
        self._metrics = OperatorMetrics(runtime_context.get_metrics_group())
        self._metrics.declare(metrics.JOBS_DEAD_LETTERS, STEP)
        self._entries = runtime_context.get_list_state(ListStateDescriptor("entries-v1", Types.PICKLED_BYTE_ARRAY()))

    def process_element(self, value: Any, ctx: KeyedBroadcastProcessFunction.ReadOnlyContext) -> Iterator[Any]:
        """Take one order, report or fact."""
        self._rebuild(ctx.get_broadcast_state(RULES))
        self._restore()
        message = message_of(value)
        outcome = self._thread.call(self._desk.apply, message.value, message.place)
        if outcome.snapshot is not None:
            self._snapshot.update(outcome.snapshot)
            self._entries.clear()
        elif outcome.entry is not None:
            self._entries.add(outcome.entry)
        for letter in outcome.letters:
            self._metrics.now(metrics.JOBS_DEAD_LETTERS, 1, STEP)
            yield DEAD_LETTERS, Row(*letter)
        for decision in outcome.decisions:
            yield Row(*decision)
        for verdict, reason in outcome.verdicts:
            self._metrics.now(metrics.JOBS_DECISIONS, 1, verdict, reason)

    def process_broadcast_element(self, value: Any, ctx: KeyedBroadcastProcessFunction.Context) -> Iterator[Any]:
        """Learn a risk state or a command."""
        rules = ctx.get_broadcast_state(RULES)
        self._rebuild(rules)
        message = message_of(value)
        kept, letters = self._thread.call(self._desk.learn, message.value, message.place)
        if kept is not None:
            rules.put(*kept)
        for letter in letters:
            self._metrics.now(metrics.JOBS_DEAD_LETTERS, 1, STEP)
            yield DEAD_LETTERS, Row(*letter)

    def _restore(self) -> None:
        if not self._restored:
            snapshot, entries = self._snapshot.value(), self._entries.get()
            kept = [bytes(entry) for entry in entries or ()]
            if snapshot is not None or kept:
                self._thread.call(self._desk.restore, None if snapshot is None else bytes(snapshot), kept)
            self._restored = True

    def _rebuild(self, rules: Any) -> None:
        if not self._relearned:
            kept = [(str(name), bytes(value)) for name, value in rules.items()]
            self._thread.call(self._desk.relearn, kept)
            self._relearned = True
