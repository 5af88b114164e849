"""The errors that bad messages raise; each carries the place where the message was found."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """Where a message came from; ``partition`` and ``offset`` are -1 when it was not read from Kafka."""

    topic: str
    partition: int = -1
    offset: int = -1

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]@{self.offset}"


class MessageError(ValueError):
    """A message that cannot be understood.

    Attributes:
        cause: Short machine-readable word, the ``cause`` of the dead letter (``unknown_schema``, ``bad_arrow``, ...).
        detail: What was wrong, for a person.
        place: Topic, partition and offset, when known.
    """

    def __init__(self, cause: str, detail: str, place: Place | None = None) -> None:
        super().__init__(f"{cause}: {detail}" + (f" at {place}" if place else ""))
        self.cause = cause
        self.detail = detail
        self.place = place
