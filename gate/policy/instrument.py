"""What the limit book holds about one instrument, and the row that follows from it. Pure; times are arguments.

Invariants: the row is a function of what is held; a reference price lives on only as long as a book that can be trusted
vouched for it; limits loosen with the tier only after the dwell. Rejected: keeping the last reference price when a side of
the book is empty (nobody knows the price then).
"""

from dataclasses import dataclass, field
from typing import Final

from gate import _native
from gate.policy.administrators import NO_ENVELOPE
from gate.policy.grants import Grants
from gate.policy.limits import PERIOD_MS_MAX, dynamic_limits, envelope_column, stale_column
from gate.policy.rolling import RollingMax
from gate.rows import UNLIMITED, InstrumentRow, Limits
from schemas.records import Envelope, RiskState, Tier
from schemas.units import NS_PER_MS

NEVER_FRESH_NS: Final = 0
"""``valid_until_ns`` of a state that is remembered but must not look fresh."""

_KEEP_NS: Final = PERIOD_MS_MAX * NS_PER_MS
"""Reference prices are kept so long while nobody has set a period, so that the order of arrival does not matter."""


@dataclass(slots=True)
class Instrument:
    """Everything about one instrument.

    Attributes:
        instrument_id: Instrument.
        killed: A person blocked it.
        restricted: A person put it on the restricted list.
        state: The risk state in force, fresh or not.
        valid_until_ns: When that state expires.
        written_ns: For latency measurement.
        silence_told: Its silence was reported.
    """

    instrument_id: int
    killed: bool = False
    restricted: bool = False
    state: RiskState | None = None
    valid_until_ns: int = NEVER_FRESH_NS
    written_ns: int = 0
    silence_told: bool = False
    ref_price: int = 0
    ref_from_ns: int = NEVER_FRESH_NS
    _policy: "_Policy" = field(default_factory=lambda: _Policy(Grants(NO_ENVELOPE, NO_ENVELOPE)))
    _highs: RollingMax = field(default_factory=RollingMax)
    _lows: RollingMax = field(default_factory=RollingMax)
    _tiers: RollingMax = field(default_factory=RollingMax)

    @property
    def grants(self) -> Grants[Envelope]:
        """Envelopes of the administrators."""
        return self._policy.grants

    @grants.setter
    def grants(self, grants: Grants[Envelope]) -> None:
        self._policy = _Policy(grants)

    def take(self, state: RiskState, *, valid_until_ns: int, ref_from_ns: int, dwell_ns: int) -> None:
        """Take a newer state.

        Args:
            state: The state.
            valid_until_ns: When it expires.
            ref_from_ns: When its reference price was good, on the clock of ``valid_until_ns``; `NEVER_FRESH_NS` = never.
            dwell_ns: How long its tier must rest before a lower one may loosen, event time.
        """
        self.state = state
        self.valid_until_ns = valid_until_ns
        self._tiers.add(state.tick_ns, int(state.tier), keep_ns=max(1, dwell_ns))
        if state.ref_price is None or state.ref_price <= 0:
            self.ref_price, self.ref_from_ns = 0, NEVER_FRESH_NS
        elif not state.stale:
            self.ref_price, self.ref_from_ns = state.ref_price, ref_from_ns
            keep_ns = _period_ns(self._policy.envelope) or _KEEP_NS
            self._highs.add(state.tick_ns, state.ref_price, keep_ns=keep_ns)
            self._lows.add(state.tick_ns, -state.ref_price, keep_ns=keep_ns)

    def tier(self, dwell_ns: int) -> Tier:
        """Return the tier in force: the tightest of the last ``dwell_ns``."""
        held = self._tiers.largest(keep_ns=max(1, dwell_ns))
        return Tier.NORMAL if held is None else Tier(held)

    def row(self, dwell_ns: int) -> InstrumentRow:
        """Return the row in force."""
        envelope, state, tier = self._policy.envelope, self.state, self.tier(dwell_ns)
        dynamic = self._policy.dynamic[tier]
        low, high = self._range(envelope)
        class_id = envelope.class_id
        return InstrumentRow(
            instrument_id=self.instrument_id,
            envelope=self._policy.column,
            dynamic=Limits.UNSET if state is None else dynamic.limits,
            stale_limits=self._policy.stale_column,
            tier=tier,
            class_id=max(0, class_id or 0),
            halted=state is not None and dynamic.halt,
            killed=self.killed,
            stale=state is not None and state.stale,
            restricted=self.restricted or envelope.restricted,
            needs_locate=envelope.needs_locate,
            warn_permille=_soft(envelope.warn_permille),
            pend_permille=_soft(envelope.pend_permille),
            ref_price=self.ref_price,
            ref_low=low,
            ref_high=high,
            ref_until_ns=self._ref_until_ns(envelope),
            valid_until_ns=self.valid_until_ns,
            # Nobody may trade what has no class, or several: an unset tick size blocks.
            tick_size=0 if class_id is None or class_id < 0 else _known(envelope.tick_size),
            lot_nano=_known(envelope.lot_nano),
            qty_min=_known(envelope.qty_min),
            qty_step=_known(envelope.qty_step),
            epoch=state.epoch if state else 0,
            tick_ns=state.tick_ns if state else 0,
            written_ns=self.written_ns,
            score=state.score if state else 0.0,
            model_id=_ascii(state.model_id) if state else "",
        )

    def memory(self) -> list[list[tuple[int, int]]]:
        """Return what the last state alone does not tell: tiers, highs and negative lows with their event times."""
        return [self._tiers.seen(), self._highs.seen(), self._lows.seen()]

    def remember(self, memory: list[list[tuple[int, int]]]) -> None:
        """Take what :meth:`memory` of a past life returned."""
        self._tiers, self._highs, self._lows = (RollingMax((ts, value) for ts, value in part) for part in memory)

    def _range(self, envelope: Envelope) -> tuple[int, int]:
        """Return lowest and highest reference price of the period; 0 while nobody has set one, which blocks."""
        keep_ns = _period_ns(envelope)
        if not keep_ns or self.ref_price == 0:
            return 0, 0
        low, high = self._lows.largest(keep_ns=keep_ns), self._highs.largest(keep_ns=keep_ns)
        return -(low or 0), high or 0

    def _ref_until_ns(self, envelope: Envelope) -> int:
        if envelope.ref_ttl_ms is None or self.ref_from_ns == NEVER_FRESH_NS:
            return NEVER_FRESH_NS
        return min(UNLIMITED, self.ref_from_ns + envelope.ref_ttl_ms * NS_PER_MS)


class _Policy:
    """What follows from the grants alone: worked out when they change, not with every state."""

    __slots__ = ("column", "dynamic", "envelope", "grants", "stale_column")

    def __init__(self, grants: Grants[Envelope]) -> None:
        self.grants = grants
        self.envelope = grants.in_force()
        self.column, self.stale_column = envelope_column(self.envelope), stale_column(self.envelope)
        self.dynamic = {tier: dynamic_limits(self.envelope, tier) for tier in Tier}


def _period_ns(envelope: Envelope) -> int:
    return (envelope.period_ms or 0) * NS_PER_MS


def _known(fact: int | None) -> int:
    return 0 if fact is None or fact < 0 else fact


def _soft(permille: int | None) -> int:
    assert permille is not None, "combining says 1000 where nobody set a soft limit"
    return permille


def _ascii(model_id: str) -> str:
    return model_id.replace("\0", "?").encode("ascii", "replace")[: _native.MODEL_ID_BYTES_MAX].decode("ascii")
