"""What the topics say now, in memory: the newest state and tick of each instrument, and what people ordered.

Invariants: per instrument the largest ``(epoch, tick_ns)`` wins, as everywhere; a state that was read from the past of the topic is
shown, and never as fresh, until one arrives; nothing here waits for history. Thread-safe: the consumer writes, requests read.
Rejected: one view per request from history (late by a batch, and gone when history is).
"""

import threading
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from api.limits import Grant, Grants, Step, capped
from schemas import codec, topics
from schemas.errors import Place
from schemas.records import CommandKind, OrderDecision, RiskAlert, RiskCommand, RiskState, Tier
from schemas.registry import ConfluentRegistry
from schemas.ticks import Ticks, decode_ticks

READ_TOPICS: Final = (
    topics.RISK_STATES, topics.FEATURES_TICKS, topics.RISK_ALERTS, topics.ORDERS_DECISIONS, topics.RISK_COMMANDS,
    topics.DEAD_LETTERS,
)  # fmt: skip
SHOWN: Final = ("spread_bps", "depth_bid_5", "depth_ask_5", "realised_vol_60s", "imbalance_l5")
"""Features of the newest tick that the overview shows; all others are in history."""
FAR_NS: Final = 2**62
"""A time that does not come."""


@dataclass(frozen=True, slots=True)
class Held:
    """The newest state of an instrument.

    Attributes:
        state: The state.
        heard_ns: When it arrived, monotonic clock; ``None`` = read from the past of the topic.
    """

    state: RiskState
    heard_ns: int | None


@dataclass(frozen=True, slots=True)
class Tick:
    """The newest tick of an instrument.

    Attributes:
        tick_ns: Event time.
        channel_id: Channel.
        status: ``schemas.events.TickStatus`` bits.
        ref_price: Mid, 1e-9 currency; ``None`` = a side is empty.
        values: As ``SHOWN``; NaN = not known.
    """

    tick_ns: int
    channel_id: str
    status: int
    ref_price: int | None
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class InForce:
    """The limits in force.

    Attributes:
        step: Limits of the tier, or the stale column under them when the state is stale or expired.
        because: ``tier``, ``stale``, ``expired``, ``no_state``, ``halted``, ``killed``, ``restricted`` or ``unset``.
    """

    step: Step
    because: str


Event = RiskAlert | OrderDecision | RiskCommand


class LiveView:
    """The newest of everything."""

    def __init__(self, *, ttl_ms: int, registry: ConfluentRegistry | None = None) -> None:
        self.ttl_ns = ttl_ms * 1_000_000
        self._registry = registry
        self._lock = threading.Lock()
        self._states: dict[int, Held] = {}
        self._ticks: dict[int, Tick] = {}
        self._changed: set[int] = set()
        self._grants = Grants()
        self._command_ids: set[str] = set()
        self._in_force: dict[int, tuple[tuple[Tier, str], int, InForce]] = {}
        self._market_ns = 0
        self._fence_epoch = 0
        self.counts: Counter[str] = Counter()
        self.letters: Counter[tuple[str, str]] = Counter()

    def take(self, place: Place, value: bytes, heard_ns: int | None) -> Event | None:
        """Take a message; return what subscribers should be told one by one, ``None`` where there is nothing.

        Args:
            place: Where it came from.
            value: Its value.
            heard_ns: When it arrived, monotonic clock; ``None`` = it is of the topic's past.

        Raises:
            MessageError: It cannot be read. Nothing has changed.
        """
        self.counts[place.topic] += 1
        if place.topic == topics.FEATURES_TICKS:
            self._take_ticks(decode_ticks(value))
            return None
        record = codec.decode(place.topic, value, self._registry)
        if isinstance(record, RiskState):
            self._take_state(record, heard_ns)
            return None
        if isinstance(record, RiskCommand):
            return self._take_command(record)
        if place.topic == topics.DEAD_LETTERS:
            cause, source = getattr(record, "cause", ""), getattr(record, "source", "")
            self.letters[source, cause] += 1
            return None
        return record if isinstance(record, RiskAlert | OrderDecision) else None

    def instruments(self) -> list[int]:
        """Return every instrument that anything is known of."""
        with self._lock:
            return sorted({*self._states, *self._ticks, *self._grants.instruments()})

    def held(self, instrument_id: int) -> Held | None:
        """Return the newest state of an instrument."""
        return self._states.get(instrument_id)

    def tick(self, instrument_id: int) -> Tick | None:
        """Return the newest tick of an instrument."""
        return self._ticks.get(instrument_id)

    def changed(self) -> list[int]:
        """Return the instruments that changed since the last call."""
        with self._lock:
            changed, self._changed = self._changed, set()
        return sorted(changed)

    def valid_for_ms(self, held: Held, now_ns: int) -> int:
        """Return for how long a state is still valid; 0 = expired, or not heard since this process started."""
        return 0 if held.heard_ns is None else max(0, (held.heard_ns + self.ttl_ns - now_ns) // 1_000_000)

    def market_ns(self) -> int:
        """Return the newest event time seen; 0 = none."""
        return self._market_ns

    def grant(self, instrument_id: int, at_ns: int | None = None) -> Grant:
        """Return what people granted for an instrument, as of its newest state or of ``at_ns``."""
        held = self._states.get(instrument_id)
        now_ns = at_ns if at_ns is not None else held.state.tick_ns if held else FAR_NS
        with self._lock:
            return self._grants.of(instrument_id, now_ns)

    def blocks(self) -> list[RiskCommand]:
        """Return every kill and restriction that stands."""
        with self._lock:
            return self._grants.all_blocks()

    def in_force(self, instrument_id: int, now_ns: int) -> InForce:
        """Return the limits in force at ``now_ns`` (monotonic), and why these."""
        held = self._states.get(instrument_id)
        expired = held is not None and self.valid_for_ms(held, now_ns) == 0
        column = "no_state" if held is None else "expired" if expired else "stale" if held.state.stale else "tier"
        tier = held.state.tier if held else Tier.NORMAL
        at_ns = held.state.tick_ns if held else FAR_NS
        with self._lock:
            known = self._in_force.get(instrument_id)
            if known and known[0] == (tier, column) and at_ns < known[1]:
                return known[2]
            grant = self._grants.of(instrument_id, at_ns)
            found = _in_force(grant, self._grants.blocks(instrument_id), tier=tier, column=column)
            self._in_force[instrument_id] = ((tier, column), grant.until_ns or FAR_NS, found)
        return found

    def _take_state(self, state: RiskState, heard_ns: int | None) -> None:
        with self._lock:
            held = self._states.get(state.instrument_id)
            if state.epoch < self._fence_epoch:
                return
            if held and (state.epoch, state.tick_ns) <= (held.state.epoch, held.state.tick_ns):
                return
            self._fence_epoch = state.epoch
            self._states[state.instrument_id] = Held(state, heard_ns)
            self._market_ns = max(self._market_ns, state.tick_ns)
            self._changed.add(state.instrument_id)

    def _take_command(self, command: RiskCommand) -> RiskCommand | None:
        with self._lock:
            if command.command_id in self._command_ids:
                return None
            self._command_ids.add(command.command_id)
            self._grants.take(command)
            self._in_force.clear()
            self._changed.update(self._states)
        return command

    def _take_ticks(self, ticks: Ticks) -> None:
        rows = newest_rows(ticks)
        if not len(rows):
            return
        columns = [ticks.feature_names.index(name) if name in ticks.feature_names else -1 for name in SHOWN]
        values = np.full((len(rows), len(SHOWN)), np.nan)
        for at, column in enumerate(columns):
            if column >= 0:
                values[:, at] = ticks.values[rows, column]
        fixed = (ticks.instrument_id, ticks.tick_ns, ticks.status, ticks.ref_price)
        plain = zip(*(column[rows].tolist() for column in fixed), values.tolist(), strict=True)
        with self._lock:
            self._market_ns = max(self._market_ns, int(ticks.tick_ns[rows].max()))
            for instrument_id, tick_ns, status, ref_price, shown in plain:
                held = self._ticks.get(instrument_id)
                if held is None or tick_ns > held.tick_ns or held.channel_id != ticks.channel_id:
                    self._ticks[instrument_id] = Tick(
                        tick_ns, ticks.channel_id, status, ref_price or None, tuple(shown)
                    )
                    self._changed.add(instrument_id)


def _in_force(grant: Grant, blocks: list[RiskCommand], *, tier: Tier, column: str) -> InForce:
    step = grant.step(tier)
    if column in {"stale", "expired"}:
        step = Step(tier, step.halt, capped(step.limits, grant.stale_limits))
    if blocks:
        is_killed = any(block.kind is CommandKind.KILL for block in blocks)
        return InForce(replace(step, halt=True), "killed" if is_killed else "restricted")
    if not grant.administrators or column == "no_state":
        return InForce(replace(step, halt=True), "unset" if not grant.administrators else "no_state")
    return InForce(step, "halted" if step.halt and column == "tier" else column)


def newest_rows(ticks: Ticks) -> Any:
    """Return the index of each instrument's last row in a message."""
    reverse = ticks.instrument_id[::-1]
    _, first = np.unique(reverse, return_index=True)
    return len(reverse) - 1 - first
