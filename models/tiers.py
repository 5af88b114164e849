"""The tier machine of one instrument: enter fast, leave slowly, Critical waits for a person. Pure.

Invariants: a tier rises at once when its evidence is there (2 of the last 3 ticks at or above its level; Critical: 1); it
falls by one step at a time, and only after ``DWELL_TICKS`` ticks in a row below the exit level of the tier in force;
Critical never falls by itself. Only adverse evidence counts. A release is a person's judgement of what the score shows
at that moment: Critical is entered again only by evidence a decade stronger, or once the score has been calm in between.
Rejected: one level for entering and leaving (it flaps).
"""

import math
import struct
from dataclasses import dataclass
from typing import Final, Self

from schemas.records import Tier

DWELL_TICKS: Final = 300
"""30 s below the exit level before a tier is left."""

RELEASE_MARGIN: Final = 1.0
"""One decade of probability."""

_STATE: Final = struct.Struct("<BBHdd")
STATE_BYTES: Final = _STATE.size
_CLIMBABLE: Final = (Tier.CRITICAL, Tier.HIGH_ALERT, Tier.ELEVATED)


@dataclass(frozen=True, slots=True)
class TierLevels:
    """Levels of the score for each tier above Normal, by tier value (index 0 is unused).

    Attributes:
        enter: Score at which the tier is entered.
        leave: Score below which it may be left; not above ``enter``.
    """

    enter: tuple[float, float, float, float]
    leave: tuple[float, float, float, float]


@dataclass(slots=True)
class TierMachine:
    """One instrument's tier.

    Attributes:
        tier: Tier in force.
        recent: What the last three ticks supported: two bits a tick, newest lowest.
        calm_ticks: Ticks in a row below the exit level.
        last_score: Score of the last tick.
        released_score: Score that a person released at; infinitely low when no release is in force.
    """

    tier: Tier = Tier.NORMAL
    recent: int = 0
    calm_ticks: int = 0
    last_score: float = 0.0
    released_score: float = -math.inf

    @property
    def latched(self) -> bool:
        """Critical, which waits for a person."""
        return self.tier is Tier.CRITICAL

    def step(self, score: float, levels: TierLevels, *, adverse: bool) -> Tier:
        """Take one tick's score and return the tier in force after it."""
        supported = next((t for t in _CLIMBABLE if adverse and score >= levels.enter[t]), Tier.NORMAL)
        self.last_score = score
        if score < levels.leave[Tier.CRITICAL]:
            self.released_score = -math.inf
        if supported is Tier.CRITICAL and score < self.released_score + RELEASE_MARGIN:
            supported = Tier.HIGH_ALERT
        self.recent = (self.recent << 2 | supported) & 0x3F
        entered = self._entered()
        if entered > self.tier:
            self.tier = entered
            self.calm_ticks = 0
            return self.tier
        if self.tier is Tier.NORMAL:
            return self.tier
        calm = not adverse or score < levels.leave[self.tier]
        self.calm_ticks = min(self.calm_ticks + 1, 2 * DWELL_TICKS) if calm else 0
        if self.calm_ticks >= DWELL_TICKS and not self.latched:
            self.tier = Tier(self.tier - 1)
            self.calm_ticks = 0
        return self.tier

    def release(self) -> bool:
        """Let a latched Critical go: it falls to High Alert now and from there by the usual dwell.

        Returns:
            Whether there was anything to release.
        """
        if self.tier is not Tier.CRITICAL:
            return False
        self.tier = Tier.HIGH_ALERT
        self.recent = 0
        self.calm_ticks = 0
        self.released_score = self.last_score
        return True

    def to_bytes(self) -> bytes:
        """Return the state."""
        return _STATE.pack(self.tier, self.recent, self.calm_ticks, self.last_score, self.released_score)

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self:
        """Return the machine that wrote ``raw``."""
        tier, recent, *rest = _STATE.unpack(raw)
        return cls(Tier(tier), recent, *rest)

    def _entered(self) -> Tier:
        ticks = sorted(((self.recent >> shift) & 3 for shift in (0, 2, 4)), reverse=True)
        if ticks[0] == Tier.CRITICAL and self.recent & 3 == Tier.CRITICAL:
            return Tier.CRITICAL
        return min(Tier(ticks[1]), Tier.HIGH_ALERT)  # two of three support at least this
