"""The shipper: a thread of the trading process that takes decisions from the ring to ``orders.decisions``, and facts with them.

Invariant: an entry leaves the ring only when the broker has its decision, so a crash, of the process or of Kafka, repeats
decisions (under equal ids) and loses none; what did not fit the ring, or died half written, is counted, logged and told
as an alert. Facts wait in the journal of their process and are told kept when the broker has them. No order ever waits for any of
this: the thread shares nothing with them but the ring and a queue. Rejected: producing from
the thread that sends the order (a full Kafka queue would be felt there), releasing on produce (a crash would lose
what the client library still held).
"""

import functools
import logging
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import confluent_kafka

from gate._native import DecisionRing
from gate.trail.decision_record import DecisionEntry, decided_at_ns, entries_of, is_torn, to_decision
from gate.trail.outbox import SOURCE, Window, delay_alert, loss_alert
from schemas import codec, topics
from schemas.errors import MessageError
from schemas.kafka_security import KafkaSecurity, librdkafka_options
from schemas.orders import OrderFact
from schemas.records import DeadLetter, RiskAlert
from schemas.registry import ConfluentRegistry
from schemas.units import NS_PER_MS, NS_PER_S

log = logging.getLogger("tidegate.gate.trail.shipper")

READ_MAX: Final = 256
IN_FLIGHT_MAX: Final = 8_192
"""Decisions on their way to the broker; far below the client library's own queue, which therefore never fills."""
IDLE_S: Final = 0.005
"""Longest wait for deliveries when there is nothing to read; bounds the delay of a decision."""
LOOK_NS: Final = NS_PER_S
"""Between two looks at losses, delays and the wall clock."""
_COUNTS: Final = ("delivered", "facts_delivered", "torn_entries", "dead_letters", "kafka_failures", "alerts")


@dataclass(frozen=True, slots=True)
class ShipperSettings(KafkaSecurity):
    """Settings of the shipper.

    Attributes:
        bootstrap_servers: Kafka.
        name: Of the trading process, unique among those of the firm; part of every decision's ``instance``.
        schema_registry_url: Empty for Avro single-object encoding.
        delayed_ms: A decision that waits longer for the broker raises an alert.
        retry_ms: Pause before a new connection after Kafka refused something.
        message_timeout_ms: When the client library gives a message up, and the shipper takes it from the ring anew.
    """

    bootstrap_servers: str
    name: str
    schema_registry_url: str = ""
    delayed_ms: int = 5_000
    retry_ms: int = 1_000
    message_timeout_ms: int = 30_000


class Shipper:
    """The thread and its counts; :meth:`start` and :meth:`stop`, or :meth:`step` by hand."""

    def __init__(
        self,
        ring: DecisionRing,
        settings: ShipperSettings,
        *,
        on_alert: Callable[[RiskAlert], None] = lambda _: None,
        on_fact: Callable[[OrderFact], None] = lambda _: None,
        make_producer: Callable[[dict[str, Any]], Any] = confluent_kafka.Producer,
    ) -> None:
        """Take a ring that nobody else reads.

        Args:
            ring: The ring, open until :meth:`stop` returned.
            settings: Settings.
            on_alert: Called on the shipper's thread with every alert, whether Kafka takes it or not.
            on_fact: Called on the shipper's thread with every fact that the broker has.
            make_producer: Makes a Kafka producer from its options.
        """
        self.instance = f"{settings.name}.{ring.identity:x}"
        self._ring, self._settings = ring, settings
        self._on_alert, self._on_fact, self._make_producer = on_alert, on_fact, make_producer
        self._registry = ConfluentRegistry(settings.schema_registry_url) if settings.schema_registry_url else None
        self._accounts: dict[int, str] = {}
        self._producer = make_producer(_producer_options(settings))
        self._generation = 0
        self._failure: str | None = None
        self._monotonic_ns = self._resume_ns = 0
        self._window = Window()
        ring.rewind()
        self._waiting: dict[int, DecisionEntry] = {}  # by position, oldest first: read and not confirmed
        self._alerts: dict[str, RiskAlert] = {}  # raised, and not yet with the broker
        self._facts: dict[str, OrderFact] = {}  # told, and not yet with the broker; in order
        self._told: queue.SimpleQueue[RiskAlert | OrderFact] = queue.SimpleQueue()
        self._look_ns = 0
        self._told_lost = 0
        self._delay_told = False
        self._counts = dict.fromkeys(_COUNTS, 0)
        self._decided: Counter[tuple[str, str]] = Counter()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tidegate-shipper", daemon=True)

    def learn_account(self, account: int, account_id: str) -> None:
        """Give the name of an account by its hash, before its first order; any thread may."""
        self._accounts[account] = account_id

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout_s: float) -> int:
        """Ship what the ring holds, for at most ``timeout_s``, and end the thread; return how many entries stay.

        What stays in a ring with a file is shipped by the next process.
        """
        deadline_s = time.monotonic() + timeout_s
        while self._thread.is_alive() and self._has_work() and time.monotonic() < deadline_s:
            time.sleep(IDLE_S)
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self._producer.flush(max(0.0, min(deadline_s - time.monotonic(), 5.0)))  # alerts
        left = self._ring.counters()["pending"]
        log.log(logging.WARNING if left else logging.INFO, "end instance=%s left=%d", self.instance, left)
        return left

    def counters(self) -> dict[str, int]:
        """Return the counts of the shipper and, under their own names, of the ring."""
        return {**self._counts, **self._ring.counters(), "in_flight": len(self._window)}

    def decided(self) -> dict[tuple[str, str], int]:
        """Return how many decisions were taken from the ring, by verdict and reason; one that is sent anew counts again."""
        return dict(self._decided)

    def tell(self, alert: RiskAlert) -> None:
        """Send an alert of somebody else in this process; any thread may. It waits for Kafka as the shipper's own do."""
        self._told.put(alert)

    def tell_fact(self, fact: OrderFact) -> None:
        """Send a fact, after those told before; any thread may. Whoever tells it keeps it until ``on_fact``."""
        self._told.put(fact)

    def step(self, now_ns: int, monotonic_ns: int) -> bool:
        """Read, send and release once; return whether anything was read.

        Args:
            now_ns: Wall time.
            monotonic_ns: The gate's clock.
        """
        self._monotonic_ns = monotonic_ns
        self._take_told()
        if monotonic_ns >= self._look_ns:
            self._look_ns = monotonic_ns + LOOK_NS
            self._ring.set_wall_offset(now_ns - monotonic_ns)
            self._look(now_ns)  # before a new beginning, which forgets what is waiting
        if self._failure is not None and monotonic_ns >= self._resume_ns:
            self._begin_anew()
        has_read = self._failure is None and len(self._window) < IN_FLIGHT_MAX and self._send_some()
        self._producer.poll(0 if has_read else IDLE_S)
        self._ring.release(self._window.release())
        return has_read

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.step(time.time_ns(), time.monotonic_ns())
            except Exception as error:  # whatever it was: decisions must go on leaving
                log.exception("step_failed instance=%s", self.instance)
                self._fail(f"{type(error).__name__}: {error}")

    def _send_some(self) -> bool:
        raw = self._ring.read(READ_MAX)
        for entry in entries_of(raw):
            position = self._window.take()
            if is_torn(entry):
                self._counts["torn_entries"] += 1
                self._window.confirm(position)
            else:
                self._waiting[position] = entry
                self._send(position, entry)
        return bool(raw)

    def _send(self, position: int, entry: DecisionEntry) -> None:
        decision = to_decision(entry, self._accounts, instance=self.instance)
        self._decided[decision.verdict.name, decision.reason] += 1
        topic, key, stamp_ms = topics.ORDERS_DECISIONS, decision.account_id, max(decision.ts_event_ns, 0) // NS_PER_MS
        try:
            value = codec.encode(topic, decision, self._registry)
        except MessageError as error:
            self._counts["dead_letters"] += 1
            log.warning("dead_letter cause=%s seq=%d detail=%s", error.cause, entry.seq, error.detail)
            letter = DeadLetter(error.cause, error.detail, SOURCE, topic, -1, -1, repr(entry).encode())
            topic, key, stamp_ms = topics.DEAD_LETTERS, topic, 0
            value = codec.encode(topic, letter, self._registry)
        delivered = functools.partial(self._on_delivery, (self._generation, position))
        self._produce(topic, key, value, stamp_ms=stamp_ms, on_delivery=delivered)

    def _produce(
        self, topic: str, key: str, value: bytes, *, stamp_ms: int, on_delivery: Callable[[Any, Any], None]
    ) -> None:
        """Hand a message over; 0 = stamped by the client library."""
        try:
            self._producer.produce(topic, value, key=key, timestamp=stamp_ms, on_delivery=on_delivery)
        except (BufferError, confluent_kafka.KafkaException) as error:
            self._fail(f"{topic}: {error}")

    def _on_delivery(self, origin: tuple[int, int], error: Any, message: Any) -> None:
        generation, position = origin
        if generation != self._generation:  # of a producer that was given up; its entries were read anew
            return
        if error is not None:
            self._fail(f"{message.topic()}: {error}")
            return
        self._window.confirm(position)
        self._waiting.pop(position)
        self._counts["delivered"] += 1

    def _fail(self, detail: str) -> None:
        """Note that Kafka refused something: what it did not confirm is read and sent anew, after a pause."""
        if self._failure is None:
            self._failure = detail
            self._counts["kafka_failures"] += 1
            self._resume_ns = self._monotonic_ns + self._settings.retry_ms * NS_PER_MS
            log.warning("kafka_failed instance=%s in_flight=%d detail=%s", self.instance, len(self._window), detail)

    def _begin_anew(self) -> None:
        self._producer.purge()
        self._generation += 1
        self._ring.release(self._window.release())
        self._ring.rewind()
        self._window.rewind()
        self._waiting.clear()
        self._producer = self._make_producer(_producer_options(self._settings))
        self._failure = None
        for alert in list(self._alerts.values()):
            self._send_alert(alert)
        for fact in list(self._facts.values()):
            self._send_fact(fact)

    def _look(self, now_ns: int) -> None:
        lost, torn = self._ring.lost_by_reason(), self._ring.counters()["torn"]
        total = sum(lost.values()) + torn
        if total > self._told_lost:
            self._told_lost = total
            self._tell(loss_alert(lost, torn, instance=self.instance, now_ns=now_ns))
        self._look_for_delay(now_ns)

    def _take_told(self) -> None:
        while not self._told.empty():
            told = self._told.get()
            if isinstance(told, OrderFact):
                self._facts[told.fact_id] = told
                self._send_fact(told)
            else:
                self._counts["alerts"] += 1
                self._alerts[told.alert_id] = told
                if self._failure is None:
                    self._send_alert(told)

    def _look_for_delay(self, now_ns: int) -> None:
        """Tell once that decisions wait, and again only after the wait has ended."""
        first, pending = next(iter(self._waiting.values()), None), self._ring.counters()["pending"]
        if first is None:
            self._delay_told = self._delay_told and pending > 0
        elif now_ns - decided_at_ns(first) <= self._settings.delayed_ms * NS_PER_MS:
            self._delay_told = False
        elif not self._delay_told:
            self._delay_told = True
            self._tell(delay_alert(first, pending, instance=self.instance, now_ns=now_ns))

    def _tell(self, alert: RiskAlert) -> None:
        self._counts["alerts"] += 1
        log.error("alert id=%s message=%s", alert.alert_id, alert.message)
        self._alerts[alert.alert_id] = alert
        if self._failure is None:
            self._send_alert(alert)
        self._on_alert(alert)

    def _send_alert(self, alert: RiskAlert) -> None:
        value = codec.encode(topics.RISK_ALERTS, alert, self._registry)
        taken = functools.partial(self._on_alert_delivery, (self._generation, alert.alert_id))
        self._produce(topics.RISK_ALERTS, str(alert.instrument_id), value, stamp_ms=0, on_delivery=taken)

    def _on_alert_delivery(self, origin: tuple[int, str], error: Any, message: Any) -> None:
        generation, alert_id = origin
        if generation != self._generation:
            return
        if error is not None:
            self._fail(f"{message.topic()}: {error}")
        else:
            self._alerts.pop(alert_id, None)

    def _has_work(self) -> bool:
        return bool(self._ring.counters()["pending"]) or bool(self._facts) or not self._told.empty()

    def _send_fact(self, fact: OrderFact) -> None:
        """Send a fact, unless one before it was refused: then all are sent anew, in order."""
        if self._failure is not None:
            return
        value = codec.encode(topics.ORDERS_FACTS, fact, self._registry)
        taken = functools.partial(self._on_fact_delivery, (self._generation, fact))
        stamp_ms = max(fact.ts_event_ns, 0) // NS_PER_MS
        self._produce(topics.ORDERS_FACTS, fact.account_id, value, stamp_ms=stamp_ms, on_delivery=taken)

    def _on_fact_delivery(self, origin: tuple[int, OrderFact], error: Any, message: Any) -> None:
        generation, fact = origin
        if generation != self._generation:
            return
        if error is not None:
            self._fail(f"{message.topic()}: {error}")
        elif self._facts.pop(fact.fact_id, None) is not None:
            self._counts["facts_delivered"] += 1
            self._on_fact(fact)


def _log_error(error: Any) -> None:
    log.warning("kafka detail=%s", error)


def _producer_options(settings: ShipperSettings) -> dict[str, Any]:
    return {
        **librdkafka_options(settings),
        "bootstrap.servers": settings.bootstrap_servers,
        "enable.idempotence": True,
        "linger.ms": 2,
        "message.timeout.ms": settings.message_timeout_ms,
        "reconnect.backoff.max.ms": 1_000,
        "error_cb": _log_error,
        "log_level": 2,
    }
