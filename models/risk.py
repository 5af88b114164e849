"""From scores to risk states: calibration per instrument, direction, tiers, alerts. Pure; one tracker per channel.

Each instrument's log error is standardised against its own past (a robust ruler that stands still from Elevated up, so
a crisis cannot teach that it is normal), looked up in the model's tail, and handed to the tier machine if the anomaly
points in the dangerous direction. Invariants: the same ticks, scores and commands give the same states and alerts;
ticks seen before are ignored, so at-least-once input gives exactly-once effect. Instruments that are still warming up,
or whose error has no baseline yet, get no state: the gate then holds its stale column.
"""

import math
import struct
from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from features.spec import SCORED
from models.calibrate import RULER_BYTES, ErrorRuler
from models.folder import ModelFolder
from models.tiers import STATE_BYTES, TierMachine
from models.wire import ScaledTicks, Scores
from schemas.events import TickStatus
from schemas.people import Fault, fault_of_expiry, fault_of_two
from schemas.records import AlertKind, CommandKind, FeatureCause, RiskAlert, RiskCommand, RiskState, Tier

SCORE01_FULL: Final = 6.0
CAUSES: Final = 3
ADVERSE_PART: Final = 0.5
"""An anomaly is adverse when at least this part of what has a direction points in the dangerous one ..."""
DIRECTED_PART_MIN: Final = 0.2
"""... and at least this part of it has a direction at all."""

SOURCE: Final = "score_risk"
_VERSION: Final = 2
_HEADER: Final = struct.Struct("<HHq")
_ENTRY: Final = struct.Struct("<IqqB3x")
_ENTRY_BYTES: Final = _ENTRY.size + 2 * RULER_BYTES + STATE_BYTES
_DIRECTION = np.array([feature.adverse for feature in SCORED])


@dataclass(slots=True)
class _Own:
    """One instrument: rulers of the network's and of the simple stack's error, tier and what was last told."""

    ruler: ErrorRuler
    simple_ruler: ErrorRuler
    machine: TierMachine
    told_ns: int = -1
    released_ns: int = -1
    told_flags: int = 0


_STALE: Final = 1
_DEGRADED: Final = 2
_BENIGN: Final = 4


@dataclass(frozen=True, slots=True)
class TrackerSettings:
    """What a tracker is told once.

    Attributes:
        epoch: Deployment epoch, copied into every state.
        heartbeat_ns: A state at least this often per instrument, in event time.
    """

    epoch: int
    heartbeat_ns: int


class RiskTracker:
    """The instruments of one channel."""

    def __init__(self, model: ModelFolder, settings: TrackerSettings) -> None:
        self._model = model
        self._settings = settings
        self._own: dict[int, _Own] = {}
        self._last_tick_ns = -1

    def step(
        self, ticks: ScaledTicks, scores: Scores, commands: list[RiskCommand]
    ) -> tuple[list[RiskState], list[RiskAlert]]:
        """Take scored ticks in order; ticks seen before are left out.

        Args:
            ticks: One or more ticks of the channel.
            scores: Row by row.
            commands: Every ``RELEASE`` known so far, in any order; each takes effect once, at the first tick at or
                after its ``ts_ns``, where two people, a reason and an end stand behind it.
        """
        states: list[RiskState] = []
        alerts: list[RiskAlert] = []
        for row in range(len(ticks.tick_ns)):
            if ticks.tick_ns[row] <= self._last_tick_ns:
                continue
            self._row(_Row(ticks, scores, row), commands, (states, alerts))
        if len(ticks.tick_ns):
            self._last_tick_ns = max(self._last_tick_ns, int(ticks.tick_ns[-1]))
        return states, alerts

    def to_bytes(self) -> bytes:
        """Return the whole state."""
        parts = [_HEADER.pack(_VERSION, len(self._own), self._last_tick_ns)]
        for instrument_id, own in self._own.items():
            parts.append(_ENTRY.pack(instrument_id, own.told_ns, own.released_ns, own.told_flags))
            parts += [own.ruler.to_bytes(), own.simple_ruler.to_bytes(), own.machine.to_bytes()]
        return b"".join(parts)

    @classmethod
    def from_bytes(cls, raw: bytes, model: ModelFolder, settings: TrackerSettings) -> Self:
        """Return the tracker that wrote ``raw``.

        Raises:
            ValueError: Another version, or cut short.
        """
        if len(raw) < _HEADER.size:
            raise ValueError("tracker state is cut short")
        version, count, last_tick_ns = _HEADER.unpack_from(raw)
        if version != _VERSION or len(raw) != _HEADER.size + count * _ENTRY_BYTES:
            raise ValueError(f"tracker state of version {version}, {len(raw)} bytes for {count} instruments")
        made = cls(model, settings)
        made._last_tick_ns = last_tick_ns
        for start in range(_HEADER.size, len(raw), _ENTRY_BYTES):
            instrument_id, *told = _ENTRY.unpack_from(raw, start)
            ruler, simple, machine = (start + _ENTRY.size + offset for offset in (0, RULER_BYTES, 2 * RULER_BYTES))
            made._own[instrument_id] = _Own(
                ErrorRuler.from_bytes(raw[ruler:simple]),
                ErrorRuler.from_bytes(raw[simple:machine]),
                TierMachine.from_bytes(raw[machine : machine + STATE_BYTES]),
                *told,
            )
        return made

    def _row(self, row: "_Row", commands: list[RiskCommand], out: tuple[list[RiskState], list[RiskAlert]]) -> None:
        if not row.scored and not row.stale:
            return
        own = self._own.get(row.instrument_id)
        if own is None:
            own = self._own[row.instrument_id] = self._new(row.instrument_id)
        ruler = own.simple_ruler if row.degraded else own.ruler
        if row.scored and not ruler.ready:
            ruler.learn(row.error)
            return
        before = own.machine.tier
        alerts = _Alerts(row, self._settings.epoch, out[1])
        self._release(own, row, commands, alerts=alerts)
        p, adverse_share = 1.0, 0.0
        if row.scored:
            tail = self._model.simple_tail if row.degraded else self._model.tail
            p, adverse_share = tail.p(ruler.standardise(row.error)), row.adverse_share()
            own.machine.step(-math.log10(p), self._model.levels, adverse=adverse_share >= ADVERSE_PART)
            if own.machine.tier is Tier.NORMAL:
                ruler.learn(row.error)
        state = self._state(own, row, before, score=(p, adverse_share))
        alerts.tier(state)
        own.told_flags = alerts.episodes(state, own.told_flags, unusual=state.score >= self._model.levels.enter[1])
        due = own.told_ns < 0 or row.tick_ns - own.told_ns >= self._settings.heartbeat_ns
        changed = state.tier is not before or alerts.raised
        if due or changed:
            own.told_ns = row.tick_ns
            out[0].append(state)

    def _new(self, instrument_id: int) -> _Own:
        known = instrument_id in self._model.priors
        ruler = ErrorRuler.start(self._model.tail, known=known)
        return _Own(ruler, ErrorRuler.start(self._model.simple_tail, known=known), TierMachine())

    def _release(self, own: _Own, row: "_Row", commands: list[RiskCommand], *, alerts: "_Alerts") -> None:
        scopes = {f"instrument:{row.instrument_id}", "firm"}
        due = [
            c
            for c in commands
            if c.kind is CommandKind.RELEASE
            and c.scope in scopes
            and own.released_ns < c.ts_ns <= row.tick_ns
            and (c.expires_ns is None or row.tick_ns <= c.expires_ns)
        ]
        for command in sorted(due, key=lambda c: (c.ts_ns, c.command_id)):
            own.released_ns = command.ts_ns
            fault = fault_of_two(command, "a release") or fault_of_expiry(command, "a release")
            released = fault is None and own.machine.release()
            alerts.command(command, released, fault, tier=own.machine.tier)

    def _state(self, own: _Own, row: "_Row", before: Tier, *, score: tuple[float, float]) -> RiskState:
        p, adverse_share = score
        s = -math.log10(p)
        return RiskState(
            instrument_id=row.instrument_id,
            channel_id=row.ticks.channel_id,
            tick_ns=row.tick_ns,
            epoch=self._settings.epoch,
            tier=own.machine.tier,
            tier_before=before,
            latched=own.machine.latched,
            stale=row.stale,
            degraded=row.degraded,
            score=s,
            score01=min(s / SCORE01_FULL, 1.0),
            p=p,
            adverse_share=adverse_share,
            ref_price=int(row.ticks.ref_price[row.index]) or None,
            model_id=row.scores.model_id,
            causes=row.causes() if row.scored else (),
        )


@dataclass(frozen=True, slots=True)
class _Row:
    """One row of ticks and scores."""

    ticks: ScaledTicks
    scores: Scores
    index: int

    @property
    def tick_ns(self) -> int:
        return int(self.ticks.tick_ns[self.index])

    @property
    def instrument_id(self) -> int:
        return int(self.ticks.instrument_id[self.index])

    @property
    def scored(self) -> bool:
        return bool(self.ticks.scored[self.index])

    @property
    def stale(self) -> bool:
        return bool(self.ticks.status[self.index] & TickStatus.STALE)

    @property
    def degraded(self) -> bool:
        return self.scores.degraded

    @property
    def error(self) -> float:
        return float(self.scores.error[self.index])

    def adverse_share(self) -> float:
        """Return which part of what has a direction is adverse; 0 when too little has one."""
        share = self.scores.share[self.index].astype(np.float64)
        pointing = self.ticks.z[self.index] * _DIRECTION
        adverse = float(share[pointing > 0].sum())
        benign = float(share[pointing < 0].sum())
        directed = adverse + benign
        return adverse / directed if directed >= DIRECTED_PART_MIN else 0.0

    def causes(self) -> tuple[FeatureCause, ...]:
        """Return the largest contributions, largest first; equal ones in the order of the spec."""
        share, z = self.scores.share[self.index], self.ticks.z[self.index]
        largest = np.argsort(-share, kind="stable")[:CAUSES]
        return tuple(
            FeatureCause(
                name=SCORED[j].name,
                value=float(self.ticks.values[self.index, j]),
                z=float(z[j]),
                share=float(share[j]),
                adverse=bool(z[j] * SCORED[j].adverse > 0),
            )
            for j in largest
        )


@dataclass(slots=True)
class _Alerts:
    """Alerts of one row; each episode is told once, at its start."""

    row: _Row
    epoch: int
    out: list[RiskAlert]
    raised: bool = False

    def tier(self, state: RiskState) -> None:
        """Tell a change of tier."""
        if state.tier is not state.tier_before:
            names = ", ".join(f"{cause.name} {cause.z:+.1f}" for cause in state.causes) or "no features"
            self._add(AlertKind.TIER_CHANGED, state.tier, f"{state.tier_before.name} to {state.tier.name}: {names}")

    def episodes(self, state: RiskState, told: int, *, unusual: bool) -> int:
        """Tell the start of a stale, degraded or harmless-but-unusual episode; return the flags now told."""
        benign = unusual and state.adverse_share < ADVERSE_PART
        episodes = (
            (_STALE, state.stale, AlertKind.FEED_STALE, "the book cannot be trusted: stale limits until a snapshot"),
            (
                _DEGRADED,
                state.degraded,
                AlertKind.SCORER_DEGRADED,
                "the model did not answer: the simple stack scores alone",
            ),
            (_BENIGN, benign, AlertKind.NON_ADVERSE_ANOMALY, f"unusual (score {state.score:.1f}) but not dangerous"),
        )
        for flag, active, kind, message in episodes:
            if active and not told & flag:
                self._add(kind, state.tier, message)
            # A harmless anomaly ends when the score is calm again, not at its first quieter tick.
            ended = state.score < 1.0 if flag == _BENIGN else not active
            told = told | flag if active else (told & ~flag if ended else told)
        return told

    def command(self, command: RiskCommand, released: bool, fault: Fault | None, *, tier: Tier) -> None:  # noqa: FBT001
        """Tell what became of a release."""
        kind = AlertKind.COMMAND_APPLIED if released else AlertKind.COMMAND_REFUSED
        refused = fault.detail if fault else "nothing to release: the tier is not CRITICAL"
        what = "released to HIGH_ALERT" if released else refused
        self._add(kind, tier, f"{command.command_id} by {command.maker}: {what}", cause=f":{command.command_id}")

    def _add(self, kind: AlertKind, tier: Tier, message: str, *, cause: str = "") -> None:
        row = self.row
        alert_id = f"{kind}:{row.instrument_id}:{row.tick_ns}:{self.epoch}{cause}"
        self.out.append(RiskAlert(alert_id, kind, row.instrument_id, row.tick_ns, self.epoch, tier, message, SOURCE))
        self.raised = True
