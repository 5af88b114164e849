"""Token buckets by key: how often an identity or an address may ask. Pure; the time is an argument.

Invariant: memory is bounded: beyond ``keys_max`` the bucket that was idle longest is forgotten, which can only let more through
for a key that has not asked for long. Rejected: counting in windows (twice the rate fits around each edge).
"""

from collections import OrderedDict
from typing import Final

KEYS_MAX: Final = 10_000


class Throttle:
    """Lets ``per_s`` requests a second through for each key, ``burst`` at once."""

    def __init__(self, per_s: float, burst: float, keys_max: int = KEYS_MAX) -> None:
        self._per_s = per_s
        self._burst = burst
        self._keys_max = keys_max
        self._levels: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def wait_s(self, key: str, now_ns: int) -> float:
        """Take one; return 0, or how many seconds to wait when there is none (then nothing is taken)."""
        level = self.level(key, now_ns)
        if level < 1.0:
            self._keep(key, level, now_ns)
            return (1.0 - level) / self._per_s
        self._keep(key, level - 1.0, now_ns)
        return 0.0

    def level(self, key: str, now_ns: int) -> float:
        """Return how many requests of this key would pass now."""
        level, then_ns = self._levels.get(key, (self._burst, now_ns))
        return min(self._burst, level + max(0, now_ns - then_ns) * 1e-9 * self._per_s)

    def _keep(self, key: str, level: float, now_ns: int) -> None:
        self._levels[key] = (level, now_ns)
        self._levels.move_to_end(key)
        if len(self._levels) > self._keys_max:
            self._levels.popitem(last=False)
