"""Telling subscribers: ten times a second what changed, each alert, decision and command once.

States and ticks are newest values: a subscriber who is slow gets the newest when he is ready, and never a queue of old ones.
Events are all told; who is too slow for that is cut off, and resumes by id. Invariant: one subscriber never delays another, nor
the consumer. Rejected: a task per message (500 instruments at 10 Hz are 5,000 a second, and a person's eye takes ten).
"""

import asyncio
import contextlib
import json
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from api.live.journal import Entry, Journal
from api.live.rows import COLUMNS, row_of
from api.live.view import Event, LiveView
from schemas.errors import Place

PERIOD_S: Final = 0.1
KEEP_ALIVE_S: Final = 5.0
WAITING_MAX: Final = 10_000
EVENTS_AT_ONCE: Final = 500
"""Events of one flush: the past of a topic, read at the start, must not hold up requests."""
KINDS: Final = ("states", "alert", "decision", "command", "proposals", "health")


@dataclass(slots=True, eq=False)
class Subscriber:
    """One stream.

    Attributes:
        kinds: What he wants to hear.
        instrument_id: Of this instrument alone; ``None`` = of all.
        changed: Instruments whose newest row he has not got.
        events: Events that he has not got, as server-sent text.
        is_cut: He was too slow for the events.
    """

    kinds: frozenset[str]
    instrument_id: int | None
    changed: set[int] = field(default_factory=set)
    events: deque[str] = field(default_factory=deque)
    is_cut: bool = False
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    def wants(self, kind: str, instrument_id: int | None) -> bool:
        """Return whether he wants to hear of this."""
        return kind in self.kinds and self.instrument_id in {None, instrument_id}


class Hub:
    """The subscribers, what they are told, and the journal; lives on the event loop, except ``post`` and ``post_proposals``."""

    def __init__(self, view: LiveView, journal: Journal, health: Callable[[], dict[str, Any]]) -> None:
        self.view = view
        self.journal = journal
        self._health = health
        self._subscribers: set[Subscriber] = set()
        self._inbox: deque[tuple[Place, Event] | None] = deque()
        self._rows: dict[int, str] = {}
        self._was_valid: dict[int, bool] = {}
        self._beat_ns = 0

    def __len__(self) -> int:
        return len(self._subscribers)

    def post(self, place: Place, event: Event) -> None:
        """Hand over an event, from any thread."""
        self._inbox.append((place, event))

    def post_proposals(self) -> None:
        """Say that the proposals changed, from any thread."""
        self._inbox.append(None)

    async def run(self) -> None:
        """Tell what changed, until cancelled."""
        while True:
            self.flush(time.monotonic_ns())
            await asyncio.sleep(PERIOD_S)

    def flush(self, now_ns: int) -> None:
        """Hand every subscriber what came since the last time."""
        changed = set(self.view.changed()) | self._expired_or_back(now_ns)
        for instrument_id in changed:
            self._rows[instrument_id] = json.dumps(row_of(self.view, instrument_id, now_ns), separators=(",", ":"))
        told: list[tuple[str, int | None, str]] = []
        for _ in range(min(len(self._inbox), EVENTS_AT_ONCE)):
            found = self._inbox.popleft()
            if found is None:
                told.append(("proposals", None, "event: proposals\ndata: {}\n\n"))
                continue
            entry = self.journal.add(*found)
            told.append((entry.kind, entry.instrument_id, entry.text))
        if now_ns - self._beat_ns >= 1_000_000_000:
            self._beat_ns = now_ns
            told.append(("health", None, f"event: health\ndata: {json.dumps(self._health())}\n\n"))
        for subscriber in self._subscribers:
            self._tell(subscriber, changed, told)

    def subscribe(self, kinds: frozenset[str], instrument_id: int | None, missed: list[Entry]) -> Subscriber:
        """Add a subscriber who gets ``missed`` and every instrument's newest row first."""
        subscriber = Subscriber(kinds, instrument_id)
        subscriber.events.extend(entry.text for entry in missed if subscriber.wants(entry.kind, entry.instrument_id))
        subscriber.changed.update(i for i in self.view.instruments() if instrument_id in {None, i})
        subscriber.wake.set()
        self._subscribers.add(subscriber)
        return subscriber

    async def stream(self, subscriber: Subscriber, *, is_whole: bool) -> AsyncIterator[str]:
        """Yield server-sent text until the subscriber goes."""
        try:
            yield f"retry: 1000\nevent: columns\ndata: {json.dumps(COLUMNS)}\n\n"
            if not is_whole:
                yield "event: reset\ndata: {}\n\n"
            while not subscriber.is_cut:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(subscriber.wake.wait(), KEEP_ALIVE_S)
                yield self._next(subscriber) or ": alive\n\n"
        finally:
            self._subscribers.discard(subscriber)

    def _next(self, subscriber: Subscriber) -> str:
        subscriber.wake.clear()
        parts = []
        if subscriber.changed and "states" in subscriber.kinds:
            changed, subscriber.changed = subscriber.changed, set()
            now_ns = time.monotonic_ns()
            rows = ",".join(self._row(instrument_id, now_ns) for instrument_id in sorted(changed))
            parts.append(f'event: states\ndata: {{"market_ns":{self.view.market_ns()},"rows":[{rows}]}}\n\n')
        while subscriber.events:
            parts.append(subscriber.events.popleft())
        return "".join(parts)

    def _row(self, instrument_id: int, now_ns: int) -> str:
        found = self._rows.get(instrument_id)
        if found is None:
            found = json.dumps(row_of(self.view, instrument_id, now_ns), separators=(",", ":"))
            self._rows[instrument_id] = found
        return found

    def _tell(self, subscriber: Subscriber, changed: set[int], told: list[tuple[str, int | None, str]]) -> None:
        if subscriber.instrument_id is None:
            subscriber.changed |= changed
        elif subscriber.instrument_id in changed:
            subscriber.changed.add(subscriber.instrument_id)
        for kind, instrument_id, text in told:
            if subscriber.wants(kind, instrument_id) or (kind in {"health", "proposals"} and kind in subscriber.kinds):
                subscriber.events.append(text)
        subscriber.is_cut = subscriber.is_cut or len(subscriber.events) > WAITING_MAX
        if subscriber.changed or subscriber.events:
            subscriber.wake.set()

    def _expired_or_back(self, now_ns: int) -> set[int]:
        """Return the instruments whose state expired, or came back, since the last time."""
        found = set()
        for instrument_id in self.view.instruments():
            held = self.view.held(instrument_id)
            is_valid = held is not None and self.view.valid_for_ms(held, now_ns) > 0
            if self._was_valid.get(instrument_id) != is_valid:
                self._was_valid[instrument_id] = is_valid
                found.add(instrument_id)
        return found
