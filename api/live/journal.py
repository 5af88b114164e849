"""Alerts, decisions and commands in order of arrival, so that a subscriber who comes back hears what he missed.

An event's id is how far every partition had been read: ``a0.17_c0.4_d0.93``. It means the same after a restart of the API, for
offsets are the broker's. Invariant: whoever resumes gets every later event of the topics once, or is told that some are gone
(``reset``), never a silent hole. Rejected: a counter of this process (an id of before a restart would mean another event).
"""

import json
import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from schemas import codec, topics
from schemas.errors import Place
from schemas.orders import OrderDecision
from schemas.records import RiskAlert, RiskCommand

CODES: Final = {topics.RISK_ALERTS: "a", topics.RISK_COMMANDS: "c", topics.ORDERS_DECISIONS: "d"}
KINDS: Final = {topics.RISK_ALERTS: "alert", topics.RISK_COMMANDS: "command", topics.ORDERS_DECISIONS: "decision"}
_ID: Final = re.compile(r"[acd]\d{1,6}\.\d{1,19}(_[acd]\d{1,6}\.\d{1,19})*")

Positions = dict[str, int]
"""Partition (``a0``) → last offset seen."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One event.

    Attributes:
        event_id: How far every partition had been read with it.
        kind: ``alert``, ``decision`` or ``command``.
        instrument_id: Instrument that it is about; ``None`` = none alone.
        partition: Its own partition, ``a0``.
        offset: Its own offset.
        text: The event as server-sent text.
    """

    event_id: str
    kind: str
    instrument_id: int | None
    partition: str
    offset: int
    text: str


class BadEventIdError(ValueError):
    """A Last-Event-ID that is none of ours."""


class Journal:
    """The newest ``size`` events."""

    def __init__(self, size: int) -> None:
        self._entries: deque[Entry] = deque()
        self._size = size
        self._seen: Positions = {}
        self._gone: Positions = {}

    @property
    def last_id(self) -> str:
        """Id of the newest event; empty = none yet."""
        return _id_of(self._seen)

    def begin(self, topic: str, partition: int, offset: int) -> None:
        """Note that a partition is read from ``offset`` on: what was before it is gone for subscribers."""
        self._gone[f"{CODES[topic]}{partition}"] = offset - 1
        self._seen.setdefault(f"{CODES[topic]}{partition}", offset - 1)

    def add(self, place: Place, event: RiskAlert | OrderDecision | RiskCommand) -> Entry:
        """Keep an event and return it."""
        partition = f"{CODES[place.topic]}{place.partition}"
        self._seen[partition] = place.offset
        event_id = _id_of(self._seen)
        kind = KINDS[place.topic]
        text = f"id: {event_id}\nevent: {kind}\ndata: {json.dumps(codec.to_plain(event))}\n\n"
        entry = Entry(event_id, kind, instrument_of(event), partition, place.offset, text)
        self._entries.append(entry)
        if len(self._entries) > self._size:
            old = self._entries.popleft()
            self._gone[old.partition] = max(old.offset, self._gone.get(old.partition, -1))
        return entry

    def newest(self, count: int, kinds: frozenset[str]) -> list[Entry]:
        """Return the newest events of each kind, oldest of them first: many of one kind never push the others out."""
        left = dict.fromkeys(kinds, count)
        found = []
        for entry in reversed(self._entries):
            if left.get(entry.kind, 0) > 0:
                left[entry.kind] -= 1
                found.append(entry)
        return found[::-1]

    def since(self, event_id: str) -> tuple[list[Entry], bool]:
        """Return what came after an event, and whether that is all of it.

        Raises:
            BadEventIdError: ``event_id`` is none of ours.
        """
        seen = positions_of(event_id)
        whole = all(seen.get(partition, -1) >= gone for partition, gone in self._gone.items())
        return [entry for entry in self._entries if entry.offset > seen.get(entry.partition, -1)], whole


def positions_of(event_id: str) -> Positions:
    """Return what an event id says.

    Raises:
        BadEventIdError: It is none of ours.
    """
    if not _ID.fullmatch(event_id):
        raise BadEventIdError(f"Last-Event-ID was {event_id[:60]!r}, which this service never gave")
    pairs: Iterable[list[str]] = (part.split(".") for part in event_id.split("_"))
    return {partition: int(offset) for partition, offset in pairs}


def instrument_of(event: Any) -> int | None:
    """Return the instrument that an event is about."""
    if isinstance(event, RiskCommand):
        kind, _, name = event.scope.partition(":")
        return int(name) if kind == "instrument" and name.isdecimal() else event.instrument_id
    found: int = event.instrument_id
    return found


def _id_of(seen: Positions) -> str:
    return "_".join(f"{partition}.{offset}" for partition, offset in sorted(seen.items()) if offset >= 0)
