"""TotalView-ITCH 5.0 on the wire: framing, message sizes, field layouts. Pure.

Source: NASDAQ TotalView-ITCH 5.0 specification. Numbers are big-endian; a message starts with type (1 byte), stock locate (2),
tracking number (2) and time of day in ns (6). A file puts a 2-byte length before each message; length 0 ends a session.
A re-encoding with 8-byte times and another price unit exists; it is told from the venue's own by the size of its messages.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from struct import Struct
from typing import Final

from feeds.blocks import FeedError
from schemas.units import NS_PER_S, PRICE_SCALE

SIZES: Final = {
    ord(kind): size
    for kind, size in {
        "S": 12,  # system event
        "R": 39,  # stock directory
        "H": 25,  # stock trading action
        "Y": 20,  # Reg SHO restriction
        "L": 26,  # market participant position
        "V": 35,  # market-wide circuit breaker levels
        "W": 12,  # market-wide circuit breaker breached
        "K": 28,  # IPO quoting period
        "J": 35,  # LULD auction collar
        "h": 21,  # operational halt
        "A": 36,  # add order
        "F": 40,  # add order with attribution
        "E": 31,  # order executed
        "C": 36,  # order executed with price
        "X": 23,  # order cancelled in part
        "D": 19,  # order deleted
        "U": 35,  # order replaced
        "P": 44,  # trade against a hidden order
        "Q": 40,  # cross trade
        "B": 19,  # broken trade
        "I": 50,  # net order imbalance
        "N": 20,  # retail price improvement interest
        "O": 48,  # direct listing with capital raise
    }.items()
}
"""Message type → bytes, header of 11 included."""

BODIES: Final = {
    ord(kind): Struct(fields)
    for kind, fields in {
        "R": ">8s",  # stock
        "H": ">8sc",  # stock, trading state
        "h": ">8scc",  # stock, market, action
        "A": ">QcI8sI",  # order, side, shares, stock, price
        "F": ">QcI8sI",
        "E": ">QI",  # order, shares
        "C": ">QIQcI",  # order, shares, match, printable, price
        "X": ">QI",  # order, shares
        "D": ">Q",  # order
        "U": ">QQII",  # order, new order, shares, price
        "P": ">QcI8sI",  # order (0), side, shares, stock, price
        "Q": ">Q8sI",  # shares, stock, price
    }.items()
}
"""Message type → the fields after the header that are read; the other types change no book and halt no stock."""

_HEADER: Final = 5
_TIME_OF_DAY_NS_MAX: Final = 48 * 3600 * NS_PER_S
"""Later is damage."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file writes times and prices.

    Attributes:
        time_bytes: 6 as the venue sends, 8 in the re-encoded form.
        price_unit: 1e-9 currency in one unit of price.
    """

    time_bytes: int
    price_unit: int

    @property
    def body_at(self) -> int:
        """Offset of the fields after the header."""
        return _HEADER + self.time_bytes


VENUE: Final = Layout(6, PRICE_SCALE // 10_000)
"""The venue's own: four decimals."""


def split(chunks: Iterable[bytes], name: str) -> Iterator[tuple[int, bytes]]:
    """Yield ``(offset, message)`` of a length-framed file; at most a chunk and one message are held.

    Raises:
        FeedError: The file ends inside a message, or goes on after the end of its session.
    """
    rest, offset, ended = b"", 0, False
    for chunk in chunks:
        held = rest + chunk
        at, end = 0, len(held)
        while not ended and at + 2 <= end:
            size = held[at] << 8 | held[at + 1]
            if at + 2 + size > end:
                break
            if size:
                yield offset + at, held[at + 2 : at + 2 + size]
            ended = size == 0
            at += 2 + size
        rest, offset = held[at:], offset + at
        if ended and rest:
            raise FeedError(name, offset, "bytes follow the end of the session")
    if rest:
        raise FeedError(name, offset, f"cut short: {len(rest)} bytes of a message are there")


def time_bytes_of(message: bytes, place: tuple[str, int]) -> int | None:
    """Return how many bytes its time has, ``None`` for an unknown type.

    Raises:
        FeedError: The size fits neither layout.
    """
    wanted = SIZES.get(message[0])
    if wanted is None:
        return None
    if len(message) not in (wanted, wanted + 2):
        raise FeedError(*place, f"message {chr(message[0])!r} has {len(message)} bytes, wanted {wanted}")
    return VENUE.time_bytes + len(message) - wanted


def time_of_day_ns(message: bytes, time_bytes: int, place: tuple[str, int]) -> int:
    """Return the time of day of a message of known type.

    Raises:
        FeedError: Another layout than the file's, or not a time of the day.
    """
    if time_bytes_of(message, place) != time_bytes:
        raise FeedError(*place, f"message {chr(message[0])!r} has {len(message)} bytes, unlike the first one's layout")
    time_ns = int.from_bytes(message[_HEADER : _HEADER + time_bytes])
    if time_ns > _TIME_OF_DAY_NS_MAX:
        raise FeedError(*place, f"time of day was {time_ns} ns")
    return time_ns
