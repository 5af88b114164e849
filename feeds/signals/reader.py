"""Files of headlines and own orders → signals in time order.

Own orders stream. Headline files are newest first, which cannot be turned round in a stream: their rows are held as time,
score and subject, some hundred bytes each, the text is dropped line by line, and the number of rows is bounded.
"""

import gzip
import io
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import IO, Final, Protocol, cast

import pyarrow as pa

from feeds.blocks import FeedError
from feeds.lines import lines_of
from feeds.signals.parse import (
    HEADLINE_HEADER,
    ORDER_COLUMNS,
    Headline,
    Place,
    parse_headline,
    parse_order_csv,
    parse_order_json,
)
from schemas.signals import Signal, SignalKind

LINE_BYTES_MAX: Final = 1 << 20
HEADLINES_MAX: Final = 5_000_000

_READ_ERRORS: Final = (OSError, EOFError, zlib.error, pa.ArrowException)


class SignalFile(Protocol):
    """A file of signals, read as a stream."""

    path: Path
    messages: int
    """Headlines or lines read so far."""

    def signals(self) -> Iterator[Signal]:
        """Yield the signals in time order. Starts anew at each call.

        Raises:
            FeedError: Malformed input, with its place.
        """


def open_signals(path: Path, subjects: Mapping[str, tuple[int, ...]]) -> SignalFile:
    """Return the file at ``path``, told by its first line: headlines, or own orders.

    Args:
        path: ``.csv`` or ``.jsonl``, also ``.gz`` or ``.zst``.
        subjects: Subject of a headline → the instruments that it concerns.

    Raises:
        FeedError: The file cannot be read.
    """
    _, first = next(_lines(path), ((path, 0), b""))
    return HeadlineFile(path, subjects) if _is_header(first, HEADLINE_HEADER) else OrderFile(path)


@dataclass(slots=True)
class HeadlineFile:
    """Scored headlines of one file (``.csv``, also ``.gz`` or ``.zst``).

    Attributes:
        path: The file.
        subjects: Subject → the instruments that it concerns.
        messages: Headlines read so far.
        unknown: Subjects that concern no instrument → headlines.
    """

    path: Path
    subjects: Mapping[str, tuple[int, ...]]
    messages: int = 0
    unknown: Counter[str] = field(default_factory=Counter)

    def signals(self) -> Iterator[Signal]:
        """Yield the signals in time order, one for each instrument of a headline. Starts anew at each call.

        Raises:
            FeedError: A malformed line, no header, too many rows, or a file that cannot be read.
        """
        self.messages = 0
        self.unknown.clear()
        held: list[Headline] = []
        lines = _lines(self.path)
        _expect_header(self.path, lines, HEADLINE_HEADER)
        for place, line in lines:
            if len(held) >= HEADLINES_MAX:
                raise FeedError(*place, f"more than {HEADLINES_MAX} headlines")
            held.append(parse_headline(line, place))
            self.messages += 1
        held.reverse()  # the file is newest first: of one minute, too, the last line came first
        held.sort(key=attrgetter("ts_event_ns"))
        for headline in held:
            concerned = self.subjects.get(headline.subject, ())
            if not concerned:
                self.unknown[f"subject {headline.subject}"] += 1
            for instrument_id in concerned:
                yield Signal(headline.ts_event_ns, instrument_id, SignalKind.HEADLINE, headline.score)


@dataclass(slots=True)
class OrderFile:
    """Own orders and executions of one file (``.csv`` or ``.jsonl``, also ``.gz`` or ``.zst``).

    Attributes:
        path: The file.
        messages: Lines read so far.
    """

    path: Path
    messages: int = 0

    def signals(self) -> Iterator[Signal]:
        """Yield the signals in time order. Starts anew at each call.

        Raises:
            FeedError: A malformed line, no header, a time that goes back, or a file that cannot be read.
        """
        self.messages = 0
        suffixes = self.path.suffixes
        if ".csv" not in suffixes and ".jsonl" not in suffixes:
            raise FeedError(self.path, 0, "own orders are .csv or .jsonl")
        lines = _lines(self.path)
        parse = parse_order_json
        if ".csv" in suffixes:
            parse = parse_order_csv
            _expect_header(self.path, lines, ",".join(ORDER_COLUMNS).encode())
        last_ns = 0
        for place, line in lines:
            signal = parse(line, place)
            if signal.ts_event_ns < last_ns:
                raise FeedError(*place, f"time goes back: {signal.ts_event_ns} after {last_ns}")
            last_ns = signal.ts_event_ns
            self.messages += 1
            yield signal


def _expect_header(path: Path, lines: Iterator[tuple[Place, bytes]], header: bytes) -> None:
    _, first = next(lines, ((path, 0), b""))
    if not _is_header(first, header):
        raise FeedError(path, 1, f"the first line must be {header.decode()!r}, was {first[:80]!r}")


def _is_header(line: bytes, header: bytes) -> bool:
    return line.removeprefix(b"\xef\xbb\xbf").rstrip(b"\r\n") == header


def _lines(path: Path) -> Iterator[tuple[Place, bytes]]:
    return lines_of(path, _open, LINE_BYTES_MAX, read_errors=_READ_ERRORS)


def _open(path: Path) -> IO[bytes]:
    if path.suffix == ".gz":
        return cast("IO[bytes]", gzip.open(path))
    if path.suffix == ".zst":
        return io.BufferedReader(pa.input_stream(str(path), compression="zstd"))
    return path.open("rb")
