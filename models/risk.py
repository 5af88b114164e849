"""From views to risk states: judged by the stack, direction, tiers, alerts. Pure; one tracker per channel.

A row is judged by the model that scaled it, and learned from while its instrument is at Normal, so a crisis cannot teach that
it is normal; if the anomaly points in the dangerous direction it is handed to the tier machine. Invariants: the same
ticks, answers of the network and commands give the same states and alerts; ticks seen before are ignored, so at-least-once
input gives exactly-once effect. A switch of models comes with the ticks: tiers and what was told stay, calibration
starts where the new model's past left it. Instruments that are still warming up get no state: the gate then holds its
stale column.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from models.alerting import ADVERSE_PART, Alerts
from models.folder import ModelFolder
from models.judged_tick import JudgedTick, distinct_rows, judged_tick
from models.judging import Judge
from models.tiers import STATE_BYTES, TierMachine, TierUse
from models.viewed import ViewedTicks
from models.wire import Scores
from schemas.people import fault_of_expiry, fault_of_two
from schemas.records import CommandKind, RiskAlert, RiskCommand, RiskState, Tier

RECHECKED_MAX: Final = 64
"""States of one tick whose causes are re-checked; beyond, in a crisis of everything, they stay in the order of their parts."""

_VERSION: Final = 4
_HEADER: Final = struct.Struct("<HHqII")
_ENTRY: Final = struct.Struct("<IqqB3x")
_ENTRY_BYTES: Final = _ENTRY.size + STATE_BYTES

Models = Callable[[str], ModelFolder]
"""Name of a model's folder to the model; raises ``ModelError``."""


@dataclass(slots=True)
class _Own:
    """One instrument: tier and what was last told."""

    machine: TierMachine
    told_ns: int = -1
    released_ns: int = -1
    told_flags: int = 0


@dataclass(frozen=True, slots=True)
class TrackerSettings:
    """What a tracker is told once.

    Attributes:
        epoch: Deployment epoch, copied into every state.
        heartbeat_ns: A state at least this often per instrument, in event time.
    """

    epoch: int
    heartbeat_ns: int


@dataclass(frozen=True, slots=True, eq=False)
class Pulse:
    """What a whole channel needs to know of its members at one tick.

    Attributes:
        tick_ns: The tick.
        instrument_id: ``(k,)`` members that have a state.
        strange: ``(k,)`` S, NaN = no opinion.
        adverse_share: ``(k,)`` part of it that points in the dangerous direction.
        ref_price: ``(k,)`` int64, 0 = none.
        tier: ``(k,)`` uint8, tier in force.
        stale: ``(k,)`` bool.
        degraded: ``(k,)`` bool.
    """

    tick_ns: int
    instrument_id: npt.NDArray[np.uint32] = field(repr=False)
    strange: npt.NDArray[np.float64] = field(repr=False)
    adverse_share: npt.NDArray[np.float64] = field(repr=False)
    ref_price: npt.NDArray[np.int64] = field(repr=False)
    tier: npt.NDArray[np.uint8] = field(repr=False)
    stale: npt.NDArray[np.bool_] = field(repr=False)
    degraded: npt.NDArray[np.bool_] = field(repr=False)


@dataclass(slots=True)
class Tracked:
    """What came of ticks, in order; a pulse a tick."""

    states: list[RiskState] = field(default_factory=list)
    alerts: list[RiskAlert] = field(default_factory=list)
    pulses: list[Pulse] = field(default_factory=list)


class RiskTracker:
    """The instruments of one channel."""

    def __init__(self, models: Models, settings: TrackerSettings) -> None:
        self._models = models
        self._settings = settings
        self._own: dict[int, _Own] = {}
        self._name = ""
        self._judge: Judge | None = None
        self._last_tick_ns = -1

    def step(self, viewed: ViewedTicks, scores: Scores, commands: list[RiskCommand]) -> Tracked:
        """Take ticks in order; those seen before are left out.

        Args:
            viewed: One or more ticks of the channel, all of one model.
            scores: What the network said of them, row by row.
            commands: Every ``RELEASE`` known so far, in any order; each takes effect once, at the first tick at or
                after its ``ts_ns``, where two people, a reason and an end stand behind it.

        Raises:
            ModelError: The ticks name a model that cannot be read.
        """
        out = Tracked()
        judge = self._judge_of(viewed.model)
        ticks = viewed.ticks
        fresh = np.flatnonzero(ticks.tick_ns > self._last_tick_ns)
        for rows in distinct_rows(ticks, fresh):
            self._tick(judged_tick(viewed, scores, rows, judge=judge), commands, out)
        if len(fresh):
            self._last_tick_ns = int(ticks.tick_ns[-1])
        return out

    def use(self) -> TierUse:
        """Return how all instruments used the tiers: ticks in each, entries, flaps."""
        return sum((own.machine.use for own in self._own.values()), TierUse())

    def to_bytes(self) -> bytes:
        """Return the whole state."""
        name, judge = self._name.encode(), b"" if self._judge is None else self._judge.to_bytes()
        parts = [_HEADER.pack(_VERSION, len(name), self._last_tick_ns, len(self._own), len(judge)), name, judge]
        for instrument_id, own in self._own.items():
            parts.append(_ENTRY.pack(instrument_id, own.told_ns, own.released_ns, own.told_flags))
            parts.append(own.machine.to_bytes())
        return b"".join(parts)

    @classmethod
    def from_bytes(cls, raw: bytes, models: Models, settings: TrackerSettings) -> Self:
        """Return the tracker that wrote ``raw``.

        Raises:
            ValueError: Another version, or cut short.
            ModelError: Its model cannot be read.
        """
        if len(raw) < _HEADER.size:
            raise ValueError("tracker state is cut short")
        version, name_bytes, last_tick_ns, count, judge_bytes = _HEADER.unpack_from(raw)
        entries = _HEADER.size + name_bytes + judge_bytes
        if version != _VERSION or len(raw) != entries + count * _ENTRY_BYTES:
            raise ValueError(f"tracker state of version {version}, {len(raw)} bytes for {count} instruments")
        made = cls(models, settings)
        made._last_tick_ns = last_tick_ns
        if name_bytes:
            made._name = raw[_HEADER.size : _HEADER.size + name_bytes].decode()
            made._judge = Judge(models(made._name), raw[_HEADER.size + name_bytes : entries])
        for start in range(entries, len(raw), _ENTRY_BYTES):
            instrument_id, *told = _ENTRY.unpack_from(raw, start)
            machine = TierMachine.from_bytes(raw[start + _ENTRY.size : start + _ENTRY_BYTES])
            made._own[instrument_id] = _Own(machine, *told)
        return made

    def _judge_of(self, name: str) -> Judge:
        if self._judge is None or name != self._name:
            self._name, self._judge = name, Judge(self._models(name))
        return self._judge

    def _tick(self, tick: JudgedTick, commands: list[RiskCommand], out: Tracked) -> None:
        learned = np.zeros(len(tick.judged.strange), dtype=np.bool_)
        live: list[_Step] = []
        for place, judged in enumerate(tick.place_judged.tolist()):
            if judged < 0 and not tick.stale[place]:
                continue
            step = self._step(tick, place, judged, commands=commands, out=out)
            live.append(step)
            if judged >= 0:
                learned[judged] = step.own.machine.tier is Tier.NORMAL
        self._tell(tick, live, out)
        # Causes are asked of the stack as it judged, so learning comes last.
        tick.judge.learn(tick.judged, learned)
        out.pulses.append(_pulse(tick, live))

    def _step(self, tick: JudgedTick, place: int, judged: int, *, commands: list[RiskCommand], out: Tracked) -> "_Step":
        instrument_id = int(tick.ids[place])
        own = self._own.get(instrument_id)
        if own is None:
            own = self._own[instrument_id] = _Own(TierMachine())
        alerts = Alerts(instrument_id, tick.tick_ns, self._settings.epoch, out.alerts)
        before = own.machine.tier
        if commands:
            _release(own, commands, alerts)
        if judged >= 0:
            own.machine.step(
                float(tick.judged.strange[judged]),
                tick.model.levels,
                adverse=bool(tick.judged.adverse_share[judged] >= ADVERSE_PART),
                standing=bool(tick.standing[judged]),
            )
        return _Step(place, judged, own, before, alerts)

    def _tell(self, tick: JudgedTick, live: list["_Step"], out: Tracked) -> None:
        """Tell what is due: a change, a heartbeat, an episode that begins."""
        unusual_from, heartbeat_ns = tick.model.levels.enter[Tier.ELEVATED], self._settings.heartbeat_ns
        told: list[tuple[_Step, bool]] = []
        for step in live:
            own, changed = step.own, step.own.machine.tier is not step.before
            due = changed or own.told_ns < 0 or tick.tick_ns - own.told_ns >= heartbeat_ns or step.alerts.raised
            odd = step.judged < 0 or tick.degraded or tick.judged.strange[step.judged] >= unusual_from
            if due or odd or own.told_flags:
                told.append((step, due))
        features = tick.leading([step.judged for step, due in told if due and step.own.machine.tier], RECHECKED_MAX)
        for step, due in told:
            own, machine = step.own, step.own.machine
            state = tick.state(step.place, (step.before, machine.tier), features, epoch=self._settings.epoch)
            step.alerts.tier(state)
            own.told_flags = step.alerts.episodes(state, own.told_flags, unusual=state.score >= unusual_from)
            if due or step.alerts.raised:
                own.told_ns = tick.tick_ns
                out.states.append(state)


@dataclass(slots=True)
class _Step:
    """What one instrument did at a tick."""

    place: int
    judged: int
    own: _Own
    before: Tier
    alerts: Alerts


def _release(own: _Own, commands: list[RiskCommand], alerts: Alerts) -> None:
    scopes = {f"instrument:{alerts.instrument_id}", "firm"}
    due = [
        c
        for c in commands
        if c.kind is CommandKind.RELEASE
        and c.scope in scopes
        and own.released_ns < c.ts_ns <= alerts.tick_ns
        and (c.expires_ns is None or alerts.tick_ns <= c.expires_ns)
    ]
    for command in sorted(due, key=lambda c: (c.ts_ns, c.command_id)):
        own.released_ns = command.ts_ns
        fault = fault_of_two(command, "a release") or fault_of_expiry(command, "a release")
        outcome = fault or own.machine.release()
        alerts.command(command.command_id, command.maker, outcome, tier=own.machine.tier)


def _pulse(tick: JudgedTick, live: list[_Step]) -> Pulse:
    places = np.array([step.place for step in live], dtype=np.intp)
    judged = tick.place_judged[places]
    opined = judged >= 0
    strange, adverse = np.full(len(live), np.nan), np.zeros(len(live))
    strange[opined] = tick.judged.strange[judged[opined]]
    adverse[opined] = tick.judged.adverse_share[judged[opined]]
    return Pulse(
        tick_ns=tick.tick_ns,
        instrument_id=tick.ids[places],
        strange=strange,
        adverse_share=adverse,
        ref_price=tick.viewed.ticks.ref_price[tick.rows[places]],
        tier=np.array([step.own.machine.tier for step in live], dtype=np.uint8),
        stale=~opined,
        degraded=np.full(len(live), tick.degraded),
    )
