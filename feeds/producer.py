"""Sending frames to Kafka: paced as they happened (times a speed), or as fast as the broker takes them.

Invariant: frames of a channel leave in order and none is dropped: a full local queue waits, a failed delivery raises.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import confluent_kafka

from schemas import metrics, topics
from schemas.exposition import ProcessMetrics, Reading
from schemas.frames import ChannelFrame, SignalFrame, encode_frame
from schemas.kafka_security import KafkaSecurity, librdkafka_options
from schemas.units import NS_PER_S

SPIN_S = 0.0002
"""Sleep is coarse; the last part of a wait is spent polling."""


class DeliveryError(RuntimeError):
    """The broker did not take a message; the text names the topic and the reason."""


@dataclass(slots=True)
class Sent:
    """What a replay sent."""

    frames: int = 0
    heartbeats: int = 0
    events: int = 0
    signals: int = 0
    first_tick_ns: int = 0
    last_ts_ns: int = 0


class FrameProducer:
    """A producer of frames.

    Args:
        bootstrap_servers: Kafka.
        security: How this process proves who it is; ``None`` = plain text.
        told: Metrics of this process, ``None`` = nobody asks.
    """

    def __init__(
        self, bootstrap_servers: str, security: KafkaSecurity | None = None, *, told: ProcessMetrics | None = None
    ) -> None:
        self._counted: Counter[tuple[metrics.Metric, str]] = Counter()
        self._reached_ns: dict[str, int] = {}
        self._told = told
        if told is not None:
            told.read(self._readings)
        self._failure: confluent_kafka.KafkaError | None = None
        self._producer = confluent_kafka.Producer(
            {
                **(librdkafka_options(security) if security else {}),
                "bootstrap.servers": bootstrap_servers,
                "enable.idempotence": True,
                "linger.ms": 0,
                "queue.buffering.max.messages": 20_000,
                "message.max.bytes": 16 * 1024 * 1024,
                "message.timeout.ms": 120_000,
                "log_level": 2,
            }
        )

    def send_raw(self, raw: bytes, channel_id: str, timestamp_ms: int) -> None:
        """Send one encoded frame; wait while the local queue is full.

        Raises:
            DeliveryError: An earlier message was not taken.
        """
        while True:
            try:
                self._producer.produce(
                    topics.MARKET_FRAMES, raw, key=channel_id, timestamp=timestamp_ms, on_delivery=self._delivered
                )
                break
            except BufferError:
                self._producer.poll(0.01)
        self._producer.poll(0)
        self._raise_failure()

    def flush(self) -> None:
        """Wait until everything is delivered.

        Raises:
            DeliveryError: A message was not taken, or the broker does not answer.
        """
        if left := self._producer.flush(120):
            raise DeliveryError(f"{topics.MARKET_FRAMES}: {left} frames were not delivered in 120 s")
        self._raise_failure()

    def replay(
        self,
        frames: Iterable[ChannelFrame],
        *,
        speed: float | None,
        start_monotonic_ns: int | None = None,
        on_sent: Callable[[ChannelFrame, int], None] | None = None,
    ) -> Sent:
        """Send all frames.

        Args:
            frames: In order; the first one's ``ts_last_ns`` leaves at the start.
            speed: 1 = as it happened, 4 = four times faster, ``None`` = as fast as the broker takes them.
            start_monotonic_ns: When the replay starts on the monotonic clock; now when ``None``.
            on_sent: Called with each frame and the monotonic time at which it was *due* (open loop).
        """
        sent = Sent()
        start_ns = time.monotonic_ns() if start_monotonic_ns is None else start_monotonic_ns
        origin_ns: int | None = None
        for frame in frames:
            raw = encode_frame(frame)
            origin_ns = frame.ts_last_ns if origin_ns is None else origin_ns
            due_ns = start_ns
            if speed is not None:
                due_ns = start_ns + int((frame.ts_last_ns - origin_ns) / speed)
                self._wait_until(due_ns)
            self.send_raw(raw, frame.channel_id, frame.timestamp_ms)
            self._count(frame, len(raw), late_ns=time.monotonic_ns() - due_ns if speed is not None else 0)
            sent.frames += 1
            sent.heartbeats += not frame.event_count
            if isinstance(frame, SignalFrame):
                sent.signals += frame.event_count
            else:
                sent.events += frame.event_count
            sent.last_ts_ns = frame.ts_last_ns
            if on_sent is not None:
                on_sent(frame, due_ns if speed is not None else time.monotonic_ns())
        self.flush()
        return sent

    def _count(self, frame: ChannelFrame, size: int, *, late_ns: int) -> None:
        channel = frame.channel_id
        self._counted[metrics.FEEDS_FRAMES, channel] += 1
        self._counted[metrics.FEEDS_HEARTBEATS, channel] += not frame.event_count
        self._counted[metrics.FEEDS_EVENTS, channel] += frame.event_count
        self._counted[metrics.FEEDS_BYTES, channel] += size
        self._reached_ns[channel] = frame.ts_last_ns
        if self._told is not None:
            self._told.observe(metrics.FEEDS_LATE, late_ns / NS_PER_S)

    def _readings(self) -> Iterator[Reading]:
        """Tell what a scrape asks for; on the scraping thread."""
        yield from ((metric, count, (channel,)) for (metric, channel), count in dict(self._counted).items())
        yield from (
            (metrics.FEEDS_EVENT_TIME, ts_ns / NS_PER_S, (channel,))
            for channel, ts_ns in dict(self._reached_ns).items()
        )
        yield metrics.FEEDS_WAITING, len(self._producer)

    def _wait_until(self, due_ns: int) -> None:
        while (left_s := (due_ns - time.monotonic_ns()) / 1e9) > 0:
            if left_s > SPIN_S:
                self._producer.poll(0)
                time.sleep(min(left_s - SPIN_S, 0.05))

    def _delivered(self, error: confluent_kafka.KafkaError | None, _message: confluent_kafka.Message) -> None:
        self._failure = self._failure or error

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise DeliveryError(f"{topics.MARKET_FRAMES}: {self._failure}")
