"""The metrics of one process, and the port that Prometheus scrapes.

Counters and gauges are read where the process keeps them, at the moment of a scrape, so nothing is counted twice and a message
costs nothing; histograms are told as things happen. Invariant: a process exports every metric of its part of
``schemas.metrics`` and no other. A port that cannot be opened is logged and the process goes on: what protects orders does
not hang on what watches it, and the missing target alerts by itself.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Self

import prometheus_client
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from schemas.metrics import PROCESSES, Kind, Metric, age_s

log = logging.getLogger("tidegate.metrics")

Reading = tuple[Metric, float] | tuple[Metric, float, tuple[str, ...]]
"""A metric, its value, and the values of its labels in order."""


class ProcessMetrics(Collector):
    """Of one process.

    Args:
        process: A key of ``schemas.metrics.PROCESSES``.
    """

    def __init__(self, process: str) -> None:
        self.registry = prometheus_client.CollectorRegistry()
        self._table = PROCESSES[process]
        self._readers: list[Callable[[], Iterable[Reading]]] = []
        self._histograms = {
            metric.name: prometheus_client.Histogram(
                metric.name, metric.words, metric.labels, buckets=metric.buckets, registry=self.registry
            )
            for metric in self._table
            if metric.kind is Kind.HISTOGRAM
        }
        prometheus_client.ProcessCollector(registry=self.registry)
        self.registry.register(self)
        self._close: Callable[[], None] = lambda: None

    def read(self, reader: Callable[[], Iterable[Reading]]) -> None:
        """Ask ``reader`` at each scrape, on the scraping thread; counters that it gives never fall."""
        self._readers.append(reader)

    def observe(self, metric: Metric, value: float, *labels: str) -> None:
        """Put one value into a histogram; any thread may."""
        histogram = self._histograms[metric.name]
        (histogram.labels(*labels) if labels else histogram).observe(value)

    def observe_age(self, metric: Metric, tick_ns: int, now_ns: int, *labels: str) -> bool:
        """Put the age of a tick into a histogram; false where event time is not this machine's time."""
        age = age_s(tick_ns, now_ns)
        if age is not None:
            self.observe(metric, age, *labels)
        return age is not None

    def serve(self, host: str, port: int) -> Self:
        """Answer ``GET /metrics`` on ``port`` until :meth:`close`; 0 = nobody scrapes this process."""
        if port:
            try:
                server, thread = prometheus_client.start_http_server(port, host, self.registry)
            except OSError as error:
                log.error("metrics_not_served address=%s:%d detail=%s", host, port, error)  # noqa: TRY400 - no trace needed
            else:

                def close() -> None:
                    server.shutdown()
                    server.server_close()
                    thread.join(5)

                self._close = close
        return self

    def close(self) -> None:
        """Answer no more."""
        close, self._close = self._close, lambda: None
        close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def text(self) -> str:
        """Return what a scrape would get."""
        return prometheus_client.generate_latest(self.registry).decode()

    def describe(self) -> Iterable[prometheus_client.Metric]:
        """Return nothing: readers are asked at scrapes alone, not when this is registered."""
        return ()

    def collect(self) -> Iterator[prometheus_client.Metric]:
        """Yield every counter and gauge of the table, those without a value too."""
        families: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
        for metric in self._table:
            if metric.kind is not Kind.HISTOGRAM:
                kind = CounterMetricFamily if metric.kind is Kind.COUNTER else GaugeMetricFamily
                families[metric.name] = kind(metric.name, metric.words, labels=metric.labels)
        for reader in self._readers:
            for metric, value, *rest in reader():
                labels = rest[0] if rest else ()
                assert len(labels) == len(metric.labels), (
                    f"{metric.name} has labels {metric.labels}, was given {labels}"
                )
                families[metric.name].add_metric(labels, value)
        yield from families.values()
