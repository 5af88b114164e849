"""What mechanisms share: a story is the drawn parameters of one session, by name; times are seconds since its start.

Invariant: all that makes one session of a mechanism differ from the next is in its story, and is published with it. The sizes and
durations of flash moves are those of 424 recorded ones: quantiles alone, held equal to the recordings by a test.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from feeds.stress.script import ASK, BID, Absence, Script, SideIndex, Vector

Rng = np.random.Generator
Story = dict[str, float]
Kind = Literal["crisis", "hard_negative", "calm"]

ONSET_S: Final = (315.0, 480.0)
"""Range of the onset: more than five minutes of calm before it, whatever the mechanism."""

AFTER_S: Final = (60.0, 150.0)

FLASH_QUANTILES: Final = (0.0, 0.05, 0.10, 0.25, 0.50, 0.75, 0.90, 0.95, 0.99)
FLASH_MOVES: Final = (0.00801, 0.00827, 0.00858, 0.00988, 0.01327, 0.01960, 0.03045, 0.04253, 0.10780)
FLASH_DURATIONS_S: Final = (0.0, 0.0, 0.0, 0.025, 0.175, 0.4062, 0.8425, 1.075, 1.3192)
"""Of the mini flash crashes in US shares, 1 to 15 October 2014 (Levine, Hale, Floridi 2017)."""


@dataclass(frozen=True, slots=True)
class Mechanism:
    """One mechanism.

    Attributes:
        name: Its name.
        kind: Whether an alarm is wanted.
        draw: Draws a story.
        bend: Writes the story into a script.
    """

    name: str
    kind: Kind
    draw: Callable[[Rng], Story]
    bend: Callable[[Script, Story, Rng], None]


def flash_move(rng: Rng) -> float:
    """Return the size of a flash move as a fraction; the largest hundredth is left out."""
    return float(np.interp(rng.uniform(0, FLASH_QUANTILES[-1]), FLASH_QUANTILES, FLASH_MOVES))


def flash_duration_s(rng: Rng) -> float:
    """Return the duration of a flash move."""
    return float(np.interp(rng.uniform(0, FLASH_QUANTILES[-1]), FLASH_QUANTILES, FLASH_DURATIONS_S))


def log_uniform(rng: Rng, low: float, high: float) -> float:
    """Return a number whose logarithm is uniform."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def hit_side(story: Story) -> SideIndex:
    """Return the side of the book that the story acts on."""
    return ASK if story["side"] else BID


def away(side: SideIndex) -> int:
    """Return the sign of a price move that takes from ``side``."""
    return 1 if side == ASK else -1


def withdrawal(rng: Rng) -> Story:
    """Draw how makers leave, and whether they come again."""
    return {
        "side": float(rng.random() < 0.35),
        "makers_gone": rng.uniform(0.86, 1.0),
        "other_side_gone": rng.uniform(0.2, 1.0),
        "retreat_s": log_uniform(rng, 0.3, 8.0),
        "widening": log_uniform(rng, 2.6, 6.0),
        "cancels": log_uniform(rng, 1.7, 4.5),
        "sizes": rng.uniform(0.2, 0.55),
        "makers_return": float(rng.random() < 0.75),
        "return_s": log_uniform(rng, 2.0, 45.0),
    }


def withdraw(script: Script, story: Story, rng: Rng) -> None:
    """Let makers leave from ``break_s`` on over ``retreat_s`` and come again after ``end_s``; who stays widens."""
    start, end, side = story["break_s"], story["end_s"], hit_side(story)
    makers = script.traits.makers
    order = rng.permutation(makers)
    shares = {side: story["makers_gone"], 1 - side: story["makers_gone"] * story["other_side_gone"]}
    for place, maker in enumerate(order.tolist()):
        leave_s = start + story["retreat_s"] * (place + rng.random()) / makers
        back_s = end + story["return_s"] * rng.random() if story["makers_return"] else np.inf
        for of_side in (BID, ASK):
            if place < round(shares[of_side] * makers):
                script.absences.append(Absence(maker, of_side, leave_s, float(back_s)))
    late = end + story["return_s"]
    calmed = 1.0 if story["makers_return"] else 0.5
    ramp = start + story["retreat_s"]

    def stressed(level: float) -> Vector:
        return script.bump([(start, 1.0), (ramp, level), (end, level), (late, 1.0 + (level - 1.0) * (1 - calmed))])

    script.spread[side] *= stressed(story["widening"])
    script.spread[1 - side] *= stressed(1 + (story["widening"] - 1) * story["other_side_gone"])
    script.width *= stressed(1 + 0.4 * (story["widening"] - 1))
    script.cancel *= stressed(story["cancels"])
    script.size *= stressed(story["sizes"])


def fall(script: Script, story: Story) -> None:
    """Move the fair price by ``move`` over ``fall_s`` from ``break_s``, and part of it back after ``end_s``."""
    way, start, end = away(hit_side(story)), story["break_s"], story["end_s"]
    move = way * float(np.log1p(story["move"]))
    stays = move * (1 - story["recovered"])
    script.drift += script.bump(
        [(start, 0.0), (start + story["fall_s"], move), (end, move), (end + story["recovery_s"], stays)]
    )
    script.volatility *= script.bump([(start, 1.0), (start + 1, 2.5), (end, 2.5), (end + story["recovery_s"], 1.0)])


def price_path(rng: Rng, *, scale: float) -> Story:
    """Draw how far the price goes and how much comes back."""
    return {
        "move": flash_move(rng) * scale,
        "fall_s": log_uniform(rng, 1.0, 25.0),
        "recovered": rng.uniform(0.0, 0.9),
        "recovery_s": log_uniform(rng, 5.0, 90.0),
    }


def length_s(rng: Rng, story: Story) -> float:
    """Return a session's length: enough after the end for the market to calm."""
    return float(np.ceil(story["end_s"] + rng.uniform(*AFTER_S)))
