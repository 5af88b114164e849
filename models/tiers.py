"""The tier machine of one instrument: enter fast, leave slowly, Critical waits for a person. Pure.

Invariants: a tier rises at once when its evidence is there: 2 of the last 3 ticks at or above its level, for High Alert also one
tick of Critical's; it falls by one step at a time, and only after ``DWELL_TICKS`` ticks in a row below the exit level of the
tier in force; Critical never falls by itself. Only adverse evidence counts. A release is a person's judgement of what the
score shows at that moment: Critical is entered again only by evidence a decade stronger, or once the score has been calm in
between.

One tick of Critical evidence is enough for Critical where the ticks before it spoke too; alone, it brings High Alert at
once, and Critical only when ``CONFIRMATIONS`` ticks in a row, itself counted, were at least Elevated by what stands in the market
now (``standing``: a bad print stays in a minute's volatility long after the book is whole again). So a spike between calm
neighbours tightens and never halts. Confirmation belongs here and not in the gate: Critical's limits are zero in any
sensible table, a Critical that does not halt yet would be a fifth tier, and two enforcers would have to agree on it.
Rejected: one level for entering and leaving (it flaps).
"""

import math
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Self

from schemas.records import RiskState, Tier
from schemas.units import TICK_NS

DWELL_TICKS: Final = 300
"""30 s below the exit level before a tier is left."""

CONFIRMATIONS: Final = 3
FLAP_TICKS: Final = 600
"""A tier entered again within 60 s of having been left has flapped."""

RELEASE_MARGIN: Final = 1.0
"""One decade of probability."""

_STATE: Final = struct.Struct("<BBBxHddqq4q4q4I4I")
STATE_BYTES: Final = _STATE.size
_CLIMBABLE: Final = (Tier.CRITICAL, Tier.HIGH_ALERT, Tier.ELEVATED)
_LONG_AGO: Final = -FLAP_TICKS - 1


@dataclass(frozen=True, slots=True)
class TierLevels:
    """Levels of the score for each tier above Normal, by tier value (index 0 is unused).

    Attributes:
        enter: Score at which the tier is entered.
        leave: Score below which it may be left; not above ``enter``.
    """

    enter: tuple[float, float, float, float]
    leave: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class TierUse:
    """How a machine, or many, used the tiers; by tier value.

    Attributes:
        ticks: Ticks spent in each tier; the one that changes it counts to the tier before.
        entered: Times each tier was entered from below.
        flapped: Of these, within 60 s of having left it.
    """

    ticks: tuple[int, ...] = (0, 0, 0, 0)
    entered: tuple[int, ...] = (0, 0, 0, 0)
    flapped: tuple[int, ...] = (0, 0, 0, 0)

    def __add__(self, other: "TierUse") -> "TierUse":
        """Return both together."""
        return TierUse(
            _sum(self.ticks, other.ticks), _sum(self.entered, other.entered), _sum(self.flapped, other.flapped)
        )


def use_of(states: Iterable[RiskState]) -> TierUse:
    """Return entries and flaps that published states show, floors of channels included; their ticks are not known."""
    entered, flapped = [0] * len(Tier), [0] * len(Tier)
    left_ns: dict[tuple[int, int], int] = {}
    for state in states:
        for tier in range(state.tier_before + 1, state.tier + 1):
            entered[tier] += 1
            left = left_ns.get((state.instrument_id, tier))
            flapped[tier] += left is not None and state.tick_ns - left <= FLAP_TICKS * TICK_NS
        for tier in range(state.tier + 1, state.tier_before + 1):
            left_ns[state.instrument_id, tier] = state.tick_ns
    return TierUse(entered=tuple(entered), flapped=tuple(flapped))


@dataclass(slots=True)
class TierMachine:
    """One instrument's tier.

    Attributes:
        tier: Tier in force.
        recent: What the last three ticks supported: two bits a tick, newest lowest.
        stood: Which of them supported it by what stands in the market: a bit a tick, newest lowest.
        calm_ticks: Ticks in a row below the exit level.
        last_score: Score of the last tick.
        released_score: Score that a person released at; infinitely low when no release is in force.
        clock: Ticks stepped.
        changed_at: Clock at the last change of tier.
        left_at: By tier, clock when it was last left.
        ticks_before: By tier, ticks spent in it up to ``changed_at``.
        entered: By tier, times it was entered.
        flapped: By tier, times it was entered within ``FLAP_TICKS`` of having been left.
    """

    tier: Tier = Tier.NORMAL
    recent: int = 0
    stood: int = 0
    calm_ticks: int = 0
    last_score: float = 0.0
    released_score: float = -math.inf
    clock: int = 0
    changed_at: int = 0
    left_at: list[int] = field(default_factory=lambda: [_LONG_AGO] * len(Tier))
    ticks_before: list[int] = field(default_factory=lambda: [0] * len(Tier))
    entered: list[int] = field(default_factory=lambda: [0] * len(Tier))
    flapped: list[int] = field(default_factory=lambda: [0] * len(Tier))

    @property
    def latched(self) -> bool:
        """Critical, which waits for a person."""
        return self.tier is Tier.CRITICAL

    @property
    def use(self) -> TierUse:
        """Ticks in each tier, entries and flaps so far."""
        ticks = list(self.ticks_before)
        ticks[self.tier] += self.clock - self.changed_at
        return TierUse(tuple(ticks), tuple(self.entered), tuple(self.flapped))

    def step(self, score: float, levels: TierLevels, *, adverse: bool, standing: bool = True) -> Tier:
        """Take one tick's score and return the tier in force after it.

        Args:
            score: S of the tick.
            levels: Where tiers are entered and left.
            adverse: It points in the dangerous direction.
            standing: What makes it strange stands in the market at this tick, and is not the echo of an earlier one.
        """
        self.clock += 1
        supported = next((t for t in _CLIMBABLE if adverse and score >= levels.enter[t]), Tier.NORMAL)
        self.last_score = score
        if score < levels.leave[Tier.CRITICAL]:
            self.released_score = -math.inf
        if supported is Tier.CRITICAL and score < self.released_score + RELEASE_MARGIN:
            supported = Tier.HIGH_ALERT
        self.recent = (self.recent << 2 | supported) & 0x3F
        self.stood = (self.stood << 1 | (standing and supported > Tier.NORMAL)) & 0x7
        entered = self._entered()
        if entered > self.tier:
            self._move(entered)
            return self.tier
        if self.tier is Tier.NORMAL:
            return self.tier
        calm = not adverse or score < levels.leave[self.tier]
        self.calm_ticks = min(self.calm_ticks + 1, 2 * DWELL_TICKS) if calm else 0
        if self.calm_ticks >= DWELL_TICKS and not self.latched:
            self._move(Tier(self.tier - 1))
        return self.tier

    def release(self) -> bool:
        """Let a latched Critical go: it falls to High Alert now and from there by the usual dwell.

        Returns:
            Whether there was anything to release.
        """
        if self.tier is not Tier.CRITICAL:
            return False
        self._move(Tier.HIGH_ALERT)
        self.recent = self.stood = 0
        self.released_score = self.last_score
        return True

    def to_bytes(self) -> bytes:
        """Return the state."""
        return _STATE.pack(
            self.tier, self.recent, self.stood, self.calm_ticks, self.last_score, self.released_score,
            self.clock, self.changed_at, *self.left_at, *self.ticks_before, *self.entered, *self.flapped,
        )  # fmt: skip

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self:
        """Return the machine that wrote ``raw``."""
        tier, *plain = _STATE.unpack(raw)
        lists = [list(plain[7 + start : 11 + start]) for start in (0, 4, 8, 12)]
        return cls(Tier(tier), *plain[:7], *lists)

    def _entered(self) -> Tier:
        ticks = sorted(((self.recent >> shift) & 3 for shift in (0, 2, 4)), reverse=True)
        if ticks[0] == Tier.CRITICAL and self.stood == (1 << CONFIRMATIONS) - 1:
            return Tier.CRITICAL
        if self.recent & 3 == Tier.CRITICAL:
            return Tier.HIGH_ALERT
        return min(Tier(ticks[1]), Tier.HIGH_ALERT)  # two of three support at least this

    def _move(self, tier: Tier) -> None:
        self.ticks_before[self.tier] += self.clock - self.changed_at
        for passed in range(self.tier + 1, tier + 1):
            self.entered[passed] += 1
            self.flapped[passed] += self.clock - self.left_at[passed] <= FLAP_TICKS
        for left in range(tier + 1, self.tier + 1):
            self.left_at[left] = self.clock
        self.tier, self.calm_ticks, self.changed_at = tier, 0, self.clock


def _sum(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(a + b for a, b in zip(one, other, strict=True))
