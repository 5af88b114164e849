"""What a machine keeps in Flink's state: a snapshot now and then, and every message since (``jobs.operators.kept``).

A machine's whole state can be megabytes (tails of 500 instruments), a message is not: writing the state with each message would
cost more than the work. Invariant: a machine made from the snapshot that takes the entries again is the one that wrote them,
because an entry holds all that the machine was given, commands too.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

SNAPSHOT_MESSAGES: Final = 10
"""A second of ticks."""

_COUNT: Final = struct.Struct("<I")
_LENGTH: Final = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Kept:
    """What must be kept after a message; one of both, or nothing.

    Attributes:
        snapshot: Replaces everything that was kept before.
        entry: Is added to it.
    """

    snapshot: bytes | None = None
    entry: bytes | None = None


def pack(parts: Sequence[bytes]) -> bytes:
    """Return parts as one value."""
    return _COUNT.pack(len(parts)) + b"".join(piece for part in parts for piece in (_LENGTH.pack(len(part)), part))


def unpack(raw: bytes) -> list[bytes]:
    """Return the parts of :func:`pack`.

    Raises:
        ValueError: Cut short, or too long.
    """
    try:
        (count,) = _COUNT.unpack_from(raw)
        parts, start = [], _COUNT.size
        for _ in range(count):
            (length,) = _LENGTH.unpack_from(raw, start)
            start += _LENGTH.size + length
            parts.append(raw[start - length : start])
    except struct.error as error:
        raise ValueError(f"kept state: {error}") from error
    if start != len(raw):
        raise ValueError(f"kept state of {len(raw)} bytes, {start} were told")
    return parts
