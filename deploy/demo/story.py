"""What the demonstration saw, as plain values: filled by the observer, judged by expectations, printed by the report.

Invariant: everything under ``tiers`` and ``limits`` follows from event time alone, so two runs with one seed are equal;
wall-clock figures live under ``latency_ms`` only.
"""

import time
from collections import defaultdict
from dataclasses import dataclass, field

from schemas.records import OrderDecision, OrderRequest, RiskAlert, RiskState, Tier
from schemas.units import NS_PER_MS, NS_PER_S


@dataclass(frozen=True, slots=True)
class LimitSeen:
    """Effective limit of an instrument as the trading process read it from the table.

    Attributes:
        instrument_id: Instrument.
        tick_ns: Tick of the risk state behind it.
        tier: Tier in force.
        max_order_qty: Lots; 0 when halted.
        halted: New orders are blocked.
    """

    instrument_id: int
    tick_ns: int
    tier: Tier
    max_order_qty: int
    halted: bool


@dataclass(slots=True)
class Story:
    """One run of a scenario.

    Attributes:
        seed: Seed of the simulator.
        crash_instrument_id: Instrument that breaks.
        crash_start_ns: The seller starts; everything before is calm.
        reference_price: Mid of the crash instrument before the seller starts, 1e-9 currency.
        release_ns: Event time at which the release command takes effect.
        key_order_id: The 200-lot order.
        orders: Every order the firm sent, in time order.
        decisions: ``(order_id, enforcer)`` → decision.
        states: States of every instrument whose tier changed, in arrival order.
        limits: Effective limits after each tier change.
        alerts: Alerts in arrival order.
        mids: ``(tick_ns, mid)`` of the crash instrument.
        latency_ms: Hop → samples.
        dead_letters: How many messages were refused.
        static_max_order_qty: What the envelope alone allows, lots.
        symbols: Instrument names.
    """

    seed: int
    crash_instrument_id: int
    crash_start_ns: int
    reference_price: int
    release_ns: int
    key_order_id: str
    orders: list[OrderRequest] = field(default_factory=list)
    decisions: dict[tuple[str, str], OrderDecision] = field(default_factory=dict)
    states: list[RiskState] = field(default_factory=list)
    limits: list[LimitSeen] = field(default_factory=list)
    alerts: list[RiskAlert] = field(default_factory=list)
    mids: list[tuple[int, int]] = field(default_factory=list)
    latency_ms: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    dead_letters: int = 0
    static_max_order_qty: int = 0
    symbols: dict[int, str] = field(default_factory=dict)

    def move_at(self, ts_ns: int) -> float:
        """Return the price move of the crash instrument at ``ts_ns`` against the reference, as a fraction."""
        price = self.reference_price
        for tick_ns, mid in self.mids:
            if tick_ns > ts_ns:
                break
            price = mid
        return price / self.reference_price - 1.0

    def limit_line(self, state: RiskState, before: LimitSeen, seen: LimitSeen) -> str:
        """Return the line for a change of limits."""
        causes = ", ".join(cause.words for cause in state.causes)
        name = self.symbols.get(state.instrument_id, str(state.instrument_id))
        move = f"  price {self.move_at(state.tick_ns):+.2%}" if state.instrument_id == self.crash_instrument_id else ""
        return (
            f"{clock(state.tick_ns)}  {name}  {state.tier.name:<10}  max order {_limit(before)} → {_limit(seen)}"
            f"{move}  S {state.score:.1f}  [{causes}]"
        )

    def refusal_line(self, decision: OrderDecision) -> str:
        """Return the line for a refused order."""
        order = next((o for o in self.orders if o.order_id == decision.order_id), None)
        name = self.symbols.get(decision.instrument_id, str(decision.instrument_id))
        what = f"{order.side.value} {order.qty} {name} {order.order_type.value}" if order else name
        numbers = f" (limit {decision.limit}, order {decision.observed})" if decision.limit is not None else ""
        at_ns = order.ts_event_ns if order else decision.ts_event_ns  # the gate's own time is that of this machine
        return f"{clock(at_ns)}  {name}  REFUSED     {decision.order_id}: {what}: {decision.reason}{numbers}"


def clock(ts_ns: int) -> str:
    """Return event time as HH:MM:SS.mmm, UTC."""
    seconds, rest = divmod(ts_ns, NS_PER_S)
    return time.strftime("%H:%M:%S", time.gmtime(seconds)) + f".{rest // NS_PER_MS:03d}"


def _limit(seen: LimitSeen) -> str:
    return "halted" if seen.halted else str(seen.max_order_qty)
