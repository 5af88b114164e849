"""Orders, reports and facts as the topics know them, judged and booked by the gate's core. Pure: times are arguments.

Invariant: the gate inside a trading process and the enforcer in Flink run this one code, so equal messages in equal order
under equal rules give equal decisions. An execution is booked once: the order session's report and the order management's
own name the same execution, and a drop copy of one of our orders is evidence against the ledger, never a booking (see
``gate.reconcile``). A fact is of one account, at its place among that account's messages: a session may be lost already for one
account and not yet for another whose messages come later. Rejected: hashes on the wire (nobody could read who traded).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final, NamedTuple

from gate import _native
from gate._native import REASONS, RULES, Decision, Gate, LimitTable, Route, scope_hash
from schemas.orders import (
    ExecutionKind,
    ExecutionSource,
    FactKind,
    OrderAction,
    OrderDecision,
    OrderExecution,
    OrderFact,
    OrderRequest,
    OrderSide,
    OrderType,
    Verdict,
    decision_id,
)
from schemas.tiers import Tier
from schemas.units import NS_PER_MS, NS_PER_S

MARK_EVERY_NS: Final = 100 * NS_PER_MS
"""An account's positions are marked at most so often on the clock of its orders, before the order that finds it due: so what
an account is told hangs on its own messages and the market, not on who else traded."""
SEEN_MAX: Final = 16_384
"""Executions that are known again when they are reported again."""

SESSIONS_MAX: Final = 64
"""Lost sessions that are told apart, as in the ledger of the core; of more than so many, all count as lost from then on."""
POSITION_MAX: Final = 1 << 62
"""Largest position either way, lots."""

_EVERY: Final = 0
"""In place of a session: all of them are lost."""
_INSTRUMENT_MAX: Final = (1 << 32) - 1
_ROUTES_MAX: Final = 4_096
_NAMES_SPARE: Final = 4_096
_DAY_NS: Final = 86_400 * NS_PER_S
_ACTIONS: Final = {
    OrderAction.NEW: _native.ORDER_NEW,
    OrderAction.REPLACE: _native.ORDER_REPLACE,
    OrderAction.CANCEL: _native.ORDER_CANCEL,
}
_SIDES: Final = {OrderSide.BUY: _native.ORDER_BUY, OrderSide.SELL: _native.ORDER_SELL}
_TYPES: Final = {OrderType.LIMIT: _native.ORDER_LIMIT, OrderType.MARKET: _native.ORDER_MARKET}
_VERDICTS: Final = (Verdict.ACCEPT, Verdict.REJECT, Verdict.PEND)
_ENDS: Final = {ExecutionKind.CANCELLED, ExecutionKind.REJECTED, ExecutionKind.EXPIRED}


class Booked(Enum):
    """What became of a report or a fact."""

    BOOKED = auto()
    EXECUTED = auto()  # of an order that does not work here: the position took it all the same
    EVIDENCE = auto()  # nothing to book: an acknowledgement, or a drop copy
    REPEATED = auto()  # known already
    UNKNOWN = auto()  # of an order that does not work here, and nothing was traded
    INVALID = auto()  # no quantity or price that there can be, or a fact that does not say what it is about
    NO_ROOM = auto()  # the ledger cannot hold the position


class Holding(NamedTuple):
    """A position of the ledger, lots."""

    account_id: str
    instrument_id: int
    position: int
    working_buy: int
    working_sell: int


@dataclass(frozen=True, slots=True)
class Cancel:
    """A working order that must not work on."""

    account_id: str
    order_id: str
    instrument_id: int
    open_qty: int


def hash_of(kind: str, name: str | None) -> int:
    """Return the hash of ``kind:name`` that orders carry; 0 for no name."""
    return scope_hash(f"{kind}:{name}") if name else 0


def name_of(names: dict[int, str], number: int) -> str:
    """Return a name by its hash; one that is not known is written as its hash, as in decisions."""
    return names.get(number) or f"#{number:016x}"


class GateDesk:
    """One ledger and who uses it.

    Args:
        gate: The gate; the desk is its only user.
        table: The gate's table.
        enforcer: Who decides, as in decisions.
        instance: Which of them.
        on_account: Called with hash and id of every account before its first order is judged.
    """

    def __init__(
        self,
        gate: Gate,
        table: LimitTable,
        *,
        enforcer: str,
        instance: str = "",
        on_account: Callable[[int, str], None] = lambda _hash, _name: None,
    ) -> None:
        self.gate = gate
        self._table = table
        self._enforcer, self._instance = enforcer, instance
        self._on_account = on_account
        self._routes: dict[tuple[str | None, ...], Route] = {}
        self._accounts: dict[int, str] = {}
        self._orders: dict[tuple[int, int], str] = {}
        self._seen: dict[int, None] = {}
        self._mark_due_ns: dict[int, int] = {}
        self._lost: dict[int, set[int]] = {}
        self._held: dict[int, set[int]] = {}
        for account, instrument_id, *_ in gate.positions():
            self._held.setdefault(account, set()).add(instrument_id)
        self.seq = 0

    def submit(self, order: OrderRequest, now_ns: int) -> OrderDecision:
        """Judge an order and book it when accepted.

        Args:
            order: The order; whatever is wrong with it is a reason to refuse it, not an error.
            now_ns: The clock of the table: monotonic in a trading process, event time in Flink.
        """
        account, order_hash = hash_of("account", order.account_id), hash_of("order", order.order_id)
        self._mark_when_due(account, now_ns)
        if account and account not in self._accounts and self._is_known(account):
            self._learn_account(account, order.account_id)
        parent = hash_of("parent", order.parent_order_id)
        if parent and order.parent_qty is not None and account in self._accounts:
            self.gate.parent(account, parent, order.parent_qty)
        flags = _native.ORDER_POST_ONLY * order.post_only | _native.ORDER_REDUCE_ONLY * order.reduce_only
        session = hash_of("session", order.session_id)
        is_lost = account in self._lost and self._is_lost(account, session)
        if is_lost:  # to this account; the core knows lost sessions of all
            self.gate.session(session, False)
        found = self._route(order).submit(
            order.instrument_id,
            order_hash,
            _ACTIONS[order.action],
            _SIDES[order.side],
            _TYPES[order.order_type],
            flags,
            order.qty,
            order.price or 0,
            now_ns,
            hash_of("order", order.orig_order_id),
            parent,
            hash_of("basket", order.basket_id),
            order.order_id,
        )
        if is_lost:
            self.gate.session(session, True)
        self.seq += 1
        if found.verdict == _native.VERDICT_ACCEPT and order.action is not OrderAction.CANCEL:
            self._keep_name((account, order_hash), order.order_id)
            self._held.setdefault(account, set()).add(order.instrument_id)
        return self._decision(order, found, now_ns)

    def report(self, execution: OrderExecution) -> Booked:
        """Book what a venue says, once."""
        if not _is_booked(execution):
            return Booked.EVIDENCE
        account, order = hash_of("account", execution.account_id), hash_of("order", execution.order_id)
        if not account:
            return Booked.INVALID
        key = _key_of(execution)
        if key in self._seen:
            return Booked.REPEATED
        self._seen[key] = None
        if len(self._seen) > SEEN_MAX:
            del self._seen[next(iter(self._seen))]
        if execution.kind is ExecutionKind.FILLED:
            return self._fill(execution, account, order)
        is_end = execution.kind in _ENDS
        done = self.gate.closed(account, order) if is_end else self.gate.replaced(account, order)
        if is_end:
            self._orders.pop((account, order), None)
        return Booked.BOOKED if done else Booked.UNKNOWN

    def take(self, fact: OrderFact) -> Booked:
        """Apply what the sender of an account says is the case from now on; who stands behind it was asked before."""
        account = hash_of("account", fact.account_id)
        if not account:
            return Booked.INVALID
        self._learn_account(account, fact.account_id)
        if fact.kind is FactKind.DAY_STARTED:
            self.gate.mark_account(account, tuple(self._held.get(account, ())))
            self.gate.new_day_account(account)
            return Booked.BOOKED
        if fact.kind is FactKind.POSITION_SET:
            return self._set_position(fact, account)
        session = hash_of("session", fact.session_id)
        if not session:
            return Booked.INVALID
        if fact.kind is FactKind.SESSION_BACK:
            self._lost.get(account, set()).discard(session)
        else:
            lost = self._lost.setdefault(account, set())
            lost.add(session if len(lost - {session, _EVERY}) < SESSIONS_MAX else _EVERY)
        return Booked.BOOKED

    def start_day(self) -> None:
        """Mark every position and start a day, for every account of the ledger."""
        self.gate.mark()
        self.gate.new_day()

    def knows(self, account_id: str) -> bool:
        """Return whether the account has limits, or a position in the ledger."""
        account = hash_of("account", account_id)
        return account != 0 and (account in self._held or self._is_known(account))

    def cancels(self) -> list[Cancel]:
        """Return the working orders that something blocked (a person, a lost session)."""
        return [
            Cancel(name_of(self._accounts, w[0]), self._orders.get(w[:2]) or name_of({}, w[1]), w[7], w[8])
            for w in self.gate.working()
            if w[11]
        ]

    def holdings(self) -> list[Holding]:
        """Return every position, by account and instrument."""
        return sorted(Holding(name_of(self._accounts, p[0]), *p[1:5]) for p in self.gate.positions())

    def position(self, account_id: str, instrument_id: int) -> int:
        """Return what an account holds in an instrument, lots."""
        where = hash_of("account", account_id), instrument_id
        return next((p[2] for p in self.gate.positions() if p[:2] == where), 0)

    def mark(self) -> None:
        """Mark every position now; an account's orders mark its own too, when it is due."""
        self.gate.mark()

    def working_names(self) -> list[tuple[str, str]]:
        """Return (account, order) of the working orders whose names are known."""
        self._forget_names()
        return [(name_of(self._accounts, account), name) for (account, _), name in self._orders.items()]

    def learn_names(self, names: Iterable[tuple[str, str]]) -> None:
        """Take accounts and orders by name from a past life; an account without an order has an empty one."""
        for account_id, order_id in names:
            account = hash_of("account", account_id)
            self._learn_account(account, account_id)
            if order_id:
                self._orders[account, hash_of("order", order_id)] = order_id

    def note_of(self, execution: OrderExecution) -> list[int]:
        """Return the keys by which a report will be known again; none when it is booked by no key."""
        return [_key_of(execution)] if _is_booked(execution) else []

    def learn_keys(self, keys: Iterable[int]) -> None:
        """Take the newest of the reports of a past life, which must not be booked again."""
        self._seen = dict.fromkeys(list(keys)[-SEEN_MAX:])

    def memory(self) -> dict[str, Any]:
        """Return what must be kept beside the ledger, in plain values."""
        lost = [(account, sorted(sessions)) for account, sessions in self._lost.items() if sessions]
        marks = list(self._mark_due_ns.items())
        return {"seq": self.seq, "mark_due_ns": marks, "seen": list(self._seen), "lost": lost}

    def remember(self, memory: dict[str, Any]) -> None:
        """Take what :meth:`memory` returned."""
        self.seq, self._mark_due_ns = memory["seq"], dict(memory["mark_due_ns"])
        self._seen = dict.fromkeys(memory["seen"])
        self._lost = {account: set(sessions) for account, sessions in memory["lost"]}

    def _is_lost(self, account: int, session: int) -> bool:
        lost = self._lost[account]
        return session != 0 and (session in lost or _EVERY in lost)

    def _set_position(self, fact: OrderFact, account: int) -> Booked:
        instrument_id, lots = fact.instrument_id, fact.position
        if instrument_id is None or not 0 < instrument_id <= _INSTRUMENT_MAX:
            return Booked.INVALID
        if lots is None or not -POSITION_MAX <= lots <= POSITION_MAX:
            return Booked.INVALID
        if self.gate.reconcile(account, instrument_id, lots, fact.is_reconciled) is None:
            return Booked.NO_ROOM
        self._held.setdefault(account, set()).add(instrument_id)
        return Booked.BOOKED

    def _fill(self, execution: OrderExecution, account: int, order: int) -> Booked:
        qty, price = execution.qty, execution.price or 0
        if order and self.gate.filled(account, order, qty, price):
            return Booked.BOOKED
        side = _SIDES[execution.side]
        done = self.gate.executed(account, execution.instrument_id, side, qty, price)
        if done:
            self._held.setdefault(account, set()).add(execution.instrument_id)
        return Booked.EXECUTED if done else Booked.INVALID

    def _mark_when_due(self, account: int, now_ns: int) -> None:
        held = self._held.get(account)
        if held is None:
            return
        due_ns = self._mark_due_ns.get(account, now_ns)
        is_past = now_ns < due_ns - 2 * MARK_EVERY_NS  # the clock went back, or was wrong before
        if now_ns >= due_ns or is_past:
            self._mark_due_ns[account] = now_ns + MARK_EVERY_NS
            self.gate.mark_account(account, tuple(held))

    def _is_known(self, account: int) -> bool:
        try:
            return self._table.read_account(account) is not None
        except _native.LimitTableError:  # it is being written: it is there
            return True

    def _learn_account(self, account: int, account_id: str) -> None:
        self._accounts[account] = account_id
        self._on_account(account, account_id)

    def _keep_name(self, key: tuple[int, int], order_id: str) -> None:
        self._orders[key] = order_id
        if len(self._orders) > _NAMES_SPARE and len(self._orders) % _NAMES_SPARE == 0:
            self._forget_names()

    def _forget_names(self) -> None:
        """Keep the names of what works."""
        working = {w[:2] for w in self.gate.working()}
        self._orders = {key: name for key, name in self._orders.items() if key in working}

    def _route(self, order: OrderRequest) -> Route:
        who = (
            order.account_id,
            order.trader_id,
            order.desk_id,
            order.strategy_id,
            order.venue_id,
            order.session_id,
        )
        route = self._routes.get(who)
        if route is None:
            if len(self._routes) >= _ROUTES_MAX:
                self._routes.clear()
            kinds = ("account", "trader", "desk", "strategy", "venue", "session")
            route = self.gate.route(*map(hash_of, kinds, who))
            self._routes[who] = route
        return route

    def _decision(self, order: OrderRequest, found: Decision, now_ns: int) -> OrderDecision:
        return OrderDecision(
            order_id=order.order_id,
            account_id=order.account_id,
            instrument_id=order.instrument_id,
            ts_event_ns=order.ts_event_ns,
            enforcer=self._enforcer,
            verdict=_VERDICTS[found.verdict],
            reason=REASONS[found.reason],
            limit=found.limit,
            observed=found.observed,
            tier=Tier(found.tier),
            stale=found.stale,
            epoch=found.epoch,
            tick_ns=found.tick_ns,
            model_id=found.model_id,
            score=found.score,
            decision_id=decision_id(
                order.account_id, order.order_id, enforcer=self._enforcer, instance=self._instance, seq=self.seq
            ),
            instance=self._instance,
            seq=self.seq,
            decided_ns=now_ns,
            rule_id=RULES[found.reason],
            warned=found.warned,
            ref_price=found.ref_price,
            worst_price=found.worst_price,
            action=order.action,
            side=order.side,
            order_type=order.order_type,
            qty=order.qty,
            price=order.price,
            post_only=order.post_only,
            reduce_only=order.reduce_only,
            position_before=found.position_before,
            working_buy_before=found.working_buy_before,
            working_sell_before=found.working_sell_before,
        )


def _is_booked(execution: OrderExecution) -> bool:
    is_evidence = execution.source is ExecutionSource.DROP_COPY and bool(execution.order_id)
    return execution.kind is not ExecutionKind.ACKED and not is_evidence


def _key_of(execution: OrderExecution) -> int:
    """Return what makes two reports the same execution: not who reported it, nor the exact time that he gave."""
    parts = (
        execution.account_id,
        execution.venue_id,
        execution.exec_id,
        execution.order_id,
        execution.kind.name,
        str(execution.ts_event_ns // _DAY_NS),
    )
    return scope_hash("exec:" + "\0".join(parts))
