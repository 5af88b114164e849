"""What a market does anyway, in every session: activity that wanders and bursts, the time of day, and traders who lean.

Calm must not be flat, or every detector would be perfect: rates, sizes, spreads and volatility follow mean-reverting paths of
seconds to minutes, and metaorders that harm nobody come all the time. Every draw is from the session's own generator.
"""

from collections.abc import Callable
from typing import Final

import numpy as np

from feeds.stress.script import STEPS_PER_S, Aggression, Script, SideIndex, Vector

PATHS: Final = (
    # curve, standard deviation of its log, s until half of a deviation is gone
    ("activity", 0.30, 45.0),
    ("limit", 0.12, 60.0),
    ("market", 0.30, 6.0),
    ("size", 0.12, 150.0),
    ("spread", 0.07, 90.0),
    ("volatility", 0.30, 90.0),
)

METAORDERS_PER_S: Final = 1 / 200.0


def wander(script: Script, rng: np.random.Generator) -> None:
    """Bend every curve as calm markets do."""
    for name, deviation, half_life_s in PATHS:
        path = np.exp(_reverting(script.steps, rng, deviation=deviation, half_life_s=half_life_s) - deviation**2 / 2)
        if name == "activity":
            busy(script, path)
        else:
            setattr(script, name, getattr(script, name) * path)


def time_of_day(script: Script, hour: float) -> None:
    """Bend activity and volatility as hours from the open (0) to the close (6.5) do: busy at both ends."""
    level = 0.75 + 0.9 * float(np.exp(-hour / 0.5)) + 0.7 * float(np.exp(-(6.5 - hour) / 0.5))
    busy(script, level)
    script.volatility *= level**0.4
    script.spread *= 1 + 0.35 * np.exp(-hour / 0.4)


def busy(script: Script, level: Vector | float) -> None:
    """Let everybody be ``level`` times as active: orders and trades come faster, and quotes stand for a shorter time."""
    script.market *= level
    script.limit *= level
    script.cancel *= level**0.5


def metaorders(script: Script, rng: np.random.Generator) -> None:
    """Add traders who lean for a while and are absorbed."""
    length_s = script.steps / STEPS_PER_S
    for _ in range(int(rng.poisson(length_s * METAORDERS_PER_S))):
        start_s = rng.uniform(0, length_s)
        end_s = min(start_s + float(np.exp(rng.uniform(np.log(8.0), np.log(70.0)))), length_s)
        side: SideIndex = 0 if rng.random() < 0.5 else 1
        lean(script, rng, (start_s, end_s), side=side, share=lambda _: rng.uniform(0.2, 0.9))


def lean(
    script: Script,
    rng: np.random.Generator,
    span_s: tuple[float, float],
    *,
    side: SideIndex,
    share: Callable[[float], float],
) -> None:
    """Add child orders that take from ``side``; ``share(part)`` is their rate over the usual, part of the span from 0 to 1."""
    traits, (now_s, end_s) = script.traits, span_s
    first_s, length_s = now_s, end_s - now_s
    while True:
        rate = traits.market_rate * max(share((now_s - first_s) / length_s), 0.01)
        now_s += rng.exponential(1 / rate)
        if now_s >= end_s:
            return
        script.aggressions.append(Aggression(now_s, side, 1 + int(rng.exponential(traits.market_qty_mean))))


def _reverting(steps: int, rng: np.random.Generator, *, deviation: float, half_life_s: float) -> Vector:
    """Return a stationary autoregressive path of whole seconds, linear between them."""
    seconds = steps // STEPS_PER_S + 2
    keep = 0.5 ** (1 / half_life_s)
    shocks = rng.standard_normal(seconds) * deviation * np.sqrt(1 - keep**2)
    path = np.empty(seconds)
    value = rng.standard_normal() * deviation
    for second, shock in enumerate(shocks.tolist()):
        value = keep * value + shock
        path[second] = value
    curve: Vector = np.interp(np.arange(steps) / STEPS_PER_S, np.arange(seconds), path)
    return curve
