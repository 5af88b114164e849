"""The features that follow from the book and the standard clip alone, each beside its definition in ``features.spec``."""

import math
from collections.abc import Callable
from typing import Final

from features.reference.book import INT64_MAX, PlainBook
from features.reference.windows import Features
from schemas.events import Side

SIDES: Final = (Side.BID, Side.ASK)
WALK_LEVELS: Final = 500

Levels = list[tuple[int, int]]


def shape(book: PlainBook, tick_size: int, clip: float | None) -> Features:
    """Return what the book shows.

    Args:
        book: The book at the tick's end.
        tick_size: In 1e-9 currency, 0 while the instrument is not defined.
        clip: Lots of the standard clip, ``None`` before the first trade.
    """
    within = {side: [float(book.depth(side, levels)) for levels in range(1, 11)] for side in SIDES}
    found: Features = {f"imbalance_l{n + 1}": _imbalance(within[Side.BID][n], within[Side.ASK][n]) for n in range(10)}
    for side, name in zip(SIDES, ("bid", "ask"), strict=True):
        found |= {f"{name}_qty_top": within[side][0], f"depth_{name}_5": within[side][4]}
    found["depth_total_10"] = within[Side.BID][9] + within[Side.ASK][9]
    mid = mid_of(book)
    if mid is None:
        return found
    bid, ask = (book.top(side).price for side in SIDES)
    assert bid is not None
    assert ask is not None
    spread = float(ask) - float(bid)
    found["spread_bps"] = 1e4 * spread / mid
    found["microprice_bps"] = 1e4 * (spread / 2 * (found["imbalance_l1"] or 0.0)) / mid
    for side, name, way in zip(SIDES, ("bid", "ask"), ("sell", "buy"), strict=True):
        levels = book.best_first(side)[:WALK_LEVELS]
        for bp in (5, 10, 25):
            near = [qty for price, qty in levels if _outwards(side, price, mid) <= mid * (bp / 1e4)]
            found[f"depth_{name}_{bp}bp"] = float(min(sum(near), INT64_MAX))
        found[f"{way}_cost_bps"] = None if clip is None else _cost(side, levels, mid, clip=clip)
        found[f"book_slope_{name}"] = _slope(book.best_first(side)[:10], within[side], mid, tick_size=tick_size)
    if tick_size > 0:
        found["spread_ticks"] = spread / tick_size
        found |= _pressures(book, mid, tick_size)
    return found


def mid_of(book: PlainBook) -> float | None:
    """Return the mid in 1e-9 currency, null when a side is empty."""
    bid, ask = (book.top(side).price for side in SIDES)
    return None if bid is None or ask is None else (float(bid) + float(ask)) / 2


def _outwards(side: Side, price: int, mid: float) -> float:
    return mid - price if side is Side.BID else price - mid


def _cost(side: Side, levels: Levels, mid: float, *, clip: float) -> float | None:
    left, paid = clip, 0.0
    for price, qty in levels:
        taken = min(left, float(qty))
        paid += taken * _outwards(side, price, mid)
        left -= taken
    return 1e4 * (paid / clip) / mid if left <= 0 else None


def _slope(levels: Levels, within: list[float], mid: float, *, tick_size: int) -> float | None:
    if tick_size == 0:
        return None
    ticks = [abs(price - mid) / tick_size for price, _ in levels]
    along = square = 0.0
    for d, lots in zip(ticks, within, strict=False):
        along += d * lots
        square += d * d
    return along / square if square > 0 else None


def _pressures(book: PlainBook, mid: float, tick_size: int) -> Features:
    """Cao, Hansch, Wang 2009; the nearest level's weight is factored out, lest a wide spread make all of them 0."""
    levels = {side: book.best_first(side)[:10] for side in SIDES}
    nearest = min(abs(price - mid) for side in SIDES for price, _ in levels[side])

    def weighed(weight: Callable[[float], float]) -> float | None:
        sums = dict.fromkeys(SIDES, 0.0)
        for side in SIDES:
            for price, qty in levels[side]:
                sums[side] += weight(abs(price - mid)) * qty
        return _imbalance(sums[Side.BID], sums[Side.ASK])

    inverse = dict.fromkeys(SIDES, 0.0)
    for side in SIDES:
        for price, qty in levels[side]:
            inverse[side] += qty / (1 + abs(price - mid) / tick_size)
    return {
        "book_pressure": weighed(lambda distance: math.exp(-0.5 * ((distance - nearest) / tick_size))),
        "book_pressure_slow": weighed(lambda distance: math.exp(-0.1 * ((distance - nearest) / tick_size))),
        "book_pressure_inverse": _imbalance(inverse[Side.BID], inverse[Side.ASK]),
    }


def _imbalance(bid: float, ask: float) -> float | None:
    return (bid - ask) / (bid + ask) if bid + ask > 0 else None
