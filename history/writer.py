"""The history process: topics → batches → store, and answers to local readers.

Invariant: offsets are committed after the insert and after the broker has the dead letters, never before. A kill at any
moment therefore repeats messages and loses none, and the keys of the tables make a repeat harmless. Rejected: the
Kafka engine of ClickHouse (the embedded engine has none, and its bad messages have no place to go).
"""

import logging
import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import confluent_kafka
import pyarrow as pa
import pyarrow.compute as pc

from history.batch import Arrival, Batch, Bounds
from history.database import Store, StoreError
from history.migrate import migrate
from history.owner import OwnerSocket
from history.rows import TABLE_OF
from history.serve import open_owner
from history.settings import PREFIX, HistorySettings
from schemas import codec, metrics, topics
from schemas.errors import Place
from schemas.exposition import ProcessMetrics, Reading
from schemas.kafka_security import librdkafka_options
from schemas.process import settings_path, write_status
from schemas.registry import ConfluentRegistry
from schemas.settings import describe, load_settings
from schemas.units import NS_PER_S

log = logging.getLogger("tidegate.history")

STATUS_FILE: Final = "history.json"
STATUS_NS: Final = NS_PER_S
READ_MAX: Final = 2_000
READ_WAIT_S: Final = 0.05
"""Longest wait for ``READ_MAX`` messages; part of the age of a batch."""
OPEN_TRIES: Final = 20
OPEN_PAUSE_S: Final = 0.5
INSERT_TRIES: Final = 5
FLUSH_S: Final = 10.0
MESSAGE_BYTES_MAX: Final = 16 * 1024 * 1024
"""Largest dead letter: it holds the largest message of the topics whole."""
DATED: Final = ("ticks", "risk_states")
"""Tables whose rows say by how much history is behind the market."""
_COUNTED: Final = {
    "messages": metrics.HISTORY_MESSAGES,
    "batches": metrics.HISTORY_BATCHES,
    "dead_letters": metrics.HISTORY_DEAD_LETTERS,
    "unusable_letters": metrics.HISTORY_UNUSABLE,
}


class Writer:
    """One run of the process; :meth:`run` opens every resource and closes it."""

    def __init__(self, settings: HistorySettings) -> None:
        self._settings = settings
        self._bounds = Bounds.of(settings)
        self._registry = ConfluentRegistry(settings.schema_registry_url) if settings.schema_registry_url else None
        self._batch = Batch(self._bounds, self._registry)
        self._failure: str | None = None
        self._positions: dict[tuple[str, int], int] = {}
        self._rows = dict.fromkeys(TABLE_OF.values(), 0)
        self._counts = {"messages": 0, "batches": 0, "dead_letters": 0, "unusable_letters": 0, "insert_ns": 0}
        self._owner: OwnerSocket | None = None
        self._lag: dict[tuple[str, int], int] = {}
        self._replayed_batches = 0
        self._metrics = ProcessMetrics("history")
        self._metrics.read(self._readings)

    def run(self, is_stopping: Callable[[], bool], on_open: Callable[[], None] = lambda: None) -> None:
        """Serve until ``is_stopping``; ``on_open`` is called once the store is open.

        Raises:
            StoreError: The store cannot be opened, or keeps refusing an insert.
            MigrationError: The migrations and the store disagree.
            confluent_kafka.KafkaException: Kafka refused something for good.
        """
        settings = self._settings
        self._store = _open(settings, is_stopping)
        try:
            migrate(self._store, replicated=settings.replicated)
            self._owner = open_owner(settings)
            self._metrics.serve(settings.metrics_host, settings.metrics_port)
            on_open()
            self._consume(is_stopping)
        finally:
            self._metrics.close()
            if self._owner is not None:
                self._owner.close()
            self._store.close()

    def _consume(self, is_stopping: Callable[[], bool]) -> None:
        self._producer = confluent_kafka.Producer(_producer_options(self._settings))
        self._consumer = confluent_kafka.Consumer(_consumer_options(self._settings))
        self._consumer.subscribe(
            list(TABLE_OF), on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )
        status_ns = 0
        try:
            while not is_stopping():
                for message in self._consumer.consume(READ_MAX, READ_WAIT_S):
                    self._take(message)
                if self._batch.is_due(time.monotonic_ns()):
                    self._flush()
                if time.monotonic_ns() >= status_ns:
                    status_ns = time.monotonic_ns() + STATUS_NS
                    self._write_status(ended=False)
            self._flush()
        finally:
            self._write_status(ended=True)
            self._consumer.close()

    def _take(self, message: Any) -> None:
        error = message.error()
        if error is not None:
            if error.fatal():
                raise confluent_kafka.KafkaException(error)
            log.warning("read_error detail=%s", error)
            return
        place = Place(message.topic(), message.partition(), message.offset())
        arrival = Arrival(place, message.value() or b"", message.timestamp()[1])
        self._batch.add(arrival, time.monotonic_ns())
        self._counts["messages"] += 1

    def _flush(self) -> None:
        batch, self._batch = self._batch, Batch(self._bounds, self._registry)
        if not batch.offsets:
            return
        began_ns = time.perf_counter_ns()
        newest_ns: dict[str, int] = {}
        for table, rows in batch.tables():
            self._insert(table, rows)
            self._rows[table] += rows.num_rows
            if table in DATED and rows.num_rows:
                newest_ns[table] = pc.max(rows.column("tick_ns").cast(pa.int64())).as_py()
        spent_ns = time.perf_counter_ns() - began_ns
        self._counts["insert_ns"] += spent_ns
        self._metrics.observe(metrics.HISTORY_INSERT, spent_ns / NS_PER_S)
        for table, tick_ns in newest_ns.items():
            is_live = self._metrics.observe_age(metrics.HISTORY_TICK_AGE, tick_ns, time.time_ns(), table)
            self._replayed_batches += not is_live
        self._send_letters(batch)
        self._positions |= batch.offsets
        self._commit(batch.offsets)
        self._counts["batches"] += 1
        self._counts["dead_letters"] += len(batch.letters)
        self._counts["unusable_letters"] += batch.unusable_letters

    def _insert(self, table: str, rows: Any) -> None:
        for attempt in range(1, INSERT_TRIES + 1):
            try:
                self._store.insert(table, rows)
            except StoreError as error:
                log.warning("insert_failed table=%s rows=%d attempt=%d detail=%s", table, rows.num_rows, attempt, error)
                if attempt == INSERT_TRIES:
                    raise
                time.sleep(0.1 * 2**attempt)
            else:
                return

    def _send_letters(self, batch: Batch) -> None:
        for letter in batch.letters:
            log.warning(
                "dead_letter cause=%s place=%s[%d]@%d detail=%s",
                letter.cause, letter.topic, letter.partition, letter.offset, letter.detail,
            )  # fmt: skip
            value = codec.encode(topics.DEAD_LETTERS, letter, self._registry)
            self._producer.produce(topics.DEAD_LETTERS, key=letter.topic, value=value, on_delivery=self._on_delivery)
            self._producer.poll(0)
        if batch.letters and (self._producer.flush(FLUSH_S) or self._failure):
            raise confluent_kafka.KafkaException(self._failure or "dead letters were not taken in time")

    def _commit(self, offsets: dict[tuple[str, int], int]) -> None:
        parts = [confluent_kafka.TopicPartition(*key, offset) for key, offset in offsets.items()]
        try:
            self._consumer.commit(offsets=parts, asynchronous=False)
        except confluent_kafka.KafkaException as error:
            log.warning("commit_failed detail=%s", error)  # the messages come again, and replace their rows

    def _on_delivery(self, error: Any, message: Any) -> None:
        if error is not None:
            self._failure = f"{message.topic()}: {error}"

    def _on_assign(self, consumer: Any, parts: list[Any]) -> None:
        for part in consumer.committed(parts, timeout=FLUSH_S):
            self._positions[part.topic, part.partition] = max(part.offset, 0)
        log.info("assigned %s", " ".join(f"{part.topic}[{part.partition}]" for part in parts))

    def _on_revoke(self, _consumer: Any, parts: list[Any]) -> None:
        self._flush()
        self._forget(parts)

    def _on_lost(self, _consumer: Any, parts: list[Any]) -> None:
        """Another writer has these partitions: our rows of them are harmless, our offsets would not be."""
        for part in parts:
            self._batch.offsets.pop((part.topic, part.partition), None)
        self._forget(parts)

    def _forget(self, parts: list[Any]) -> None:
        for part in parts:
            self._positions.pop((part.topic, part.partition), None)

    def _look_at_lag(self) -> dict[tuple[str, int], int]:
        """Return messages not yet stored per partition, by what the broker last told the consumer."""
        lag = {}
        for (topic, number), position in self._positions.items():
            _, end = self._consumer.get_watermark_offsets(confluent_kafka.TopicPartition(topic, number), cached=True)
            lag[topic, number] = max(end - position, 0)
        return lag

    def _readings(self) -> Iterator[Reading]:
        """Tell what a scrape asks for; on the scraping thread, so nothing here asks the consumer."""
        yield from ((metrics.HISTORY_ROWS, count, (table,)) for table, count in self._rows.items())
        yield from ((metric, self._counts[name]) for name, metric in _COUNTED.items())
        yield metrics.HISTORY_REPLAYED, self._replayed_batches
        yield from ((metrics.HISTORY_LAG, lag, (topic, str(part))) for (topic, part), lag in self._lag.items())
        if self._owner is not None:
            yield metrics.HISTORY_ANSWERED, self._owner.answered
            yield metrics.HISTORY_OWNER, self._owner.is_alive

    def _write_status(self, *, ended: bool) -> None:
        lag = self._lag = self._look_at_lag()
        status = {
            "pid": os.getpid(),
            "ended": ended,
            "wall_ns": time.time_ns(),
            "socket_path": str(self._owner.path) if self._owner else "",
            "answers": self._owner is not None and self._owner.is_alive,
            "rows": self._rows,
            "lag_messages": sum(lag.values()),
            "lag": {f"{topic}[{number}]": count for (topic, number), count in lag.items()},
            "positions": {f"{topic}[{number}]": position for (topic, number), position in self._positions.items()},
            **self._counts,
        }
        write_status(self._settings.status_dir / STATUS_FILE, status)


def main(argv: list[str] | None = None) -> int:
    """Run the writer until SIGTERM or SIGINT; return the exit status."""
    path = settings_path(argv, prog="history.writer", description="Keep the history of the topics.", prefix=PREFIX)
    settings = load_settings(HistorySettings, path, prefix=PREFIX)
    log.info("start %s", describe(settings))
    stopping: list[int] = []

    def listen() -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda received, _frame: stopping.append(received))

    listen()
    Writer(settings).run(lambda: bool(stopping), on_open=listen)  # again: the embedded engine may set its own
    log.info("end signal=%s", stopping[0] if stopping else "none")
    return 0


def _open(settings: HistorySettings, is_stopping: Callable[[], bool]) -> Store:
    """Open the store; a reader may hold the folder for a moment, and a server may still be starting."""
    for attempt in range(1, OPEN_TRIES + 1):
        try:
            return Store(settings)
        except StoreError as error:
            if attempt == OPEN_TRIES or is_stopping():
                raise
            log.warning("store_busy attempt=%d detail=%s", attempt, error)
            time.sleep(OPEN_PAUSE_S)
    raise AssertionError("unreachable")


def _log_error(error: Any) -> None:
    log.warning("kafka detail=%s", error)


def _consumer_options(settings: HistorySettings) -> dict[str, Any]:
    # The one process that can hold an embedded folder keeps its name, so that after a kill it has its partitions back
    # at once, not when the group has missed the dead one. Writers to a server share partitions under their own names.
    member = {"group.instance.id": settings.group_id} if settings.interface == "chdb" else {}
    return {
        **member,
        **librdkafka_options(settings),
        "bootstrap.servers": settings.bootstrap_servers,
        "group.id": settings.group_id,
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "allow.auto.create.topics": False,
        "topic.metadata.refresh.interval.ms": 2_000,  # topics may be made after the writer has started
        "fetch.wait.max.ms": 50,
        "queued.max.messages.kbytes": 65_536,
        "reconnect.backoff.max.ms": 1_000,
        "session.timeout.ms": 10_000,
        "error_cb": _log_error,
        "log_level": 2,
    }


def _producer_options(settings: HistorySettings) -> dict[str, Any]:
    return {
        **librdkafka_options(settings),
        "bootstrap.servers": settings.bootstrap_servers,
        "enable.idempotence": True,
        "message.max.bytes": MESSAGE_BYTES_MAX,
        "reconnect.backoff.max.ms": 1_000,
        "error_cb": _log_error,
        "log_level": 2,
    }


if __name__ == "__main__":
    raise SystemExit(main())
