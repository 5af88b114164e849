"""The one order of an account's requests and reports, for everyone who reads them from two topics. Pure.

A trading process lives through its orders and the venue's reports in one order, and the topics keep only each half of it. So a
request says how many reports its sender had processed, and a report how many requests had been sent. Invariant: with exact
numbers the merged order is the sender's own, whatever the interleaving in which both halves arrive; without numbers it is
the order of arrival. What waits behind a message that never comes is bounded, and is let go in order of arrival and marked.
Rejected: merging by time stamps (two clocks, and equal stamps have no order), one topic for both (drop copies and order
management are different writers).
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Final, Generic, TypeVar

from schemas.orders import OrderExecution, OrderRequest

T = TypeVar("T")

WAITING_MAX: Final = 256
"""Messages of an account that may wait for one of the other topic."""
ACCOUNTS_MAX: Final = 65_536
"""Accounts whose order is kept; those of more come in order of arrival."""


@dataclass(frozen=True, slots=True)
class Released(Generic[T]):
    """A message whose turn has come.

    Attributes:
        item: What was offered.
        missing: How many messages of the other topic it should have waited for; 0 = it came in its order.
    """

    item: T
    missing: int = 0


@dataclass(slots=True)
class _Side(Generic[T]):
    """One topic of one account: how many have gone, and (arrival, how many of the other it follows, item) of who waits."""

    gone: int = 0
    waiting: deque[tuple[int, int | None, T]] = field(default_factory=deque)


class CausalOrder(Generic[T]):
    """Merges requests and reports, account by account.

    Args:
        waiting_max: Messages of an account that may wait.
    """

    def __init__(self, *, waiting_max: int = WAITING_MAX) -> None:
        self._waiting_max = waiting_max
        self._accounts: dict[str, tuple[_Side[T], _Side[T]]] = {}
        self._arrivals = 0
        self.out_of_order = 0

    def offer_request(self, account_id: str, executions_seen: int | None, item: T) -> list[Released[T]]:
        """Take a request; return every message whose turn has come, in order."""
        return self._offer(account_id, 0, executions_seen, item=item)

    def offer_report(self, account_id: str, requests_sent: int | None, item: T) -> list[Released[T]]:
        """Take a report; return every message whose turn has come, in order."""
        return self._offer(account_id, 1, requests_sent, item=item)

    @property
    def waiting(self) -> int:
        """How many messages wait."""
        return sum(len(side.waiting) for sides in self._accounts.values() for side in sides)

    def memory(self) -> dict[str, Any]:
        """Return what must be kept, in plain values (the items as they are)."""
        accounts = {
            name: [[side.gone, [list(waiter) for waiter in side.waiting]] for side in sides]
            for name, sides in self._accounts.items()
        }
        return {"accounts": accounts, "arrivals": self._arrivals, "out_of_order": self.out_of_order}

    def remember(self, memory: dict[str, Any]) -> None:
        """Take what :meth:`memory` returned."""
        self._arrivals, self.out_of_order = memory["arrivals"], memory["out_of_order"]
        self._accounts = {
            name: (_side(sides[0][0], sides[0][1]), _side(sides[1][0], sides[1][1]))
            for name, sides in memory["accounts"].items()
        }

    def _offer(self, account_id: str, which: int, follows: int | None, *, item: T) -> list[Released[T]]:
        sides = self._accounts.get(account_id)
        if sides is None:
            if len(self._accounts) >= ACCOUNTS_MAX:
                return [Released(item)]
            sides = self._accounts[account_id] = (_Side(), _Side())
        self._arrivals += 1
        sides[which].waiting.append((self._arrivals, follows, item))
        released = list(self._ready(sides))
        while sum(len(side.waiting) for side in sides) > self._waiting_max:
            released.append(self._forced(sides))
            released += self._ready(sides)
        return released

    def _ready(self, sides: tuple[_Side[T], _Side[T]]) -> Iterable[Released[T]]:
        while True:
            able = [
                (side.waiting[0][0], side)
                for side, other in (sides, sides[::-1])
                if side.waiting and (side.waiting[0][1] is None or side.waiting[0][1] <= other.gone)
            ]
            if not able:
                return
            _, side = min(able, key=lambda pair: pair[0])
            side.gone += 1
            yield Released(side.waiting.popleft()[2])

    def _forced(self, sides: tuple[_Side[T], _Side[T]]) -> Released[T]:
        """Let the one go that came first; what it waited for is taken as lost."""
        side, other = min((sides, sides[::-1]), key=lambda pair: pair[0].waiting[0][0] if pair[0].waiting else 2**63)
        _, follows, item = side.waiting.popleft()
        assert follows is not None, "who follows nobody does not wait"
        missing = follows - other.gone
        other.gone = follows
        side.gone += 1
        self.out_of_order += 1
        return Released(item, missing)


class CausalCounters:
    """The sender's half: numbers requests and reports as they happen to it."""

    def __init__(self) -> None:
        self._counts: dict[str, tuple[int, int]] = {}

    def request(self, order: OrderRequest) -> OrderRequest:
        """Return the order as it must be published, sent after all that was reported so far."""
        sent, seen = self._counts.get(order.account_id, (0, 0))
        self._counts[order.account_id] = (sent + 1, seen)
        return replace(order, executions_seen=seen)

    def report(self, execution: OrderExecution) -> OrderExecution:
        """Return the report as it must be published, processed after all that was sent so far."""
        sent, seen = self._counts.get(execution.account_id, (0, 0))
        self._counts[execution.account_id] = (sent, seen + 1)
        return replace(execution, requests_sent=sent)

    def counts(self) -> dict[str, tuple[int, int]]:
        """Return account → (requests sent, reports processed)."""
        return dict(self._counts)

    def restore(self, counts: dict[str, tuple[int, int]]) -> None:
        """Go on from what :meth:`counts` returned in a past life."""
        self._counts = dict(counts)


def _side(gone: int, waiting: Iterable[Iterable[Any]]) -> Any:
    return _Side(gone, deque((arrival, follows, item) for arrival, follows, item in waiting))
