"""The data-quality worker: each minute the newest rows of every table, judged by Great Expectations.

Invariant: a verdict is published before the next look begins, or the process ends with the cause; results and alerts have
reproducible ids, so what is told twice is one. It asks the history's owner as any reader does and holds nothing of the store.
Rejected: validating inside the history writer (a library of a hundred megabytes in the process that must not fall behind).
"""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import confluent_kafka

from history.client import History
from quality.definitions import Severity
from quality.inspection import Inspection, Inspector, Judge
from quality.settings import PREFIX, QualitySettings
from quality.tables import SUITES
from schemas import codec, metrics, topics
from schemas.exposition import ProcessMetrics, Reading
from schemas.kafka_security import librdkafka_options
from schemas.process import settings_path, write_status
from schemas.registry import ConfluentRegistry
from schemas.settings import describe, load_settings
from schemas.units import NS_PER_S

log = logging.getLogger("tidegate.quality")

STATUS_FILE: Final = "quality.json"
FLUSH_S: Final = 30.0
_COUNTED: Final = {
    "rows": metrics.QUALITY_ROWS,
    "unseen_rows": metrics.QUALITY_UNSEEN,
    "late_rows": metrics.QUALITY_LATE,
}


class PublishError(RuntimeError):
    """Kafka did not take a verdict."""


class Worker:
    """One run of the process.

    Args:
        settings: Settings.
        judge: Who judges a batch.
        wall_ns: The clock.
    """

    def __init__(self, settings: QualitySettings, judge: Judge, wall_ns: Callable[[], int] = time.time_ns) -> None:
        self._settings, self._wall_ns = settings, wall_ns
        self.inspector = Inspector(
            History(settings.status_dir),
            judge,
            tuple(SUITES.values()),
            window_ns=int(settings.window_s * NS_PER_S),
            rows_max=settings.batch_rows,
        )
        self._registry = ConfluentRegistry(settings.schema_registry_url) if settings.schema_registry_url else None
        self._failures: list[str] = []
        self._failing: dict[tuple[str, Severity], int] = {}
        self._looks, self._looked_s = 0, time.monotonic()
        self.metrics = ProcessMetrics("quality")
        self.metrics.read(self._readings)
        options = {
            "bootstrap.servers": settings.bootstrap_servers,
            "enable.idempotence": True,
            "log_level": 2,
            **librdkafka_options(settings),
        }
        self._producer = confluent_kafka.Producer(options)

    def run(self, stop: threading.Event) -> None:
        """Look at all tables every ``interval_s`` until ``stop``.

        Raises:
            PublishError: Kafka refused a verdict, or did not take it in time.
        """
        self._settings.state_dir.mkdir(parents=True, exist_ok=True)
        self.metrics.serve(self._settings.metrics_host, self._settings.metrics_port)
        next_s = time.monotonic()
        try:
            while not stop.is_set():
                self.look()
                next_s = max(next_s + self._settings.interval_s, time.monotonic())
                stop.wait(next_s - time.monotonic())
        finally:
            self.metrics.close()
            self._write_status(ended=True, took_s=0.0)

    def look(self) -> Inspection:
        """Look at all tables once and publish what was found."""
        began_s = time.monotonic()
        found = self.inspector.look(None if self._settings.clock == "event" else self._wall_ns())
        for alert in found.alerts:
            log.info("says alert=%s message=%s", alert.alert_id, alert.message)
            self._produce(topics.RISK_ALERTS, str(alert.instrument_id), alert)
        for result in found.results:
            self._produce(topics.QUALITY_RESULTS, result.table, result)
        if self._producer.flush(FLUSH_S) or self._failures:
            raise PublishError(self._failures[0] if self._failures else f"not taken within {FLUSH_S:.0f} s")
        self._looked_s = time.monotonic()
        took_s = self._looked_s - began_s
        self._failing, self._looks = self.inspector.failing(), self._looks + 1
        self.metrics.observe(metrics.QUALITY_LOOK, took_s)
        self._write_status(ended=False, took_s=took_s)
        return found

    def _readings(self) -> Iterator[Reading]:
        """Tell what a scrape asks for; on the scraping thread, so nothing here walks what a look changes."""
        yield from ((metrics.QUALITY_FAILING, count, key) for key, count in self._failing.items())
        yield metrics.QUALITY_UNASKED, self.inspector.unasked
        yield metrics.QUALITY_LOOKS, self._looks
        yield metrics.QUALITY_LOOK_AGE, time.monotonic() - self._looked_s
        yield from ((metric, self.inspector.counts[name]) for name, metric in _COUNTED.items())

    def _produce(self, topic: str, key: str, record: codec.Record) -> None:
        value = codec.encode(topic, record, self._registry)
        while True:
            try:
                self._producer.produce(topic, value, key=key, on_delivery=self._delivered)
            except BufferError:  # wait for room, lose none
                self._producer.poll(0.1)
            else:
                return

    def _delivered(self, error: Any, message: Any) -> None:
        if error is not None:
            self._failures.append(f"{message.topic()}: {error}")

    def _write_status(self, *, ended: bool, took_s: float) -> None:
        status = {
            "pid": os.getpid(),
            "ended": ended,
            "looked": self.inspector.counts["runs"] > 0,
            "wall_ns": self._wall_ns(),
            "took_s": round(took_s, 3),
            **self.inspector.counts,
        }
        write_status(self._settings.state_dir / STATUS_FILE, status)


def main(argv: Sequence[str] | None = None) -> int:
    """Work until SIGTERM or SIGINT; return the exit status."""
    path = settings_path(
        argv, prog="quality.worker", description="Judge the newest rows of every table.", prefix=PREFIX
    )
    settings = load_settings(QualitySettings, path, prefix=PREFIX)
    log.info("start %s", describe(settings))
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    from quality.expectations import Validator  # noqa: PLC0415 - seconds to load: a wrong setting is told before

    Worker(settings, Validator().findings).run(stop)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
