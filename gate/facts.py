"""What a trading process knows of its accounts that no order and no report says, on its way to ``orders.facts``.

Days, lost sessions and positions set by hand are told of each account that the process has, at their place among the account's
messages. Invariant: a fact is in the journal before it is applied, and stays there until the broker has it; so a process that dies
applies it at its next start or has applied it, and sends it then, once more rather than never. Nothing here waits for Kafka.
Rejected: a fact of all accounts at once (it would have to wait for the messages of all of them, everywhere).
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Final, NamedTuple, cast

from gate.causal import CausalCounters
from gate.errors import FactRefusedError
from gate.journal import Journal
from schemas import codec, topics
from schemas.errors import MessageError
from schemas.orders import FactKind, OrderFact
from schemas.people import fault_of_fact

FACT: Final = "f"
SESSION: Final = "d"
DONE: Final = "y"
VOID: Final = "v"
KEPT: Final = "k"
KINDS: Final = frozenset({FACT, SESSION, DONE, VOID, KEPT})
"""Kinds of lines of the journal that are facts' own."""


class Hand(NamedTuple):
    """Who set a position by hand, who checked it, and why."""

    maker: str
    checker: str
    reason: str


class FactBook:
    """The facts of one process. Everything but :meth:`kept` is called under the process's one lock.

    Args:
        journal: Where facts are noted.
        counters: Numbers of the process's messages.
        sender: Of the facts: the process and this life of its journal.
        knows: Whether an account has limits or positions here: of strangers nothing is told.
        send: Hands a fact over to be published, without waiting; :meth:`kept` is called when the broker has it.
    """

    def __init__(
        self,
        journal: Journal,
        counters: CausalCounters,
        sender: str,
        *,
        knows: Callable[[str], bool],
        send: Callable[[OrderFact], None],
    ) -> None:
        self._journal, self._counters, self._sender = journal, counters, sender
        self._knows, self._send = knows, send
        self._accounts: dict[str, None] = {}
        self._lost_ns: dict[str, int | None] = {}  # when a session was lost; None = it is back
        self._waiting: dict[str, OrderFact] = {}
        self.told = 0
        self.numbers: dict[str, int] = {}
        """Of accounts that a past life told of since its start: the number of their newest fact."""

    @property
    def waiting(self) -> int:
        """How many facts the broker does not have yet."""
        return len(self._waiting)

    @property
    def lost_sessions(self) -> list[str]:
        """The sessions that are lost."""
        return [name for name, lost_ns in self._lost_ns.items() if lost_ns is not None]

    def remember(self, base: dict[str, Any], lines: Iterable[list[Any]]) -> list[OrderFact]:
        """Take what a past life noted, and send what no broker has.

        Returns:
            Facts that it may not have applied: nothing happened since, so they can be, and are then done or void.
        """
        lost: dict[str, int | None] = dict(base.get("lost", []))
        self._waiting = {fact.fact_id: fact for fact in map(_fact, base.get("facts", []))}
        undone: list[OrderFact] = []
        for kind, *rest in lines:
            if kind == FACT:
                undone += map(_fact, rest[0])
                self.numbers |= {fact.account_id: fact.number for fact in undone}
            elif kind == DONE:
                self._waiting |= {fact.fact_id: fact for fact in undone}
                undone = []
            elif kind == VOID:
                self.numbers |= {fact.account_id: fact.number - 1 for fact in reversed(undone)}
                undone = []
            elif kind == SESSION:
                lost[rest[0]] = rest[1]
            elif kind == KEPT:
                self._waiting.pop(rest[0], None)
        self._lost_ns = {name: lost_ns for name, lost_ns in lost.items() if lost_ns is not None}
        for fact in self._waiting.values():
            self._send(fact)
        return undone

    def begin(self) -> None:
        """Go on with the accounts of the past life; which sessions are lost is told again, for some may have become known since."""
        for account_id in self._counters.counts():
            self.enrol(account_id)

    def base(self) -> dict[str, Any]:
        """Return what must be kept, in plain values, when the journal begins anew."""
        facts = [codec.to_plain(fact) for fact in self._waiting.values()]
        lost = [(name, lost_ns) for name, lost_ns in self._lost_ns.items() if lost_ns is not None]
        return {"sender": self._sender, "lost": lost, "facts": facts}

    def enrol(self, account_id: str, *, is_known: bool = False) -> None:
        """Note an account of this process before its first message, and tell it what is the case already."""
        if account_id in self._accounts or not account_id or not (is_known or self._knows(account_id)):
            return
        self._accounts[account_id] = None
        kind = FactKind.SESSION_LOST
        for name in self.lost_sessions:
            lost_ns = self._lost_ns[name] or 0
            self.done(self.note([self._made(account_id, kind, lost_ns, session_id=name)]))

    def day(self, ts_event_ns: int) -> list[OrderFact]:
        """Return the start of a day, noted for each account; the day is started next, and then it is :meth:`done`."""
        return self.note(self._made(name, FactKind.DAY_STARTED, ts_event_ns) for name in self._accounts)

    def session(self, session_id: str, ts_event_ns: int, *, is_up: bool) -> None:
        """Tell each account that a session was lost or is back, unless that was told last."""
        if session_id in self._lost_ns and (self._lost_ns[session_id] is None) == is_up:
            return
        self._lost_ns[session_id] = None if is_up else ts_event_ns
        self._journal.note(SESSION, session_id, self._lost_ns[session_id])
        kind = FactKind.SESSION_BACK if is_up else FactKind.SESSION_LOST
        told = [self._made(name, kind, ts_event_ns, session_id=session_id) for name in self._accounts]
        self.done(self.note(told))

    def position(self, stated: OrderFact) -> OrderFact:
        """Return a position set by hand, noted; it is applied next, and then it is :meth:`done`, or void.

        Raises:
            FactRefusedError: Not two people with a reason, or numbers that cannot be.
        """
        if fault := fault_of_fact(stated):
            raise FactRefusedError(*fault)
        self.enrol(stated.account_id, is_known=True)
        (fact,) = self.note([replace(stated, sender=self._sender)])
        return fact

    def note(self, stated: Iterable[OrderFact]) -> list[OrderFact]:
        """Number facts that say the same of their accounts, and write them down in one line: orders wait for it.

        Raises:
            FactRefusedError: No message can hold what they say.
        """
        said = list(stated)
        if not said:
            return []
        try:
            codec.encode(topics.ORDERS_FACTS, said[0])
        except MessageError as error:
            raise FactRefusedError(error.cause, error.detail) from error
        facts = [self._counters.fact(one) for one in said]
        self._journal.note(FACT, [codec.to_plain(fact) for fact in facts])
        return facts

    def done(self, facts: list[OrderFact]) -> None:
        """Note that facts are applied, and hand them over."""
        if not facts:
            return
        self._journal.note(DONE)
        for fact in facts:
            self.told += 1
            self._waiting[fact.fact_id] = fact
            self._send(fact)

    def void(self, facts: list[OrderFact]) -> None:
        """Note that the last facts could not be applied: they were never the case, and their numbers are given again."""
        self._journal.note(VOID)
        for fact in facts:
            self._counters.take_back(fact)

    def kept(self, fact: OrderFact) -> None:
        """Note that the broker has a fact; any thread may."""
        self._journal.note(KEPT, fact.fact_id)
        self._waiting.pop(fact.fact_id, None)

    def _made(self, account_id: str, kind: FactKind, ts_event_ns: int, *, session_id: str | None = None) -> OrderFact:
        return OrderFact("", account_id, kind, ts_event_ns, self._sender, 0, session_id=session_id)


def _fact(plain: dict[str, Any]) -> OrderFact:
    return cast("OrderFact", codec.from_plain(topics.ORDERS_FACTS, plain))
