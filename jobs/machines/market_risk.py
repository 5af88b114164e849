"""The third step of `score_risk`: tracked ticks of all channels in, states out, raised to what their channel or the market asks.

States pass as they are while no floor is up. Where one is, states that are due say so, and a floor that changes is told
for every member at once, with the channel's next tick: a state is never older than one that its instrument has told.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from jobs.machines.keeping import pack, unpack
from jobs.machines.letters import Message
from jobs.machines.tracked import TrackedTicks, decode_tracked
from models.detectors.combining import score01
from models.risk import Pulse
from models.systemic_risk import Floor, Starts, SystemicRisk
from schemas import codec, topics
from schemas.codec import Registry
from schemas.records import RiskState, Tier


@dataclass(frozen=True, slots=True)
class MarketOutcome:
    """Encoded messages for each topic, and the ticks that they are of."""

    states: list[Message] = field(default_factory=list)
    alerts: list[Message] = field(default_factory=list)
    tick_ns: list[int] = field(default_factory=list)


class MarketRisk:
    """All channels.

    Args:
        starts: Name of a model's folder to what it says of channels.
        epoch: Deployment epoch.
        state: What was kept.
    """

    def __init__(
        self, starts: Starts, *, epoch: int, state: bytes | None = None, registry: Registry | None = None
    ) -> None:
        self._epoch, self._registry = epoch, registry
        self._floors: dict[str, Tier] = {}
        if state is None:
            self._systemic = SystemicRisk(starts, epoch=epoch)
        else:
            systemic, *floors = unpack(state)
            self._systemic = SystemicRisk.from_bytes(systemic, starts, epoch=epoch)
            self._floors = {one[1:].decode(): Tier(one[0]) for one in floors}

    def apply(self, raw: bytes) -> MarketOutcome:
        """Take one message of tracked ticks."""
        tracked, out = decode_tracked(raw), MarketOutcome()
        waiting = list(tracked.states)
        for pulse in tracked.pulses:
            out.tick_ns.append(pulse.tick_ns)
            own = [message for tick_ns, message in waiting if tick_ns == pulse.tick_ns]
            waiting = [one for one in waiting if one[0] != pulse.tick_ns]
            before = self._floors.get(tracked.channel_id, Tier.NORMAL)
            floor, alerts = self._systemic.take(tracked.channel_id, tracked.model, pulse)
            self._floors[tracked.channel_id] = floor.tier
            out.alerts.extend((b"0", codec.encode(topics.RISK_ALERTS, one, self._registry)) for one in alerts)
            if floor.tier is Tier.NORMAL and before is Tier.NORMAL:
                out.states.extend(own)
            else:
                out.states.extend(self._raised(tracked, pulse, own, floors=(before, floor)))
        return out

    def state(self) -> bytes:
        """Return what must be kept."""
        return pack([self._systemic.to_bytes(), *(bytes([t]) + name.encode() for name, t in self._floors.items())])

    def _raised(
        self, tracked: TrackedTicks, pulse: Pulse, own: list[Message], *, floors: tuple[Tier, Floor]
    ) -> list[Message]:
        """Return states of a tick under a floor: those that are due, and every member's where the floor changed."""
        before, floor = floors
        told: dict[bytes, Message] = {}
        for key, raw in own:
            state = codec.decode(topics.RISK_STATES, raw, self._registry)
            assert isinstance(state, RiskState)
            told[key] = key, self._encode(state, before, floor)
        if before is not floor.tier:
            for place in range(len(pulse.instrument_id)):
                key = str(pulse.instrument_id[place]).encode()
                if key not in told:
                    told[key] = key, self._encode(self._member(tracked, pulse, place), before, floor)
        return [*told.values()]

    def _encode(self, state: RiskState, before: Tier, floor: Floor) -> bytes:
        raised = replace(
            state,
            tier=max(state.tier, floor.tier),
            tier_before=max(state.tier_before, before),
            systemic_tier=floor.tier,
            systemic_score=floor.score,
        )
        return codec.encode(topics.RISK_STATES, raised, self._registry)

    def _member(self, tracked: TrackedTicks, pulse: Pulse, place: int) -> RiskState:
        """Return the state of a member that had nothing to tell by itself; its causes are its channel's."""
        strange, tier = float(np.nan_to_num(pulse.strange[place])), Tier(int(pulse.tier[place]))
        return RiskState(
            instrument_id=int(pulse.instrument_id[place]),
            channel_id=tracked.channel_id,
            tick_ns=pulse.tick_ns,
            epoch=self._epoch,
            tier=tier,
            tier_before=tier,
            latched=tier is Tier.CRITICAL,
            stale=bool(pulse.stale[place]),
            degraded=bool(pulse.degraded[place]),
            score=strange,
            score01=float(score01(np.array(strange))),
            p=10.0**-strange,
            adverse_share=float(pulse.adverse_share[place]),
            ref_price=int(pulse.ref_price[place]) or None,
            model_id=tracked.model_id,
            causes=(),
        )
