"""Inline enforcement: orders and reports meet ledger and limits, all in event time.

Invariant: decisions are a function of the messages of orders and reports and of the rows that each was judged by, and both are
kept: ``restore(last snapshot, entries since)`` gives a machine that answers every later message as the lost one would have.
Whatever Flink sends again (at least once) is known by its place and answered no second time. The clock of an order is its
own ``ts_event_ns``; a state is fresh until ``tick_ns + ttl``.
"""

import json
import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

from gate._native import Gate, LimitTable
from gate.causal import WAITING_MAX, CausalOrder, Released
from gate.desk import Booked, GateDesk
from jobs.machines import evidence
from jobs.machines.letters import Message, dead_letter
from jobs.machines.rule_book import ACCOUNTS, INSTRUMENTS, Kept, RuleBook
from schemas import codec, topics
from schemas.codec import Registry
from schemas.errors import MessageError, Place
from schemas.records import ExecutionSource, OrderExecution, OrderRequest

SOURCE: Final = "enforce_orders"
VERSION: Final = 1
ACCOUNTS_MAX: Final = 256
POSITIONS_MAX: Final = 8_192
ORDERS_MAX: Final = 8_192
"""Room of the ledger, at once; what does not fit is refused as ``no_room``."""
LOG_BYTES_MIN: Final = 256 * 1024
LOG_PART: Final = 4
"""A snapshot is taken when the entries since weigh this part of the last one, and at least ``LOG_BYTES_MIN``."""

_LENGTH: Final = struct.Struct("<I")
_HEAD: Final = struct.Struct("<iq")
_Item = tuple[OrderRequest | OrderExecution, bytes, Place]


@dataclass(frozen=True, slots=True)
class OrderOutcome:
    """What one message led to.

    Attributes:
        decisions: Encoded decisions by account.
        letters: Dead letters.
        entry: What must be kept to do it again, unless ``snapshot`` replaces all entries; ``None`` = nothing.
        snapshot: New snapshot; the entries start anew.
    """

    decisions: list[Message] = field(default_factory=list)
    letters: list[Message] = field(default_factory=list)
    entry: bytes | None = None
    snapshot: bytes | None = None


class OrderDesk:
    """The machine of the one ledger.

    Args:
        ttl_ns: How long a risk state is fresh.
        instance: Of the enforcer, for the numbers of its decisions.
        registry: Schema registry, or ``None`` for single-object encoding.
        waiting_max: Messages of an account that may wait for one of the other topic.
        log_bytes_min: Entries weigh at least so much before a snapshot replaces them.
    """

    def __init__(
        self,
        *,
        ttl_ns: int,
        instance: str = "",
        registry: Registry | None = None,
        waiting_max: int = WAITING_MAX,
        log_bytes_min: int = LOG_BYTES_MIN,
    ) -> None:
        self._instance, self._registry, self._log_bytes_min = instance, registry, log_bytes_min
        self._rules = RuleBook(ttl_ns=ttl_ns, source=SOURCE, registry=registry)
        self._order: CausalOrder[_Item] = CausalOrder(waiting_max=waiting_max)
        self._desk = self._make_desk(self._rules.table, None)
        self._places: dict[str, int] = {}
        self._held: set[int] = set()
        self._log_bytes = self._snapshot_bytes = 0

    def learn(self, raw: bytes, place: Place) -> tuple[Kept | None, list[Message]]:
        """Take a risk state or a command; return what must be kept of it and dead letters."""
        return self._rules.learn(raw, place)

    def relearn(self, kept: Iterable[Kept]) -> None:
        """Rebuild the rules from what :meth:`learn` asked to keep."""
        self._rules.relearn(kept)

    def restore(self, snapshot: bytes | None, entries: Iterable[bytes]) -> None:
        """Become the machine that was lost; the rules come by :meth:`relearn`, before or after.

        Raises:
            ValueError: The snapshot or an entry is not one, or of another version.
        """
        table = LimitTable.private(INSTRUMENTS, ACCOUNTS)
        self._desk = self._make_desk(table, snapshot)
        for entry in entries:
            head, topic, raw, *rows = _taken_apart(entry)
            evidence.apply(rows, table)
            partition, offset = _HEAD.unpack(head)
            self._take(raw, Place(topic.decode(), partition, offset))
            self._log_bytes += len(entry)
        memory = self._desk.memory()
        self._desk = self._desk_over(self._rules.table, self._desk.gate.snapshot(), memory)
        self._rules.evidence.start_anew()

    def apply(self, raw: bytes, place: Place) -> OrderOutcome:
        """Take one message of ``orders.requests`` or ``orders.executions``."""
        if self._is_known(place):
            return OrderOutcome()
        rows: list[bytes] = []
        decisions, letters = self._take(raw, place, rows)
        entry = _put_together([_HEAD.pack(place.partition, place.offset), place.topic.encode(), raw, *rows])
        self._log_bytes += len(entry)
        snapshot = self._snapshot_if_due()
        return OrderOutcome(decisions, letters, None if snapshot else entry, snapshot)

    def holdings(self) -> list[tuple[Any, ...]]:
        """Return the positions of the ledger."""
        return [tuple(held) for held in self._desk.holdings()]

    def counters(self) -> dict[str, int]:
        """Return the counts of ledger and order."""
        return {
            **self._desk.gate.counters(),
            "waiting": self._order.waiting,
            "out_of_order": self._order.out_of_order,
        }

    def _take(self, raw: bytes, place: Place, rows: list[bytes] | None = None) -> tuple[list[Message], list[Message]]:
        """Take a message; ``rows``, where given, gets what the messages released by it were judged by."""
        decisions: list[Message] = []
        self._places[_name_of(place)] = place.offset
        try:
            released = self._offer(codec.decode(place.topic, raw, self._registry), raw, place)
        except MessageError as error:
            return [], [self._letter(error, raw, place)]
        self._held.update(one.item[0].instrument_id for one in released)
        if rows is not None:
            rows += self._rules.evidence.collect(self._held)
        letters = []
        for one in released:
            record, item_raw, item_place = one.item
            if one.missing:
                words = f"{one.missing} messages that it follows did not come within the bound"
                letters.append(self._letter(MessageError("out_of_order", words), item_raw, item_place))
            if isinstance(record, OrderRequest):
                decision = self._desk.submit(record, record.ts_event_ns)
                encoded = codec.encode(topics.ORDERS_DECISIONS, decision, self._registry)
                decisions.append((record.account_id.encode(), encoded))
            elif self._desk.report(record) is Booked.INVALID:
                words = f"{record.kind} of {record.qty} lots at {record.price} cannot be booked"
                letters.append(self._letter(MessageError("bad_record", words), item_raw, item_place))
        return decisions, letters

    def _offer(self, record: codec.Record, raw: bytes, place: Place) -> list[Released[_Item]]:
        if isinstance(record, OrderRequest):
            return self._order.offer_request(record.account_id, record.executions_seen, (record, raw, place))
        execution = cast("OrderExecution", record)
        if execution.source is ExecutionSource.DROP_COPY:  # of another writer: it has no place in the sender's order
            return [Released((execution, raw, place))]
        return self._order.offer_report(execution.account_id, execution.requests_sent, (execution, raw, place))

    def _is_known(self, place: Place) -> bool:
        return 0 <= place.offset <= self._places.get(_name_of(place), -1)

    def _snapshot_if_due(self) -> bytes | None:
        if self._log_bytes < max(self._log_bytes_min, self._snapshot_bytes // LOG_PART):
            return None
        order = self._order.memory()
        for sides in order["accounts"].values():
            for _, waiting in sides:
                for waiter in waiting:
                    _, raw, place = waiter[2]
                    waiter[2] = [raw.hex(), place.topic, place.partition, place.offset]
        memory = {
            "version": VERSION,
            "desk": self._desk.memory(),
            "order": order,
            "places": self._places,
            "held": sorted(self._held),
        }
        plain = json.dumps(memory, separators=(",", ":")).encode()
        snapshot = zlib.compress(_put_together([plain, self._desk.gate.snapshot()]), 1)
        self._log_bytes, self._snapshot_bytes = 0, len(snapshot)
        self._rules.evidence.start_anew()
        return snapshot

    def _make_desk(self, table: LimitTable, snapshot: bytes | None) -> GateDesk:
        """Return a desk over ``table``, as it was at ``snapshot``, and take all else that is in it."""
        if snapshot is None:
            return GateDesk(_gate(table), table, enforcer=SOURCE, instance=self._instance)
        try:
            plain, ledger = _taken_apart(zlib.decompress(snapshot))
            memory = json.loads(plain)
        except (zlib.error, struct.error, ValueError) as error:
            raise ValueError(f"no snapshot of {SOURCE}: {error}") from error
        if memory["version"] != VERSION:
            raise ValueError(f"snapshot of {SOURCE} has version {memory['version']}, wanted {VERSION}")
        for sides in memory["order"]["accounts"].values():
            for _, waiting in sides:
                for waiter in waiting:
                    waiter[2] = self._waiter(waiter[2])
        self._order.remember(memory["order"])
        self._places, self._held = memory["places"], set(memory["held"])
        self._snapshot_bytes = len(snapshot)
        return self._desk_over(table, ledger, memory["desk"])

    def _desk_over(self, table: LimitTable, ledger: bytes, memory: dict[str, Any]) -> GateDesk:
        desk = GateDesk(_gate(table, ledger), table, enforcer=SOURCE, instance=self._instance)
        desk.remember(memory)
        return desk

    def _waiter(self, plain: Sequence[Any]) -> _Item:
        raw, place = bytes.fromhex(plain[0]), Place(plain[1], plain[2], plain[3])
        record = cast("OrderRequest | OrderExecution", codec.decode(place.topic, raw, self._registry))
        return record, raw, place

    def _letter(self, error: MessageError, raw: bytes, place: Place) -> Message:
        return dead_letter(error, raw, place, source=SOURCE, registry=self._registry)


def _gate(table: LimitTable, snapshot: bytes | None = None) -> Gate:
    return Gate(table, accounts=ACCOUNTS_MAX, positions=POSITIONS_MAX, orders=ORDERS_MAX, snapshot=snapshot)


def _name_of(place: Place) -> str:
    return f"{place.topic}[{place.partition}]"


def _put_together(parts: Iterable[bytes]) -> bytes:
    return b"".join(_LENGTH.pack(len(part)) + part for part in parts)


def _taken_apart(whole: bytes) -> list[bytes]:
    parts, at = [], 0
    while at < len(whole):
        (length,) = _LENGTH.unpack_from(whole, at)
        at += _LENGTH.size
        if at + length > len(whole):
            raise ValueError("an entry is cut short")
        parts.append(whole[at : at + length])
        at += length
    return parts
