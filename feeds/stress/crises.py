"""The mechanisms of a crisis. Each has the precursor that its cause would have in a real market, and says how long it is.

``onset_s`` is where a mechanism begins to act, ``break_s`` where liquidity goes; between them lies what can be seen beforehand. A
fat-finger print has no such time, and nothing can warn of it; a stale feed is a fault of the feed, not of the market.
"""

from typing import Final

from feeds.stress.ambient import lean
from feeds.stress.script import Aggression, Fault, Quote, Script
from feeds.stress.story import (
    ONSET_S,
    Mechanism,
    Rng,
    Story,
    fall,
    flash_duration_s,
    flash_move,
    hit_side,
    log_uniform,
    price_path,
    withdraw,
    withdrawal,
)


def _timed(rng: Rng, *, precursor_s: float, crisis_s: float) -> Story:
    onset_s = rng.uniform(*ONSET_S)
    break_s = onset_s + precursor_s
    return {"onset_s": onset_s, "precursor_s": precursor_s, "break_s": break_s, "end_s": break_s + crisis_s}


def _draw_seller(rng: Rng) -> Story:
    return {
        **_timed(rng, precursor_s=rng.uniform(20, 90), crisis_s=log_uniform(rng, 15, 60)),
        **withdrawal(rng),
        **price_path(rng, scale=1.0),
        "lean": log_uniform(rng, 0.6, 3.0),
        "rise": rng.uniform(0.0, 2.0),
        "inventory": rng.uniform(0.35, 0.85),
    }


def _bend_seller(script: Script, story: Story, rng: Rng) -> None:
    """A trader leans on one side, ever more; the makers fill up, show less, and at last leave while the trader goes on."""
    side, onset, start = hit_side(story), story["onset_s"], story["break_s"]
    lean(script, rng, (onset, start), side=side, share=lambda part: story["lean"] * (1 + story["rise"] * part))
    lean(script, rng, (start, story["end_s"]), side=side, share=lambda _: 1.5 * story["lean"])
    script.size[side] *= script.bump([(onset, 1.0), (start, story["inventory"]), (story["end_s"], 1.0)])
    script.cancel[side] *= script.bump([(onset, 1.0), (start, 1 / story["inventory"]), (story["end_s"], 1.0)])
    withdraw(script, story, rng)
    fall(script, story)


def _draw_withdrawal(rng: Rng) -> Story:
    story = {
        **_timed(rng, precursor_s=rng.uniform(5, 30), crisis_s=log_uniform(rng, 20, 120)),
        **withdrawal(rng),
        **price_path(rng, scale=rng.uniform(0.1, 0.6)),
        "flicker": log_uniform(rng, 1.4, 3.0),
        "retreat_s": log_uniform(rng, 6.0, 60.0),
    }
    story["end_s"] += story["retreat_s"]
    return story


def _bend_withdrawal(script: Script, story: Story, rng: Rng) -> None:
    """Quotes begin to flicker, then one maker after another leaves; nobody sells more than usual."""
    onset, start = story["onset_s"], story["break_s"]
    script.cancel *= script.bump([(onset, 1.0), (start, story["flicker"]), (story["end_s"], 1.0)])
    script.limit *= script.bump([(onset, 1.0), (start, story["flicker"] ** 0.6), (story["end_s"], 1.0)])
    withdraw(script, story, rng)
    fall(script, story | {"break_s": start + story["retreat_s"]})


def _draw_stale(rng: Rng) -> Story:
    return {
        **_timed(rng, precursor_s=log_uniform(rng, 5, 40), crisis_s=log_uniform(rng, 25, 90)),
        **withdrawal(rng),
        **price_path(rng, scale=rng.uniform(0.2, 1.0)),
        "retreat_s": log_uniform(rng, 0.3, 3.0),
        "feed_fault": 1.0,
        "flush": float(rng.random() < 0.4),
    }


def _bend_stale(script: Script, story: Story, rng: Rng) -> None:
    """The feed shows nothing but heartbeats while the market behind it breaks; what it then shows is already thin."""
    onset, back = story["onset_s"], story["break_s"]
    script.faults.append(Fault(onset, back, flush=bool(story["flush"])))
    behind = story | {"break_s": onset + rng.uniform(0.1, 0.8) * (back - onset)}
    withdraw(script, behind, rng)
    fall(script, behind | {"fall_s": min(story["fall_s"], back - behind["break_s"])})


def _draw_layering(rng: Rng) -> Story:
    return {
        **_timed(rng, precursor_s=rng.uniform(15, 60), crisis_s=log_uniform(rng, 12, 60)),
        **withdrawal(rng),
        **price_path(rng, scale=rng.uniform(0.1, 0.5)),
        "retreat_s": log_uniform(rng, 0.3, 4.0),
        "layers": float(rng.integers(3, 7)),
        "weight": log_uniform(rng, 2.0, 8.0),
        "step_s": log_uniform(rng, 0.8, 4.0),
        "strike": log_uniform(rng, 3.0, 12.0),
    }


def _bend_layering(script: Script, story: Story, rng: Rng) -> None:
    """Large orders stand a little behind one side's best and step along; then they are pulled, and makers flee that side."""
    side, traits = hit_side(story), script.traits
    now, pulled = story["onset_s"], story["break_s"]
    apart = max(1.0, 0.7 * traits.width_ticks)
    depth = traits.limit_rate * traits.life_s * traits.qty_mean
    each = max(1, round(story["weight"] * depth / 5 / story["layers"]))
    while now < pulled:
        until = min(now + story["step_s"] * rng.uniform(0.6, 1.4), pulled)
        for layer in range(int(story["layers"])):
            distance = traits.half_spread_ticks + apart * (layer + rng.uniform(0.5, 1.2))
            script.quotes.append(Quote(now, side, distance, max(1, round(each * rng.uniform(0.7, 1.3))), until))
        now = until
    strike = max(1, round(story["strike"] * traits.market_qty_mean))
    script.aggressions.append(Aggression(pulled + rng.uniform(0.01, 0.3), side, strike))
    withdraw(script, story, rng)
    fall(script, story)


def _draw_fat_finger(rng: Rng) -> Story:
    story = {
        **_timed(rng, precursor_s=0.0, crisis_s=log_uniform(rng, 2, 25)),
        **withdrawal(rng),
        "retreat_s": rng.uniform(0.05, 0.4),
        "move": flash_move(rng),
        "fall_s": flash_duration_s(rng),
        "parts": float(rng.integers(3, 9)),
        "recovered": 1.0,
    }
    story["side"] = float(rng.random() < 0.43)  # as many rises as were recorded
    return story


def _bend_fat_finger(script: Script, story: Story, rng: Rng) -> None:
    """One order far too large takes level after level within a second and a half. There is no precursor."""
    side, parts, size = hit_side(story), int(story["parts"]), 10**9
    for part in range(parts):
        at_s = story["break_s"] + story["fall_s"] * part / max(parts - 1, 1)
        reach = story["move"] * (part + 1) / parts
        script.aggressions.append(Aggression(at_s, side, size, reach))
    withdraw(script, story, rng)


def _draw_slow(rng: Rng) -> Story:
    story = {
        **_timed(rng, precursor_s=rng.uniform(150, 420), crisis_s=log_uniform(rng, 30, 120)),
        **withdrawal(rng),
        **price_path(rng, scale=rng.uniform(0.2, 0.9)),
        "erosion": rng.uniform(0.2, 0.5),
        "creep": rng.uniform(1.2, 2.0),
        "lean": rng.uniform(0.0, 0.5),
        "retreat_s": log_uniform(rng, 5.0, 40.0),
    }
    story["end_s"] += story["retreat_s"]
    return story


def _bend_slow(script: Script, story: Story, rng: Rng) -> None:
    """Depth erodes and spreads creep up for minutes under a faint drift, until too little is left and the rest goes."""
    onset, start, end = story["onset_s"], story["break_s"], story["end_s"]
    rest = story["erosion"] ** 0.5
    script.size *= script.bump([(onset, 1.0), (start, rest), (end, rest), (end + 60, 1.0)])
    script.limit *= script.bump([(onset, 1.0), (start, rest), (end, rest), (end + 60, 1.0)])
    script.spread *= script.bump([(onset, 1.0), (start, story["creep"]), (end, story["creep"]), (end + 60, 1.0)])
    if story["lean"] > 0.05:
        lean(script, rng, (onset, end), side=hit_side(story), share=lambda part: story["lean"] * part)
    withdraw(script, story, rng)
    fall(script, story)


CRISES: Final = (
    Mechanism("large_seller", "crisis", _draw_seller, _bend_seller),
    Mechanism("maker_withdrawal", "crisis", _draw_withdrawal, _bend_withdrawal),
    Mechanism("slow_crisis", "crisis", _draw_slow, _bend_slow),
    Mechanism("layering", "crisis", _draw_layering, _bend_layering),
    Mechanism("stale_feed", "crisis", _draw_stale, _bend_stale),
    Mechanism("fat_finger", "crisis", _draw_fat_finger, _bend_fat_finger),
)
