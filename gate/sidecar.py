"""The sidecar process: keeps the limit table of one host from ``risk.states`` and ``risk.commands``.

It reads both topics from their beginning (the commands topic is the memory of envelopes and kills), and touches the
shared table only when it has reached the ends that it saw at the start: a table half rebuilt could lack a kill. Until
then, and when the process dies, rows expire by themselves. Invariant: this file moves bytes and reads clocks; what
follows from a message is in ``table_keeper``. Rejected: a consumer group (each host needs every partition).
"""

import logging
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import confluent_kafka

from gate._native import LimitTable
from gate.policy.limit_book import LimitBook
from gate.table_keeper import Arrival, Now, TableKeeper, topic_and_key
from schemas import codec, metrics, topics
from schemas.errors import Place
from schemas.exposition import ProcessMetrics, Reading
from schemas.kafka_security import KafkaSecurity, librdkafka_options
from schemas.process import settings_path, write_status
from schemas.records import DeadLetter, RiskAlert, Tier
from schemas.registry import ConfluentRegistry
from schemas.settings import between, describe, load_settings
from schemas.units import NS_PER_MS, NS_PER_S

log = logging.getLogger("tidegate.gate")

READ_TOPICS: Final = (topics.RISK_STATES, topics.RISK_COMMANDS)
STATUS_FILE: Final = "gate.json"
SCAN_NS: Final = 50 * NS_PER_MS
"""Half of the 100 ms that a silence may stay untold."""
STATUS_NS: Final = 1_000 * NS_PER_MS
POLL_S: Final = 0.02
"""Longest wait for a message, which ends the moment one arrives; bounds the delay of a scan."""
COORDINATOR_TIMEOUT_NS: Final = 60_000 * NS_PER_MS
BURST_MAX: Final = 500
"""Messages taken between two looks at the clock: some 10 ms of work."""

MESSAGE_BYTES_MAX: Final = 16 * 1024 * 1024
"""Largest dead letter: it holds the largest message of the topics whole."""


_STATES: Final = ("applied", "fenced", "older", "lagging")
_COMMANDS: Final = ("applied", "refused", "ended")
_VALIDITY: Final = ("fresh", "stale", "expired", "never")


@dataclass(frozen=True, slots=True)
class SidecarSettings(KafkaSecurity):
    """Settings of the sidecar.

    Attributes:
        bootstrap_servers: Kafka.
        table_path: The limit table; on tmpfs, so that it does not outlive the monotonic clock that it holds times of.
        capacity: Instruments that the table holds.
        accounts: Accounts that the table holds, the firm among them.
        heartbeat_ttl_ms: Trading processes take every row as stale when this process is silent for so long; many times
            the 50 ms between two heartbeats.
        loosen_dwell_ms: How long, in event time, a tier must be over before limits loosen again; 0 = the scorer's own
            dwell is trusted, as in ``enforce_orders``.
        ttl_ms: How long a state stays valid from its arrival.
        live: Event time is wall time: refuse states that lag it by more than the ttl.
        group: Under this name the sidecar notes which messages' alerts were sent; one per host.
        schema_registry_url: Empty for Avro single-object encoding.
        state_dir: Folder of the status file ``gate.json``.
        metrics_host: Where Prometheus may ask,
        metrics_port: and its port; 0 = no metrics.
    """

    bootstrap_servers: str
    table_path: Path = Path("/dev/shm/tidegate.limits")  # noqa: S108 (shared with trading processes by design)
    capacity: int = field(default=4096, metadata=between(1))
    accounts: int = field(default=256, metadata=between(1))
    heartbeat_ttl_ms: int = field(default=1_000, metadata=between(100))
    loosen_dwell_ms: int = field(default=0, metadata=between(0))
    ttl_ms: int = field(default=3_000, metadata=between(1))
    live: bool = False
    group: str = "tidegate-gate"
    schema_registry_url: str = ""
    state_dir: Path = Path(".tidegate")
    metrics_host: str = "127.0.0.1"
    metrics_port: int = 0


@dataclass(slots=True)
class _Partition:
    """How far a partition has been read, where its past ends, and up to where its alerts were sent."""

    end_at_start: int
    told_until: int
    position: int = 0


class Sidecar:
    """One run of the process; every resource is opened by :meth:`run` and closed by it."""

    def __init__(self, settings: SidecarSettings) -> None:
        self._settings = settings
        self._partitions: dict[tuple[str, int], _Partition] = {}
        self._caught_up = False
        self._beat_ns = 0
        self._census: Counter[str] = Counter()
        self._lag: dict[tuple[str, int], int] = {}
        self._replayed_states = 0
        self._metrics = ProcessMetrics("gate")
        self._failure: str | None = None
        self._registry = ConfluentRegistry(settings.schema_registry_url) if settings.schema_registry_url else None
        self._book = LimitBook(
            LimitTable.private(settings.capacity, settings.accounts),
            ttl_ns=settings.ttl_ms * NS_PER_MS,
            loosen_dwell_ns=settings.loosen_dwell_ms * NS_PER_MS,
        )
        self._keeper = TableKeeper(
            self._book, ttl_ns=settings.ttl_ms * NS_PER_MS, live=settings.live, registry=self._registry
        )
        self._consumer = confluent_kafka.Consumer(_consumer_options(settings))
        self._producer = confluent_kafka.Producer(_producer_options(settings))
        self._metrics.read(self._readings)

    def run(self, is_stopping: Callable[[], bool]) -> None:
        """Serve until ``is_stopping``.

        Raises:
            confluent_kafka.KafkaException: Kafka refused something for good.
            LimitTableError: The table cannot be opened, or another sidecar holds it.
            TableFullError: ``capacity`` or ``accounts`` is smaller than what the topics hold.
        """
        self._settings.table_path.parent.mkdir(parents=True, exist_ok=True)
        self._settings.state_dir.mkdir(parents=True, exist_ok=True)
        settings = self._settings
        with (
            LimitTable.create(settings.table_path, settings.capacity, settings.accounts) as table,
            self._metrics.serve(settings.metrics_host, settings.metrics_port),
        ):
            try:
                if self._assign(is_stopping):
                    self._serve(table, is_stopping)
            finally:
                self._producer.flush(5)
                self._commit(asynchronous=False)
                self._consumer.close()
                self._write_status(ended=True)

    def _serve(self, table: LimitTable, is_stopping: Callable[[], bool]) -> None:
        scan_ns = status_ns = 0
        while not is_stopping():
            self._take_burst()
            now = _now()
            if not self._caught_up and all(p.position >= p.end_at_start for p in self._partitions.values()):
                self._open_for_trading(table, now)
            if now.monotonic_ns >= scan_ns:
                scan_ns = now.monotonic_ns + SCAN_NS
                self._publish(list(self._keeper.scan(now)))
                if self._caught_up:  # a table that lacks what was said meanwhile must not look alive
                    table.heartbeat(now.monotonic_ns, self._book.fence_epoch)
                    self._beat_ns = now.monotonic_ns
            if now.monotonic_ns >= status_ns:
                status_ns = now.monotonic_ns + STATUS_NS
                self._commit(asynchronous=True)
                self._write_status(ended=False)
                self._look(now)
            self._producer.poll(0)
            if self._failure:
                raise confluent_kafka.KafkaException(self._failure)

    def _open_for_trading(self, table: LimitTable, now: Now) -> None:
        table.heartbeat_ttl_ns = self._settings.heartbeat_ttl_ms * NS_PER_MS
        self._book.move_to(table)
        table.heartbeat(now.monotonic_ns, self._book.fence_epoch)
        self._keeper.start_listening(now)
        self._caught_up = True
        self._write_status(ended=False)
        log.info("caught_up %s", _words(self._keeper.counters()))

    def _assign(self, is_stopping: Callable[[], bool]) -> bool:
        """Take every partition of both topics from its beginning; false when stopped before the topics existed."""
        while not is_stopping():
            try:
                known = self._consumer.list_topics(timeout=2).topics
            except confluent_kafka.KafkaException as error:
                log.warning("kafka_unreachable detail=%s", error)
                continue
            found = {name: known[name].partitions for name in READ_TOPICS if name in known and known[name].partitions}
            if len(found) == len(READ_TOPICS):
                break
            log.warning("waiting_for_topics missing=%s", sorted(set(READ_TOPICS) - found.keys()))
            time.sleep(0.2)
        else:
            return False
        parts = [confluent_kafka.TopicPartition(name, number) for name in found for number in found[name]]
        for committed in self._committed(parts):
            _, end = self._consumer.get_watermark_offsets(committed, timeout=10)
            # Beyond the end: the topic was made anew, and nothing of this one was told yet.
            told = committed.offset if 0 <= committed.offset <= end else 0
            self._partitions[committed.topic, committed.partition] = _Partition(end_at_start=end, told_until=told)
        for part in parts:
            part.offset = confluent_kafka.OFFSET_BEGINNING
        self._consumer.assign(parts)
        return True

    def _committed(self, parts: list[confluent_kafka.TopicPartition]) -> list[confluent_kafka.TopicPartition]:
        """Return what this group noted; a broker just started has no coordinator for a while."""
        deadline_ns = time.monotonic_ns() + COORDINATOR_TIMEOUT_NS
        while True:
            try:
                found: list[confluent_kafka.TopicPartition] = self._consumer.committed(parts, timeout=10)
            except confluent_kafka.KafkaException as error:
                if time.monotonic_ns() > deadline_ns:
                    raise
                log.warning("waiting_for_coordinator detail=%s", error)
                time.sleep(0.2)
            else:
                return found

    def _take_burst(self) -> None:
        message = self._consumer.poll(POLL_S)
        for _ in range(BURST_MAX):
            if message is None:
                return
            self._take(message)
            message = self._consumer.poll(0)
        if message is not None:
            self._take(message)

    def _take(self, message: Any) -> None:
        error = message.error()
        if error is not None and error.code() != confluent_kafka.KafkaError._PARTITION_EOF:  # noqa: SLF001 (public by use)
            if error.fatal():
                raise confluent_kafka.KafkaException(error)
            log.warning("read_error detail=%s", error)
            return
        partition = self._partitions[message.topic(), message.partition()]
        offset = message.offset()
        if error is not None:  # the end of the partition: reached also where the last offsets hold no message
            partition.position = max(partition.position, offset)
            return
        arrival = Arrival(
            place=Place(message.topic(), message.partition(), offset),
            value=message.value() or b"",
            timestamp_ms=message.timestamp()[1],
            is_history=offset < partition.end_at_start,
            was_told=offset < partition.told_until,
        )
        now = _now()
        self._publish(self._keeper.take(arrival, now))
        partition.position = offset + 1
        if not arrival.is_history:
            self._measure(arrival, now)

    def _measure(self, arrival: Arrival, began: Now) -> None:
        """Tell how old a message was once it was in force: a state since its tick, a command since it was sent."""
        done, tick_ns = _now(), self._keeper.applied_tick_ns
        if tick_ns is not None:
            self._metrics.observe(metrics.GATE_APPLY, (done.monotonic_ns - began.monotonic_ns) / NS_PER_S)
            self._replayed_states += not self._metrics.observe_age(metrics.GATE_STATE_AGE, tick_ns, done.wall_ns)
        elif arrival.place.topic == topics.RISK_COMMANDS:
            sent_ns = arrival.timestamp_ms * NS_PER_MS
            self._metrics.observe_age(metrics.GATE_COMMAND_AGE, sent_ns, done.wall_ns)

    def _look(self, now: Now) -> None:
        """Count rows and what is not read yet, once a second on the thread that owns both."""
        self._census = self._book.census(now.monotonic_ns)
        for (topic, number), partition in self._partitions.items():
            part = confluent_kafka.TopicPartition(topic, number)
            _, end = self._consumer.get_watermark_offsets(part, cached=True)
            self._lag[topic, number] = max(end - partition.position, 0)

    def _readings(self) -> Iterator[Reading]:
        """Tell what a scrape asks for; on the scraping thread."""
        counts, census = self._keeper.counters(), self._census
        yield from ((metrics.GATE_STATES, counts[f"states_{how}"], (how,)) for how in _STATES)
        yield from ((metrics.GATE_COMMANDS, counts[f"commands_{how}"], (how,)) for how in _COMMANDS)
        yield metrics.GATE_DEAD_LETTERS, counts["dead_letters"]
        yield metrics.GATE_SILENCES, counts["expired"]
        yield metrics.GATE_RECOVERIES, counts["recovered"]
        yield metrics.GATE_REPLAYED, self._replayed_states
        yield from ((metrics.GATE_ROWS, census[how], (how,)) for how in _VALIDITY)
        yield from ((metrics.GATE_INSTRUMENTS, census[f"tier_{int(tier)}"], (tier.name,)) for tier in Tier)
        yield metrics.GATE_DEGRADED, census["degraded"]
        yield from ((metrics.GATE_LAG, lag, (topic, str(number))) for (topic, number), lag in [*self._lag.items()])
        if self._beat_ns:
            yield metrics.GATE_HEARTBEAT, (time.monotonic_ns() - self._beat_ns) / NS_PER_S
        yield metrics.GATE_CAUGHT_UP, self._caught_up
        yield metrics.GATE_EPOCH, self._book.fence_epoch

    def _publish(self, said: list[RiskAlert | DeadLetter] | list[RiskAlert]) -> None:
        for record in said:
            topic, key = topic_and_key(record)
            log.info("says topic=%s key=%s what=%s", topic, key, _gist(record))
            self._produce(topic, key, codec.encode(topic, record, self._registry))

    def _produce(self, topic: str, key: str, value: bytes) -> None:
        while True:
            try:
                self._producer.produce(topic, key=key, value=value, on_delivery=self._on_delivery)
            except BufferError:  # many dead letters at once: wait for room, lose none
                self._producer.poll(0.1)
            else:
                return

    def _on_delivery(self, error: Any, message: Any) -> None:
        if error is not None:
            self._failure = f"{message.topic()}: {error}"

    def _commit(self, *, asynchronous: bool) -> None:
        """Note how far alerts were sent. Nothing is noted while one is on its way, so none is lost by a crash."""
        offsets = [
            confluent_kafka.TopicPartition(topic, number, partition.position)
            for (topic, number), partition in self._partitions.items()
            if partition.position > partition.told_until
        ]
        if not offsets or len(self._producer) > 0 or self._failure:
            return
        try:
            self._consumer.commit(offsets=offsets, asynchronous=asynchronous)
        except confluent_kafka.KafkaException as error:
            log.warning("commit_failed detail=%s", error)  # told again after a restart, under the same alert ids
            return
        for offset in offsets:
            self._partitions[offset.topic, offset.partition].told_until = offset.offset

    def _write_status(self, *, ended: bool) -> None:
        status = {
            "pid": os.getpid(),
            "ended": ended,
            "caught_up": self._caught_up,
            "wall_ns": time.time_ns(),
            "table_path": str(self._settings.table_path),
            "epoch": self._book.fence_epoch,
            "positions": {f"{topic}[{number}]": p.position for (topic, number), p in self._partitions.items()},
            **self._keeper.counters(),
        }
        write_status(self._settings.state_dir / STATUS_FILE, status)


def main(argv: list[str] | None = None) -> int:
    """Run the sidecar until SIGTERM or SIGINT; return the exit status."""
    path = settings_path(
        argv, prog="gate.sidecar", description="Keep the limit table of this host.", prefix="TIDEGATE_SIDECAR"
    )
    settings = load_settings(SidecarSettings, path, prefix="TIDEGATE_SIDECAR")
    log.info("start %s", describe(settings))
    stopping: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _frame: stopping.append(received))
    Sidecar(settings).run(lambda: bool(stopping))
    log.info("end signal=%s", stopping[0] if stopping else "none")
    return 0


def _now() -> Now:
    return Now(monotonic_ns=time.monotonic_ns(), wall_ns=time.time_ns())


def _gist(said: RiskAlert | DeadLetter) -> str:
    if isinstance(said, RiskAlert):
        return f"{said.alert_id} {said.message}"
    return f"{said.cause} {said.topic}[{said.partition}]@{said.offset}: {said.detail}"


def _words(counts: dict[str, int]) -> str:
    return " ".join(f"{name}={count}" for name, count in counts.items())


def _log_error(error: Any) -> None:
    log.warning("kafka detail=%s", error)


def _consumer_options(settings: SidecarSettings) -> dict[str, Any]:
    return {
        **librdkafka_options(settings),
        "bootstrap.servers": settings.bootstrap_servers,
        "group.id": settings.group,
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "auto.offset.reset": "earliest",
        "fetch.wait.max.ms": 50,  # a partition that joins a running fetch waits at most this long; data ends the wait
        "fetch.error.backoff.ms": 50,
        "reconnect.backoff.max.ms": 1_000,
        "allow.auto.create.topics": False,
        "error_cb": _log_error,
        "log_level": 2,  # the same errors come through error_cb, as log lines like all others
    }


def _producer_options(settings: SidecarSettings) -> dict[str, Any]:
    return {
        **librdkafka_options(settings),
        "bootstrap.servers": settings.bootstrap_servers,
        "enable.idempotence": True,
        "linger.ms": 0,
        "message.max.bytes": MESSAGE_BYTES_MAX,
        "reconnect.backoff.max.ms": 1_000,
        "error_cb": _log_error,
        "log_level": 2,
    }


if __name__ == "__main__":
    raise SystemExit(main())
