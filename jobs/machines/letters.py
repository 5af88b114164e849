"""Dead letters: how a message that cannot be used leaves a job, whole and with its place."""

from schemas import codec, topics
from schemas.codec import Registry
from schemas.errors import MessageError, Place
from schemas.records import DeadLetter

Message = tuple[bytes, bytes]
"""Key and value of a message on its way out."""


def dead_letter(
    error: MessageError, raw: bytes, place: Place, *, source: str, registry: Registry | None = None
) -> Message:
    """Return the dead letter for ``raw``."""
    letter = DeadLetter(
        cause=error.cause,
        detail=error.detail,
        source=source,
        topic=place.topic,
        partition=place.partition,
        offset=place.offset,
        raw=raw,
    )
    return place.topic.encode(), codec.encode(topics.DEAD_LETTERS, letter, registry)
