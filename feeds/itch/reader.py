"""TotalView-ITCH file, plain or gzip → blocks. Streams: memory grows with the resting orders, not with the file.

The file is walked twice, first for its span alone: the last time stands at the end, and a gzip cannot be read from there.
"""

import gzip
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from feeds.blocks import EventBlock, FeedError, Row, blocks_of, session_span
from feeds.itch.messages import VENUE, Layout, split, time_bytes_of, time_of_day_ns
from feeds.itch.parse import ItchEvents
from schemas.units import NS_PER_S, PRICE_SCALE

CHUNK_BYTES: Final = 1 << 18
EXCHANGE: Final = ZoneInfo("America/New_York")
SIDE_HIDDEN_FROM: Final = date(2014, 7, 14)
"""Since then the venue writes B as the side of every trade against a hidden order."""

_GZIP: Final = b"\x1f\x8b"
_DATES: Final = ((re.compile(r"(\d{8})\.NASDAQ_ITCH50"), "%m%d%Y"), (re.compile(r"S(\d{6})-v50"), "%m%d%y"))


@dataclass(slots=True)
class ItchSession:
    """A day of the venue.

    Attributes:
        channel_id: ``ITCH-<date>``.
        start_ns: Last tick boundary at or before the first message, UTC.
        end_ns: First tick boundary after the last message, UTC.
        events: Translator, with live orders and what it counted.
        messages: Messages read so far.
    """

    channel_id: str
    start_ns: int
    end_ns: int
    events: ItchEvents
    _source: Path
    messages: int = 0

    @property
    def symbols(self) -> dict[int, str]:
        """Instrument id → symbol, for those named so far."""
        return self.events.symbols

    @property
    def unknown(self) -> dict[str, int]:
        """What was not understood → how often, so far."""
        return dict(self.events.unknown)

    def rows(self) -> Iterator[tuple[str, list[Row]]]:
        """Yield each message's type and events.

        Raises:
            FeedError: Broken framing, a message of the wrong size, a time that is none.
        """
        name = self._source.name
        for offset, message in split(_chunks(self._source), name):
            self.messages += 1
            yield chr(message[0]), self.events.message(message, (name, offset))

    def blocks(self) -> Iterator[EventBlock]:
        """Yield the events of the session.

        Raises:
            FeedError: As :meth:`rows`.
        """
        return blocks_of(rows for _, rows in self.rows())


def open_session(path: Path) -> ItchSession:
    """Return the session in a file.

    Its date comes from the file's name (``12302019.NASDAQ_ITCH50.gz``, ``S123019-v50.txt.gz``), or from ``source`` in
    ``<file>.meta.json``, which must also give ``tick_scale``, price units per dollar, for the form with 8-byte times.

    Raises:
        FeedError: Not such a file, no message, no date, or no price unit.
    """
    described = _described(path)
    day = _date_of(path, described)
    midnight_ns = int(datetime(day.year, day.month, day.day, tzinfo=EXCHANGE).timestamp()) * NS_PER_S
    time_bytes, first_ns, last_ns = _span(path)
    start_ns, end_ns = session_span(path, midnight_ns + first_ns, midnight_ns + last_ns)
    layout = VENUE if time_bytes == VENUE.time_bytes else Layout(time_bytes, _price_unit(path, described))
    return ItchSession(
        channel_id=f"ITCH-{day.isoformat()}",
        start_ns=start_ns,
        end_ns=end_ns,
        events=ItchEvents(midnight_ns, layout, trades_have_side=day < SIDE_HIDDEN_FROM),
        _source=path,
    )


def _span(path: Path) -> tuple[int, int, int]:
    """Return the bytes of a time, and the first and last time of day, ns."""
    time_bytes, first_ns, last_ns = 0, 0, 0
    for offset, message in split(_chunks(path), path.name):
        place = (path.name, offset)
        found = time_bytes_of(message, place)
        if found is None:
            continue
        if not time_bytes:
            time_bytes = found
            first_ns = time_of_day_ns(message, time_bytes, place)
        now_ns = time_of_day_ns(message, time_bytes, place)
        first_ns, last_ns = min(first_ns, now_ns), max(last_ns, now_ns)
    if not time_bytes:
        raise FeedError(path, 0, "holds no message")
    return time_bytes, first_ns, last_ns


def _chunks(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            packed = file.read(2) == _GZIP
        with gzip.open(path) if packed else path.open("rb") as stream:
            while chunk := stream.read(CHUNK_BYTES):
                yield chunk
    except (OSError, EOFError, zlib.error) as error:
        raise FeedError(path, 0, f"cannot be read: {error}") from error


def _described(path: Path) -> dict[str, Any]:
    described = path.with_name(path.name + ".meta.json")
    if not described.is_file():
        return {}
    try:
        found = json.loads(described.read_text())
    except ValueError as error:
        raise FeedError(described, 0, f"not JSON: {error}") from error
    return found if isinstance(found, dict) else {}


def _date_of(path: Path, described: dict[str, Any]) -> date:
    for name in (path.name, str(described.get("source", ""))):
        for pattern, form in _DATES:
            if found := pattern.search(name):
                try:
                    return datetime.strptime(found[1], form).replace(tzinfo=EXCHANGE).date()
                except ValueError as error:
                    raise FeedError(path, 0, f"no date in {name!r}: {error}") from error
    raise FeedError(path, 0, "neither the name nor a .meta.json tells the date (MMDDYYYY.NASDAQ_ITCH50)")


def _price_unit(path: Path, described: dict[str, Any]) -> int:
    scale = described.get("tick_scale")
    if not isinstance(scale, int) or scale <= 0 or PRICE_SCALE % scale:
        raise FeedError(path, 0, f"times of 8 bytes need a .meta.json with tick_scale, units per dollar; was {scale!r}")
    return PRICE_SCALE // scale
