"""The tier that a whole channel, and the market of all channels, asks of its members. Pure.

Many instruments a little strange at once are a crisis that none of them shows (``models.detectors.systemic``). Each channel's
score, and that of the channels together, goes through a tier machine of its own; what it says is a floor: it raises the
tiers of all members and never lowers one. Invariants: a floor never reaches Critical, because a halt of a whole market is a
person's (KILL) and nobody could release it instrument by instrument; nothing is learned while the floor is up; ticks seen
before change nothing. The market is judged at a tick when every channel that is not ``LAG_NS`` behind has reached it, so the
order in which channels come within that time does not matter.
"""

import math
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

import numpy as np

from models.alerting import ADVERSE_PART, SOURCE
from models.detectors.calibration import Calibrator
from models.detectors.combining import strangeness
from models.detectors.systemic import CAP, PER_UNIT, systemic_errors
from models.detectors.views import F64
from models.risk import Pulse
from models.systemic_start import SystemicStart
from models.tiers import STATE_BYTES, TierLevels, TierMachine, TierUse
from schemas.records import AlertKind, RiskAlert, Tier
from schemas.units import NS_PER_S

LAG_NS: Final = NS_PER_S
WARMUP_TICKS: Final = 600
"""A stream that the past does not know is learned from for a minute before it has an opinion."""

MARKET: Final = "*"

_VERSION: Final = 1
_HEADER: Final = struct.Struct("<HH")
_STREAM: Final = struct.Struct("<HHqqdIIH")
_TICK: Final = struct.Struct("<qd?")
_ONE: Final = np.zeros(1, dtype=np.uint32)


@dataclass(frozen=True, slots=True)
class Floor:
    """What a channel's members must not be below.

    Attributes:
        tier: The tier.
        score: S of the channel or of the market, the larger; 0 = no opinion.
    """

    tier: Tier = Tier.NORMAL
    score: float = 0.0


@dataclass(slots=True)
class _Stream:
    """A channel, or the market: what it is measured with, its tier, and ticks that the market waits for."""

    model: str
    calibrator: Calibrator | None
    levels: TierLevels | None
    machine: TierMachine = field(default_factory=TierMachine)
    last_tick_ns: int = -1
    judged_ns: int = -1
    score: float = 0.0
    seen: int = 0
    waiting: list[tuple[int, float, bool]] = field(default_factory=list)

    @property
    def tier(self) -> Tier:
        return self.machine.tier


Starts = Callable[[str], SystemicStart | None]
"""Name of a model's folder to what it says of channels; None = nothing."""


class SystemicRisk:
    """All channels, as they appear."""

    def __init__(self, starts: Starts, *, epoch: int) -> None:
        self._starts = starts
        self._epoch = epoch
        self._streams: dict[str, _Stream] = {}

    def take(self, channel_id: str, model: str, pulse: Pulse) -> tuple[Floor, list[RiskAlert]]:
        """Take a channel's pulse; return the floor under its members from this tick, and alerts of floors that changed.

        Args:
            channel_id: The channel.
            model: The model that judged its members.
            pulse: Its members at one tick; one that was seen before changes nothing.
        """
        stream, market = self._stream(channel_id, model), self._stream(MARKET, model)
        alerts: list[RiskAlert] = []
        if pulse.tick_ns > stream.last_tick_ns:
            stream.last_tick_ns = pulse.tick_ns
            capped = np.nan_to_num(np.clip(pulse.strange, 0.0, CAP))
            adverse = float(capped[pulse.adverse_share >= ADVERSE_PART].sum()) >= ADVERSE_PART * float(capped.sum())
            reading = _Reading(pulse.tick_ns, pulse.strange, adverse)
            found = self._judge(stream, f"channel {channel_id}", reading, alerts=alerts)
            stream.waiting.append((pulse.tick_ns, found, adverse))
            for together in self._together():
                self._judge(market, "all channels", together, alerts=alerts)
        return Floor(max(stream.tier, market.tier), max(stream.score, market.score)), alerts

    def use(self) -> Mapping[str, TierUse]:
        """Return how each channel, and the market under ``*``, used the tiers."""
        return {name: stream.machine.use for name, stream in self._streams.items()}

    def to_bytes(self) -> bytes:
        """Return the whole state."""
        parts = [_HEADER.pack(_VERSION, len(self._streams))]
        for name, stream in self._streams.items():
            own, model = name.encode(), stream.model.encode()
            learned = b"" if stream.calibrator is None else stream.calibrator.to_bytes()
            parts.append(
                _STREAM.pack(
                    len(own), len(model), stream.last_tick_ns, stream.judged_ns, stream.score, stream.seen,
                    len(learned), len(stream.waiting),
                )
            )  # fmt: skip
            parts += [own, model, learned, stream.machine.to_bytes(), *(_TICK.pack(*one) for one in stream.waiting)]
        return b"".join(parts)

    @classmethod
    def from_bytes(cls, raw: bytes, starts: Starts, *, epoch: int) -> Self:
        """Return the value that wrote ``raw``.

        Raises:
            ValueError: Another version, or cut short.
            ModelError: A model in it cannot be read.
        """
        made, rest = cls(starts, epoch=epoch), _Reader(raw)
        version, count = rest.unpack(_HEADER)
        if version != _VERSION:
            raise ValueError(f"systemic state of version {version}")
        for _ in range(count):
            own, model_bytes, last_ns, judged_ns, score, seen, learned_bytes, waiting = rest.unpack(_STREAM)
            name, model = rest.take(own).decode(), rest.take(model_bytes).decode()
            start, learned = starts(model), rest.take(learned_bytes)
            made._streams[name] = _Stream(
                model=model,
                calibrator=Calibrator.from_bytes(learned, start.start) if start and learned else None,
                levels=_below_critical(start),
                machine=TierMachine.from_bytes(rest.take(STATE_BYTES)),
                last_tick_ns=last_ns,
                judged_ns=judged_ns,
                score=score,
                seen=seen,
                waiting=[rest.unpack(_TICK) for _ in range(waiting)],
            )
        if rest.left:
            raise ValueError(f"systemic state: {rest.left} bytes were left over")
        return made

    def _stream(self, name: str, model: str) -> _Stream:
        """Return a stream, calibrated by ``model``; the market keeps the model that it began with."""
        stream = self._streams.get(name)
        if stream is not None and (stream.model == model or name == MARKET):
            return stream
        start = self._starts(model)
        calibrator = None if start is None else Calibrator(start.start)
        levels = _below_critical(start)
        if stream is None:
            # A channel starts at what the past knows of channels; of markets it knows nothing.
            seen = 0 if name == MARKET else WARMUP_TICKS
            stream = self._streams[name] = _Stream(model, calibrator, levels, seen=seen)
        else:
            stream.model, stream.calibrator, stream.levels = model, calibrator, levels
        return stream

    def _together(self) -> list["_Reading"]:
        """Return the ticks that every channel in step has reached, the oldest first, and forget them."""
        channels = [stream for name, stream in self._streams.items() if name != MARKET]
        newest = max(stream.last_tick_ns for stream in channels)
        reached = min(s.last_tick_ns for s in channels if s.last_tick_ns >= newest - LAG_NS)
        by_tick: dict[int, list[tuple[float, bool]]] = {}
        for stream in channels:
            for tick_ns, strange, adverse in stream.waiting:
                if tick_ns <= reached:
                    by_tick.setdefault(tick_ns, []).append((strange, adverse))
            stream.waiting = [one for one in stream.waiting if one[0] > reached]
        readings = []
        for tick_ns, members in sorted(by_tick.items()):
            pointing = [adverse for _, adverse in members]
            scores = np.array([one for one, _ in members])
            readings.append(_Reading(tick_ns, scores, 2 * sum(pointing) >= len(pointing)))
        return readings

    def _judge(self, stream: _Stream, what: str, reading: "_Reading", *, alerts: list[RiskAlert]) -> float:
        """Return S of a stream at a tick, NaN = no opinion, after its tier machine took it."""
        error = PER_UNIT * systemic_errors(reading.strange[None])[:, None]
        if reading.tick_ns <= stream.judged_ns or stream.calibrator is None or np.isnan(error[0, 0]):
            return float("nan")
        assert stream.levels is not None
        stream.judged_ns = reading.tick_ns
        slot = stream.calibrator.slots(_ONE)
        stream.seen += stream.seen < WARMUP_TICKS
        known = stream.seen >= WARMUP_TICKS
        strange = float(strangeness(stream.calibrator.p(slot, error))[0, 0])
        before = stream.tier
        if known:
            stream.score = strange
            stream.machine.step(strange, stream.levels, adverse=reading.adverse)
        if stream.tier is Tier.NORMAL:
            stream.calibrator.learn(slot, error)
        if stream.tier is not before:
            alerts.append(self._alert(what, reading, (before, stream.tier), strange=strange))
        return strange if known else float("nan")

    def _alert(self, what: str, reading: "_Reading", tiers: tuple[Tier, Tier], *, strange: float) -> RiskAlert:
        members = int(np.isfinite(reading.strange).sum())
        return RiskAlert(
            alert_id=f"{AlertKind.SYSTEMIC_RISK}:{what}:{reading.tick_ns}:{self._epoch}",
            kind=AlertKind.SYSTEMIC_RISK,
            instrument_id=0,
            ts_ns=reading.tick_ns,
            epoch=self._epoch,
            tier=tiers[1],
            message=f"{what} as a whole: {tiers[0].name} to {tiers[1].name}, score {strange:.1f}, {members} members",
            source=SOURCE,
        )


def _below_critical(start: SystemicStart | None) -> TierLevels | None:
    """Return levels whose Critical is out of reach."""
    if start is None:
        return None
    enter, leave = start.levels.enter, start.levels.leave
    return TierLevels((*enter[:3], math.inf), (*leave[:3], math.inf))


@dataclass(frozen=True, slots=True, eq=False)
class _Reading:
    """S of members at a tick, NaN = no opinion, and whether they point in the dangerous direction together."""

    tick_ns: int
    strange: F64
    adverse: bool


class _Reader:
    """Takes bytes from the front."""

    def __init__(self, raw: bytes) -> None:
        self._raw, self._place = raw, 0

    @property
    def left(self) -> int:
        return len(self._raw) - self._place

    def take(self, count: int) -> bytes:
        if count > self.left:
            raise ValueError("systemic state is cut short")
        self._place += count
        return self._raw[self._place - count : self._place]

    def unpack(self, form: struct.Struct) -> Any:
        return form.unpack(self.take(form.size))
