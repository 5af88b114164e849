"""What the gate remembers: positions, working orders, and the counters of each account. Dictionaries and nothing else.

Invariant: nothing that can be counted is stored. What works on a side, what a parent has used and what an account holds
are sums over the entries, taken anew on each question; so no counter can be left up by a report that was missed.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from gate.reference.orders import Order, Side

VALUE_CAP: Final = 2**106  # 1e-18 currency: above every limit that is not unlimited
MARGIN_CAP: Final = 2**114  # 1e-21 currency, of one position
LOTS_CAP: Final = 2**62
IDS_KEPT: Final = 256
RECENT_KEPT: Final = 4
REPEAT_SLOTS: Final = 32
BASKET_SLOTS: Final = 64
PARENT_SLOTS: Final = 256
SESSION_SLOTS: Final = 64
SESSION_RATES: Final = 256
MARGIN_WHOLE: Final = 1000


def value_of(lots: int, price: int, lot_nano: int) -> int:
    """Return lots at a price in 1e-18 currency, signed like the lots."""
    return max(-VALUE_CAP, min(lots * price * lot_nano, VALUE_CAP))


@dataclass(slots=True)
class Working:
    """An accepted order that may still trade.

    ``open_qty`` is what may trade under this id. While a replace is pending, its target works on, and only the
    ``share`` above the target's open quantity is reserved for it.
    """

    order: Order
    price: int  # the worst it can trade at, 1e-9 currency
    open_qty: int
    parent: int
    replaces: int = 0  # its target, while pending
    share: int = 0
    replaced_by: int = 0  # the pending replace

    @property
    def reserved(self) -> int:
        """Lots counted on its side."""
        return self.share if self.replaces else self.open_qty


@dataclass(slots=True)
class Position:
    """An account in an instrument. ``base`` is what it was worth when counting of profit and loss began."""

    lots: int = 0
    cash: int = 0  # 1e-18 currency
    base: int = 0  # 1e-18 currency
    mark: int = 0  # 1e-9 currency; 0 = none
    lot_nano: int = 0
    margin: int = MARGIN_WHOLE  # thousandths
    recent: deque[tuple[Order, int]] = field(default_factory=lambda: deque(maxlen=RECENT_KEPT))  # with its time, ns

    @property
    def worth(self) -> int:
        """The lots at the mark, 1e-18 currency."""
        return value_of(self.lots, self.mark, self.lot_nano)

    @property
    def pnl(self) -> int:
        """Profit and loss, 1e-18 currency."""
        return self.cash + self.worth - self.base

    def set_mark(self, mark: int, lot_nano: int) -> None:
        """Value the position. What was held before there was a value is no profit: it joins the base."""
        first = self.mark == 0 or self.lot_nano == 0
        self.mark, self.lot_nano = mark, lot_nano
        if first:
            self.base += self.worth

    def trade(self, side: int, qty: int, price: int) -> None:
        """Book an execution."""
        sign = 1 if side == Side.BUY else -1
        self.lots = max(-LOTS_CAP, min(self.lots + sign * qty, LOTS_CAP))
        self.cash -= value_of(sign * qty, price, self.lot_nano)


@dataclass(slots=True)
class Bucket:
    """Messages that may be sent at once."""

    tokens: int | None = None  # 1e-9 messages; None = full
    at_ns: int = 0


@dataclass(slots=True)
class Run:
    """Equal orders of one strategy, one after another, and whether a person must look at them."""

    what: tuple[int, int, int]  # instrument_id, side, qty
    first_ns: int
    count: int
    tripped: bool = False
    rearmed_at_trip: int = 0


@dataclass(slots=True)
class Basket:
    """What was accepted under one basket id."""

    value: int  # 1e-18 currency
    last_ns: int


@dataclass(slots=True)
class Parent:
    """An order that is sent in slices."""

    declared: int
    filled: int = 0


@dataclass(slots=True)
class Account:
    """All that is remembered of an account."""

    positions: dict[int, Position] = field(default_factory=dict)
    working: dict[int, Working] = field(default_factory=dict)
    ids: deque[int] = field(default_factory=lambda: deque(maxlen=IDS_KEPT))
    runs: dict[int, Run] = field(default_factory=dict)
    baskets: dict[int, Basket] = field(default_factory=dict)
    parents: dict[int, Parent] = field(default_factory=dict)
    messages: Bucket = field(default_factory=Bucket)
    bucket_ns: int = 0  # width of the buckets
    buckets: dict[int, int] = field(default_factory=dict)  # number -> 1e-18 currency
    peak: int = 0  # highest profit of the day, 1e-18 currency
    reconciled: bool = True

    @property
    def pnl(self) -> int:
        """Profit and loss of the day, 1e-18 currency."""
        return sum(position.pnl for position in self.positions.values())

    def working_lots(self, instrument_id: int, side: int) -> int:
        """Return the lots that work on a side."""
        orders = (w for w in self.working.values() if (w.order.instrument_id, w.order.side) == (instrument_id, side))
        return sum(w.reserved for w in orders)

    def child_lots(self, parent: int) -> int:
        """Return what a parent's children have open, and what they filled."""
        used = self.parents[parent].filled
        for child in self.working.values():
            if child.parent == parent:
                target = self.working.get(child.replaces)
                used += child.share if target and target.parent == parent else child.open_qty
        return used

    def take_effect(self, entry: Working) -> None:
        """Let a pending replace stand alone: its target is gone. With nothing left it is gone too."""
        self.working.pop(entry.replaces, None)
        entry.replaces = entry.share = 0
        if entry.open_qty == 0:
            del self.working[entry.order.order_id]

    def close(self, entry: Working) -> None:
        """Forget a working order; what was to replace it stands alone, what it was to replace works on."""
        del self.working[entry.order.order_id]
        if entry.replaces:
            self.working[entry.replaces].replaced_by = 0
        if entry.replaced_by:
            self.take_effect(self.working[entry.replaced_by])


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bounds of the ledger."""

    accounts: int = 256
    positions: int = 8192
    orders: int = 65_536


@dataclass(slots=True)
class Ledger:
    """Every account, the messages of sessions that have a rate, and the sessions that are down."""

    sizes: Sizes = field(default_factory=Sizes)
    accounts: dict[int, Account] = field(default_factory=dict)
    sessions: dict[int, Bucket] = field(default_factory=dict)
    down: set[int] = field(default_factory=set)
    all_down: bool = False  # a session that went down did not fit

    def has_room(self, account: int, instrument_id: int) -> bool:
        """Return whether a position of the account could be held."""
        if account not in self.accounts and len(self.accounts) >= self.sizes.accounts:
            return False
        known = account in self.accounts and instrument_id in self.accounts[account].positions
        return known or sum(len(a.positions) for a in self.accounts.values()) < self.sizes.positions

    def orders_full(self) -> bool:
        """Return whether one more working order has no room."""
        return sum(len(account.working) for account in self.accounts.values()) >= self.sizes.orders

    def is_down(self, session: int) -> bool:
        """Return whether the session is lost; 0 = the order has none."""
        return session != 0 and (self.all_down or session in self.down)

    def account(self, account: int) -> Account:
        """Return the account, made when new."""
        return self.accounts.setdefault(account, Account())

    def position(self, account: int, instrument_id: int) -> Position:
        """Return the position, made when new."""
        return self.account(account).positions.setdefault(instrument_id, Position())
