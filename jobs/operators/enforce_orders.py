"""The operator of `enforce_orders`: orders keyed by account, states and commands broadcast to every instance."""

from collections.abc import Iterator
from typing import Any

from pyflink.common import Row, Types
from pyflink.datastream import KeyedBroadcastProcessFunction, OutputTag, RuntimeContext
from pyflink.datastream.state import MapStateDescriptor

from jobs.machines.order_desk import OrderDesk
from jobs.operators.python_thread import PythonThread
from jobs.sinks import MESSAGE
from jobs.sources import message_of
from schemas.registry import ConfluentRegistry
from schemas.units import NS_PER_MS

DEAD_LETTERS = OutputTag("dead-letters", MESSAGE)
RULES = MapStateDescriptor("rules-v1", Types.STRING(), Types.PICKLED_BYTE_ARRAY())
"""Broadcast state: the newest state of each instrument and every applied command, as they came."""


class EnforceOrders(KeyedBroadcastProcessFunction):
    """Orders in, ``(account, decision)`` out; what cannot be read goes to the side output ``DEAD_LETTERS``."""

    def __init__(self, *, ttl_ms: int, schema_registry_url: str) -> None:
        self._ttl_ms = ttl_ms
        self._schema_registry_url = schema_registry_url

    def open(self, runtime_context: RuntimeContext) -> None:
        """Make the desk; its rules come from the broadcast state with the first message."""
        del runtime_context
        registry = ConfluentRegistry(self._schema_registry_url) if self._schema_registry_url else None
        self._thread = PythonThread("enforce-orders")
        self._desk = OrderDesk(ttl_ns=self._ttl_ms * NS_PER_MS, registry=registry)
        self._rebuilt = False

    def process_element(self, value: Any, ctx: KeyedBroadcastProcessFunction.ReadOnlyContext) -> Iterator[Any]:
        """Decide one order."""
        self._rebuild(ctx.get_broadcast_state(RULES))
        message = message_of(value)
        decision, letters = self._thread.call(self._desk.decide, message.value, message.place)
        for letter in letters:
            yield DEAD_LETTERS, Row(*letter)
        if decision is not None:
            yield Row(*decision)

    def process_broadcast_element(self, value: Any, ctx: KeyedBroadcastProcessFunction.Context) -> Iterator[Any]:
        """Learn a risk state or a command."""
        rules = ctx.get_broadcast_state(RULES)
        self._rebuild(rules)
        message = message_of(value)
        name, letters = self._thread.call(self._desk.learn, message.value, message.place)
        if name is not None:
            rules.put(name, message.value)
        for letter in letters:
            yield DEAD_LETTERS, Row(*letter)

    def _rebuild(self, rules: Any) -> None:
        if not self._rebuilt:
            kept = [(str(name), bytes(raw)) for name, raw in rules.items()]
            self._thread.call(self._desk.relearn, kept)
            self._rebuilt = True
