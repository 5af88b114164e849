"""The gate of a Python trading process: limit table, ledger, decision ring and shipper, opened and closed together.

Invariant: the order in which this process lived through orders and reports is the order in which they are booked, numbered
and noted, whichever threads they come from; what survives the process (ledger, ring, journal) lies side by side under one
name. Rejected: a lock for each account (the journal needs one order; the judgement itself takes a microsecond).
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from gate._native import REASONS, DecisionRing, Gate, LimitTable
from gate.causal import CausalCounters
from gate.desk import Booked, Cancel, GateDesk, Holding, hash_of
from gate.facts import KINDS as FACT_KINDS
from gate.facts import FactBook, Hand
from gate.journal import REPORT, REQUEST, Journal
from gate.reconcile import Reconciler
from gate.trail.decision_record import ENFORCER
from gate.trail.shipper import Shipper, ShipperSettings
from schemas import metrics
from schemas.exposition import ProcessMetrics, Reading
from schemas.kafka_security import KafkaSecurity, security_of
from schemas.orders import ExecutionSource, FactKind, OrderDecision, OrderExecution, OrderFact, OrderRequest
from schemas.records import RiskAlert
from schemas.units import NS_PER_MS, NS_PER_S

log = logging.getLogger("tidegate.gate.trading")

RING_CAPACITY: Final = 65_536
MARK_S: Final = 0.1
"""Between two rounds of housekeeping: losses count also where nothing is traded."""
STOP_S: Final = 10.0
"""Longest wait for decisions to leave at the end."""


@dataclass(frozen=True, slots=True)
class TradingSettings(KafkaSecurity):
    """Settings of a trading process's gate.

    Attributes:
        table_path: The limit table of this host.
        folder: Where ledger, ring and journal of this process lie; one process at a time.
        name: Of the trading process, unique among those of the firm.
        bootstrap_servers: Kafka, for decisions and facts; empty = they stay in ring and journal.
        schema_registry_url: Empty for Avro single-object encoding.
        accounts: Accounts that the ledger holds.
        positions: (account, instrument) pairs that it holds.
        orders: Working orders that it holds.
        reconcile_ms: How long ledger and drop copy may differ before people are told; 0 = there is no drop copy.
        metrics_host: Where Prometheus may ask,
        metrics_port: and its port; 0 = no metrics.
    """

    table_path: Path
    folder: Path
    name: str
    bootstrap_servers: str = ""
    schema_registry_url: str = ""
    accounts: int = 256
    positions: int = 8_192
    orders: int = 65_536
    reconcile_ms: int = 0
    metrics_host: str = "127.0.0.1"
    metrics_port: int = 0


class Answer(NamedTuple):
    """What became of an order: the decision, and the request as it must be published."""

    decision: OrderDecision
    request: OrderRequest


class Reported(NamedTuple):
    """What became of a report: what was booked, and the report as it must be published."""

    booked: Booked
    execution: OrderExecution


class TradingGate:
    """Everything that an order needs on its way out, for any number of threads.

    Args:
        settings: Settings.
        on_alert: Called with every alert of shipper and reconciliation, on their threads.

    Raises:
        OSError, LimitTableError, ValueError: Something cannot be opened, or another process has it.
    """

    def __init__(
        self, settings: TradingSettings, *, on_alert: Callable[[RiskAlert], None] = lambda _alert: None
    ) -> None:
        settings.folder.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._on_alert = on_alert
        self._closers: list[Callable[[], Any]] = []
        self._stopping = threading.Event()
        try:
            self._open(settings)
        except BaseException:
            self._give_back()
            raise

    def submit(self, order: OrderRequest, now_ns: int | None = None) -> Answer:
        """Judge an order, and book it when accepted.

        Args:
            order: The order.
            now_ns: The table's clock; ``None`` = the monotonic clock, which the sidecar writes by.
        """
        with self._lock:
            self._facts.enrol(order.account_id)
            request = self._counters.request(order)
            self._journal.note(REQUEST, order.account_id, order.order_id)
            decision = self._desk.submit(request, time.monotonic_ns() if now_ns is None else now_ns)
        return Answer(decision, request)

    def report(self, execution: OrderExecution) -> Reported:
        """Book a report of the venue, once; a drop copy of one of our orders is compared, not booked."""
        with self._lock:
            is_copy = execution.source is ExecutionSource.DROP_COPY
            self._facts.enrol(execution.account_id, is_known=True)
            told = execution if is_copy else self._counters.report(execution)
            self._journal.note(REPORT, "" if is_copy else execution.account_id, *self._desk.note_of(execution))
            booked = self._desk.report(execution)
            if self._reconciler is not None:
                self._reconciler.take(execution)
        return Reported(booked, told)

    def cancels(self) -> list[Cancel]:
        """Return the working orders that must be cancelled now: killed by a person, or of a lost session."""
        with self._lock:
            return self._desk.cancels()

    def parent(self, account_id: str, parent_order_id: str, qty: int) -> bool:
        """Declare a parent for this ledger; ``OrderRequest.parent_qty`` declares it for every enforcer."""
        with self._lock:
            return self._gate.parent(hash_of("account", account_id), hash_of("parent", parent_order_id), qty)

    def session(self, session_id: str, *, is_up: bool) -> list[Cancel]:
        """Note that a session was lost or is back; return what must be cancelled (cancel on disconnect)."""
        with self._lock:
            is_noted = self._gate.session(hash_of("session", session_id), is_up)
            if not is_noted:
                log.error("session_not_noted id=%s up=%s: every session counts as down", session_id, is_up)
            if session_id and (is_noted or not is_up):
                self._facts.session(session_id, time.time_ns(), is_up=is_up)
            return self._desk.cancels()

    def reconcile(self, account_id: str, instrument_id: int, lots: int, *, is_done: bool, hand: Hand) -> int | None:
        """Set a position from the books of record; return what the ledger believed, ``None`` when there was no room.

        Args:
            account_id: Account.
            instrument_id: Instrument.
            lots: What it holds, negative = short.
            is_done: The account's positions are now all confirmed.
            hand: Who says so.

        Raises:
            FactRefusedError: Not two people with a reason, or numbers that cannot be; nothing was changed.
        """
        stated = OrderFact(
            "", account_id, FactKind.POSITION_SET, time.time_ns(), "", 0, instrument_id=instrument_id, position=lots,
            is_reconciled=is_done, maker=hand.maker, checker=hand.checker, reason=hand.reason,
        )  # fmt: skip
        with self._lock:
            was = self._desk.position(account_id, instrument_id)
            fact = self._facts.position(stated)
            return was if self._apply([fact]) else None

    def new_day(self) -> None:
        """Start a day: positions are marked, and profit and loss, peaks and period sums begin anew."""
        with self._lock:
            facts = self._facts.day(time.time_ns())
            self._desk.start_day()
            self._facts.done(facts)

    def mark(self) -> None:
        """Mark every position now; housekeeping does it ten times a second."""
        with self._lock:
            self._desk.mark()

    def holdings(self) -> list[Holding]:
        """Return every position."""
        with self._lock:
            return self._desk.holdings()

    def counters(self) -> dict[str, int]:
        """Return the counts of ledger, ring and shipper under their own names."""
        shipped = self._shipper.counters() if self._shipper else self._ring.counters()
        mismatches = self._reconciler.mismatches if self._reconciler else 0
        facts = {"facts_told": self._facts.told, "facts_waiting": self._facts.waiting}
        return {**self._gate.counters(), **shipped, **facts, "mismatches": mismatches}

    def _readings(self) -> Iterator[Reading]:
        """Tell what a scrape asks for: counts that lie in shared memory anyway, so no order waits for it."""
        judged, ring = self._gate.counters(), self._ring.counters()
        yield from ((metrics.TRADING_ORDERS, judged[how], (how,)) for how in ("accepted", "refused", "pended"))
        yield metrics.TRADING_RING_PENDING, ring["pending"]
        yield metrics.TRADING_RING_TORN, ring["torn"]
        for reason, lost in self._ring.lost_by_reason().items():
            yield metrics.TRADING_RING_LOST, lost, (REASONS[reason] if reason < len(REASONS) else "other",)
        yield metrics.TRADING_FACTS_WAITING, self._facts.waiting
        yield metrics.TRADING_MISMATCHES, self._reconciler.mismatches if self._reconciler else 0
        yield metrics.TRADING_TABLE_AGE, (time.monotonic_ns() - self._table.writer_heartbeat_ns) / NS_PER_S
        if self._shipper is not None:
            shipped = self._shipper.counters()
            yield metrics.TRADING_KAFKA_FAILURES, shipped["kafka_failures"]
            yield metrics.TRADING_LETTERS, shipped["dead_letters"]
            decided = self._shipper.decided().items()
            yield from ((metrics.TRADING_DECISIONS, count, verdict_and_reason) for verdict_and_reason, count in decided)

    def keep_house(self, now_ns: int, wall_ns: int) -> list[RiskAlert]:
        """Mark and reconcile once, as the thread does; return the alerts, which are also sent."""
        with self._lock:
            self._desk.mark()
            if self._reconciler is None:
                return []
            held = _positions(self._desk)
            alerts = self._reconciler.check(held, now_ns, wall_ns=wall_ns)
        for alert in alerts:
            log.error("alert id=%s message=%s", alert.alert_id, alert.message)
            if self._shipper is not None:
                self._shipper.tell(alert)
            self._on_alert(alert)
        return alerts

    @property
    def table(self) -> LimitTable:
        """The limit table as this process sees it."""
        return self._table

    def close(self) -> None:
        """Ship what is left and give everything back."""
        self._give_back()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self, settings: TradingSettings) -> None:
        folder = settings.folder
        self._table = LimitTable.attach(settings.table_path)
        self._closers.append(self._table.close)
        identity = int.from_bytes(os.urandom(7), "big") or 1
        self._ring = DecisionRing.create(folder / "decisions.ring", RING_CAPACITY, identity)
        self._closers.append(self._ring.close)
        self._gate = Gate(
            self._table,
            folder / "ledger",
            ring=self._ring,
            accounts=settings.accounts,
            positions=settings.positions,
            orders=settings.orders,
        )
        self._closers.append(self._gate.close)
        self._shipper = self._make_shipper(settings)
        instance = self._shipper.instance if self._shipper else f"{settings.name}.{self._ring.identity:x}"
        self._desk = GateDesk(
            self._gate,
            self._table,
            enforcer=ENFORCER,
            instance=instance,
            on_account=self._shipper.learn_account if self._shipper else lambda _hash, _name: None,
        )
        self._desk.seq = self._ring.counters()["numbered"]
        self._journal = Journal(folder / "journal")
        self._closers.append(self._journal.close)
        self._counters = CausalCounters()
        self._reconciler: Reconciler | None = None
        self._remember(settings)
        if settings.reconcile_ms:
            self._reconciler = Reconciler(_positions(self._desk), settle_ns=settings.reconcile_ms * NS_PER_MS)
        if self._shipper is not None:
            self._shipper.start()
            shipper = self._shipper
            self._closers.append(lambda: shipper.stop(STOP_S))
        if settings.metrics_port:
            told = ProcessMetrics("trading")
            told.read(self._readings)
            self._closers.append(told.serve(settings.metrics_host, settings.metrics_port).close)
        self._keeper = threading.Thread(target=self._run, name="tidegate-housekeeping", daemon=True)
        self._keeper.start()
        self._closers.append(self._stop_keeper)

    def _make_shipper(self, settings: TradingSettings) -> Shipper | None:
        if not settings.bootstrap_servers:
            return None
        shipping = ShipperSettings(settings.bootstrap_servers, settings.name)
        shipping = replace(shipping, schema_registry_url=settings.schema_registry_url, **security_of(settings))
        return Shipper(self._ring, shipping, on_alert=self._on_alert, on_fact=self._keep)

    def _keep(self, fact: OrderFact) -> None:
        """Note that the broker has a fact: the book of facts is made after the shipper."""
        self._facts.kept(fact)

    def _remember(self, settings: TradingSettings) -> None:
        """Take what the journal of a past life says, and begin it anew with what still counts."""
        base = self._journal.base
        sender = base.get("sender") or f"{settings.name}.{os.urandom(4).hex()}"
        self._facts = FactBook(
            self._journal,
            self._counters,
            sender,
            knows=self._desk.knows,
            send=self._shipper.tell_fact if self._shipper else lambda _fact: None,
        )
        undone = self._facts.remember(base, self._journal.lines)
        self._count_again(base)
        for session_id in self._facts.lost_sessions:
            self._gate.session(hash_of("session", session_id), False)
        self._apply(undone)
        self._journal.begin(
            {
                "counts": self._counters.counts(),
                "names": self._desk.working_names(),
                "keys": self._desk.memory()["seen"],
                **self._facts.base(),
            }
        )
        self._facts.begin()

    def _apply(self, facts: list[OrderFact]) -> bool:
        """Apply facts that are noted, and say in the journal what became of them: one that has no room was never the case."""
        known = {FactKind.SESSION_LOST, FactKind.SESSION_BACK}  # the core knows of them already
        if any(self._desk.take(fact) is not Booked.BOOKED for fact in facts if fact.kind not in known):
            self._facts.void(facts)
            return False
        self._facts.done(facts)
        for fact in facts:
            if fact.position is not None and fact.instrument_id is not None and self._reconciler is not None:
                self._reconciler.set_position((fact.account_id, fact.instrument_id), fact.position)
        return True

    def _count_again(self, base: dict[str, Any]) -> None:
        """Give counters and desk what they knew at the end of the past life."""
        counts = {name: (*told, 0, 0, 0)[:3] for name, told in base.get("counts", {}).items()}  # older ones have fewer
        names = [(account, order) for account, order in base.get("names", [])]
        keys = dict.fromkeys(base.get("keys", []))
        for kind, *parts in self._journal.lines:
            if kind in FACT_KINDS:
                continue
            account_id, *rest = parts
            sent, seen, facts = counts.get(account_id, (0, 0, 0))
            if kind == REQUEST:
                counts[account_id] = (sent + 1, seen, facts)
                names.append((account_id, rest[0]))
            else:
                keys |= dict.fromkeys(rest)
                if account_id:
                    counts[account_id] = (sent, seen + 1, facts)
        for account_id, number in self._facts.numbers.items():
            sent, seen, _ = counts.get(account_id, (0, 0, 0))
            counts[account_id] = (sent, seen, number)
        self._counters.restore(counts)
        self._desk.learn_names([*names, *((name, "") for name in counts)])
        self._desk.learn_keys(keys)

    def _run(self) -> None:
        while not self._stopping.wait(MARK_S):
            try:
                self.keep_house(time.monotonic_ns(), time.time_ns())
            except Exception:  # whatever it was: losses must go on counting
                log.exception("housekeeping_failed")

    def _stop_keeper(self) -> None:
        self._stopping.set()
        self._keeper.join()

    def _give_back(self) -> None:
        while self._closers:
            self._closers.pop()()


def _positions(desk: GateDesk) -> dict[tuple[str, int], int]:
    return {(held.account_id, held.instrument_id): held.position for held in desk.holdings()}
