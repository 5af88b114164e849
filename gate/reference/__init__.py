"""The gate in slow, plain Python: the judge of ``native``. Pure, and never used in a process.

Invariant: written from the order of questions and not from the C code: exact integers and fractions, dictionaries, and sums
taken anew where C keeps counters; nothing is shared but the shape of the rows. Tests hold both equal on random histories.

Where the controls leave a choice, both make this one:

- A pending replace is a working order beside its target and reserves only its increase. Fills of the target meanwhile
  also take from the replace's quantity, as the venue's order quantity counts them; else a reduce-only replace could flip.
- A replace that names no parent stays a child of its target's parent.
- The period's value is kept in eighths, and nine of them count: the oldest lies partly within the period.
- Profit and loss begin when a position is first worth something: what the books of record bring in is no profit.
- A session has a message rate where people set one; its bucket is shared by the accounts that send by it.
- A basket's sum is kept until another basket needs the slot and it went unused for a period.
- Nothing is remembered of a refused order but a strategy's trip.
"""

from gate.reference.gate import Counters, ReferenceGate
from gate.reference.ledger import Sizes
from gate.reference.orders import (
    POST_ONLY,
    REDUCE_ONLY,
    Action,
    Decision,
    Order,
    OrderType,
    Reason,
    Side,
    Verdict,
    scope_hash,
)
from gate.reference.tables import FIRM, Tables

__all__ = [
    "FIRM",
    "POST_ONLY",
    "REDUCE_ONLY",
    "Action",
    "Counters",
    "Decision",
    "Order",
    "OrderType",
    "Reason",
    "ReferenceGate",
    "Side",
    "Sizes",
    "Tables",
    "Verdict",
    "scope_hash",
]
