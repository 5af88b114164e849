"""The recorded formats by name: what `tidegate replay` and `tidegate verify book` take."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol, cast

from feeds.blocks import EventBlock

FORMATS: Final = {
    "binance": "feeds.binance.reader",
    "consolidated": "feeds.consolidated.reader",
    "databento": "feeds.databento.reader",
    "itch": "feeds.itch.reader",
    "lobster": "feeds.lobster.reader",
    "tape": "feeds.tape.reader",
}
"""Format → module with ``open_session(path)``; loaded when asked for."""


class RecordedSession(Protocol):
    """One channel of a recording, read as a stream."""

    channel_id: str
    start_ns: int
    """UTC, on a tick boundary, at or before the first event."""
    end_ns: int
    """UTC, on a tick boundary, at or after the last event."""
    messages: int
    """Messages of the recording read so far."""

    @property
    def symbols(self) -> dict[int, str]:
        """Instrument id → symbol."""

    @property
    def unknown(self) -> dict[str, int]:
        """What was not understood, or not followed → how often, so far."""

    def blocks(self) -> Iterator[EventBlock]:
        """Yield the events in time order.

        Raises:
            FeedError: Malformed input, with its place.
        """


def open_recording(form: str, path: Path) -> RecordedSession:
    """Return the recording at ``path``.

    Args:
        form: A key of ``FORMATS``.
        path: File or folder, as the format has it.

    Raises:
        FeedError: Nothing of this format is there.
    """
    return cast("RecordedSession", importlib.import_module(FORMATS[form]).open_session(path))
