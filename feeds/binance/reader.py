"""Binance files → blocks: a day's lines per file, plain or gzip. Streams; memory does not grow with the recording.

A recording goes on at midnight in the next file, and only its first file holds the snapshot, so a session is a run of
days: a file stands for itself and the days that follow it without a break beside it, a folder for the one run in it.
Rejected: a session per file (every later day would be stale from end to end).
"""

import gzip
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import BufferedIOBase
from pathlib import Path
from typing import Final
from zlib import crc32

from feeds.binance.parse import Message, Place, Recording, event_times_ns, parse_line, units_of
from feeds.binance.sequence import BinanceEvents
from feeds.blocks import EventBlock, FeedError, Row, blocks_of, session_span
from feeds.lines import lines_of
from schemas.units import NS_PER_S

LINE_BYTES_MAX: Final = 4 << 20
NO_SNAPSHOT: Final = "depthUpdate without any snapshot: the book is stale throughout"

_INSTRUMENTS: Final = Path(__file__).with_name("instruments.toml")
_NAME: Final = re.compile(
    r"(?P<market>spot|usdm)_(?P<symbol>[a-z0-9_]+)_(?P<date>[0-9]{8})(?:\.dat)?(?:\.gz)?", re.ASCII
)
_DAY: Final = timedelta(days=1)
_SLACK_NS: Final = 3600 * NS_PER_S
"""A file ends at midnight by the recorder's clock, which need not be the venue's."""
_OTHER_IDS_FROM: Final = 10_000

Series = tuple[str, str]
"""Market and symbol."""


@dataclass(slots=True)
class BinanceSession:
    """One instrument's run of days.

    Attributes:
        channel_id: ``BINANCE-<MARKET>-<SYMBOL>-<first date>``.
        start_ns: The tick boundary before the first event, UTC.
        end_ns: The tick boundary after the last event, UTC.
        symbols: Instrument id, from the checksum of market and symbol, → symbol.
        events: Translator, with what it counted.
        messages: Lines read so far.
    """

    channel_id: str
    start_ns: int
    end_ns: int
    symbols: dict[int, str]
    events: BinanceEvents
    _files: list[tuple[Path, Recording]] = field(repr=False)
    messages: int = 0

    @property
    def unknown(self) -> dict[str, int]:
        """What was not understood so far → how often; updates that no snapshot made a book of are said here too."""
        counts = self.events.counts
        if counts["updates"] and not counts["snapshots"]:
            return {**self.events.unknown, NO_SNAPSHOT: counts["updates"]}
        return dict(self.events.unknown)

    def steps(self) -> Iterator[tuple[Message | None, list[Row]]]:
        """Yield each message with its events, the opening (without a message) first. Starts anew at each call.

        Raises:
            FeedError: A malformed line, or a file that is cut short or damaged.
        """
        instrument_id = next(iter(self.symbols))
        self.events = BinanceEvents(instrument_id, self._files[0][1], self.start_ns)
        self.messages = 0
        yield None, self.events.opening()
        for path, recording in self._files:
            for place, line in _lines(path):
                message = parse_line(line, recording, place)
                self.messages += 1
                yield message, self.events.message(message)

    def blocks(self) -> Iterator[EventBlock]:
        """Yield the events of the session; raises what ``steps`` raises."""
        return blocks_of(rows for _, rows in self.steps())


def open_session(path: Path) -> BinanceSession:
    """Return the session that begins with a file, or the one in a folder.

    Files are named ``<spot|usdm>_<symbol>_<YYYYMMDD>[.dat][.gz]``.

    Raises:
        FeedError: No file of such a name, several instruments or a missing day in a folder, an instrument without tick
            and lot size, a damaged file, or no event with a time.
    """
    series, days = _run_of(path)
    tick_size, lot_size = _sizes(series, path)
    market, symbol = series
    files = []
    for date, file in days:
        midnight_ns = int(date.timestamp()) * NS_PER_S
        window = midnight_ns - _SLACK_NS, midnight_ns + int(_DAY.total_seconds()) * NS_PER_S + _SLACK_NS
        files.append((file, Recording(market, symbol.upper(), tick_size, lot_size, *window)))
    start_ns, end_ns = _span(files, path)
    instrument_id = _OTHER_IDS_FROM + crc32(f"binance {market} {symbol}".encode()) % 1_000_000
    return BinanceSession(
        channel_id=f"BINANCE-{market}-{symbol}-{days[0][0]:%Y-%m-%d}".upper(),
        start_ns=start_ns,
        end_ns=end_ns,
        symbols={instrument_id: symbol.upper()},
        events=BinanceEvents(instrument_id, files[0][1], start_ns),
        _files=files,
    )


def _run_of(path: Path) -> tuple[Series, list[tuple[datetime, Path]]]:
    """Return the instrument and its days in order."""
    folder = path if path.is_dir() else path.parent
    if not folder.is_dir():
        raise FeedError(path, 0, "is not there")
    found: dict[Series, dict[datetime, Path]] = {}
    for file in sorted(folder.iterdir()):
        named = _named(file)
        if named is None:
            continue
        series, date = named
        if found.setdefault(series, {}).setdefault(date, file) != file and (path.is_dir() or file == path):
            raise FeedError(file, 0, f"a second file of the day of {found[series][date].name}")
    if path.is_dir():
        if len(found) != 1:
            held = ", ".join(" ".join(series) for series in found) or "none"
            raise FeedError(path, 0, f"must hold the recordings of one instrument, holds: {held}")
        series, first = next((series, min(days)) for series, days in found.items())
    else:
        named = _named(path)
        if named is None or path not in found.get(named[0], {}).values():
            raise FeedError(path, 0, "is no file named <spot|usdm>_<symbol>_<YYYYMMDD>[.dat][.gz]")
        series, first = named
    days = found[series]
    run = [(first, days[first])]
    while (date := run[-1][0] + _DAY) in days:
        run.append((date, days[date]))
    if path.is_dir() and len(run) < len(days):
        raise FeedError(path, 0, f"the day after {run[-1][1].name} is missing: name the first file of the run to read")
    return series, run


def _named(file: Path) -> tuple[Series, datetime] | None:
    match = _NAME.fullmatch(file.name)
    if match is None or not file.is_file():
        return None
    try:
        date = datetime.strptime(match["date"], "%Y%m%d").replace(tzinfo=UTC)
    except ValueError:
        return None
    return (match["market"], match["symbol"]), date


def _sizes(series: Series, path: Path) -> tuple[int, int]:
    for entry in tomllib.loads(_INSTRUMENTS.read_text())["instruments"]:
        if (entry["market"], entry["symbol"].lower()) == series:
            place = _INSTRUMENTS, 0
            return units_of(entry["tick_size"], place), units_of(entry["lot_size"], place)
    raise FeedError(path, 0, f"tick and lot size of {' '.join(series)} are not in {_INSTRUMENTS.name}")


def _span(files: list[tuple[Path, Recording]], path: Path) -> tuple[int, int]:
    """Return the tick boundaries around all events: the first time of the first file, the largest of the last."""
    starts = (next(event_times_ns(_lines(file), recording), None) for file, recording in files)
    start_ns = next((ts for ts in starts if ts is not None), None)
    ends = (max(event_times_ns(_lines(file), recording), default=None) for file, recording in reversed(files))
    end_ns = next((ts for ts in ends if ts is not None), None)
    if start_ns is None or end_ns is None:
        raise FeedError(path, 0, "no event with a time")
    return session_span(path, start_ns, end_ns)


def _lines(path: Path) -> Iterator[tuple[Place, bytes]]:
    return lines_of(path, _open, LINE_BYTES_MAX)


def _open(path: Path) -> BufferedIOBase:
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")
