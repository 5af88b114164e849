"""The simulator's own order book: price-time priority, integers, only what the order flow needs.

Invariant: every event that the simulator emits was possible in this book, so order ids, sides and sizes are always true.
It is separate from the kernel's book on purpose: a market must not be made by the code that measures it.
"""

from collections import deque
from dataclasses import dataclass, field

from schemas.events import Side


@dataclass(slots=True)
class Resting:
    """A resting order: ``price`` in ticks, ``qty`` in lots."""

    order_id: int
    side: int
    price: int
    qty: int
    index: int


@dataclass(slots=True)
class SimulatedBook:
    """Price levels as queues, and all live orders in a list for drawing one at random."""

    levels: dict[int, dict[int, deque[Resting]]] = field(default_factory=lambda: {Side.BID: {}, Side.ASK: {}})
    live: list[Resting] = field(default_factory=list)
    best: dict[int, int | None] = field(default_factory=lambda: {Side.BID: None, Side.ASK: None})

    def add(self, order: Resting) -> None:
        """Rest an order at the end of its queue."""
        order.index = len(self.live)
        self.live.append(order)
        queue = self.levels[order.side].get(order.price)
        if queue is None:
            queue = self.levels[order.side][order.price] = deque()
        queue.append(order)
        best = self.best[order.side]
        if best is None or (order.price - best) * order.side > 0:
            self.best[order.side] = order.price

    def remove(self, order: Resting) -> None:
        """Take an order out, wherever it stands."""
        last = self.live.pop()
        if last is not order:
            last.index = order.index
            self.live[order.index] = last
        side = self.levels[order.side]
        queue = side[order.price]
        queue.remove(order)
        if not queue:
            del side[order.price]
            if self.best[order.side] == order.price:
                self.best[order.side] = (max if order.side == Side.BID else min)(side) if side else None

    def first(self, side: int) -> Resting | None:
        """Return the order that trades next on a side."""
        best = self.best[side]
        return None if best is None else self.levels[side][best][0]

    def mid(self) -> float | None:
        """Return the mid in ticks, ``None`` while a side is empty."""
        bid, ask = self.best[Side.BID], self.best[Side.ASK]
        return None if bid is None or ask is None else (bid + ask) / 2
