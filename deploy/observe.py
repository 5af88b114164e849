"""Reading topics as a bystander: the demonstration, the benchmarks and the drills all watch the loop through this.

Invariant: a tail reads every partition itself, commits nothing and joins no group, so watching never disturbs the loop.
Latencies are taken where a subscriber would take them: at arrival in this process, on the monotonic clock.
"""

import bisect
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import confluent_kafka

from schemas import codec
from schemas.errors import MessageError, Place


@dataclass(frozen=True, slots=True)
class Seen:
    """One message, with its place and when it arrived here (monotonic clock)."""

    place: Place
    key: bytes
    value: bytes
    received_ns: int


class Tail:
    """Messages of some topics, from the start or from now on.

    Raises:
        confluent_kafka.KafkaException: The broker cannot be reached or a topic does not exist.
    """

    def __init__(self, bootstrap_servers: str, topics: tuple[str, ...], *, from_start: bool) -> None:
        self._consumer = confluent_kafka.Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                "group.id": "tidegate-bystander",  # required by the client, never joined: partitions are assigned
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 5,
                "fetch.error.backoff.ms": 5,
                "log_level": 2,
            }
        )
        start = confluent_kafka.OFFSET_BEGINNING if from_start else confluent_kafka.OFFSET_END
        known = self._consumer.list_topics(timeout=10).topics
        assigned: list[confluent_kafka.TopicPartition] = []
        for topic in topics:
            if topic not in known:
                raise confluent_kafka.KafkaException(f"topic {topic} does not exist")
            assigned.extend(
                confluent_kafka.TopicPartition(topic, partition, self._offset(topic, partition, start))
                for partition in known[topic].partitions
            )
        self._consumer.assign(assigned)

    def poll(self, timeout_s: float) -> Iterator[Seen]:
        """Yield what has arrived, waiting at most ``timeout_s`` for the first message."""
        message = self._consumer.poll(timeout_s)
        while message is not None:
            if message.error() is None:
                place = Place(message.topic(), message.partition(), message.offset())
                yield Seen(place, message.key() or b"", message.value() or b"", time.monotonic_ns())
            message = self._consumer.poll(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()

    def _offset(self, topic: str, partition: int, start: int) -> int:
        """Fix "the end" now: an assignment to OFFSET_END would skip what arrives before the first fetch."""
        if start != confluent_kafka.OFFSET_END:
            return start
        _, high = self._consumer.get_watermark_offsets(confluent_kafka.TopicPartition(topic, partition), timeout=10)
        return int(high)


def record_in(topic: str, value: bytes) -> codec.Record | None:
    """Return the record in a message, or ``None`` where it cannot be read: a bystander leaves poison to dead letters."""
    try:
        return codec.decode(topic, value)
    except MessageError:
        return None


@dataclass(slots=True)
class TickClock:
    """When the frame that closed each tick was planned to leave: the zero of every latency.

    Frames are recorded in order; the frame that closes tick T is the first whose ``ts_last_ns`` is at or past T.
    """

    ts_last_ns: list[int] = field(default_factory=list)
    planned_ns: list[int] = field(default_factory=list)

    def record(self, ts_last_ns: int, planned_ns: int) -> None:
        """Note one frame: event time reached, and the monotonic time at which it was due."""
        self.ts_last_ns.append(ts_last_ns)
        self.planned_ns.append(planned_ns)

    def closed_at(self, tick_ns: int) -> int | None:
        """Return when the frame that closes ``tick_ns`` was due, or ``None`` when it has not been sent yet."""
        index = bisect.bisect_left(self.ts_last_ns, tick_ns)
        return self.planned_ns[index] if index < len(self.planned_ns) else None


def percentiles(samples: list[float]) -> dict[str, float | int]:
    """Return count, p50, p99 and max of ``samples`` (milliseconds, rounded to microseconds)."""
    if not samples:
        return {"count": 0}
    ordered = sorted(samples)
    last = len(ordered) - 1
    return {
        "count": len(ordered),
        "p50": round(ordered[round(0.50 * last)], 3),
        "p99": round(ordered[round(0.99 * last)], 3),
        "max": round(ordered[-1], 3),
    }
