"""LOBSTER files → blocks: a zip, or a folder with the pair of csv files. Streams; memory does not grow with the file."""

import io
import re
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import IO, Final
from zlib import crc32
from zoneinfo import ZoneInfo

from feeds.blocks import READ_ERRORS, EventBlock, FeedError, Row, blocks_of, session_span
from feeds.lobster.parse import Book, LobsterEvents, Message, parse_book, parse_message
from schemas.units import NS_PER_MS, NS_PER_S

EXCHANGE: Final = ZoneInfo("America/New_York")
_NAME: Final = re.compile(
    r"(?P<symbol>[A-Z.]+)_(?P<date>\d{4}-\d\d-\d\d)_(?:(?P<start>\d+)_(?P<end>\d+)_)?message_\d+\w*\.csv$"
)
_KNOWN_IDS: Final = {"GOOG": 1001, "AAPL": 1002}
_OTHER_IDS_FROM: Final = 10_000
_PRICE, _QTY = 5, 6  # places in a Row
_DAY_MS: Final = 24 * 3600 * 1000


@dataclass(slots=True)
class LobsterSession:
    """One instrument's day.

    Attributes:
        symbol: Instrument symbol.
        instrument_id: From the reference data for known symbols, from the symbol's checksum for others.
        channel_id: ``LOBSTER-<symbol>-<date>``.
        start_ns: Start of the session, UTC.
        end_ns: End of the session, UTC.
        messages: Messages read so far.
        events: Translator, with what it counted.
    """

    symbol: str
    instrument_id: int
    channel_id: str
    start_ns: int
    end_ns: int
    events: LobsterEvents
    _source: Path
    messages: int = 0

    def blocks(self) -> Iterator[EventBlock]:
        """Yield the events of the session.

        Raises:
            FeedError: A malformed line, or book rows that do not match the messages in number.
        """
        return blocks_of(self._rows())

    def _rows(self) -> Iterator[list[Row]]:
        yield self.events.opening(self.start_ns - self.events.midnight_ns)
        for _, message, row in self.states():
            event = self.events.message(message)
            shown = [] if row is None else self.events.book(message, *row)
            # A level that comes into view stood there before the message took the better one: the other order would
            # show a side emptied and filled again, and so a false order-flow imbalance.
            into_view = [r for r in shown if r[_QTY] > 0 and r[_PRICE] != message.price]
            yield [*into_view, *event, *(r for r in shown if r not in into_view)]

    def states(self) -> Iterator[tuple[str, Message, Book | None]]:
        """Yield each message with its place and the venue's book after it, where the recording has one.

        Raises:
            FeedError: As :meth:`blocks`.
        """
        number, reached_ns = 0, self.start_ns - self.events.midnight_ns
        until_ns = self.end_ns - self.events.midnight_ns
        try:
            with ExitStack() as opened:
                name, lines, rows = _open(self._source, opened)
                books = name.replace("message", "orderbook")
                for number, line in enumerate(lines, 1):
                    message = parse_message(line, (name, number))
                    if not reached_ns <= message.ts_ns <= until_ns:
                        raise FeedError(
                            name, number, f"time {message.ts_ns} ns is not within {reached_ns} to {until_ns}"
                        )
                    reached_ns = message.ts_ns
                    self.messages += 1
                    row = None if rows is None else next(rows, None)
                    if rows is not None and row is None:
                        raise FeedError(name, number, "the orderbook file has fewer rows than there are messages")
                    yield f"{name}:{number}", message, None if row is None else parse_book(row, (books, number))
        except READ_ERRORS as error:
            raise FeedError(self._source, number + 1, f"cannot be read on ({error})") from error

    @property
    def symbols(self) -> dict[int, str]:
        """Instrument id → symbol."""
        return {self.instrument_id: self.symbol}

    @property
    def unknown(self) -> dict[str, int]:
        """What was not understood → how often."""
        return {f"message type {kind}": count for kind, count in self.events.unknown_types.items()}


def open_session(path: Path) -> LobsterSession:
    """Return the session in a zip file or a folder.

    Raises:
        FeedError: No message file with a LOBSTER name is there.
    """
    try:
        names = zipfile.ZipFile(path).namelist() if path.suffix == ".zip" else [p.name for p in path.glob("*.csv")]
    except READ_ERRORS as error:
        raise FeedError(path, 0, f"cannot be read ({error})") from error
    found = next((match for name in sorted(names) if (match := _NAME.search(name))), None)
    if found is None:
        raise FeedError(path, 0, "holds no file named SYMBOL_DATE_START_END_message_LEVELS.csv")
    symbol, date = found["symbol"], found["date"]
    try:
        midnight_ns = int(datetime.fromisoformat(date).replace(tzinfo=EXCHANGE).timestamp()) * NS_PER_S
    except (ValueError, OverflowError) as error:
        raise FeedError(path, 0, f"{date} is no date ({error})") from error
    start_ns = midnight_ns + int(found["start"] or 34_200_000) * NS_PER_MS
    end_ns = midnight_ns + int(found["end"] or 57_600_000) * NS_PER_MS
    start_ns, end_ns = session_span(path, start_ns, end_ns - 1)
    instrument_id = _KNOWN_IDS.get(symbol, _OTHER_IDS_FROM + crc32(symbol.encode()) % 1_000_000)
    return LobsterSession(
        symbol=symbol,
        instrument_id=instrument_id,
        channel_id=f"LOBSTER-{symbol}-{date}",
        start_ns=start_ns,
        end_ns=end_ns,
        events=LobsterEvents(instrument_id, midnight_ns),
        _source=path,
    )


def _open(path: Path, opened: ExitStack) -> tuple[str, Iterator[str], Iterator[str] | None]:
    """Return the name of the message file, its lines, and those of the orderbook file where there is one."""
    if path.suffix == ".zip":
        archive = opened.enter_context(zipfile.ZipFile(path))
        names = {
            name: (lambda name=name: io.TextIOWrapper(archive.open(name), encoding="ascii"))
            for name in archive.namelist()
        }
    else:
        names = {file.name: partial(file.open, encoding="ascii") for file in path.glob("*.csv")}  # type: ignore[misc]
    messages = next(name for name in sorted(names) if _NAME.search(name))
    books = messages.replace("message", "orderbook")
    lines: IO[str] = opened.enter_context(names[messages]())
    rows: IO[str] | None = opened.enter_context(names[books]()) if books in names else None
    return messages, iter(lines), iter(rows) if rows is not None else None
