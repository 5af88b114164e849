"""Hard negatives: price, volume or activity is extraordinary, and the book stays able to serve. And calm, where nothing acts.

A detector that reads volatility, volume or silence as fragility is wrong here. What stays healthy is the cost of trading the
standard clip; a test holds that it does.
"""

from typing import Final

import numpy as np

from feeds.stress.ambient import busy, lean
from feeds.stress.script import Call, Script
from feeds.stress.story import ONSET_S, Mechanism, Rng, Story, away, hit_side, log_uniform

CALM_S: Final = (780.0, 1_020.0)


def _draw_jump(rng: Rng) -> Story:
    onset_s = rng.uniform(*ONSET_S)
    return {
        "onset_s": onset_s,
        "end_s": onset_s + 120,
        "side": float(rng.random() < 0.5),
        "move": rng.uniform(0.002, 0.0065),
        "jump_s": log_uniform(rng, 0.5, 4.0),
        "activity": log_uniform(rng, 3.0, 12.0),
        "fade_s": log_uniform(rng, 15.0, 60.0),
    }


def _bend_jump(script: Script, story: Story, rng: Rng) -> None:
    """News: everybody reprices within seconds, volume and volatility leap, and the makers stay and refill."""
    del rng
    onset, side = story["onset_s"], hit_side(story)
    end = onset + story["jump_s"]
    script.drift += script.bump([(onset, 0.0), (end, away(side) * story["move"])])
    since = np.maximum(script.seconds - onset, 0.0)
    fading = np.where(script.seconds >= onset, np.exp(-since / story["fade_s"]), 0.0)
    busy(script, 1 + (story["activity"] - 1) * fading)
    script.volatility *= 1 + 1.5 * fading
    script.spread *= 1 + 0.2 * fading
    repricing = (script.seconds >= onset) & (script.seconds < end + 0.3)
    script.cancel *= np.where(repricing, 8.0, 1.0)
    script.limit *= np.where(repricing, 8.0, 1.0)


def _draw_opening(rng: Rng) -> Story:
    onset_s = rng.uniform(*ONSET_S)
    return {
        "onset_s": onset_s,
        "end_s": onset_s + 300,
        "call_s": rng.uniform(5.0, 20.0),
        "premarket": rng.uniform(0.12, 0.35),
        "rush": log_uniform(rng, 1.5, 4.0),
        "fade_s": rng.uniform(60.0, 240.0),
        "wide": rng.uniform(2.0, 3.5),
        "weight": log_uniform(rng, 1.0, 6.0),
    }


def _bend_opening(script: Script, story: Story, rng: Rng) -> None:
    """A thin market before the bell, a call, and a rush behind it: volume and volatility leap while spreads close."""
    onset = story["onset_s"]
    opened = onset + story["call_s"]
    before = script.seconds < opened
    rush = np.exp(-np.maximum(script.seconds - opened, 0.0) / story["fade_s"])
    busy(script, np.where(before, story["premarket"], 1 + (story["rush"] - 1) * rush))
    script.volatility *= np.where(before, 0.6, 1 + rush)
    script.spread *= np.where(before, story["wide"], 1 + 0.3 * (story["wide"] - 1) * rush)
    script.size *= np.where(before, 0.7, 1.0)
    _call(script, (onset, opened), rng, weight=story["weight"])


def _draw_auction(rng: Rng) -> Story:
    onset_s = rng.uniform(*ONSET_S)
    call_s = log_uniform(rng, 15.0, 120.0)
    return {
        "onset_s": onset_s,
        "end_s": onset_s + call_s + 60,
        "call_s": call_s,
        "weight": log_uniform(rng, 1.0, 6.0),
        "move": rng.uniform(-0.002, 0.002),
    }


def _bend_auction(script: Script, story: Story, rng: Rng) -> None:
    """Trading stops, orders gather out of sight, a large volume prints at one price, and trading goes on with makers in place."""
    onset = story["onset_s"]
    end = onset + story["call_s"]
    script.drift += script.bump([(onset + 0.5 * story["call_s"], 0.0), (end + 2, story["move"])])
    busy(script, np.where(script.seconds >= end, 1 + 1.5 * np.exp(-np.maximum(script.seconds - end, 0) / 20), 1.0))
    _call(script, (onset, end), rng, weight=story["weight"])


def _call(script: Script, span_s: tuple[float, float], rng: Rng, *, weight: float) -> None:
    """Halt trading; what the call gathers is hidden, as at venues that show an indicative price alone, until its fills are told.

    The fills are told one by one: a single print of thousands of lots would move the mean trade, and with it the standard clip.
    """
    traits = script.traits
    count = max(1, round(weight * traits.limit_rate * traits.life_s))
    fills = 1 + rng.exponential(0.8 * traits.qty_mean, count).astype(np.int64)
    script.calls.append(Call(*span_s, tuple(fills.tolist())))
    calling = (script.seconds >= span_s[0]) & (script.seconds < span_s[1])
    busy(script, np.where(calling, 2.0, 1.0))  # nobody takes stale quotes: their owners move them
    script.volatility *= np.where(calling, 0.5, 1.0)


def _draw_quiet(rng: Rng) -> Story:
    onset_s = rng.uniform(*ONSET_S)
    return {
        "onset_s": onset_s,
        "end_s": onset_s + rng.uniform(120, 300),
        "trading": rng.uniform(0.03, 0.2),
        "quoting": rng.uniform(0.2, 0.45),
        "depth": rng.uniform(1.3, 2.5),
    }


def _bend_quiet(script: Script, story: Story, rng: Rng) -> None:
    """Hardly a trade and few quotes, while what rests stands deep: silence is no fragility."""
    del rng
    onset, end = story["onset_s"], story["end_s"]

    def during(level: float) -> list[tuple[float, float]]:
        return [(onset, 1.0), (onset + 15, level), (end, level), (end + 30, 1.0)]

    script.market *= script.bump(during(story["trading"]))
    script.limit *= script.bump(during(story["quoting"]))
    script.cancel *= script.bump(during(story["quoting"] / story["depth"]))
    script.volatility *= script.bump(during(0.3))


def _draw_absorbed(rng: Rng) -> Story:
    onset_s = rng.uniform(*ONSET_S)
    return {
        "onset_s": onset_s,
        "end_s": onset_s + rng.uniform(30, 120),
        "side": float(rng.random() < 0.35),
        "lean": log_uniform(rng, 0.6, 3.0),
        "refill": rng.uniform(1.2, 2.0),
        "move": rng.uniform(0.0, 0.002),
    }


def _bend_absorbed(script: Script, story: Story, rng: Rng) -> None:
    """The same trader as before a crisis, but the makers stay and show more: selling alone is no crisis."""
    side, onset, end = hit_side(story), story["onset_s"], story["end_s"]
    lean(script, rng, (onset, end), side=side, share=lambda _: story["lean"])
    script.limit[side] *= script.bump(
        [(onset, 1.0), (onset + 10, story["refill"]), (end, story["refill"]), (end + 20, 1.0)]
    )
    script.drift += script.bump([(onset, 0.0), (end, away(side) * story["move"])])


def _draw_calm(rng: Rng) -> Story:
    return {"end_s": rng.uniform(*CALM_S)}


def _bend_calm(script: Script, story: Story, rng: Rng) -> None:
    """Nothing acts; what every market does is in every session."""
    del script, story, rng


NEGATIVES: Final = (
    Mechanism("macro_jump", "hard_negative", _draw_jump, _bend_jump),
    Mechanism("opening", "hard_negative", _draw_opening, _bend_opening),
    Mechanism("auction", "hard_negative", _draw_auction, _bend_auction),
    Mechanism("quiet_deep_book", "hard_negative", _draw_quiet, _bend_quiet),
    Mechanism("absorbed_seller", "hard_negative", _draw_absorbed, _bend_absorbed),
)

CALM: Final = Mechanism("calm", "calm", _draw_calm, _bend_calm)
