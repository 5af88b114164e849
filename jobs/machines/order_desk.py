"""Inline enforcement: orders, reports and facts meet ledger and limits, all in event time.

Invariant: decisions are a function of the messages about orders and of the rows that each was judged by, and both are
kept: ``restore(last snapshot, entries since)`` gives a machine that answers every later message as the lost one would have.
Whatever Flink sends again (at least once) is known by its place and answered no second time. The clock of an order is its
own ``ts_event_ns``; a state is fresh until ``tick_ns + ttl``. Facts (days, lost sessions, positions set by hand) take effect at
their place among the account's orders and reports (``gate.causal``); their times decide nothing.
"""

import json
import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

from gate._native import Gate, LimitTable
from gate.causal import WAITING_MAX, CausalOrder, Message
from gate.desk import Booked, GateDesk
from jobs.machines import evidence
from jobs.machines.letters import Message as Encoded
from jobs.machines.letters import dead_letter
from jobs.machines.rule_book import ACCOUNTS, INSTRUMENTS, Kept, RuleBook
from schemas import codec, topics
from schemas.codec import Registry
from schemas.errors import MessageError, Place
from schemas.orders import OrderExecution, OrderFact, OrderRequest
from schemas.people import fault_of_fact

SOURCE: Final = "enforce_orders"
VERSION: Final = 2
ACCOUNTS_MAX: Final = 256
POSITIONS_MAX: Final = 8_192
ORDERS_MAX: Final = 8_192
"""Room of the ledger, at once; what does not fit is refused as ``no_room``."""
LOG_BYTES_MIN: Final = 256 * 1024
LOG_PART: Final = 4
"""A snapshot is taken when the entries since weigh this part of the last one, and at least ``LOG_BYTES_MIN``."""

_LENGTH: Final = struct.Struct("<I")
_HEAD: Final = struct.Struct("<iq")
_CANNOT: Final = {Booked.INVALID: "bad_record", Booked.NO_ROOM: "no_room"}
_Item = tuple[Message, bytes, Place]


@dataclass(frozen=True, slots=True)
class OrderOutcome:
    """What one message led to.

    Attributes:
        decisions: Encoded decisions by account.
        verdicts: Verdict and reason of each.
        letters: Dead letters.
        entry: What must be kept to do it again, unless ``snapshot`` replaces all entries; ``None`` = nothing.
        snapshot: New snapshot; the entries start anew.
    """

    decisions: list[Encoded] = field(default_factory=list)
    letters: list[Encoded] = field(default_factory=list)
    verdicts: list[tuple[str, str]] = field(default_factory=list)
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
        self._verdicts: list[tuple[str, str]] = []
        self._log_bytes = self._snapshot_bytes = 0

    def learn(self, raw: bytes, place: Place) -> tuple[Kept | None, list[Encoded]]:
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
        self._verdicts.clear()  # of the lost machine, which told them
        memory = self._desk.memory()
        self._desk = self._desk_over(self._rules.table, self._desk.gate.snapshot(), memory)
        self._rules.evidence.start_anew()

    def apply(self, raw: bytes, place: Place) -> OrderOutcome:
        """Take one message of ``orders.requests``, ``orders.executions`` or ``orders.facts``."""
        if self._is_known(place):
            return OrderOutcome()
        rows: list[bytes] = []
        decisions, letters = self._take(raw, place, rows)
        entry = _put_together([_HEAD.pack(place.partition, place.offset), place.topic.encode(), raw, *rows])
        self._log_bytes += len(entry)
        snapshot = self._snapshot_if_due()
        verdicts, self._verdicts = self._verdicts, []
        return OrderOutcome(decisions, letters, verdicts, None if snapshot else entry, snapshot)

    def holdings(self) -> list[tuple[Any, ...]]:
        """Return the positions of the ledger."""
        return [tuple(held) for held in self._desk.holdings()]

    def counters(self) -> dict[str, int]:
        """Return the counts of ledger and order."""
        return {
            **self._desk.gate.counters(),
            "waiting": self._order.waiting,
            "out_of_order": self._order.out_of_order,
            "repeated_facts": self._order.repeated,
        }

    def _take(self, raw: bytes, place: Place, rows: list[bytes] | None = None) -> tuple[list[Encoded], list[Encoded]]:
        """Take a message; ``rows``, where given, gets what the messages released by it were judged by."""
        decisions: list[Encoded] = []
        self._places[_name_of(place)] = place.offset
        try:
            record = cast("Message", codec.decode(place.topic, raw, self._registry))
        except MessageError as error:
            return [], [self._letter(error, raw, place)]
        released = self._order.offer(record, (record, raw, place))
        numbers = (one.item[0].instrument_id for one in released)
        self._held.update(number for number in numbers if number is not None)
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
                self._verdicts.append((decision.verdict.name, decision.reason))
                decisions.append((record.account_id.encode(), encoded))
            elif refused := self._book(record):
                letters.append(self._letter(refused, item_raw, item_place))
        return decisions, letters

    def _book(self, record: OrderExecution | OrderFact) -> MessageError | None:
        """Book a report or a fact; return why it cannot be."""
        if isinstance(record, OrderExecution):
            words = f"{record.kind} of {record.qty} lots at {record.price} cannot be booked"
            booked = self._desk.report(record)
        else:
            words = (
                f"{record.kind} of {record.instrument_id or record.session_id or record.account_id!r} cannot be taken"
            )
            if fault := fault_of_fact(record):  # the topic has several writers: the sender may not have asked
                return MessageError(*fault)
            booked = self._desk.take(record)
        return MessageError(_CANNOT[booked], words) if booked in _CANNOT else None

    def _is_known(self, place: Place) -> bool:
        return 0 <= place.offset <= self._places.get(_name_of(place), -1)

    def _snapshot_if_due(self) -> bytes | None:
        if self._log_bytes < max(self._log_bytes_min, self._snapshot_bytes // LOG_PART):
            return None
        order = self._order.memory()
        for _, _, sides in order["accounts"].values():
            for waiting in sides:
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
        for _, _, sides in memory["order"]["accounts"].values():
            for waiting in sides:
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
        return cast("Message", codec.decode(place.topic, raw, self._registry)), raw, place

    def _letter(self, error: MessageError, raw: bytes, place: Place) -> Encoded:
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
