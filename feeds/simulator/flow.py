"""Order flow of one instrument: limit orders, cancels and market orders at random, and one large trader.

Zero intelligence after Smith, Farmer, Gillemot, Krishnamurthy 2003: limit orders arrive at a constant rate at random
distances from the opposite best price, each resting order is cancelled at a constant rate, market orders arrive at a
constant rate. Scenario shapes multiply these rates. The large trader sends clips while the mid is on the wrong side of
its target path, so the size of a crash is the scenario's choice and its texture the market's own.
"""

import math
from collections.abc import Iterator
from typing import Final

import numpy as np

from feeds.blocks import Row
from feeds.simulator.book import Resting, SimulatedBook
from feeds.simulator.scenario import NEUTRAL, Instrument, Scenario
from schemas.events import Kind, Side
from schemas.units import NS_PER_MS, NS_PER_S, PRICE_SCALE

SHAPE_STEP_NS: Final = 10 * NS_PER_MS
"""Shapes are read at most this often."""

OPENING_LEVELS: Final = 20
LEVELS_MIN: Final = 3
"""A market order or clip never takes a side below this many levels: simulated books do not vanish."""

_DRAWS: Final = 16_384


class OrderFlow:
    """The market of one instrument; its random stream is its own, so instruments do not disturb each other."""

    def __init__(self, instrument: Instrument, scenario: Scenario, seed: int) -> None:
        self.instrument = instrument
        self.scenario = scenario
        self._rng = np.random.Generator(np.random.PCG64([seed, instrument.id]))
        self._draws: list[float] = []
        self.book = SimulatedBook()
        self.mids: list[tuple[int, float]] = []
        self._next_id = self.instrument.id * 1_000_000_000 + 1
        self._anchor = self.instrument.price / self.instrument.tick_size
        self._reference: float | None = None

    def run(self) -> Iterator[Row]:
        """Yield every event of the session in time order; ``mids`` grows with ``(ts_ns, mid in ticks)`` on the way."""
        now = self.scenario.start_ns
        yield from self._open(now)
        shape, shape_until = self._shape(now), now + SHAPE_STEP_NS
        clip_due = now
        while True:
            rates = self._rates(shape)
            total = sum(rates)
            now += max(1, int(-math.log1p(-self._draw()) / total * NS_PER_S))
            if now >= self.scenario.end_ns:
                return
            if now >= shape_until:
                shape, shape_until = self._shape(now), now + SHAPE_STEP_NS
                mid = self.book.mid()
                if mid is not None:
                    self.mids.append((now, mid))
                if shape["clip_rate"] > 0 and now >= clip_due:
                    clip_due = now + int(NS_PER_S / shape["clip_rate"])
                    yield from self._clip(now, shape["target"])
            yield from self._step(now, rates, shape)

    def _open(self, now: int) -> Iterator[Row]:
        i = self.instrument
        yield (now, i.id, Kind.DEFINE, Side.NONE, 0, i.tick_size, PRICE_SCALE)
        yield (now, i.id, Kind.CLEAR, Side.NONE, 0, 0, 0)
        middle = int(self._anchor)
        per_level = max(1, int(i.limit_rate / i.cancel_rate / (2 * i.width_ticks)))
        for distance in range(OPENING_LEVELS):
            for side, best in ((Side.BID, middle), (Side.ASK, middle + 1)):
                for _ in range(max(1, int(per_level * math.exp(-distance / (2 * i.width_ticks))))):
                    yield self._add(now, side, best - side * distance)

    def _rates(self, shape: dict[str, float]) -> tuple[float, float, float, float]:
        i = self.instrument
        bids = len(self.book.live)
        # One common cancel stream, thinned per side when an order is drawn.
        cancel = i.cancel_rate * bids * max(shape["bid_cancel"], shape["ask_cancel"])
        return (
            i.limit_rate * shape["bid_limit"],
            i.limit_rate * shape["ask_limit"],
            cancel,
            i.market_rate * shape["market"],
        )

    def _step(self, now: int, rates: tuple[float, float, float, float], shape: dict[str, float]) -> Iterator[Row]:
        pick = self._draw() * sum(rates)
        if pick < rates[0]:
            yield self._limit(now, Side.BID, (shape["bid_width"], shape["gap"]))
        elif pick < rates[0] + rates[1]:
            yield self._limit(now, Side.ASK, (shape["ask_width"], shape["gap"]))
        elif pick < rates[0] + rates[1] + rates[2]:
            yield from self._cancel(now, shape)
        else:
            side = Side.BID if self._draw() < 0.5 else Side.ASK
            yield from self._take(now, side, self._size(self.instrument.market_qty_mean))

    def _limit(self, now: int, side: Side, placing: tuple[float, float]) -> Row:
        width, gap = placing
        opposite = self.book.best[-side]
        if opposite is None:
            opposite = int(self._anchor) + (side == Side.BID)
        distance = int(-math.log1p(-self._draw()) * self.instrument.width_ticks * width)
        if gap > 0:
            distance += int(gap + self._draw())
        return self._add(now, side, opposite - side * (1 + distance))

    def _add(self, now: int, side: Side, price: int) -> Row:
        order = Resting(self._next_id, side, max(1, price), self._size(self.instrument.qty_mean), 0)
        self._next_id += 1
        self.book.add(order)
        return self._row(now, Kind.ADD, order, qty=order.qty)

    def _cancel(self, now: int, shape: dict[str, float]) -> Iterator[Row]:
        order = self.book.live[int(self._draw() * len(self.book.live))]
        part = shape["bid_cancel" if order.side == Side.BID else "ask_cancel"] / max(
            shape["bid_cancel"], shape["ask_cancel"]
        )
        if self._draw() >= part:
            return
        if len(self.book.levels[order.side]) <= LEVELS_MIN and len(self.book.levels[order.side][order.price]) == 1:
            return
        self.book.remove(order)
        yield self._row(now, Kind.DELETE, order, qty=order.qty)

    def _take(self, now: int, side: int, qty: int) -> Iterator[Row]:
        """Trade ``qty`` against the resting side."""
        while qty > 0 and len(self.book.levels[side]) > LEVELS_MIN:
            order = self.book.first(side)
            assert order is not None
            traded = min(qty, order.qty)
            qty -= traded
            yield self._row(now, Kind.EXECUTE, order, qty=traded)
            order.qty -= traded
            if order.qty == 0:
                self.book.remove(order)

    def _clip(self, now: int, target: float) -> Iterator[Row]:
        """Send one clip when the mid is on the wrong side of the target path."""
        mid = self.book.mid()
        if mid is None:
            return
        wanted = self._anchor_at_open() * (1 + target)
        if mid > wanted + 1:
            yield from self._take(now, Side.BID, self.scenario.clip_qty)
        elif mid < wanted - 3:
            yield from self._take(now, Side.ASK, self.scenario.clip_qty)

    def _anchor_at_open(self) -> float:
        """Return the mid just before the large trader starts, which the target path refers to."""
        start = self.instrument.shapes["clip_rate"].times_ns[0]
        if self._reference is None:
            before = [mid for ts, mid in self.mids if ts <= start]
            self._reference = before[-1] if before else self._anchor
        return self._reference

    def _row(self, now: int, kind: Kind, order: Resting, *, qty: int) -> Row:
        price = order.price * self.instrument.tick_size
        return (now, self.instrument.id, kind, order.side, order.order_id, price, qty)

    def _size(self, mean: float) -> int:
        return 1 + int(-math.log1p(-self._draw()) * (mean - 1))

    def _shape(self, now: int) -> dict[str, float]:
        shapes = self.instrument.shapes
        return {name: shapes[name].at(now) if name in shapes else neutral for name, neutral in NEUTRAL.items()}

    def _draw(self) -> float:
        if not self._draws:
            self._draws = self._rng.random(_DRAWS).tolist()
        return self._draws.pop()
