"""What operators tell Prometheus, through Flink's metric groups.

Invariant: nothing here changes what a job says; it has the only clock of the jobs, and no message depends on it. Flink's own
histograms are summaries of one operator, which cannot be added up over subtasks, so ours are counters with the label ``le``, as
Prometheus has them (without a sum: Flink counts in whole numbers). A call into the JVM costs a microsecond or two, so what
happens with every message is gathered here and handed over once a second. Rejected: Python gauges (Flink asks them on a thread
of its own, in the middle of somebody's call).
"""

import time
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable
from typing import Any, Final

from schemas.metrics import Kind, Metric, age_s

FLUSH_NS: Final = 1_000_000_000
WAITING_MAX: Final = 10_000
_Key = tuple[str, tuple[tuple[str, str], ...]]


class Handover:
    """What was measured where Flink gives no metric group: its table functions have none that reports in thread mode.

    The operator behind the function takes it: thread mode has one interpreter per JVM and one slot, so both hold this very
    object. Bounded: where nobody takes, the oldest is dropped. Any thread may.
    """

    def __init__(self) -> None:
        self._waiting: deque[tuple[Metric, float, tuple[str, ...]]] = deque(maxlen=WAITING_MAX)

    def put(self, metric: Metric, value: float, *labels: str) -> None:
        """Hand over a value of a histogram, or what a counter grows by."""
        self._waiting.append((metric, value, labels))

    def taken(self) -> list[tuple[Metric, float, tuple[str, ...]]]:
        """Return what waits, once."""
        return [self._waiting.popleft() for _ in range(len(self._waiting))]


FROM_FUNCTIONS: Final = Handover()


class OperatorMetrics:
    """Of one operator; on the task's thread alone.

    Args:
        group: Flink's metric group of the operator.
        monotonic_ns: Clock of intervals.
        wall_ns: Clock that ages of ticks are measured by.
    """

    def __init__(
        self,
        group: Any,
        *,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._group = group
        self._monotonic_ns, self._wall_ns = monotonic_ns, wall_ns
        self._counters: dict[_Key, Any] = {}
        self._waiting: Counter[_Key] = Counter()
        self._held: dict[_Key, int] = {}
        self._flush_ns = monotonic_ns() + FLUSH_NS

    def declare(self, metric: Metric, *labels: str) -> None:
        """Export a metric from the start, at 0."""
        pairs = _pairs(metric, labels)
        if metric.kind is not Kind.HISTOGRAM:
            self._counter((metric.name, pairs))
            return
        for bound in (*metric.buckets, "+Inf"):
            self._counter((f"{metric.name}_bucket", (*pairs, ("le", str(bound)))))
        self._counter((f"{metric.name}_count", pairs))

    def count(self, metric: Metric, by: int = 1, *labels: str) -> None:
        """Add to a counter, shown with the next :meth:`flush`."""
        self._waiting[metric.name, _pairs(metric, labels)] += by

    def observe(self, metric: Metric, value: float, *labels: str, times: int = 1) -> None:
        """Put a value into a histogram, ``times`` times."""
        pairs = _pairs(metric, labels)
        for bound in metric.buckets[bisect_left(metric.buckets, value) :]:
            self._waiting[f"{metric.name}_bucket", (*pairs, ("le", str(bound)))] += times
        self._waiting[f"{metric.name}_bucket", (*pairs, ("le", "+Inf"))] += times
        self._waiting[f"{metric.name}_count", pairs] += times

    def age(self, metric: Metric, tick_ns: int, *labels: str) -> bool:
        """Put the age of a tick into a histogram; false where event time is not this machine's time."""
        age = age_s(tick_ns, self._wall_ns())
        if age is not None:
            self.observe(metric, age, *labels)
        return age is not None

    def set(self, metric: Metric, value: int, *labels: str) -> None:
        """Give a gauge, or a counter that is counted elsewhere, its value at once."""
        self._put((metric.name, _pairs(metric, labels)), value)

    def hold(self, metric: Metric, value: int, *labels: str) -> None:
        """Give a gauge its value, shown with the next :meth:`flush`."""
        self._held[metric.name, _pairs(metric, labels)] = value

    def now(self, metric: Metric, by: int = 1, *labels: str) -> None:
        """Add to a counter at once: for what is rare and must not wait for the next message."""
        self._counter((metric.name, _pairs(metric, labels))).inc(by)

    def take(self, handover: Handover) -> None:
        """Count what somebody else measured."""
        for metric, value, labels in handover.taken():
            if metric.kind is Kind.HISTOGRAM:
                self.observe(metric, value, *labels)
            else:
                self.count(metric, int(value), *labels)

    def flush_if_due(self) -> None:
        """Hand over what was gathered, once a second of this machine's time."""
        now_ns = self._monotonic_ns()
        if now_ns >= self._flush_ns:
            self._flush_ns = now_ns + FLUSH_NS
            self.flush()

    def flush(self) -> None:
        """Hand over what was gathered."""
        for key, by in self._waiting.items():
            self._counter(key).inc(by)
        self._waiting.clear()
        for key, value in self._held.items():
            self._put(key, value)
        self._held.clear()

    def _put(self, key: _Key, value: int) -> None:
        """Flink's counters may fall, so one serves as a gauge that is asked for nothing."""
        counter = self._counter(key)
        counter.inc(value - counter.get_count())

    def _counter(self, key: _Key) -> Any:
        found = self._counters.get(key)
        if found is None:
            name, pairs = key
            group = self._group
            for label, value in pairs:
                group = group.add_group(label, value)
            found = self._counters[key] = group.counter(name)
        return found


def _pairs(metric: Metric, labels: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    return tuple(zip(metric.labels, labels, strict=True))
