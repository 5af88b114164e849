"""The book of a simulated session: price-time priority, one pass over streams that are drawn already.

Quotes gather around a fair price: what the instrument is worth, moved by what was traded (impact, which fades). Market orders
lean towards the fair price, so stale quotes are taken. Invariants: every event was possible in this book, and no order
crosses: it is priced behind the other side's best instead. Rejected: placing orders relative to the best prices, as
zero intelligence does (Smith, Farmer, Gillemot, Krishnamurthy 2003): the price would settle at the bottom of every hole.
"""

import math
from collections import deque
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

import numpy as np

from feeds.stress.script import Script
from feeds.stress.streams import NEVER_NS, Integers, Orders, Takers
from schemas.events import Kind, Side
from schemas.units import NS_PER_S, TICK_NS

LEVELS_MIN: Final = 4
"""A side is never traded below so many levels."""

IMPACT_SPREADS: Final = 0.09
"""Half spreads that a market order of mean size moves the fair price; more with the root of its size, to a limit."""

IMPACT_ROOT_MAX: Final = 5.0

FADE_S: Final = 25.0
TILT_MAX: Final = 0.42
SCAN_TICKS: Final = 40

_ADD, _CANCEL, _TAKE, _CALL, _PRINT = range(5)
_SIDES: Final = (int(Side.BID), int(Side.ASK))
COLUMNS: Final = 6  # time since the start (ns), kind, side, order id, price (ticks), lots


@dataclass(slots=True, eq=False)
class Market:
    """One session's market; use :meth:`run` once."""

    script: Script
    fair: list[float]
    orders: Orders
    takers: Takers
    _levels: tuple[dict[int, deque[int]], dict[int, deque[int]]] = field(default_factory=lambda: ({}, {}))
    _live: tuple[dict[int, int], dict[int, int]] = field(default_factory=lambda: ({}, {}))
    _best: list[int] = field(default_factory=lambda: [0, 2**60])
    _prices: list[int] = field(default_factory=list)
    _left: list[int] = field(default_factory=list)
    _shift: float = 0.0
    _shift_ns: int = 0
    _out: list[int] = field(default_factory=list)

    def run(self) -> Integers:
        """Return ``(events, 6)`` int64 in time order, columns as ``COLUMNS`` says."""
        at_ns, code, number = self._agenda()
        orders = self.orders
        side, qty = orders.side.tolist(), orders.qty.tolist()
        distance = orders.distance_ticks.tolist()
        self._prices, self._left = [0] * len(side), [0] * len(side)
        prices, left, out, fair = self._prices, self._left, self._out, self.fair
        for now, what, one in zip(at_ns, code, number, strict=True):
            if what == _ADD:
                s = side[one]
                worth = fair[now // TICK_NS] + self._shift
                price = math.floor(worth - distance[one]) if s == 0 else math.ceil(worth + distance[one])
                self._rest(one, s, price)
                left[one] = qty[one]
                out.extend((now, Kind.ADD, _SIDES[s], one + 1, prices[one], qty[one]))
            elif what == _CANCEL:
                if left[one]:
                    out.extend((now, Kind.DELETE, _SIDES[side[one]], one + 1, prices[one], left[one]))
                    left[one] = 0
                    self._drop(side[one], prices[one])
            elif what == _TAKE:
                self._take(now, one)
            elif what == _CALL:
                out.extend((now, Kind.HALT, 0, 0, 0, 0))
            else:
                price = (self._best[0] + self._best[1]) // 2
                for fill in self.script.calls[one].fills:
                    out.extend((now, Kind.TRADE, 0, 0, price, fill))
                out.extend((now, Kind.RESUME, 0, 0, 0, 0))
        return np.array(out, np.int64).reshape(-1, COLUMNS)

    def _agenda(self) -> tuple[list[int], list[int], list[int]]:
        """Return time, code and number of all that may happen, in time order; births before deaths of the same time."""
        births, deaths = self.orders.birth_ns, np.maximum(self.orders.death_ns, self.orders.birth_ns + 1)
        end_ns = self.script.steps * TICK_NS
        dying = np.flatnonzero(deaths < min(end_ns, NEVER_NS))
        born = np.flatnonzero(births < end_ns)
        calls = [(round(call.from_s * NS_PER_S), round(call.until_s * NS_PER_S)) for call in self.script.calls]
        moments = np.array(list(chain(*calls)), np.int64)
        parts = (
            (births[born], _ADD, born),
            (deaths[dying], _CANCEL, dying),
            (self.takers.at_ns, _TAKE, np.arange(len(self.takers.at_ns))),
            (moments[0::2], _CALL, np.arange(len(calls))),
            (moments[1::2], _PRINT, np.arange(len(calls))),
        )
        at_ns = np.concatenate([part[0] for part in parts])
        code = np.concatenate([np.full(len(part[0]), part[1], np.int64) for part in parts])
        number = np.concatenate([part[2] for part in parts])
        order = np.argsort(at_ns, kind="stable")
        return at_ns[order].tolist(), code[order].tolist(), number[order].tolist()

    def _rest(self, one: int, side: int, price: int) -> None:
        best = self._best
        if side == 0:
            if price >= best[1]:
                price = best[1] - 1
            price = max(price, 1)
            best[0] = max(best[0], price)
        else:
            if price <= best[0]:
                price = best[0] + 1
            price = max(price, 2)
            best[1] = min(best[1], price)
        self._prices[one] = price
        queues, live = self._levels[side], self._live[side]
        if price in live:
            queues[price].append(one)
            live[price] += 1
        else:
            queues[price] = deque((one,))
            live[price] = 1

    def _drop(self, side: int, price: int) -> None:
        """Count one order of a level less; a level without any is gone."""
        live = self._live[side]
        live[price] -= 1
        if live[price]:
            return
        del live[price], self._levels[side][price]
        if price == self._best[side]:
            step = 1 if side else -1
            for near in range(price + step, price + step * SCAN_TICKS, step):
                if near in live:
                    self._best[side] = near
                    return
            self._best[side] = min(live) if side else max(live)

    def _take(self, now: int, one: int) -> None:
        """Trade one market order and move the fair price by what it traded."""
        takers, traits, best = self.takers, self.script.traits, self._best
        self._shift *= math.exp((self._shift_ns - now) / (FADE_S * NS_PER_S))
        self._shift_ns = now
        worth = self.fair[now // TICK_NS] + self._shift
        half = max(traits.half_spread_ticks, 0.5)
        side = int(takers.side[one])
        if side < 0:
            tilt = 0.3 * (worth - (best[0] + best[1]) / 2) / half
            side = 1 if takers.chance[one] < 0.5 + max(-TILT_MAX, min(TILT_MAX, tilt)) else 0
        reach = float(takers.reach[one])
        limit = round(self.fair[now // TICK_NS] * (1 + (reach if side else -reach)))
        traded = self._match(now, (side, int(takers.qty[one])), limit=limit)
        impact = IMPACT_SPREADS * min(math.sqrt(traded / traits.market_qty_mean), IMPACT_ROOT_MAX) * half
        self._shift += impact if side else -impact

    def _match(self, now: int, wanted: tuple[int, int], *, limit: int) -> int:
        side, qty = wanted
        left, live, best = self._left, self._live[side], self._best
        traded = 0
        while traded < qty and len(live) > LEVELS_MIN:
            price = best[side]
            if price > limit if side else price < limit:
                break
            queue = self._levels[side][price]
            while not left[queue[0]]:
                queue.popleft()
            one = queue[0]
            part = min(qty - traded, left[one])
            traded += part
            left[one] -= part
            self._out.extend((now, Kind.EXECUTE, _SIDES[side], one + 1, price, part))
            if not left[one]:
                self._drop(side, price)
        return traded
