"""The thread that reads the topics into the view and the journal.

Every partition is assigned, none is committed and no group is joined: reading for people never disturbs the loop. Commands are
read from their beginning (they are the memory of who granted what), the rest from a while back. Invariant: a broker that is gone,
or topics that do not exist yet, are waited for, and the health says so. Rejected: a consumer group (each API needs every message).
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Final

import confluent_kafka

from api.live.hub import Hub
from api.live.journal import CODES
from api.live.view import READ_TOPICS, LiveView
from api.settings import ApiSettings
from schemas import topics
from schemas.errors import MessageError, Place
from schemas.kafka_security import librdkafka_options

log = logging.getLogger("tidegate.api")

BATCH_MAX: Final = 200
POLL_S: Final = 0.02
FROM_THE_START: Final = {topics.RISK_COMMANDS}
RETRY_S: Final = 0.5
LAG_NS: Final = 1_000_000_000


class Feed:
    """Reads until :meth:`close`."""

    def __init__(self, settings: ApiSettings, view: LiveView, hub: Hub) -> None:
        """Read from the servers of ``settings``, ``tail_messages`` back per partition."""
        self._settings, self._tail = settings, settings.tail_messages
        self._view, self._hub = view, hub
        self._stopping = threading.Event()
        self._ends: dict[tuple[str, int], int] = {}
        self._positions: dict[tuple[str, int], int] = {}
        self.connected = False
        self.caught_up = False
        self.failure: str | None = None
        self.lag_messages = 0
        self._thread = threading.Thread(target=self._run, name="api-feed", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """Stop reading."""
        self._stopping.set()
        self._thread.join(10)

    def health(self) -> dict[str, Any]:
        """Return whether the topics are read, and how far."""
        behind = sum(max(0, end - self._positions.get(key, 0)) for key, end in self._ends.items())
        return {
            "connected": self.connected,
            "caught_up": self.caught_up,
            "behind": 0 if self.caught_up else behind,
            "messages": sum(self._view.counts.values()),
            "unreadable": self._view.counts["unreadable"],
            "failure": self.failure,
        }

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._read()
            except confluent_kafka.KafkaException as error:
                self.connected, self.failure = False, str(error)
                log.warning("feed_restarts detail=%s", error)
                self._stopping.wait(RETRY_S)
            except Exception as error:
                self.connected, self.failure = False, f"{type(error).__name__}: {error}"
                log.exception("feed_failed")
                self._stopping.wait(RETRY_S)

    def _read(self) -> None:
        consumer = confluent_kafka.Consumer(_options(self._settings, self._on_error))
        try:
            self._assign(consumer)
            self.failure = None
            lag_ns = 0
            while not self._stopping.is_set():
                messages = consumer.consume(BATCH_MAX, POLL_S)
                heard_ns = time.monotonic_ns()
                for message in messages:
                    self._take(message, heard_ns)
                if not self.connected:
                    self._look_again(consumer)
                if heard_ns >= lag_ns:
                    lag_ns = heard_ns + LAG_NS
                    self.lag_messages = self._look_at_lag(consumer)
                if not self.caught_up and all(self._positions.get(key, 0) >= end for key, end in self._ends.items()):
                    self.caught_up = True
                    log.info("caught_up messages=%d", sum(self._view.counts.values()))
        finally:
            consumer.close()

    def _assign(self, consumer: Any) -> None:
        while not self._stopping.is_set():
            known = consumer.list_topics(timeout=5).topics
            missing = [name for name in READ_TOPICS if name not in known or not known[name].partitions]
            if not missing:
                break
            self.failure = f"waiting for topics {', '.join(missing)}"
            self._stopping.wait(RETRY_S)
        else:
            return
        parts = []
        for topic in READ_TOPICS:
            for number in known[topic].partitions:
                part = confluent_kafka.TopicPartition(topic, number)
                low, high = consumer.get_watermark_offsets(part, timeout=10)
                begin = low if topic in FROM_THE_START else max(low, high - self._tail)
                part.offset = max(begin, self._positions.get((topic, number), 0))  # where a lost connection left off
                self._ends[topic, number] = high if high > low else 0
                if topic in CODES and (topic, number) not in self._positions:
                    self._hub.journal.begin(topic, number, part.offset)
                self._positions.setdefault((topic, number), part.offset)
                parts.append(part)
        consumer.assign(parts)
        self.connected = True

    def _look_again(self, consumer: Any) -> None:
        """Ask whether the broker is back: on a quiet topic no message would tell."""
        try:
            consumer.list_topics(timeout=1)
        except confluent_kafka.KafkaException as error:
            self.failure = str(error)
        else:
            self.connected, self.failure = True, None

    def _look_at_lag(self, consumer: Any) -> int:
        """Return how many messages are not read, by what the broker last told."""
        ends = (
            (key, consumer.get_watermark_offsets(confluent_kafka.TopicPartition(*key), cached=True))
            for key in self._ends
        )
        return sum(max(0, high - self._positions.get(key, 0)) for key, (_, high) in ends)

    def _take(self, message: Any, heard_ns: int) -> None:
        error = message.error()
        key = (message.topic(), message.partition())
        if error is not None:
            if error.code() == confluent_kafka.KafkaError._PARTITION_EOF:  # noqa: SLF001 (public by use)
                self._positions[key] = max(self._positions.get(key, 0), message.offset())
                return
            raise confluent_kafka.KafkaException(error)
        self.connected, self.failure = True, None
        place = Place(*key, message.offset())
        is_past = message.offset() < self._ends[key]
        try:
            event = self._view.take(place, message.value() or b"", None if is_past else heard_ns)
        except MessageError as fault:
            self._view.counts["unreadable"] += 1
            log.warning("unreadable place=%s detail=%s", place, fault)
            event = None
        self._positions[key] = message.offset() + 1
        if event is not None:
            self._hub.post(place, event)

    def _on_error(self, error: Any) -> None:
        if error.code() == confluent_kafka.KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001 (public by use)
            self.connected, self.failure = False, "no broker answers"
        log.warning("kafka detail=%s", error)


def _options(settings: ApiSettings, on_error: Callable[[Any], None]) -> dict[str, Any]:
    return {
        **librdkafka_options(settings),
        "bootstrap.servers": settings.bootstrap_servers,
        "group.id": "tidegate-api",  # required by the client, never joined: partitions are assigned
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "auto.offset.reset": "earliest",
        "fetch.wait.max.ms": 20,
        "reconnect.backoff.max.ms": 1_000,
        "allow.auto.create.topics": False,
        "error_cb": on_error,
        "log_level": 2,
    }
