"""Lean tick files → blocks. Streams: files of one day are merged by time, memory does not grow with them.

A channel is one instrument's day where the path is a file (its trades or its quotes: the other file of the day beside it is
read too), and everything in a folder where the path is one: all instruments, day after day. At one millisecond trades come
before quotes, see ``feeds.consolidated.trades``. Each day begins with an empty book; an instrument without quotes has no book
and stays stale. A quote file that begins in the middle of a day lacks the exchanges that have not quoted since.
"""

import heapq
import re
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from io import BufferedIOBase
from operator import itemgetter
from pathlib import Path
from typing import Final, cast
from zlib import crc32
from zoneinfo import ZoneInfo

from feeds.blocks import EventBlock, FeedError, Row, blocks_of, session_span
from feeds.consolidated.nbbo import Nbbo, QuoteKind, kind_of
from feeds.consolidated.parse import TICK_SIZE, Place, Quote, Trade, parse_quote, parse_trade
from feeds.consolidated.trades import NO_TRADE, TradeSides
from feeds.lines import lines_of
from schemas.events import Kind, Side
from schemas.units import NS_PER_S, PRICE_SCALE, TICK_NS

LINE_BYTES_MAX: Final = 1024
EXCHANGE: Final = ZoneInfo("America/New_York")

_NAME: Final = re.compile(r"(?P<symbol>[a-z][a-z.-]*)_(?P<date>[0-9]{8})_(?P<what>trade|quote)\.(?:zip|csv)", re.ASCII)
_OTHER_IDS_FROM: Final = 10_000

Message = Quote | Trade
Step = tuple[Place, int, Message | None, list[Row]]
"""Place, instrument, message (none for an opening) and its events."""


@dataclass(frozen=True, slots=True)
class TickFile:
    """One file: an instrument's quotes or trades of a day."""

    path: Path
    symbol: str
    date: str
    is_quotes: bool

    @property
    def midnight_ns(self) -> int:
        """UTC time of New York's midnight, ns."""
        day = datetime.strptime(self.date, "%Y%m%d").replace(tzinfo=EXCHANGE)
        return int(day.timestamp()) * NS_PER_S

    def messages(self) -> Iterator[tuple[int, Place, Message]]:
        """Yield each line's time after midnight, place and message.

        Raises:
            FeedError: A malformed line, a time before the one above it, or a file that cannot be read.
        """
        last_ns = 0
        for place, line in _lines(self.path):
            message = self.parse(line, place)
            if message.ts_ns < last_ns:
                raise FeedError(*place, f"time goes back: {message.ts_ns} ns after {last_ns} ns")
            last_ns = message.ts_ns
            yield last_ns, place, message

    def parse(self, line: bytes, place: Place) -> Message:
        """Return the message in a line of this file."""
        return parse_quote(line, place) if self.is_quotes else parse_trade(line, place)


@dataclass(slots=True)
class InstrumentDay:
    """What is followed of one instrument through one day."""

    instrument_id: int
    sides: TradeSides
    nbbo: Nbbo | None = None


@dataclass(slots=True)
class ConsolidatedSession:
    """One channel.

    Attributes:
        channel_id: ``CONSOLIDATED-<symbol>-<date>`` for a file, ``CONSOLIDATED-<first date>`` for a folder.
        start_ns: The tick boundary before the first event, UTC.
        end_ns: The tick boundary after the last event, UTC.
        symbols: Instrument id, from the checksum of the symbol, → symbol.
        kinds: Quote file → what its lines say, known once its day has begun.
        books: Instrument id → what is followed of it on the day that is being read.
        counts: What was out of the ordinary, and how trades got their side → how often.
        messages: Lines read so far.
    """

    channel_id: str
    start_ns: int
    end_ns: int
    symbols: dict[int, str]
    _files: list[TickFile] = field(repr=False)
    kinds: dict[str, QuoteKind] = field(default_factory=dict)
    books: dict[int, InstrumentDay] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    messages: int = 0
    _unknown: Counter[str] = field(default_factory=Counter)

    @property
    def unknown(self) -> dict[str, int]:
        """What was not understood → how often, so far."""
        return dict(+self._unknown)

    def steps(self) -> Iterator[Step]:
        """Yield each message with its events; an instrument's opening has none. Starts anew at each call.

        Raises:
            FeedError: A malformed line, a time that goes back, or a file that cannot be read.
        """
        self.kinds, self.counts, self._unknown, self.messages = {}, Counter(), Counter(), 0
        for number, date in enumerate(sorted({file.date for file in self._files})):
            files = sorted(
                (file for file in self._files if file.date == date), key=lambda file: (file.is_quotes, file.symbol)
            )
            yield from self._opening(files, first=number == 0)
            yield from self._day(files)

    def blocks(self) -> Iterator[EventBlock]:
        """Yield the events of the session; raises what ``steps`` raises."""
        return blocks_of(rows for _, _, _, rows in self.steps())

    def _opening(self, files: list[TickFile], *, first: bool) -> Iterator[Step]:
        """Begin a day: all instruments are defined once, and their books begin empty, or stale where there are no quotes."""
        start_ns = _first_ns(files) // TICK_NS * TICK_NS
        self.books = {key: InstrumentDay(key, TradeSides(self.counts)) for key in self.symbols}
        for file in files:
            if file.is_quotes:
                kind = kind_of(cast("Quote", message) for _, _, message in file.messages())
                self.kinds[file.path.name] = kind
                self.books[_id_of(file.symbol)].nbbo = Nbbo(kind, self.counts, self._unknown)
        place = files[0].path, 0
        for key, book in self.books.items():
            whole = Kind.SNAPSHOT_BEGIN if book.nbbo is None else Kind.CLEAR
            rows: list[Row] = [(start_ns, key, Kind.DEFINE, Side.NONE, 0, TICK_SIZE, PRICE_SCALE)] if first else []
            yield place, key, None, [*rows, (start_ns, key, whole, Side.NONE, 0, 0, 0)]

    def _day(self, files: list[TickFile]) -> Iterator[Step]:
        midnight_ns = files[0].midnight_ns
        streams = (_of_book(file.messages(), self.books[_id_of(file.symbol)]) for file in files)
        for ts_ns, place, message, book in heapq.merge(*streams, key=itemgetter(0)):
            self.messages += 1
            ts = midnight_ns + ts_ns
            if isinstance(message, Trade):
                rows = self._trade(ts, message, book)
            else:
                changes = book.nbbo.quote(message) if book.nbbo is not None else []
                rows = [(ts, book.instrument_id, Kind.LEVEL_SET, side, 0, price, qty) for side, price, qty in changes]
            yield place, book.instrument_id, message, rows

    def _trade(self, ts: int, trade: Trade, book: InstrumentDay) -> list[Row]:
        self.counts["suspicious trades"] += trade.suspicious
        if trade.condition & NO_TRADE:
            self.counts["official values left out"] += 1
            return []
        if not trade.price or not trade.size:
            self._unknown["trade without price or size"] += 1
            return []
        bid, ask = (book.nbbo.bid, book.nbbo.ask) if book.nbbo else ((0, 0), (0, 0))
        side = book.sides.side_of(trade, bid[0], ask[0])
        return [(ts, book.instrument_id, Kind.TRADE, side, 0, trade.price, trade.size)]


def open_session(path: Path) -> ConsolidatedSession:
    """Return the channel of a file, with the other file of its instrument and day, or of a folder.

    Files are named ``<symbol>_<YYYYMMDD>_<trade|quote>.<zip|csv>``, a zip holding one csv.

    Raises:
        FeedError: No file of such a name, two files for the same, two symbols of one instrument id, or no line at all.
    """
    files = _files_of(path)
    symbols: dict[int, str] = {}
    for file in files:
        if symbols.setdefault(_id_of(file.symbol), file.symbol.upper()) != file.symbol.upper():
            raise FeedError(file.path, 0, f"has the instrument id of {symbols[_id_of(file.symbol)]}")
    dates = sorted({file.date for file in files})
    first, last = ([file for file in files if file.date == date] for date in (dates[0], dates[-1]))
    day = f"{dates[0][:4]}-{dates[0][4:6]}-{dates[0][6:]}"
    name = day if path.is_dir() else f"{files[0].symbol.upper()}-{day}"
    start_ns, end_ns = session_span(path, _first_ns(first), max(_last_ns(file) for file in last))
    return ConsolidatedSession(
        channel_id=f"CONSOLIDATED-{name}",
        start_ns=start_ns,
        end_ns=end_ns,
        symbols=symbols,
        _files=files,
    )


def _files_of(path: Path) -> list[TickFile]:
    folder = path if path.is_dir() else path.parent
    if not folder.is_dir():
        raise FeedError(path, 0, "is not there")
    found: dict[tuple[str, str, bool], TickFile] = {}
    named = _named(path)
    for entry in sorted(folder.iterdir()):
        file = _named(entry)
        if file is None or (
            not path.is_dir() and (named is None or (file.symbol, file.date) != (named.symbol, named.date))
        ):
            continue
        if found.setdefault((file.symbol, file.date, file.is_quotes), file) is not file:
            raise FeedError(entry, 0, "a second file of the same instrument and day")
    if not found or (not path.is_dir() and not path.is_file()):
        raise FeedError(path, 0, "neither is nor holds a file named <symbol>_<YYYYMMDD>_<trade|quote>.<zip|csv>")
    return list(found.values())


def _named(path: Path) -> TickFile | None:
    match = _NAME.fullmatch(path.name)
    if match is None or not path.is_file():
        return None
    file = TickFile(path, match["symbol"], match["date"], match["what"] == "quote")
    try:
        return file if file.midnight_ns >= 0 else None
    except ValueError:
        return None


def _id_of(symbol: str) -> int:
    return _OTHER_IDS_FROM + crc32(f"consolidated {symbol}".encode()) % 1_000_000


def _of_book(
    messages: Iterator[tuple[int, Place, Message]], book: InstrumentDay
) -> Iterator[tuple[int, Place, Message, InstrumentDay]]:
    for ts_ns, place, message in messages:
        yield ts_ns, place, message, book


def _first_ns(files: list[TickFile]) -> int:
    """Return the UTC time of the first line of one day's files."""
    firsts = (next(file.messages(), None) for file in files)
    times = [first[0] for first in firsts if first is not None]
    if not times:
        raise FeedError(files[0].path, 0, "holds no line")
    return files[0].midnight_ns + min(times)


def _last_ns(file: TickFile) -> int:
    """Return the UTC time of the last line, of midnight when there is none."""
    last = None
    for last in _lines(file.path):  # noqa: B007 - the last one is what is asked for
        continue
    return file.midnight_ns + (file.parse(last[1], last[0]).ts_ns if last else 0)


def _lines(path: Path) -> Iterator[tuple[Place, bytes]]:
    return lines_of(path, _open, LINE_BYTES_MAX)


def _open(path: Path) -> BufferedIOBase:
    if path.suffix == ".csv":
        return path.open("rb")
    archive = zipfile.ZipFile(path)
    names = archive.namelist()
    if len(names) != 1:
        archive.close()
        raise FeedError(path, 0, f"a zip holds one csv, this one {len(names)} files")
    return cast("BufferedIOBase", archive.open(names[0]))
