"""What the shipper remembers of the entries that it read, and the alerts that it raises. Pure: the shipper has the clocks.

Invariant: an entry is released once and in its order, and never before the broker has it.
"""

from typing import Final

from gate._native import REASONS
from gate.trail.decision_record import DecisionEntry, decided_at_ns
from schemas import topics
from schemas.records import AlertKind, RiskAlert, Tier
from schemas.units import NS_PER_MS

SOURCE: Final = "gate.trail.shipper"
FIRM_WIDE: Final = 0


class Window:
    """Which of the entries that were read the broker has; entries are confirmed in any order and released in theirs."""

    def __init__(self) -> None:
        self._released = 0
        self._read = 0
        self._confirmed: set[int] = set()

    def __len__(self) -> int:
        return self._read - self._released

    def take(self) -> int:
        """Note that the next entry was read; return its position."""
        self._read += 1
        return self._read - 1

    def confirm(self, position: int) -> None:
        """Note that the broker has the entry, or that nothing of it is to be sent."""
        assert self._released <= position < self._read, "only what was read and not released is confirmed"
        self._confirmed.add(position)

    def release(self) -> int:
        """Return how many of the oldest entries can be released now, and forget them."""
        before = self._released
        while self._released in self._confirmed:
            self._confirmed.remove(self._released)
            self._released += 1
        return self._released - before

    def rewind(self) -> None:
        """Forget what was read and not released: it is read again."""
        self._read = self._released
        self._confirmed.clear()


def loss_alert(lost: dict[int, int], torn: int, *, instance: str, now_ns: int) -> RiskAlert:
    """Return the alert that ``lost`` (by number of the reason) and ``torn`` decisions in all were not recorded.

    Args:
        lost: Found no room in the ring.
        torn: Died half written.
        instance: Ring that lost them.
        now_ns: Wall time.
    """
    words = {REASONS[reason] if reason < len(REASONS) else "other": count for reason, count in lost.items()}
    parts = [f"{word} {count}" for word, count in sorted(words.items(), key=lambda item: (-item[1], item[0]))]
    parts += [f"half written at a crash {torn}"] if torn else []
    total = sum(lost.values()) + torn
    message = f"{total} decisions of {instance} were made and not recorded: {', '.join(parts)}"
    return _alert(AlertKind.DECISIONS_LOST, f"{instance}:{total}", message, now_ns=now_ns)


def delay_alert(first: DecisionEntry, pending: int, *, instance: str, now_ns: int) -> RiskAlert:
    """Return the alert that ``pending`` decisions wait for the broker, ``first`` the longest."""
    waited_ms = max(now_ns - decided_at_ns(first), 0) // NS_PER_MS
    message = f"{pending} decisions of {instance} wait for {topics.ORDERS_DECISIONS}, the first for {waited_ms} ms"
    return _alert(AlertKind.DECISIONS_DELAYED, f"{instance}:{first.seq}", message, now_ns=now_ns)


def _alert(kind: AlertKind, name: str, message: str, *, now_ns: int) -> RiskAlert:
    return RiskAlert(
        alert_id=f"{kind}:{name}",
        kind=kind,
        instrument_id=FIRM_WIDE,
        ts_ns=now_ns,
        epoch=0,
        tier=Tier.NORMAL,
        message=message,
        source=SOURCE,
    )
