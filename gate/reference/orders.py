"""An order, the reasons to refuse it, and the decision: the words of ``native/order/order.h`` as plain values.

Invariant: numbers are those of the header, since users store them; an order may hold any number in any field, for it is
what a stranger sent.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

POST_ONLY: Final = 1
REDUCE_ONLY: Final = 2
QTY_MAX: Final = 2**62  # lots
PRICE_MAX: Final = 2**62  # 1e-9 currency


class Action(IntEnum):
    """What the sender asks for."""

    NEW = 0
    REPLACE = 1
    CANCEL = 2


class Side(IntEnum):
    """The account's side."""

    BUY = 1
    SELL = 2


class OrderType(IntEnum):
    """Whether the sender names a price."""

    LIMIT = 1
    MARKET = 2


class Verdict(IntEnum):
    """What becomes of the order."""

    ACCEPT = 0
    REJECT = 1
    PEND = 2


class Reason(IntEnum):
    """Why."""

    OK = 0
    INVALID_ORDER = 1
    KILLED = 2
    UNKNOWN_INSTRUMENT = 3
    TORN_READ = 4
    LIMIT_UNSET = 5
    HALTED = 6
    MAX_ORDER_SIZE = 7
    NO_REFERENCE_PRICE = 8
    PRICE_BAND = 9
    UNKNOWN_ACCOUNT = 10
    RESTRICTED = 11
    NOT_PERMITTED = 12
    TICK_SIZE = 13
    QTY_STEP = 14
    PRICE_BAND_TICKS = 15
    PERIOD_BAND = 16
    QUOTE_OFFSET = 17
    MAX_ORDER_VALUE = 18
    DUPLICATE_ORDER = 19
    MESSAGE_RATE = 20
    REPEATED_EXECUTION = 21
    PERIOD_VALUE = 22
    BASKET_VALUE = 23
    PARENT_QTY = 24
    REDUCE_ONLY = 25
    MAX_LONG = 26
    MAX_SHORT = 27
    SHORT_LOCATE = 28
    SELF_MATCH = 29
    OPEN_ORDERS = 30
    GROSS_VALUE = 31
    NET_VALUE = 32
    CONCENTRATION = 33
    CREDIT = 34
    DAY_LOSS = 35
    DRAWDOWN = 36
    FIRM_VALUE = 37
    UNKNOWN_ORDER = 38
    SESSION_DOWN = 39
    NOT_RECONCILED = 40
    NO_ROOM = 41
    NEEDS_APPROVAL = 42
    SESSION_RATE = 43


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An order; ids are hashes, 0 = none; qty in lots; price in 1e-9 currency, of a market order 0 = what the gate allows."""

    instrument_id: int
    order_id: int
    account: int
    side: int
    qty: int
    price: int = 0
    order_type: int = OrderType.LIMIT
    action: int = Action.NEW
    flags: int = 0
    target_id: int = 0
    trader: int = 0
    desk: int = 0
    strategy: int = 0
    venue: int = 0
    session: int = 0
    parent: int = 0
    basket: int = 0

    @property
    def is_buy(self) -> bool:
        """Whether it buys; of a valid order, else it sells."""
        return self.side == Side.BUY

    @property
    def is_replace(self) -> bool:
        """Whether it takes the place of a working order."""
        return self.action == Action.REPLACE

    @property
    def scopes(self) -> tuple[int, ...]:
        """What a person may have killed, the instrument aside."""
        return (self.account, self.trader, self.desk, self.strategy, self.venue, self.session)


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision; ``limit`` and ``observed`` are ``None`` where no number decided, else in the unit of that limit."""

    reason: Reason
    verdict: Verdict
    warned: bool = False
    stale: bool = False
    limit: int | None = None
    observed: int | None = None
    worst_price: int = 0


def is_valid(order: Order) -> bool:
    """Return whether an order that is no cancel makes sense at all."""
    known = (
        order.action in set(Action)
        and order.side in set(Side)
        and order.order_type in set(OrderType)
        and order.flags in range(4)
    )
    if not known or order.order_id == 0 or order.account == 0 or (order.is_replace and order.target_id == 0):
        return False
    if not 0 < order.qty <= QTY_MAX or not 0 <= order.price <= PRICE_MAX:
        return False
    if order.order_type == OrderType.MARKET:
        return not order.flags & POST_ONLY
    return order.price > 0


def scope_hash(scope: str) -> int:
    """Return FNV-1a (64 bit) of the UTF-8 scope, 1 in place of 0; source: Fowler, Noll, Vo."""
    value = 0xCBF29CE484222325
    for byte in scope.encode():
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value or 1
