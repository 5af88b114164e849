"""A tape of trades → blocks: one instrument's day of one file. Streams; memory does not grow with the file.

A tape has no book: its instrument is stale from the first tick to the last, so the gate holds the stale column, and the features
that need a book are null. Event time is the venue's; a trade that comes late takes the time that its channel has reached, and is
counted. Rejected: quotes made up around trades (a depth through a crash that nobody recorded).
"""

import gzip
import io
import re
import tomllib
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BufferedIOBase
from pathlib import Path
from typing import Final, cast
from zlib import crc32

from feeds.blocks import EventBlock, FeedError, Row, blocks_of, session_span
from feeds.lines import Place, lines_of
from feeds.tape.parse import TRADES_HEADER, Trade, nano_of, parse_aggregate, parse_trade
from schemas.events import Kind, Side
from schemas.frames import NUMBER_MAX
from schemas.units import NS_PER_S

LINE_BYTES_MAX: Final = 512
DAY_NS: Final = 24 * 3600 * NS_PER_S
SLACK_NS: Final = 3600 * NS_PER_S
"""A recorder cuts its files at midnight by its own clock."""

_INSTRUMENTS: Final = Path(__file__).with_name("instruments.toml")
_TRADES: Final = re.compile(
    r"(?P<venue>[a-z][a-z-]*)_trades_(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})_(?P<symbol>[A-Z0-9_-]+)\.csv(?:\.gz)?",
    re.ASCII,
)
_AGGREGATES: Final = re.compile(
    r"(?P<symbol>[A-Z0-9]+)-aggTrades-(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})\.(?:zip|csv)", re.ASCII
)
_OTHER_IDS_FROM: Final = 10_000
LATE: Final = "trades later than the one above"


@dataclass(slots=True)
class TapeSession:
    """One instrument's day.

    Attributes:
        channel_id: ``TAPE-<VENUE>-<SYMBOL>-<date>``.
        start_ns: Midnight, UTC.
        end_ns: The next one.
        symbols: Instrument id, from the checksum of venue and symbol, → symbol.
        tick_size: 1e-9 currency.
        lot_size: 1e-9 units.
        counts: What was out of the ordinary → how often.
        messages: Lines read so far.
    """

    channel_id: str
    start_ns: int
    end_ns: int
    symbols: dict[int, str]
    tick_size: int
    lot_size: int
    _path: Path = field(repr=False)
    _venue: str = ""
    _aggregated: bool = False
    counts: Counter[str] = field(default_factory=Counter)
    messages: int = 0

    @property
    def unknown(self) -> dict[str, int]:
        """Trades that were left out: without price or amount."""
        return {name: count for name, count in self.counts.items() if name != LATE}

    def blocks(self) -> Iterator[EventBlock]:
        """Yield the events of the day.

        Raises:
            FeedError: A malformed line, a time outside the day, a price or amount that is not whole ticks or lots.
        """
        return blocks_of(self._rows())

    def _rows(self) -> Iterator[list[Row]]:
        self.counts, self.messages = Counter(), 0
        instrument_id, symbol = next(iter(self.symbols.items()))
        reached_ns = self.start_ns
        yield [
            (reached_ns, instrument_id, Kind.DEFINE, Side.NONE, 0, self.tick_size, self.lot_size),
            (reached_ns, instrument_id, Kind.SNAPSHOT_BEGIN, Side.NONE, 0, 0, 0),
        ]
        for place, line in lines_of(self._path, _open, LINE_BYTES_MAX):
            if place[1] == 1 and self._is_header(line, place):
                continue
            self.messages += 1
            told = (self._venue, symbol)
            trade = parse_aggregate(line, place) if self._aggregated else parse_trade(line, place, told)
            reached_ns = self._time(trade, reached_ns, place)
            if row := self._row(trade, reached_ns, place):
                yield [(*row[:1], instrument_id, *row[1:])]

    def _row(self, trade: Trade, ts_ns: int, place: Place) -> tuple[int, int, int, int, int, int] | None:
        if not trade.price or not trade.qty:
            self.counts["trade without price or amount"] += 1
            return None
        lots, rest = divmod(trade.qty, self.lot_size)
        if rest or trade.price % self.tick_size or max(trade.price, lots) > NUMBER_MAX:
            raise FeedError(*place, f"price {trade.price}e-9 or amount {trade.qty}e-9 is not whole ticks and lots")
        return ts_ns, Kind.TRADE, trade.side, 0, trade.price, lots

    def _time(self, trade: Trade, reached_ns: int, place: Place) -> int:
        if not self.start_ns - SLACK_NS <= trade.ts_ns < self.end_ns + SLACK_NS:
            raise FeedError(*place, f"time {trade.ts_ns} ns is not of the file's day")
        self.counts[LATE] += trade.ts_ns < reached_ns
        return min(max(trade.ts_ns, reached_ns), self.end_ns - 1)

    def _is_header(self, line: bytes, place: Place) -> bool:
        if self._aggregated:
            return not line[:1].isdigit()
        if line.strip() != TRADES_HEADER:
            raise FeedError(*place, f"the first line is not {TRADES_HEADER.decode()}")
        return True


def open_session(path: Path) -> TapeSession:
    """Return the session of a file named ``<venue>_trades_<date>_<SYMBOL>.csv[.gz]`` or ``<SYMBOL>-aggTrades-<date>.zip``.

    Raises:
        FeedError: No such file, another name, a date that is none, or an instrument without tick and lot size.
    """
    trades, aggregated = _TRADES.fullmatch(path.name), _AGGREGATES.fullmatch(path.name)
    named = trades or aggregated
    if named is None or not path.is_file():
        raise FeedError(
            path, 0, "is no file named <venue>_trades_<date>_<SYMBOL>.csv[.gz] or <SYMBOL>-aggTrades-<date>.zip"
        )
    venue, symbol = (named["venue"] if trades else "binance"), named["symbol"]
    tick_size, lot_size = _sizes(venue, symbol, path)
    try:
        midnight_ns = int(datetime.fromisoformat(named["date"]).replace(tzinfo=UTC).timestamp()) * NS_PER_S
    except ValueError as error:
        raise FeedError(path, 0, f"{named['date']} is no date ({error})") from error
    start_ns, end_ns = session_span(path, midnight_ns, midnight_ns + DAY_NS - 1)
    instrument_id = _OTHER_IDS_FROM + crc32(f"tape {venue} {symbol}".encode()) % 1_000_000
    return TapeSession(
        channel_id=f"TAPE-{venue}-{symbol}-{named['date']}".upper(),
        start_ns=start_ns,
        end_ns=end_ns,
        symbols={instrument_id: symbol},
        tick_size=tick_size,
        lot_size=lot_size,
        _path=path,
        _venue=venue,
        _aggregated=trades is None,
    )


def _sizes(venue: str, symbol: str, path: Path) -> tuple[int, int]:
    for entry in tomllib.loads(_INSTRUMENTS.read_text())["instruments"]:
        if (entry["venue"], entry["symbol"]) == (venue, symbol):
            tick, lot = (nano_of(entry[name].encode(), (_INSTRUMENTS, 0)) for name in ("tick_size", "lot_size"))
            return tick, lot
    raise FeedError(path, 0, f"tick and lot size of {venue} {symbol} are not in {_INSTRUMENTS.name}")


def _open(path: Path) -> BufferedIOBase:
    if path.suffix == ".gz":
        return gzip.open(path)
    if path.suffix != ".zip":
        return path.open("rb")
    archive = zipfile.ZipFile(path)
    names = archive.namelist()
    if len(names) != 1:
        raise zipfile.BadZipFile(f"holds {len(names)} files, wanted one")
    return io.BufferedReader(cast("io.RawIOBase", archive.open(names[0])))
