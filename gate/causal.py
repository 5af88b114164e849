"""The one order of an account's requests, reports and facts, for everyone who reads them from three topics. Pure.

A trading process lives through its orders, the venue's reports and what it comes to know itself (a day, a lost session, a position
set by hand) in one order, and the topics keep only each part of it. So each message says how many of the others came before it.
Invariant: with exact numbers the merged order is the sender's own, whatever the interleaving in which the parts arrive; without
numbers it is the order of arrival. What waits behind a message that never comes is bounded, and is let go in order of arrival
and marked. A fact that is sent again is known by its own number and goes once.
Rejected: merging by time stamps (several clocks, and equal stamps have no order), one topic for all (drop copies and order
management are different writers).
"""

import bisect
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final, Generic, NamedTuple, TypeVar

from schemas.orders import ExecutionSource, OrderExecution, OrderFact, OrderRequest

T = TypeVar("T")
Message = OrderRequest | OrderExecution | OrderFact

WAITING_MAX: Final = 256
"""Messages of an account that may wait for one of another topic."""
ACCOUNTS_MAX: Final = 65_536
"""Accounts whose order is kept; those of more come in order of arrival."""
_REQUESTS, _REPORTS, _FACTS = range(3)


@dataclass(frozen=True, slots=True)
class Released(Generic[T]):
    """A message whose turn has come.

    Attributes:
        item: What was offered.
        missing: How many messages it should have waited for; 0 = it came in its order.
    """

    item: T
    missing: int = 0


class _Waiter(NamedTuple):
    """A message that has arrived: as which, how many of each side it follows (``None`` = not told), and what was offered."""

    arrival: int
    follows: tuple[int | None, int | None, int | None]
    item: Any


@dataclass(slots=True)
class _Account:
    """Of each side, how many have gone and who waits; and whose facts are counted."""

    gone: list[int] = field(default_factory=lambda: [0, 0, 0])
    waiting: tuple[deque[_Waiter], deque[_Waiter], deque[_Waiter]] = field(
        default_factory=lambda: (deque(), deque(), deque())
    )
    sender: str = ""

    def missing(self, waiter: _Waiter) -> int:
        """Return how many messages have not gone that this one follows."""
        pairs = zip(waiter.follows, self.gone, strict=True)
        return sum(max(follows - gone, 0) for follows, gone in pairs if follows is not None)

    def first(self) -> Iterator[tuple[_Waiter, int]]:
        """Yield the first of each side that has one, and its side."""
        for side, waiting in enumerate(self.waiting):
            if waiting:
                yield waiting[0], side

    def let_go(self, side: int) -> Any:
        """Take the first of a side; what it follows is taken as gone."""
        waiter = self.waiting[side].popleft()
        self.gone = [max(g, f or 0) for g, f in zip(self.gone, waiter.follows, strict=True)]
        self.gone[side] += 1
        return waiter.item


class CausalOrder(Generic[T]):
    """Merges requests, reports and facts, account by account.

    Args:
        waiting_max: Messages of an account that may wait.
    """

    def __init__(self, *, waiting_max: int = WAITING_MAX) -> None:
        self._waiting_max = waiting_max
        self._accounts: dict[str, _Account] = {}
        self._arrivals = 0
        self.out_of_order = 0
        self.repeated = 0

    def offer(self, message: Message, item: T) -> list[Released[T]]:
        """Take a message; return every item whose turn has come, in order.

        A drop copy, or a fact without a number, is of another writer and has no place in the sender's order: it goes at
        once. A fact that has gone or waits already is counted and goes no second time.
        """
        if _is_of_another(message):
            return [Released(item)]
        account = self._accounts.get(message.account_id)
        if account is None:
            if len(self._accounts) >= ACCOUNTS_MAX:
                return [Released(item)]
            account = self._accounts[message.account_id] = _Account()
        self._arrivals += 1
        old: list[Released[T]] = []
        if isinstance(message, OrderFact):
            old = self._old_facts(account, message.sender)
            self._offer_fact(account, message, item)
        elif isinstance(message, OrderRequest):
            follows = (None, message.executions_seen, message.facts_seen)
            account.waiting[_REQUESTS].append(_Waiter(self._arrivals, follows, item))
        else:
            told = (message.requests_sent, None, message.facts_seen)
            account.waiting[_REPORTS].append(_Waiter(self._arrivals, told, item))
        return [*old, *self._released(account, self._waiting_max)]

    def let_all_go(self) -> list[Released[T]]:
        """Return all who wait, each account in its order as far as that is known: nothing more will come."""
        return [one for account in self._accounts.values() for one in self._released(account, 0)]

    @property
    def waiting(self) -> int:
        """How many messages wait."""
        return sum(len(waiting) for account in self._accounts.values() for waiting in account.waiting)

    def memory(self) -> dict[str, Any]:
        """Return what must be kept, in plain values (the items as they are)."""
        accounts = {
            name: [one.sender, one.gone, [[list(waiter) for waiter in waiting] for waiting in one.waiting]]
            for name, one in self._accounts.items()
        }
        counts = {"arrivals": self._arrivals, "out_of_order": self.out_of_order, "repeated": self.repeated}
        return {"accounts": accounts, **counts}

    def remember(self, memory: dict[str, Any]) -> None:
        """Take what :meth:`memory` returned."""
        self._arrivals, self.out_of_order = memory["arrivals"], memory["out_of_order"]
        self.repeated = memory["repeated"]
        self._accounts = {}
        for name, (sender, gone, sides) in memory["accounts"].items():
            requests, reports, facts = (deque(_waiter(*parts) for parts in side) for side in sides)
            self._accounts[name] = _Account(list(gone), (requests, reports, facts), sender)

    def _old_facts(self, account: _Account, sender: str) -> list[Released[T]]:
        """Where the sender began another life, begin its count anew; return what waited for facts of the old one."""
        if sender == account.sender:
            return []
        waiting = account.waiting[_FACTS]
        old = [Released(waiter.item, max(account.missing(waiter), 1)) for waiter in waiting]
        self.out_of_order += len(old)
        waiting.clear()
        account.sender, account.gone[_FACTS] = sender, 0
        return old

    def _offer_fact(self, account: _Account, fact: OrderFact, item: T) -> None:
        """Take a fact at its place among those that wait, unless it is known."""
        waiting, before = account.waiting[_FACTS], fact.number - 1
        numbers = [waiter.follows[_FACTS] or 0 for waiter in waiting]
        at = bisect.bisect_left(numbers, before)
        if before < account.gone[_FACTS] or numbers[at : at + 1] == [before]:
            self.repeated += 1
            return
        follows = (fact.requests_sent, fact.executions_seen, before)
        waiting.insert(at, _Waiter(self._arrivals, follows, item))

    def _released(self, account: _Account, waiting_max: int) -> Iterator[Released[T]]:
        """Yield who may go; and while more wait than may, the one that came first, with what it waited for."""
        while True:
            able = [(waiter.arrival, side) for waiter, side in account.first() if not account.missing(waiter)]
            if able:
                yield Released(account.let_go(min(able)[1]))
            elif sum(map(len, account.waiting)) > waiting_max:
                waiter, side = min(account.first(), key=lambda pair: pair[0].arrival)
                missing = account.missing(waiter)
                self.out_of_order += 1
                yield Released(account.let_go(side), missing)
            else:
                return


class CausalCounters:
    """The sender's half: numbers requests, reports and facts as they happen to it."""

    def __init__(self) -> None:
        self._counts: dict[str, tuple[int, int, int]] = {}

    def request(self, order: OrderRequest) -> OrderRequest:
        """Return the order as it must be published, sent after all that was so far."""
        sent, seen, facts = self._counts.get(order.account_id, (0, 0, 0))
        self._counts[order.account_id] = (sent + 1, seen, facts)
        return replace(order, executions_seen=seen, facts_seen=facts)

    def report(self, execution: OrderExecution) -> OrderExecution:
        """Return the report as it must be published, processed after all that was so far."""
        sent, seen, facts = self._counts.get(execution.account_id, (0, 0, 0))
        self._counts[execution.account_id] = (sent, seen + 1, facts)
        return replace(execution, requests_sent=sent, facts_seen=facts)

    def fact(self, fact: OrderFact) -> OrderFact:
        """Return the fact as it must be published: numbered, named, and after all that was so far."""
        sent, seen, facts = self._counts.get(fact.account_id, (0, 0, 0))
        self._counts[fact.account_id] = (sent, seen, facts + 1)
        name = f"{fact.sender}:{fact.account_id}:{facts + 1}"
        return replace(fact, fact_id=name, number=facts + 1, requests_sent=sent, executions_seen=seen)

    def take_back(self, fact: OrderFact) -> None:
        """Give the number of the newest fact of its account again: it was never published."""
        sent, seen, _ = self._counts[fact.account_id]
        self._counts[fact.account_id] = (sent, seen, fact.number - 1)

    def counts(self) -> dict[str, tuple[int, int, int]]:
        """Return account → (requests sent, reports processed, facts)."""
        return dict(self._counts)

    def restore(self, counts: dict[str, tuple[int, int, int]]) -> None:
        """Go on from what :meth:`counts` returned in a past life."""
        self._counts = dict(counts)


def _is_of_another(message: Message) -> bool:
    if isinstance(message, OrderFact):
        return message.number <= 0
    return isinstance(message, OrderExecution) and message.source is ExecutionSource.DROP_COPY


def _waiter(arrival: int, follows: Iterable[int | None], item: Any) -> _Waiter:
    requests, reports, facts = follows
    return _Waiter(arrival, (requests, reports, facts), item)
