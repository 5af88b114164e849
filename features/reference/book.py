"""One instrument's book in plain Python: what each event does to levels and orders.

Invariant: a level's total is what the events said. Orders only tell where a reduction lands, so a feed by level, or one
whose recording starts in mid-session, works too: an event of an unknown order changes the level that it names.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from schemas.events import Side

INT64_MAX: Final = 2**63 - 1


@dataclass(slots=True)
class PlainOrder:
    """A resting order: side, price in 1e-9 currency, lots left."""

    side: Side
    price: int
    qty: int


@dataclass(frozen=True, slots=True)
class Top:
    """Best price and size of a side; ``None`` and 0 when the side is empty."""

    price: int | None
    qty: int


@dataclass(slots=True)
class PlainBook:
    """Levels by side and price, orders by id, both in lots.

    Attributes:
        counts: Where ``unknown_order``, ``clamped_level`` and ``duplicate_order`` are counted.
        levels: Side → price → lots, no level of 0.
        orders: Order id → order.
    """

    counts: Counter[str]
    levels: dict[Side, dict[int, int]] = field(default_factory=lambda: {Side.BID: {}, Side.ASK: {}})
    orders: dict[int, PlainOrder] = field(default_factory=dict)

    def clear(self) -> None:
        """Forget every level and order."""
        self.levels = {Side.BID: {}, Side.ASK: {}}
        self.orders = {}

    def add(self, order_id: int, order: PlainOrder) -> None:
        """Let an order rest; an order of the same id leaves first, and is counted."""
        known = self.orders.get(order_id)
        if known is not None:
            self.counts["duplicate_order"] += 1
            self.delete(order_id, known)
        level = self.levels[order.side]
        level[order.price] = min(level.get(order.price, 0) + order.qty, INT64_MAX)
        self.orders[order_id] = order

    def reduce(self, order_id: int, event: PlainOrder) -> None:
        """Take ``event.qty`` lots off an order, at most all of it; off the named level when it is unknown."""
        order = self.orders.get(order_id)
        if order is None:
            self._unknown(event)
            return
        taken = min(event.qty, order.qty)
        self._take(PlainOrder(order.side, order.price, taken))
        order.qty -= taken
        if order.qty == 0:
            del self.orders[order_id]

    def delete(self, order_id: int, event: PlainOrder) -> None:
        """Take an order out; its level loses what the venue says was left of it, ``event.qty``."""
        order = self.orders.pop(order_id, None)
        if order is None:
            self._unknown(event)
        else:
            self._take(PlainOrder(order.side, order.price, event.qty))

    def replace(self, order_id: int, event: PlainOrder) -> None:
        """Give an order a new price and size; it keeps its side, an unknown one takes the event's."""
        order = self.orders.get(order_id)
        side = event.side if order is None else order.side
        if order is None:
            self.counts["unknown_order"] += 1
        else:
            self.delete(order_id, order)
        self.add(order_id, PlainOrder(side, event.price, event.qty))

    def set_level(self, event: PlainOrder) -> None:
        """Set a level's total; 0 removes the level."""
        self.levels[event.side].pop(event.price, None)
        if event.qty > 0:
            self.levels[event.side][event.price] = event.qty

    def best_first(self, side: Side) -> list[tuple[int, int]]:
        """Return ``(price, qty)`` of every level, best first."""
        return sorted(self.levels[side].items(), reverse=side is Side.BID)

    def top(self, side: Side) -> Top:
        """Return the best level."""
        levels = self.levels[side]
        if not levels:
            return Top(None, 0)
        price = max(levels) if side is Side.BID else min(levels)
        return Top(price, levels[price])

    def depth(self, side: Side, levels_max: int) -> int:
        """Return the lots within the best levels."""
        return min(sum(qty for _, qty in self.best_first(side)[:levels_max]), INT64_MAX)

    def _unknown(self, event: PlainOrder) -> None:
        self.counts["unknown_order"] += 1
        self._take(event)

    def _take(self, taken: PlainOrder) -> None:
        level = self.levels[taken.side]
        there = level.get(taken.price, 0)
        if there < taken.qty:
            self.counts["clamped_level"] += 1
        if there > taken.qty:
            level[taken.price] = there - taken.qty
        else:
            level.pop(taken.price, None)
