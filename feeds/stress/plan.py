"""The sessions of the suite: how many of which mechanism, on which instrument, in which order. Nothing is simulated here.

Calm sessions come first, one for each instrument, so that walk-forward detectors have a past; the rest are shuffled. Each session
is of its own day, in order. A fat-finger print and a stale feed are a smaller share than what can be warned of: they are in the
suite so that its recall cannot look better than nature allows. Invariant: equal arguments give equal sessions, and a session's
seed is its own, so that one can be simulated without the others.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from feeds.stress.crises import CRISES
from feeds.stress.negatives import CALM, NEGATIVES
from feeds.stress.story import Kind, Mechanism, Story, length_s
from feeds.stress.universe import Traits, universe
from schemas.units import NS_PER_S

MECHANISMS: Final = {mechanism.name: mechanism for mechanism in (*CRISES, *NEGATIVES, CALM)}

QUICK: Final = {
    "large_seller": 10, "maker_withdrawal": 9, "slow_crisis": 8, "layering": 6, "stale_feed": 4, "fat_finger": 3,
    "macro_jump": 4, "opening": 4, "auction": 4, "quiet_deep_book": 4, "absorbed_seller": 4, "calm": 12,
}  # fmt: skip
FULL: Final = {
    "large_seller": 54, "maker_withdrawal": 48, "slow_crisis": 43, "layering": 33, "stale_feed": 20, "fat_finger": 16,
    "macro_jump": 14, "opening": 13, "auction": 13, "quiet_deep_book": 13, "absorbed_seller": 14, "calm": 48,
}  # fmt: skip

INSTRUMENTS_QUICK: Final = 12
INSTRUMENTS_FULL: Final = 24

FIRST_DAY_NS: Final = 1_767_571_200 * NS_PER_S  # 2026-01-05, a Monday, 00:00 UTC
DAY_NS: Final = 24 * 3600 * NS_PER_S
OPEN_NS: Final = (14 * 60 + 30) * 60 * NS_PER_S
LATEST_HOUR: Final = 6.2


@dataclass(frozen=True, slots=True, eq=False)
class StressSession:
    """One session of the suite.

    Attributes:
        name: Unique in the suite.
        mechanism: What acts.
        kind: Whether an alarm is wanted.
        seed: Of all its chance.
        duration_s: Length.
        start_ns: Start, UTC, a whole second.
        traits: The instrument.
        story: Every parameter that was drawn, times in s since the start.
    """

    name: str
    mechanism: str
    kind: Kind
    seed: int
    duration_s: float
    start_ns: int
    traits: Traits = field(repr=False)
    story: Story = field(repr=False)

    @property
    def channel_id(self) -> str:
        """Channel of the session's frames."""
        return f"STRESS.{self.name}"

    @property
    def end_ns(self) -> int:
        """End, UTC."""
        return self.start_ns + round(self.duration_s * NS_PER_S)

    @property
    def onset_tick(self) -> int:
        """Row of the first tick that holds the mechanism's action; the row count where none acts."""
        return int(self.story.get("onset_s", self.duration_s) * 10)


def sessions(seed: int, *, quick: bool) -> list[StressSession]:
    """Return the sessions of the suite in time order.

    Args:
        seed: Of everything.
        quick: 40 crises, 20 hard negatives and 12 calm sessions; otherwise 214, 67 and 48.
    """
    counts = QUICK if quick else FULL
    names = universe(seed, INSTRUMENTS_QUICK if quick else INSTRUMENTS_FULL)
    rng = np.random.Generator(np.random.PCG64([seed, 2, int(quick)]))
    first = ["calm"] * len(names)
    rest = [name for name, count in counts.items() for _ in range(count - (len(names) if name == "calm" else 0))]
    drawn = first + [rest[place] for place in rng.permutation(len(rest)).tolist()]
    found = []
    for number, mechanism in enumerate(drawn):
        traits = names[number] if number < len(names) else names[int(rng.integers(len(names)))]
        found.append(_session(MECHANISMS[mechanism], traits, number=number, seed=int(rng.integers(2**40))))
    return found


def _session(mechanism: Mechanism, traits: Traits, *, number: int, seed: int) -> StressSession:
    rng = np.random.Generator(np.random.PCG64([seed, 3]))
    story = mechanism.draw(rng)
    duration_s = length_s(rng, story)
    day = number + 2 * (number // 5)  # weekends are free
    hour = rng.uniform(0.05, LATEST_HOUR)
    start_ns = FIRST_DAY_NS + day * DAY_NS + OPEN_NS + round(hour * 3600) * NS_PER_S
    if mechanism.name == "opening":
        start_ns = FIRST_DAY_NS + day * DAY_NS + OPEN_NS - round(story["onset_s"] + story["call_s"]) * NS_PER_S
    return StressSession(
        f"{number:03d}-{mechanism.name}", mechanism.name, mechanism.kind, seed, duration_s, start_ns, traits, story
    )
