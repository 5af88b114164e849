"""The bystander of the demonstration: follows the topics, reads the limit table as a trading process would, tells the story.

Latency hops are taken where a subscriber stands: frame due → tick seen → state seen → row visible in the table
(the sidecar's own write time, same monotonic clock).
"""

from collections.abc import Callable
from typing import cast

from deploy.demo.story import LimitSeen, Story
from deploy.desk import Desk
from deploy.observe import Seen, TickClock
from gate.rows import InstrumentRow
from schemas import codec, topics
from schemas.records import OrderDecision, RiskAlert, RiskState, Tier
from schemas.ticks import decode_ticks

TOPICS = (topics.FEATURES_TICKS, topics.RISK_STATES, topics.RISK_ALERTS, topics.ORDERS_DECISIONS, topics.DEAD_LETTERS)
HOPS = ("frame_to_tick", "tick_to_state", "state_to_gate", "frame_to_gate")


class Observer:
    """Turns messages into the story and into printed lines."""

    def __init__(self, story: Story, clock: TickClock, desk: Desk, *, tell: Callable[[str], None]) -> None:
        self._story = story
        self._clock = clock
        self._desk = desk
        self._tell = tell
        self._ticks_seen: dict[int, int] = {}
        self._waiting: list[tuple[RiskState, int]] = []
        self.last_tick_ns = 0

    @property
    def decision_count(self) -> int:
        """Decisions seen, both enforcers."""
        return len(self._story.decisions)

    def take(self, message: Seen) -> None:
        """Take one message."""
        topic = message.place.topic
        if topic == topics.FEATURES_TICKS:
            self._ticks(message)
        elif topic == topics.RISK_STATES:
            self._state(cast("RiskState", codec.decode(topic, message.value)), message.received_ns)
        elif topic == topics.RISK_ALERTS:
            self._story.alerts.append(cast("RiskAlert", codec.decode(topic, message.value)))
        elif topic == topics.ORDERS_DECISIONS:
            self._decision(cast("OrderDecision", codec.decode(topic, message.value)))
        else:
            self._story.dead_letters += 1

    def look_at_gate(self) -> None:
        """See which states have become visible in the limit table."""
        still = []
        for state, seen_ns in self._waiting:
            row = self._desk.row(state.instrument_id)
            if row is None or row.tick_ns < state.tick_ns:
                still.append((state, seen_ns))
                continue
            if row.tick_ns == state.tick_ns:
                self._visible(state, seen_ns, row.written_ns)
                self._limits(state, row)
        self._waiting = still

    def _ticks(self, message: Seen) -> None:
        ticks = decode_ticks(message.value)
        for tick_ns, instrument, price in zip(
            ticks.tick_ns.tolist(), ticks.instrument_id.tolist(), ticks.ref_price.tolist(), strict=True
        ):
            if instrument == self._story.crash_instrument_id and price:
                self._story.mids.append((tick_ns, price))
                if tick_ns <= self._story.crash_start_ns:
                    self._story.reference_price = price
            self._ticks_seen[tick_ns] = message.received_ns
        self.last_tick_ns = int(ticks.tick_ns[-1])
        due_ns = self._clock.closed_at(self.last_tick_ns)
        if due_ns is not None:
            self._story.latency_ms["frame_to_tick"].append((message.received_ns - due_ns) / 1e6)

    def _state(self, state: RiskState, received_ns: int) -> None:
        tick_seen_ns = self._ticks_seen.get(state.tick_ns)
        if tick_seen_ns is not None:
            self._story.latency_ms["tick_to_state"].append(max(0.0, (received_ns - tick_seen_ns) / 1e6))
        self._waiting.append((state, received_ns))
        if state.tier is not state.tier_before:
            self._story.states.append(state)

    def _visible(self, state: RiskState, seen_ns: int, written_ns: int) -> None:
        self._story.latency_ms["state_to_gate"].append(max(0.0, (written_ns - seen_ns) / 1e6))
        due_ns = self._clock.closed_at(state.tick_ns)
        if due_ns is not None:
            self._story.latency_ms["frame_to_gate"].append((written_ns - due_ns) / 1e6)

    def _limits(self, state: RiskState, row: InstrumentRow) -> None:
        known = [qty for qty in (row.envelope.order_qty, row.dynamic.order_qty) if qty is not None]
        seen = LimitSeen(state.instrument_id, state.tick_ns, Tier(row.tier), min(known, default=0), row.halted)
        before = next((s for s in reversed(self._story.limits) if s.instrument_id == state.instrument_id), None)
        if before is None or (before.max_order_qty, before.halted) != (seen.max_order_qty, seen.halted):
            self._story.limits.append(seen)
            if before is not None:
                self._tell(self._story.limit_line(state, before, seen))

    def _decision(self, decision: OrderDecision) -> None:
        self._story.decisions[decision.order_id, decision.enforcer] = decision
        if decision.enforcer == "gate" and decision.reason != "ok":
            self._tell(self._story.refusal_line(decision))
