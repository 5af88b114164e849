"""DBN file → blocks. Streams: memory grows with the resting orders, not with the file.

The file is read twice, first for its span and its instruments: the header gives the request's span, which can be days longer.
Definitions are taken from the definition files beside it, those of the same dataset and alive on the day: an MBO file has none.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from databento_dbn import InstrumentDefMsg, Metadata

from feeds.blocks import EventBlock, FeedError, Row, blocks_of, session_span
from feeds.databento.decode import records
from feeds.databento.parse import TIME_NS_MAX, DbnEvents, definition_of, time_of
from schemas.units import NS_PER_S

CHUNK_BYTES: Final = 1 << 14
SCHEMAS: Final = ("mbo", "mbp-1", "mbp-10", "trades", "definition")


@dataclass(slots=True)
class DbnSession:
    """One file.

    Attributes:
        channel_id: ``DBN-<dataset>-<schema>-<date>``; the schema is ``mixed`` in a file with several.
        start_ns: Last tick boundary at or before the first record, UTC.
        end_ns: First tick boundary after the last record, UTC.
        instrument_ids: Instruments that have records.
        symbols: Instrument id → the symbol it was asked for by, or that of its definition.
        metadata: The file's header.
        events: Translator, with what it counted.
        messages: Records read so far.
    """

    channel_id: str
    start_ns: int
    end_ns: int
    instrument_ids: frozenset[int]
    symbols: dict[int, str]
    metadata: Metadata
    events: DbnEvents
    _source: Path
    messages: int = 0

    @property
    def unknown(self) -> dict[str, int]:
        """What was not understood → how often, so far."""
        return {what: count for what, count in self.events.unknown.items() if count}

    def rows(self) -> Iterator[tuple[Any, list[Row]]]:
        """Yield each record and its events; last ``None`` and those that waited for more.

        Raises:
            FeedError: Damaged, or cut short.
        """
        for number, record in numbered(self._source):
            self.messages += 1
            yield record, self.events.record(record, (self._source.name, number))
        yield None, self.events.finish()

    def blocks(self) -> Iterator[EventBlock]:
        """Yield the events of the session.

        Raises:
            FeedError: As :meth:`rows`.
        """
        return blocks_of(rows for _, rows in self.rows())


def open_session(path: Path) -> DbnSession:
    """Return the session in a ``.dbn`` or ``.dbn.zst`` file.

    Raises:
        FeedError: Not DBN, of a schema without order book events, without records, or damaged.
    """
    metadata = metadata_of(path)
    schema = str(metadata.schema or "mixed")
    if schema not in (*SCHEMAS, "mixed"):
        raise FeedError(path, 0, f"schema {schema} has no events of a book, wanted one of {', '.join(SCHEMAS)}")
    first_ns, last_ns, instruments = _span(path)
    start_ns, end_ns = session_span(path, first_ns, last_ns)
    events = DbnEvents()
    _find_definitions(path, metadata, events, span=(first_ns, last_ns), instruments=instruments)
    day = datetime.fromtimestamp(first_ns // NS_PER_S, UTC).date().isoformat()
    named = {key: found.symbol for key, found in events.definitions.items()}
    return DbnSession(
        channel_id=f"DBN-{metadata.dataset}-{schema}-{day}",
        start_ns=start_ns,
        end_ns=end_ns,
        instrument_ids=frozenset(instruments),
        symbols=named | _symbols(metadata, instruments, (first_ns, last_ns)),
        metadata=metadata,
        events=events,
        _source=path,
    )


def metadata_of(path: Path) -> Metadata:
    """Return the header of a file.

    Raises:
        FeedError: It has none.
    """
    found = next(records(_chunks(path), path.name))
    if not isinstance(found, Metadata):
        raise FeedError(path, 0, "does not start with metadata")
    return found


def numbered(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield every record of a file with its number, from 1.

    Raises:
        FeedError: Damaged, or cut short.
    """
    for number, record in enumerate(records(_chunks(path), path.name)):
        if number:
            yield number, record


def _span(path: Path) -> tuple[int, int, set[int]]:
    """Return the first and last event time, ns, and the instruments."""
    first_ns, last_ns, instruments = TIME_NS_MAX, 0, set()
    for number, record in numbered(path):
        if hasattr(record, "instrument_id") and hasattr(record, "ts_recv"):
            ts = time_of(record, (path.name, number))
            first_ns, last_ns = min(first_ns, ts), max(last_ns, ts)
            instruments.add(record.instrument_id)
    if not instruments:
        raise FeedError(path, 0, "holds no record of an instrument")
    return first_ns, last_ns, instruments


def _find_definitions(
    path: Path, metadata: Metadata, events: DbnEvents, *, span: tuple[int, int], instruments: set[int]
) -> None:
    """Keep for each instrument the newest definition made before the first record, else the first made before the last."""
    made: dict[int, int] = {}
    for beside in sorted([*path.parent.glob("*.dbn"), *path.parent.glob("*.dbn.zst")]):
        try:
            if beside == path or str((head := metadata_of(beside)).schema) != "definition":
                continue
            if head.dataset != metadata.dataset:
                continue
            for number, record in numbered(beside):
                ts = _alive(record, span, (beside.name, number))
                if ts is None or record.instrument_id not in instruments:
                    continue
                if made.get(record.instrument_id, -1) < ts <= span[0] or record.instrument_id not in made:
                    made[record.instrument_id] = ts
                    events.definitions[record.instrument_id] = definition_of(record, (beside.name, number))
        except FeedError:
            events.unknown["file beside it that cannot be read"] += 1


def _alive(record: Any, span: tuple[int, int], place: tuple[str, int]) -> int | None:
    """Return when a definition that holds in the span was made."""
    if not isinstance(record, InstrumentDefMsg) or record.expiration <= span[0]:
        return None
    ts = time_of(record, place)
    return ts if ts <= span[1] else None


def _symbols(metadata: Metadata, instruments: set[int], span: tuple[int, int]) -> dict[int, str]:
    first, last = (datetime.fromtimestamp(ts // NS_PER_S, UTC).date() for ts in span)
    return {
        int(interval["symbol"]): symbol
        for symbol, intervals in metadata.mappings.items()
        for interval in intervals
        if interval["start_date"] <= last
        and first < interval["end_date"]
        and interval["symbol"].isdecimal()
        and int(interval["symbol"]) in instruments
    }


def _chunks(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(CHUNK_BYTES):
                yield chunk
    except OSError as error:
        raise FeedError(path, 0, f"cannot be read: {error}") from error
