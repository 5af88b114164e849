"""The first step of `score_risk`: tick messages in, viewed ticks out, by the model in force; a switch of models happens here.

A ``LOAD_MODEL`` command of two people names a folder. Its scaling runs beside the one in force from the tick at which the
command is known; the switch comes at the first tick at or after ``ts_ns`` at which it has run for ``SHADOW_TICKS``, so no
instrument is without a state in between. From that tick on the messages name the new model, and the steps after this one
follow them: one boundary for all, and scores of the old model drain by themselves. Invariant: state, messages and commands
given with them determine every byte that leaves. A row that breaks a law of the data (``quality.stream``) is not
learned from: it goes on as stale, so the gate closes, and leaves whole as a dead letter. Rejected: each step switching by
itself at the command's time (their clocks are ticks in flight).
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from features.spec import FEATURE_NAMES, SPEC_HASH
from jobs.machines.keeping import SNAPSHOT_MESSAGES, Kept, pack, unpack
from jobs.machines.letters import Message, dead_letter
from jobs.machines.model_changes import ModelChanges, Served, Switch
from models.alerting import SOURCE
from models.detectors.views import VIEWED_NAMES
from models.folder import ModelShelf
from models.model_files import ModelError
from models.viewed import encode_viewed
from models.viewing import ChannelViews, rows_of
from quality.stream import CAUSE, RowRanges
from schemas import codec, topics
from schemas.codec import Registry
from schemas.errors import MessageError, Place
from schemas.events import TickStatus
from schemas.people import fault_of_expiry, fault_of_two, message_key
from schemas.records import CommandKind, RiskCommand
from schemas.ticks import Ticks, decode_ticks, encode_ticks

SHADOW_TICKS: Final = 610
"""Ticks that a new model's scaling runs beside the old one's: a minute for slow views, and a window."""

_RANGES: Final = RowRanges(FEATURE_NAMES, VIEWED_NAMES)


@dataclass(frozen=True, slots=True)
class Scaled:
    """Encoded messages, and what must be kept."""

    viewed: list[bytes] = field(default_factory=list)
    alerts: list[Message] = field(default_factory=list)
    events: list[Message] = field(default_factory=list)
    letters: list[Message] = field(default_factory=list)
    kept: Kept = field(default_factory=Kept)


@dataclass(slots=True)
class _Next:
    """A model on its way."""

    word: Switch
    from_ns: int
    model_epoch: int
    views: ChannelViews
    ticks: int = 0


@dataclass(slots=True)
class _State:
    """What is known of models in force and commands."""

    last_tick_ns: int = -1
    model_epoch: int = 0
    handled: set[str] = field(default_factory=set)


class TickScaling:
    """One channel.

    Args:
        shelf: Where models are.
        epoch: Deployment epoch, for alerts.
        snapshot: What was kept last.
        entries: What was kept since, in order.
    """

    def __init__(
        self,
        shelf: ModelShelf,
        *,
        epoch: int,
        snapshot: bytes | None = None,
        entries: Iterable[bytes] = (),
        registry: Registry | None = None,
    ) -> None:
        self._shelf, self._epoch, self._registry = shelf, epoch, registry
        self._views = ChannelViews(shelf(shelf.first), shelf.first)
        self._next: _Next | None = None
        self._known = _State()
        self._since = 0
        if snapshot is not None:
            self._load(snapshot)
        for entry in entries:
            raw, *commands = unpack(entry)
            self._take(raw, [_command(one, registry) for one in commands], [])
            self._since += 1

    def apply(self, raw: bytes, place: Place, commands: Iterable[RiskCommand] = ()) -> Scaled:
        """Take one message of ticks.

        Args:
            raw: The message.
            place: Where it came from.
            commands: Every ``LOAD_MODEL`` known so far, in any order.
        """
        new = [one for one in commands if message_key(one) not in self._known.handled]
        bad: list[tuple[bytes, str]] = []
        try:
            viewed, changes = self._take(raw, new, bad)
        except MessageError as error:
            return Scaled(letters=[dead_letter(error, raw, place, source=SOURCE, registry=self._registry)])
        self._since += 1
        if self._since >= SNAPSHOT_MESSAGES:
            self._since, kept = 0, Kept(snapshot=self._to_bytes())
        else:
            entry = [raw, *(codec.encode(topics.RISK_COMMANDS, one) for one in new)]
            kept = Kept(entry=pack(entry))
        alerts = [(b"0", codec.encode(topics.RISK_ALERTS, one, self._registry)) for one in changes.alerts]
        events = [
            (one.model_id.encode(), codec.encode(topics.MODELS_EVENTS, one, self._registry)) for one in changes.events
        ]
        letters = [
            dead_letter(MessageError(CAUSE, detail), rows, place, source=SOURCE, registry=self._registry)
            for rows, detail in bad
        ]
        return Scaled(viewed, alerts, events, letters, kept)

    def _take(
        self, raw: bytes, commands: list[RiskCommand], bad: list[tuple[bytes, str]]
    ) -> tuple[list[bytes], ModelChanges]:
        ticks = decode_ticks(raw)
        if ticks.spec_hash != SPEC_HASH:
            raise MessageError("wrong_features", f"feature spec was {ticks.spec_hash}, wanted {SPEC_HASH}")
        changes = ModelChanges(self._epoch, ticks.channel_id)
        fresh = ticks.tick_ns > self._known.last_tick_ns
        if not fresh.any():
            return [], changes
        ticks = ticks if fresh.all() else rows_of(ticks, fresh)
        broken = _RANGES.broken(ticks.values)
        if broken.any():
            bad.append((encode_ticks(rows_of(ticks, broken)), _told(ticks, np.flatnonzero(broken))))
            ticks = replace(ticks, status=ticks.status | np.where(broken, np.uint32(TickStatus.STALE), np.uint32(0)))
        if self._known.last_tick_ns < 0:
            changes.began(self._served(self._views.name), int(ticks.tick_ns[0]))
        for command in sorted(commands, key=lambda one: (one.ts_ns, one.command_id)):
            self._consider(command, int(ticks.tick_ns[0]), changes)
        self._known.last_tick_ns = int(ticks.tick_ns[-1])
        return self._step(ticks, changes), changes

    def _step(self, ticks: Ticks, changes: ModelChanges) -> list[bytes]:
        coming = self._next
        if coming is None:
            return [encode_viewed(self._views.step(ticks))]
        due_ns = _due(ticks, coming)
        before = ticks.tick_ns < due_ns
        viewed = [encode_viewed(self._views.step(rows_of(ticks, before)))] if before.any() else []
        coming.ticks += len(np.unique(ticks.tick_ns))
        if before.all():
            coming.views.step(ticks)
            return viewed
        if before.any():
            coming.views.step(rows_of(ticks, before))
        old, self._views, self._next = self._views.name, coming.views, None
        self._known.model_epoch = coming.model_epoch
        changes.switched(coming.word, self._served(self._views.name), due_ns, before=self._served(old))
        return [*viewed, encode_viewed(self._views.step(rows_of(ticks, ~before)))]

    def _consider(self, command: RiskCommand, now_ns: int, changes: ModelChanges) -> None:
        self._known.handled.add(message_key(command))
        word = Switch(command.command_id, command.maker, command.checker, command.reason)
        wrong = self._wrong(command, now_ns)
        if not wrong:
            try:
                views = ChannelViews(self._shelf(str(command.model)), str(command.model))
            except ModelError as error:
                wrong = str(error)
            else:
                self._next = _Next(word, command.ts_ns, int(command.model_epoch or 0), views)
                return
        changes.refused(word, str(command.model or ""), now_ns, wrong=wrong)

    def _served(self, name: str) -> Served:
        return Served(name, self._shelf(name).model_id)

    def _wrong(self, command: RiskCommand, now_ns: int) -> str:
        """Return what is wrong with a command; empty = nothing."""
        fault = fault_of_two(command, "a switch of models") or fault_of_expiry(command, "a switch of models")
        if fault:
            return fault.detail
        if command.expires_ns is not None and now_ns > command.expires_ns:
            return f"arrived at {now_ns}, expired at {command.expires_ns}"
        if command.model is None or command.model_epoch is None:
            return "a switch of models needs a model and a model_epoch"
        last = self._known.model_epoch if self._next is None else self._next.model_epoch
        if command.model_epoch <= last:
            return f"model_epoch {command.model_epoch} is not above {last}, that of the last switch"
        return ""

    def _to_bytes(self) -> bytes:
        coming = self._next
        known = {
            "last_tick_ns": self._known.last_tick_ns,
            "model_epoch": self._known.model_epoch,
            "handled": sorted(self._known.handled),
            "model": self._views.name,
            "next": None
            if coming is None
            else [
                [coming.word.command_id, coming.word.maker, coming.word.checker, coming.word.reason],
                coming.from_ns,
                coming.model_epoch,
                coming.ticks,
                coming.views.name,
            ],
        }
        shadow = () if coming is None else coming.views.to_bytes()
        return pack([json.dumps(known).encode(), *self._views.to_bytes(), *shadow])

    def _load(self, snapshot: bytes) -> None:
        head, scaler, views, *shadow = unpack(snapshot)
        known = json.loads(head)
        self._known = _State(known["last_tick_ns"], known["model_epoch"], set(known["handled"]))
        self._views = ChannelViews.from_bytes((scaler, views), self._shelf(known["model"]), known["model"])
        if known["next"] is not None:
            word, from_ns, model_epoch, ticks, name = known["next"]
            coming = ChannelViews.from_bytes((shadow[0], shadow[1]), self._shelf(name), name)
            self._next = _Next(Switch(*word), from_ns, model_epoch, coming, ticks)


def _told(ticks: Ticks, broken: npt.NDArray[np.intp]) -> str:
    """Return how many rows break a law of the data, and of the first which row, and which laws."""
    row = int(broken[0])
    which = f"instrument {ticks.instrument_id[row]}, tick_ns {ticks.tick_ns[row]}"
    return f"{len(broken)} of {ticks.row_count} rows taken as stale; first {which}: {_RANGES.told(ticks.values[row])}"


def _due(ticks: Ticks, coming: _Next) -> int:
    """Return the tick of the switch; beyond all of them where it is not yet."""
    closed = np.unique(ticks.tick_ns)
    shadowed = coming.ticks + np.arange(len(closed)) >= SHADOW_TICKS
    due = closed[(closed >= coming.from_ns) & shadowed]
    return int(due[0]) if len(due) else int(closed[-1]) + 1


def is_switch(command: RiskCommand) -> bool:
    """Return whether a command is this step's business."""
    return command.kind is CommandKind.LOAD_MODEL


def _command(raw: bytes, registry: Registry | None) -> RiskCommand:
    command = codec.decode(topics.RISK_COMMANDS, raw, registry)
    assert isinstance(command, RiskCommand)
    return command
