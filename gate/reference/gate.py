"""The gate in slow, plain Python: the same methods as ``gate._native.Gate``, an order in place of a route.

Invariant: an order is booked in the step that accepts it, and what the venue says afterwards changes only what is known
of it. A report about what is not known changes nothing but the count of such reports.
"""

from dataclasses import dataclass, field

from gate.reference import flow
from gate.reference.case import Case
from gate.reference.judge import judge
from gate.reference.ledger import (
    LOTS_CAP,
    PARENT_SLOTS,
    SESSION_SLOTS,
    Ledger,
    Parent,
    Position,
    Sizes,
    Working,
    value_of,
)
from gate.reference.orders import PRICE_MAX, QTY_MAX, Action, Decision, Order, Reason, Side, Verdict
from gate.reference.tables import Tables


@dataclass(slots=True)
class Counters:
    """What the gate did; cancels are not counted."""

    accepted: int = 0
    refused: int = 0
    pended: int = 0
    unknown_reports: int = 0
    overfills: int = 0


@dataclass(slots=True)
class ReferenceGate:
    """A gate over plain tables. Times are ns on one clock, quantities lots, prices 1e-9 currency."""

    tables: Tables = field(default_factory=Tables)
    sizes: Sizes = field(default_factory=Sizes)
    ledger: Ledger = field(init=False)
    counters: Counters = field(init=False, default_factory=Counters)

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.sizes)

    def check(self, order: Order, now_ns: int) -> Decision:
        """Judge an order and change nothing."""
        return judge(self.tables, self.ledger, order, now_ns=now_ns)[0]

    def submit(self, order: Order, now_ns: int) -> Decision:
        """Judge an order, and book it when it is accepted."""
        decision, case = judge(self.tables, self.ledger, order, now_ns=now_ns)
        if order.action == Action.CANCEL:
            return decision
        self.counters.accepted += decision.verdict == Verdict.ACCEPT
        self.counters.refused += decision.verdict == Verdict.REJECT
        self.counters.pended += decision.verdict == Verdict.PEND
        if case and decision.verdict == Verdict.ACCEPT:
            case.account = self.ledger.account(order.account)
            self._book(case)
        elif case and decision.reason == Reason.REPEATED_EXECUTION:
            case.account = self.ledger.account(order.account)
            flow.trip(case)
        return decision

    def filled(self, account: int, order_id: int, *, qty: int, price: int) -> bool:
        """Book a fill of a working order; ``False`` = there is none, or the numbers make no sense."""
        entry = self._working(account, order_id)
        if entry is None or not _is_trade(qty, price):
            return self._unknown()
        held, order = self.ledger.account(account), entry.order
        if entry.replaces:
            held.working.pop(entry.replaces)
            entry.replaces = entry.share = 0
        self.ledger.position(account, order.instrument_id).trade(order.side, qty, price)
        if entry.parent in held.parents:
            held.parents[entry.parent].filled += qty
        if entry.replaced_by:
            successor = held.working[entry.replaced_by]
            successor.open_qty = max(0, successor.open_qty - qty)
        self.counters.overfills += qty > entry.open_qty
        entry.open_qty = max(0, entry.open_qty - qty)
        if entry.open_qty == 0:
            held.close(entry)
        held.peak = max(held.peak, held.pnl)
        return True

    def closed(self, account: int, order_id: int) -> bool:
        """Forget a working order that was cancelled, rejected or expired; ``False`` = there is none."""
        entry = self._working(account, order_id)
        if entry is None:
            return self._unknown()
        self.ledger.account(account).close(entry)
        return True

    def replaced(self, account: int, order_id: int) -> bool:
        """Let a replace take effect; ``False`` = no such order works."""
        entry = self._working(account, order_id)
        if entry is None or not entry.order.is_replace:
            return self._unknown()
        if entry.replaces:
            self.ledger.account(account).take_effect(entry)
        return True

    def executed(self, order: Order) -> bool:
        """Book an execution that no working order here explains: its account, instrument, side, qty and price count."""
        if order.side not in set(Side) or not _is_trade(order.qty, order.price) or order.account == 0:
            return self._unknown()
        if not self.ledger.has_room(order.account, order.instrument_id):
            return False
        position = self._valued(order.account, order.instrument_id, order.price)
        position.trade(order.side, order.qty, order.price)
        held = self.ledger.account(order.account)
        held.peak = max(held.peak, held.pnl)
        return True

    def parent(self, account: int, parent: int, qty: int) -> bool:
        """Declare a parent order, or change its quantity; ``False`` = there is no room, or no sense in it."""
        known = account in self.ledger.accounts
        if 0 in {account, parent} or qty <= 0 or (not known and len(self.ledger.accounts) >= self.sizes.accounts):
            return False
        parents = self.ledger.account(account).parents
        if parent not in parents and len(parents) >= PARENT_SLOTS:
            return False
        parents.setdefault(parent, Parent(qty)).declared = qty
        return True

    def session(self, session: int, *, up: bool) -> bool:
        """Mark a session as lost or back; ``False`` = it has no name, or there is no room: then all count as lost."""
        if session == 0:
            return False
        if up:
            self.ledger.down.discard(session)
            return True
        if session not in self.ledger.down and len(self.ledger.down) >= SESSION_SLOTS:
            self.ledger.all_down = True
            return False
        self.ledger.down.add(session)
        return True

    def reconcile(self, account: int, instrument_id: int, position: int, *, done: bool) -> int | None:
        """Set a position to what the books of record say, and return what it was; ``None`` = there is no room."""
        if not self.ledger.has_room(account, instrument_id):
            return None
        held = self._valued(account, instrument_id, 0)
        was = held.lots
        held.lots = max(-LOTS_CAP, min(position, LOTS_CAP))
        held.base += value_of(held.lots - was, held.mark, held.lot_nano)
        self.ledger.account(account).reconciled |= done
        return was

    def tear(self, account: int) -> None:
        """Leave an account as one that was being changed when its process died."""
        self.ledger.account(account).reconciled = False

    def new_day(self) -> None:
        """Begin profit and loss, peaks and the values of the period anew, and forget parents that nothing works for."""
        for account in self.ledger.accounts:
            self.new_day_account(account)

    def new_day_account(self, account: int) -> None:
        """The same of one account; one that is not known has no day."""
        known = self.ledger.accounts.get(account)
        if known is None:
            return
        known.peak, known.buckets = 0, {}
        for position in known.positions.values():
            position.cash, position.base = 0, position.worth
        in_use = {working.parent for working in known.working.values()}
        known.parents = {key: parent for key, parent in known.parents.items() if key in in_use}

    def mark(self) -> None:
        """Value every position at its reference price, where there is one."""
        for account in self.ledger.accounts.values():
            for instrument_id, position in account.positions.items():
                row = self.tables.rows.get(instrument_id)
                if row is not None and row.ref_price > 0:
                    position.set_mark(row.ref_price, row.lot_nano if row.lot_nano > 0 else position.lot_nano)
            account.peak = max(account.peak, account.pnl)

    def positions(self) -> list[tuple[int, int, int, int, int, int]]:
        """Return (account, instrument_id, position, working_buy, working_sell, cash): lots, and 1e-18 currency."""
        return [
            (key, i, held.lots, account.working_lots(i, Side.BUY), account.working_lots(i, Side.SELL), held.cash)
            for key, account in self.ledger.accounts.items()
            for i, held in account.positions.items()
        ]

    def working(self) -> list[tuple[int, ...]]:
        """Return what works in the fields of ``struct gate_working``.

        They are account, order, trader, desk, strategy, venue, session, instrument, open lots, price, side, and 1 when it
        must be cancelled: a scope of it is killed, or its session is down.
        """
        return [self._listed(w) for account in self.ledger.accounts.values() for w in account.working.values()]

    def _listed(self, entry: Working) -> tuple[int, ...]:
        order, tables = entry.order, self.tables
        row = tables.rows.get(order.instrument_id)
        blocked = tables.firm_killed or (row is not None and row.killed) or self.ledger.is_down(order.session)
        blocked = blocked or any(tables.is_blocked(scope) for scope in order.scopes if scope)
        ids = (order.account, order.order_id, order.trader, order.desk, order.strategy, order.venue, order.session)
        return (*ids, order.instrument_id, entry.reserved, entry.price, order.side, int(blocked))

    def _book(self, case: Case) -> None:
        order, account = case.order, case.account
        flow.book(case)
        position = self.ledger.position(order.account, order.instrument_id)
        position.set_mark(case.row.ref_price, case.row.lot_nano)
        assert case.limits.margin is not None
        position.margin = case.limits.margin
        if not order.is_replace:
            position.recent.append((order, case.now_ns))
        entry = Working(order, case.price, order.qty, case.parent)
        if case.target:
            entry.replaces, entry.share = case.target.order.order_id, case.increase
            case.target.replaced_by = order.order_id
        account.working[order.order_id] = entry
        account.ids.append(order.order_id)
        account.peak = max(account.peak, account.pnl)

    def _valued(self, account: int, instrument_id: int, price: int) -> Position:
        """The position, with a mark if there is one to be had: the row's reference, else the price of its execution."""
        position, row = self.ledger.position(account, instrument_id), self.tables.rows.get(instrument_id)
        if position.mark == 0 or position.lot_nano == 0:
            ref_price = row.ref_price if row else 0
            lot_nano = row.lot_nano if row else 0
            position.set_mark(ref_price if ref_price > 0 else price, max(0, lot_nano))
        return position

    def _working(self, account: int, order_id: int) -> Working | None:
        held = self.ledger.accounts.get(account)
        return held.working.get(order_id) if held else None

    def _unknown(self) -> bool:
        self.counters.unknown_reports += 1
        return False


def _is_trade(qty: int, price: int) -> bool:
    return 0 < qty <= QTY_MAX and 0 < price <= PRICE_MAX
