"""Inline enforcement: orders meet the limits that follow from risk states and commands, all in event time.

Invariant: the book here is a function of the stored messages alone, so a restored operator decides as the lost one would
have. The clock of an order is its own ``ts_event_ns``; a state is fresh until ``tick_ns + ttl``.
"""

from collections.abc import Iterable
from typing import Final, cast

from gate._native import LimitTable
from gate.limit_book import LimitBook
from jobs.machines.letters import Message, dead_letter
from schemas import codec, topics
from schemas.codec import Registry
from schemas.errors import MessageError, Place
from schemas.records import OrderRequest, RiskCommand, RiskState

SOURCE: Final = "enforce_orders"
CAPACITY: Final = 4_096
"""Instruments that one operator can hold; more meet ``unknown_instrument``, that is, are refused."""


class OrderDesk:
    """The machine of one operator instance."""

    def __init__(self, *, ttl_ns: int, registry: Registry | None = None) -> None:
        self._book = LimitBook(LimitTable.private(CAPACITY), ttl_ns=ttl_ns)
        self._registry = registry

    def learn(self, raw: bytes, place: Place) -> tuple[str | None, list[Message]]:
        """Take a risk state or a command.

        Returns:
            The name under which the message must be kept so that :meth:`relearn` can rebuild the book (``None`` when it
            changed nothing), and dead letters.
        """
        try:
            record = codec.decode(place.topic, raw, self._registry)
            if isinstance(record, RiskState):
                return (f"state:{record.instrument_id}" if self._book.apply_state(record) else None), []
            outcome = self._book.apply_command(cast("RiskCommand", record))
        except MessageError as error:
            return None, [dead_letter(error, raw, place, source=SOURCE, registry=self._registry)]
        except (ValueError, RuntimeError) as error:
            refused = MessageError("refused", str(error))
            return None, [dead_letter(refused, raw, place, source=SOURCE, registry=self._registry)]
        # Offsets order the commands again after a restore, whatever the order of the state's entries.
        return (f"command:{place.partition:05d}:{place.offset:020d}" if outcome.applied else None), []

    def relearn(self, kept: Iterable[tuple[str, bytes]]) -> None:
        """Rebuild the book from what was kept: commands in their order, then states."""
        for name, raw in sorted(kept):
            topic = topics.RISK_COMMANDS if name.startswith("command:") else topics.RISK_STATES
            self.learn(raw, Place(topic))

    def decide(self, raw: bytes, place: Place) -> tuple[Message | None, list[Message]]:
        """Return the encoded decision on one order, or a dead letter."""
        try:
            order = cast("OrderRequest", codec.decode(topics.ORDERS_REQUESTS, raw, self._registry))
            decision = self._book.check(order, order.ts_event_ns, SOURCE)
            encoded = codec.encode(topics.ORDERS_DECISIONS, decision, self._registry)
        except MessageError as error:
            return None, [dead_letter(error, raw, place, source=SOURCE, registry=self._registry)]
        return (order.account_id.encode(), encoded), []
