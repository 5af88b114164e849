"""The signals of a replay: files named on the command line, as one stream for one channel."""

import heapq
from collections.abc import Iterator, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

from feeds.formats import RecordedSession
from feeds.signals.reader import HeadlineFile, SignalFile, open_signals
from schemas.signals import Signal


class SubjectError(ValueError):
    """A subject of headlines that leads to no instrument; the text says why."""


class SignalFiles:
    """Files of headlines and own orders, merged by time; of equal times, the file named first comes first."""

    def __init__(self, paths: Sequence[Path], subjects: Sequence[str], session: RecordedSession) -> None:
        """Look at the first line of every file.

        Args:
            paths: Files, as ``feeds.signals.reader`` has them.
            subjects: ``SUBJECT=SYMBOL`` or ``SUBJECT=INSTRUMENT_ID``; a subject may be named for several instruments.
            session: Whose symbols are meant.

        Raises:
            SubjectError: Not of that form, no such symbol, or headlines and no subject at all.
            FeedError: A file cannot be read.
        """
        self._subjects = _instruments_of(subjects, session.symbols)
        self._files: list[SignalFile] = [open_signals(path, self._subjects) for path in paths]
        for file in self._files:
            if isinstance(file, HeadlineFile) and not self._subjects:
                raise SubjectError(f"{file.path} holds headlines: say which instrument a subject concerns (--subject)")

    def signals(self) -> Iterator[Signal]:
        """Yield the signals of all files in time order."""
        return heapq.merge(*(file.signals() for file in self._files), key=attrgetter("ts_event_ns"))

    def report(self) -> dict[str, Any]:
        """Return file → what was read of it, and what concerned no instrument."""
        return {
            str(file.path): {
                "messages": file.messages,
                "unknown": dict(file.unknown) if isinstance(file, HeadlineFile) else {},
            }
            for file in self._files
        }


def _instruments_of(subjects: Sequence[str], symbols: dict[int, str]) -> dict[str, tuple[int, ...]]:
    ids = {symbol: key for key, symbol in symbols.items()} | {str(key): key for key in symbols}
    found: dict[str, tuple[int, ...]] = {}
    for text in subjects:
        subject, equals, name = text.partition("=")
        if not subject or not equals:
            raise SubjectError(f"{text!r} is not SUBJECT=SYMBOL")
        if name not in ids:
            raise SubjectError(f"{text!r}: the recording has no {name!r}, but {', '.join(sorted(symbols.values()))}")
        found[subject] = (*found.get(subject, ()), ids[name])
    return found
