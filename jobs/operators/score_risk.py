"""The operators of `score_risk`: scale and view, (SQL function), track, raise. The first and third keyed by channel."""

from collections.abc import Callable, Iterator
from typing import Any, Final

from pyflink.common import Row, Types
from pyflink.datastream import KeyedBroadcastProcessFunction, KeyedProcessFunction, OutputTag, RuntimeContext
from pyflink.datastream.state import MapStateDescriptor, ValueStateDescriptor

from jobs.machines.channel_risk import Census, RiskScoring, is_release, read_command
from jobs.machines.letters import Message
from jobs.machines.market_risk import MarketRisk
from jobs.machines.sealing import Machine, Seal
from jobs.machines.tick_scaling import TickScaling, is_switch
from jobs.measuring import FROM_FUNCTIONS, OperatorMetrics
from jobs.operators.kept import KeptState
from jobs.operators.python_thread import PythonThread
from jobs.settings import JobSettings
from jobs.sinks import MESSAGE
from jobs.sources import message_of
from models.folder import ModelShelf
from models.risk import TrackerSettings
from models.systemic_start import SystemicStart
from models.tiers import TierUse
from schemas import metrics
from schemas.errors import Place
from schemas.people import message_key
from schemas.records import RiskCommand, Tier
from schemas.registry import ConfluentRegistry
from schemas.units import NS_PER_MS

_STATE = Place("state")

# Thread mode reads a tuple with a tag that nobody took as a row of the main output, and fails: every tag here is read.
SCALE_LETTERS = OutputTag("scale-letters", MESSAGE)
SCALE_ALERTS = OutputTag("scale-alerts", MESSAGE)
TRACK_LETTERS = OutputTag("track-letters", MESSAGE)
ALERTS = OutputTag("alerts", MESSAGE)
SCORES = OutputTag("scores", MESSAGE)
MODEL_EVENTS = OutputTag("model-events", MESSAGE)
MARKET_ALERTS = OutputTag("market-alerts", MESSAGE)
SWITCHES = MapStateDescriptor("switches-v1", Types.STRING(), Types.PICKLED_BYTE_ARRAY())
RELEASES = MapStateDescriptor("releases-v1", Types.STRING(), Types.PICKLED_BYTE_ARRAY())
"""Broadcast state: every command of its kind, as it came."""

RAISED: Final = tuple(tier for tier in Tier if tier)
MARKET: Final = "market"
"""The one key of the last step: channels are judged together."""


class _Commands:
    """Commands of one kind, held in broadcast state and, read, in memory."""

    def __init__(self, kind: Callable[[RiskCommand], bool], registry: ConfluentRegistry | None) -> None:
        self._kind, self._registry = kind, registry
        self._known: list[RiskCommand] | None = None

    def known(self, kept: Any) -> list[RiskCommand]:
        """Return all that came."""
        if self._known is None:
            read = (read_command(bytes(raw), _STATE, self._registry)[0] for _, raw in kept.items())
            self._known = [command for command in read if command is not None]
        return self._known

    def learn(self, value: Any, kept: Any) -> list[Message]:
        """Take a message of the topic; return dead letters."""
        message = message_of(value)
        command, letters = read_command(message.value, message.place, self._registry)
        if command is not None and self._kind(command):
            known = self.known(kept)
            if message_key(command) not in {message_key(one) for one in known}:
                known.append(command)
                kept.put(message_key(command), message.value)
        return letters


class ScaleTicks(KeyedBroadcastProcessFunction):
    """Tick messages in, ``(channel, viewed ticks)`` out; commands that switch models broadcast."""

    def __init__(self, settings: JobSettings) -> None:
        self._settings = settings

    def open(self, runtime_context: RuntimeContext) -> None:
        """Find the models; state is read with the first tick of a channel."""
        self._registry = _registry(self._settings)
        self._shelf = ModelShelf(self._settings.model_dir)
        self._machines: dict[str, TickScaling] = {}
        self._commands = _Commands(is_switch, self._registry)
        self._thread = PythonThread("scale-ticks")
        self._kept = KeptState(runtime_context, "scaling-v2", _seal(Machine.TICK_SCALING, self._settings))
        self._metrics = OperatorMetrics(runtime_context.get_metrics_group())
        self._metrics.declare(metrics.JOBS_DEAD_LETTERS, "scale")
        self._metrics.declare(metrics.JOBS_ALERTS, "scale")

    def process_element(self, value: Any, ctx: KeyedBroadcastProcessFunction.ReadOnlyContext) -> Iterator[Any]:
        """Scale one message."""
        message, key = message_of(value), ctx.get_current_key()
        if key not in self._machines:
            snapshot, entries = self._kept.read()
            self._machines[key] = self._thread.call(
                TickScaling,
                self._shelf,
                epoch=self._settings.epoch,
                snapshot=snapshot,
                entries=entries,
                registry=self._registry,
            )
        switches = self._commands.known(ctx.get_broadcast_state(SWITCHES))
        scaled = self._thread.call(self._machines[key].apply, message.value, message.place, switches)
        self._kept.keep(scaled.kept)
        for letter in scaled.letters:
            self._metrics.now(metrics.JOBS_DEAD_LETTERS, 1, "scale")
            yield SCALE_LETTERS, Row(*letter)
        for alert in scaled.alerts:
            self._metrics.now(metrics.JOBS_ALERTS, 1, "scale")
            yield SCALE_ALERTS, Row(*alert)
        for event in scaled.events:
            yield MODEL_EVENTS, Row(*event)
        for viewed in scaled.viewed:
            yield Row(message.key, viewed)

    def process_broadcast_element(self, value: Any, ctx: KeyedBroadcastProcessFunction.Context) -> Iterator[Any]:
        """Learn a switch of models; TrackRisk reads the same topic and tells what cannot be read."""
        self._commands.learn(value, ctx.get_broadcast_state(SWITCHES))
        yield from ()


class TrackRisk(KeyedBroadcastProcessFunction):
    """``(channel, viewed ticks, scores)`` in, ``(channel, tracked ticks)`` out; alerts, scores and dead letters on the side."""

    def __init__(self, settings: JobSettings) -> None:
        self._settings = settings

    def open(self, runtime_context: RuntimeContext) -> None:
        """Find the models; releases come from the broadcast state with the first message."""
        self._registry = _registry(self._settings)
        self._shelf = ModelShelf(self._settings.model_dir)
        self._tracking = TrackerSettings(self._settings.epoch, self._settings.state_heartbeat_ms * NS_PER_MS)
        self._machines: dict[str, RiskScoring] = {}
        self._commands = _Commands(is_release, self._registry)
        self._thread = PythonThread("track-risk")
        self._kept = KeptState(runtime_context, "tracking-v2", _seal(Machine.RISK_SCORING, self._settings))
        self._metrics = OperatorMetrics(runtime_context.get_metrics_group())
        self._metrics.declare(metrics.JOBS_DEAD_LETTERS, "track")
        self._metrics.declare(metrics.JOBS_ALERTS, "track")
        self._metrics.declare(metrics.JOBS_TICK_AGE, "score")
        self._metrics.declare(metrics.JOBS_SCORE)
        for outcome in metrics.NETWORK_OUTCOMES:
            self._metrics.declare(metrics.JOBS_NETWORK, outcome)
        for tier in RAISED:
            self._metrics.declare(metrics.JOBS_TIERS_ENTERED, tier.name)
            self._metrics.declare(metrics.JOBS_TIERS_FLAPPED, tier.name)

    def process_element(self, value: Any, ctx: KeyedBroadcastProcessFunction.ReadOnlyContext) -> Iterator[Any]:
        """Track one message."""
        key = ctx.get_current_key()
        if key not in self._machines:
            snapshot, entries = self._kept.read()
            self._machines[key] = self._thread.call(
                RiskScoring,
                self._shelf,
                self._tracking,
                snapshot=snapshot,
                entries=entries,
                registry=self._registry,
            )
        machine = self._machines[key]
        releases = self._commands.known(ctx.get_broadcast_state(RELEASES))
        outcome = self._thread.call(machine.apply, bytes(value[1]), bytes(value[2]), releases)
        self._kept.keep(outcome.kept)
        if outcome.alerts:
            self._count()
        for alert in outcome.alerts:
            self._metrics.now(metrics.JOBS_ALERTS, 1, "track")
            yield ALERTS, Row(*alert)
        for scores in outcome.scores:
            yield SCORES, Row(*scores)
        if outcome.tracked is not None:
            yield Row(bytes(value[0]), outcome.tracked)
        self._measure(key, outcome.census)

    def process_broadcast_element(self, value: Any, ctx: KeyedBroadcastProcessFunction.Context) -> Iterator[Any]:
        """Learn a release."""
        for letter in self._commands.learn(value, ctx.get_broadcast_state(RELEASES)):
            self._metrics.now(metrics.JOBS_DEAD_LETTERS, 1, "track")
            yield TRACK_LETTERS, Row(*letter)

    def _count(self) -> None:
        """Bring the metrics up to what the machines count; a tier changes with an alert only."""
        use = sum((machine.use() for machine in self._machines.values()), TierUse())
        for tier in RAISED:
            self._metrics.set(metrics.JOBS_TIERS_ENTERED, use.entered[tier], tier.name)
            self._metrics.set(metrics.JOBS_TIERS_FLAPPED, use.flapped[tier], tier.name)

    def _measure(self, channel_id: str, census: Census | None) -> None:
        self._metrics.take(FROM_FUNCTIONS)
        if census is not None:
            told = self._metrics
            told.count(metrics.JOBS_MODEL_TICKS, len(census.tick_ns), census.model)
            for tick_ns in census.tick_ns:
                told.age(metrics.JOBS_TICK_AGE, tick_ns, "score")
            for tier, count in zip(Tier, census.tiers, strict=True):
                told.hold(metrics.JOBS_INSTRUMENTS, count, channel_id, tier.name)
            told.hold(metrics.JOBS_STALE, census.stale, channel_id)
            told.hold(metrics.JOBS_DEGRADED, census.degraded, channel_id)
        self._metrics.flush_if_due()


class RaiseTogether(KeyedProcessFunction):
    """``(channel, tracked ticks)`` of all channels in, ``(instrument, risk state)`` out; alerts on the side."""

    def __init__(self, settings: JobSettings) -> None:
        self._settings = settings

    def open(self, runtime_context: RuntimeContext) -> None:
        """Find the models; state is read with the first message."""
        self._registry = _registry(self._settings)
        self._shelf = ModelShelf(self._settings.model_dir)
        self._machine: MarketRisk | None = None
        self._thread = PythonThread("raise-together")
        self._state = runtime_context.get_state(ValueStateDescriptor("market-v1", Types.PICKLED_BYTE_ARRAY()))
        self._seal = _seal(Machine.MARKET_RISK, self._settings)
        self._metrics = OperatorMetrics(runtime_context.get_metrics_group())
        self._metrics.declare(metrics.JOBS_STATES)
        self._metrics.declare(metrics.JOBS_ALERTS, "raise")
        self._metrics.declare(metrics.JOBS_TICK_AGE, "state")

    def process_element(self, value: Any, ctx: KeyedProcessFunction.Context) -> Iterator[Any]:
        """Pass one message's states on, raised where their channel or the market asks for it."""
        del ctx
        if self._machine is None:
            kept = self._state.value()
            self._machine = self._thread.call(
                MarketRisk,
                self._start,
                epoch=self._settings.epoch,
                state=None if kept is None else self._seal.open(bytes(kept)),
                registry=self._registry,
            )
        outcome = self._thread.call(self._machine.apply, bytes(value[1]))
        self._state.update(self._seal.close(self._machine.state()))
        for alert in outcome.alerts:
            self._metrics.now(metrics.JOBS_ALERTS, 1, "raise")
            yield MARKET_ALERTS, Row(*alert)
        for state in outcome.states:
            yield Row(*state)
        self._metrics.count(metrics.JOBS_STATES, len(outcome.states))
        for tick_ns in outcome.tick_ns:
            self._metrics.age(metrics.JOBS_TICK_AGE, tick_ns, "state")
        self._metrics.flush_if_due()

    def _start(self, name: str) -> SystemicStart | None:
        return self._shelf(name).systemic


def _seal(machine: Machine, settings: JobSettings) -> Seal:
    return Seal(machine, settings.epoch, settings.state_version)


def _registry(settings: JobSettings) -> ConfluentRegistry | None:
    return ConfluentRegistry(settings.schema_registry_url) if settings.schema_registry_url else None
