"""The largest value of a rolling period, in constant amortised time (monotone deque). Pure; times are arguments.

Invariant: the maximum is never smaller than that of the period, also when time goes back (a replay starts again): what was
seen then counts as seen now. Source of the deque: Lemire, Streaming maximum-minimum filter using no more than three
comparisons per element (2006). Rejected: buckets (the answer would jump by a bucket's width).
"""

from collections import deque
from collections.abc import Iterable


class RollingMax:
    """Values with their times; a minimum is the negative maximum of negative values."""

    def __init__(self, seen: Iterable[tuple[int, int]] = ()) -> None:
        self._seen: deque[tuple[int, int]] = deque(seen)

    def add(self, ts_ns: int, value: int, *, keep_ns: int) -> None:
        """Take a value; forget what is ``keep_ns`` old or older."""
        if self._seen and self._seen[-1][0] > ts_ns:
            self._seen = deque((min(seen_ns, ts_ns), held) for seen_ns, held in self._seen)
        while self._seen and self._seen[-1][1] <= value:
            self._seen.pop()
        self._seen.append((ts_ns, value))
        while ts_ns - self._seen[0][0] >= keep_ns and len(self._seen) > 1:
            self._seen.popleft()

    def largest(self, *, keep_ns: int) -> int | None:
        """Return the largest value of the last ``keep_ns`` before the newest time; ``None`` before the first value."""
        if not self._seen:
            return None
        now_ns = self._seen[-1][0]
        return next((value for ts_ns, value in self._seen if now_ns - ts_ns < keep_ns), self._seen[-1][1])

    def seen(self) -> list[tuple[int, int]]:
        """Return what must be kept to go on elsewhere: (time, value), oldest first."""
        return list(self._seen)
