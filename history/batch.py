"""What the writer has read and not yet stored: pure, so that batching is tested without Kafka, a store or a clock.

Invariant: offsets move with rows: ``Batch.offsets`` covers exactly the messages whose rows (or dead letters) the batch
holds, so committing them after the insert loses nothing, and a repeat replaces rows of equal keys. Rejected: a batch
per topic (as many inserts and commits as topics, for the same age).
"""

from dataclasses import dataclass
from typing import Any, Final

from history import rows
from schemas import codec, topics
from schemas.errors import MessageError, Place
from schemas.records import DeadLetter
from schemas.units import NS_PER_MS

SOURCE: Final = "history.writer"


@dataclass(frozen=True, slots=True)
class Bounds:
    """When a batch is due: rows, bytes of messages, or age of its first message."""

    rows: int
    bytes: int
    age_ns: int

    @classmethod
    def of(cls, settings: Any) -> "Bounds":
        """Return the bounds in :class:`history.settings.HistorySettings`."""
        return cls(settings.batch_rows, settings.batch_bytes, settings.batch_age_ms * NS_PER_MS)


@dataclass(frozen=True, slots=True)
class Arrival:
    """One message as it came."""

    place: Place
    value: bytes
    timestamp_ms: int


class Batch:
    """Rows by table, dead letters, and how far each partition was read."""

    def __init__(self, bounds: Bounds, registry: codec.Registry | None = None) -> None:
        self._bounds = bounds
        self._registry = registry
        self._parts: dict[str, list[rows.Parsed]] = {}
        self._first_ns: int | None = None
        self._bytes = 0
        self.rows = 0
        self.letters: list[DeadLetter] = []
        self.unusable_letters = 0
        self.offsets: dict[tuple[str, int], int] = {}

    def add(self, arrival: Arrival, now_ns: int) -> None:
        """Take one message; a bad one becomes a dead letter, except a bad dead letter, which is only counted.

        Args:
            arrival: The message.
            now_ns: Monotonic time.
        """
        place = arrival.place
        if self._first_ns is None:
            self._first_ns = now_ns
        self.offsets[place.topic, place.partition] = place.offset + 1
        self._bytes += len(arrival.value)
        try:
            parsed = rows.parse(place.topic, arrival.value, arrival.timestamp_ms, registry=self._registry)
        except MessageError as error:
            if place.topic == topics.DEAD_LETTERS:
                self.unusable_letters += 1  # a letter about it would come back here, for ever
            else:
                self.letters.append(_letter(error, arrival))
            return
        self._parts.setdefault(rows.TABLE_OF[place.topic], []).append(parsed)
        self.rows += rows.row_count(parsed)

    def is_due(self, now_ns: int) -> bool:
        """Return whether the batch should be stored now."""
        if self._first_ns is None:
            return False
        return (
            self.rows >= self._bounds.rows
            or self._bytes >= self._bounds.bytes
            or now_ns - self._first_ns >= self._bounds.age_ns
        )

    def tables(self) -> list[tuple[str, Any]]:
        """Return each table's rows as Arrow, tables without rows left out."""
        made = []
        for name, parts in self._parts.items():
            table = rows.table_of_parts(name, parts)
            if table.num_rows:
                made.append((name, table))
        return made


def _letter(error: MessageError, arrival: Arrival) -> DeadLetter:
    place = arrival.place
    return DeadLetter(error.cause, error.detail, SOURCE, place.topic, place.partition, place.offset, arrival.value)
