"""The operators of `score_risk`: scale, (SQL function), track. Each keyed by channel, each with one value of state."""

from collections.abc import Iterator
from typing import Any

from pyflink.common import Row, Types
from pyflink.datastream import KeyedBroadcastProcessFunction, KeyedProcessFunction, OutputTag, RuntimeContext
from pyflink.datastream.state import MapStateDescriptor, ValueStateDescriptor

from jobs.machines.channel_risk import RiskScoring, TickScaling, read_command
from jobs.operators.python_thread import PythonThread
from jobs.settings import JobSettings
from jobs.sinks import MESSAGE
from jobs.sources import message_of
from models.folder import ModelFolder, read_folder
from models.risk import TrackerSettings
from schemas.errors import Place
from schemas.records import CommandKind, RiskCommand
from schemas.registry import ConfluentRegistry
from schemas.units import NS_PER_MS

_STATE = Place("state")

# Thread mode reads a tuple with a tag that nobody took as a row of the main output, and fails: every tag here is read.
SCALE_LETTERS = OutputTag("scale-letters", MESSAGE)
TRACK_LETTERS = OutputTag("track-letters", MESSAGE)
ALERTS = OutputTag("alerts", MESSAGE)
RELEASES = MapStateDescriptor("releases-v1", Types.STRING(), Types.PICKLED_BYTE_ARRAY())
"""Broadcast state: every release command, as it came."""


class ScaleTicks(KeyedProcessFunction):
    """Tick messages in, ``(channel, scaled ticks)`` out."""

    def __init__(self, settings: JobSettings) -> None:
        self._settings = settings

    def open(self, runtime_context: RuntimeContext) -> None:
        """Read the model folder; state is read with the first tick of a channel."""
        self._model: ModelFolder = read_folder(self._settings.model_dir)
        self._machines: dict[str, TickScaling] = {}
        self._thread = PythonThread("scale-ticks")
        self._state = runtime_context.get_state(ValueStateDescriptor("scaler-v1", Types.PICKLED_BYTE_ARRAY()))

    def process_element(self, value: Any, ctx: KeyedProcessFunction.Context) -> Iterator[Any]:
        """Scale one message."""
        message = message_of(value)
        key = ctx.get_current_key()
        if key not in self._machines:
            kept = self._state.value()
            self._machines[key] = TickScaling(self._model, None if kept is None else bytes(kept))
        machine = self._machines[key]
        scaled, letters = self._thread.call(machine.apply, message.value, message.place)
        for letter in letters:
            yield SCALE_LETTERS, Row(*letter)
        if scaled is not None:
            self._state.update(machine.state())
            yield Row(message.key, scaled)


class TrackRisk(KeyedBroadcastProcessFunction):
    """``(channel, scaled ticks, scores)`` in, ``(instrument, risk state)`` out; alerts and dead letters on the side."""

    def __init__(self, settings: JobSettings) -> None:
        self._settings = settings

    def open(self, runtime_context: RuntimeContext) -> None:
        """Read the model folder; releases come from the broadcast state with the first message."""
        url = self._settings.schema_registry_url
        self._registry = ConfluentRegistry(url) if url else None
        self._model: ModelFolder = read_folder(self._settings.model_dir)
        self._tracking = TrackerSettings(self._settings.epoch, self._settings.state_heartbeat_ms * NS_PER_MS)
        self._machines: dict[str, RiskScoring] = {}
        self._releases: list[RiskCommand] | None = None
        self._state = runtime_context.get_state(ValueStateDescriptor("tracker-v1", Types.PICKLED_BYTE_ARRAY()))

    def process_element(self, value: Any, ctx: KeyedBroadcastProcessFunction.ReadOnlyContext) -> Iterator[Any]:
        """Track one message."""
        key = ctx.get_current_key()
        if key not in self._machines:
            kept = self._state.value()
            raw = None if kept is None else bytes(kept)
            self._machines[key] = RiskScoring(self._model, self._tracking, raw, registry=self._registry)
        machine = self._machines[key]
        releases = self._known(ctx.get_broadcast_state(RELEASES))
        # On the task's own thread: this machine touches neither Arrow nor ONNX Runtime.
        outcome = machine.apply(bytes(value[1]), bytes(value[2]), releases)
        self._state.update(machine.state())
        for alert in outcome.alerts:
            yield ALERTS, Row(*alert)
        for state in outcome.states:
            yield Row(*state)

    def process_broadcast_element(self, value: Any, ctx: KeyedBroadcastProcessFunction.Context) -> Iterator[Any]:
        """Learn a command; only releases matter here."""
        message = message_of(value)
        command, letters = read_command(message.value, message.place, self._registry)
        for letter in letters:
            yield TRACK_LETTERS, Row(*letter)
        if command is not None and command.kind is CommandKind.RELEASE:
            releases = ctx.get_broadcast_state(RELEASES)
            known = self._known(releases)
            if command.command_id not in {c.command_id for c in known}:
                known.append(command)
                releases.put(command.command_id, message.value)

    def _known(self, kept: Any) -> list[RiskCommand]:
        if self._releases is None:
            read = (read_command(bytes(raw), _STATE, self._registry)[0] for _, raw in kept.items())
            self._releases = [command for command in read if command is not None]
        return self._releases
