"""A case: one order before the judge, with all that is known about it. Questions take it and give a refusal or nothing.

Invariant: a case holds copies and references for reading; no question changes the ledger.
"""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from gate.reference.ledger import Account, Ledger, Position, Working
from gate.reference.orders import Order, Reason, Side
from gate.reference.tables import Tables
from gate.rows import UNLIMITED, AccountRow, InstrumentRow, Limits

MICRO: Final = 10**12  # a value limit in 1e-6 currency, of 1e-18
INT64_MIN: Final = -(2**63)
INT64_MAX: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why not; the numbers are ``None`` where none decided."""

    reason: Reason
    limit: int | None = None
    observed: int | None = None


@dataclass(slots=True)
class Case:
    """An order, the rows it meets, and what its account has. Later questions rely on what earlier ones set."""

    order: Order
    now_ns: int
    tables: Tables
    ledger: Ledger
    row: InstrumentRow
    granted: AccountRow
    account: Account
    target: Working | None = None
    is_exit: bool = False
    stale: bool = False
    limits: Limits = Limits.UNSET
    price: int = 0  # effective: what it trades at in the worst case, 1e-9 currency
    value: int = 0  # at that price, 1e-18 currency

    @property
    def position(self) -> Position:
        """The position before the order; an empty one when there is none."""
        return self.account.positions.get(self.order.instrument_id) or Position()

    @property
    def parent(self) -> int:
        """The parent; a replace that names none stays a child of its target's."""
        return self.order.parent or (self.target.parent if self.target else 0)

    @property
    def increase(self) -> int:
        """Lots that it adds to its side: of a replace, those above what its target has open."""
        return max(0, self.order.qty - (self.target.open_qty if self.target else 0))

    def working(self, side: int) -> int:
        """Return the lots that work on a side, before the order."""
        return self.account.working_lots(self.order.instrument_id, side)

    def working_after(self, side: int) -> int:
        """Return the lots that would work on a side."""
        return self.working(side) + (self.increase if side == self.order.side else 0)

    def short_after(self) -> int:
        """Return how short the account would be with everything sold that works."""
        return self.working_after(Side.SELL) - self.position.lots


def above(reason: Reason, limit: int | None, observed: int | Fraction) -> Refusal | None:
    """Return a refusal when a count exceeds a limit that is not unlimited."""
    assert limit is not None
    if limit == UNLIMITED or observed <= limit:
        return None
    return Refusal(reason, limit, whole(observed))


def value_above(reason: Reason, limit: int | None, observed: int | Fraction) -> Refusal | None:
    """Return a refusal when a value (1e-18 currency) exceeds a limit (1e-6 currency) that is not unlimited."""
    return above(reason, limit, Fraction(observed, MICRO))


def whole(number: int | Fraction) -> int:
    """Return a number rounded up, within 64 bits."""
    return max(INT64_MIN, min(math.ceil(number), INT64_MAX))
