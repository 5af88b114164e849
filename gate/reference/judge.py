"""The questions in their order; the first that is not answered well is the reason.

Invariant: what is unknown is refused, a cancel always passes, and nothing here changes anything.
"""

from dataclasses import fields

from gate.reference import exposure, flow
from gate.reference.case import Case, Refusal, above, value_above
from gate.reference.ledger import Account, Ledger
from gate.reference.limits import in_force, is_stale, terms_are_set
from gate.reference.orders import REDUCE_ONLY, Action, Decision, Order, OrderType, Reason, Verdict, is_valid
from gate.reference.price import judge_price
from gate.reference.tables import Tables
from gate.rows import AccountRow, InstrumentRow

PERIOD_NS_MIN, PERIOD_NS_MAX = 10**6, 3600 * 10**9


def judge(tables: Tables, ledger: Ledger, order: Order, *, now_ns: int) -> tuple[Decision, Case | None]:
    """Return the decision, and the case when the order got as far as being one."""
    if order.action == Action.CANCEL:
        return Decision(Reason.OK, Verdict.ACCEPT), None
    refusal = _judge_scopes(tables, order)
    row, granted = tables.rows.get(order.instrument_id), tables.accounts.get(order.account)
    refusal = refusal or _judge_row(tables, order, row) or _judge_grant(granted, row)
    if refusal or row is None or granted is None:
        return _decision(refusal), None
    case = Case(order, now_ns, tables, ledger, row, granted, ledger.accounts.get(order.account) or Account())
    refusal = _judge_case(case)
    return _decision(refusal, case), case


def _judge_scopes(tables: Tables, order: Order) -> Refusal | None:
    if not is_valid(order):
        return Refusal(Reason.INVALID_ORDER)
    if tables.firm_killed or any(tables.is_blocked(scope) for scope in order.scopes if scope):
        return Refusal(Reason.KILLED)
    return None


def _judge_row(tables: Tables, order: Order, row: InstrumentRow | None) -> Refusal | None:
    if row is None:
        return Refusal(Reason.UNKNOWN_INSTRUMENT)
    if row.killed:
        return Refusal(Reason.KILLED)
    if row.restricted or tables.is_blocked((order.account, order.instrument_id)):
        return Refusal(Reason.RESTRICTED)
    return None


def _judge_grant(granted: AccountRow | None, row: InstrumentRow | None) -> Refusal | None:
    if granted is None or row is None:
        return Refusal(Reason.UNKNOWN_ACCOUNT)
    if any(getattr(granted, limit.name) is None for limit in fields(AccountRow)):
        return Refusal(Reason.LIMIT_UNSET)
    assert granted.period_ns is not None
    if not PERIOD_NS_MIN <= granted.period_ns <= PERIOD_NS_MAX:
        return Refusal(Reason.LIMIT_UNSET)
    if row.class_id > 63 or not granted.class_mask >> row.class_id & 1:
        return Refusal(Reason.NOT_PERMITTED)
    return None


def _judge_case(case: Case) -> Refusal | None:
    """The questions that need the ledger or the limits in force."""
    return (
        _judge_ledger(case)
        or _judge_target(case)
        or _judge_limits(case)
        or _judge_quantity(case)
        or judge_price(case)
        or value_above(Reason.MAX_ORDER_VALUE, case.limits.order_value, case.value)
        or flow.judge_duplicate(case)
        or flow.judge_rate(case)
        or flow.judge_session(case)
        or flow.judge_repeats(case)
        or flow.judge_period(case)
        or flow.judge_basket(case)
        or flow.judge_parent(case)
        or (None if case.is_exit else exposure.judge_lots(case))
        or exposure.judge_self_match(case)
        or exposure.judge_open_orders(case)
        or (Refusal(Reason.NO_ROOM) if case.ledger.orders_full() else None)
        or exposure.judge_value(case)
        or exposure.judge_soft(case)
    )


def _judge_ledger(case: Case) -> Refusal | None:
    if not case.ledger.has_room(case.order.account, case.order.instrument_id):
        return Refusal(Reason.NO_ROOM)
    if not case.account.reconciled:
        return Refusal(Reason.NOT_RECONCILED)
    return Refusal(Reason.SESSION_DOWN) if case.ledger.is_down(case.order.session) else None


def _judge_target(case: Case) -> Refusal | None:
    """Find the order to be replaced: one that works here, on the same side, and has no other replace under way."""
    order = case.order
    if not order.is_replace:
        return None
    found = case.account.working.get(order.target_id)
    if found is None or found.replaces or found.replaced_by:
        return Refusal(Reason.UNKNOWN_ORDER)
    if (found.order.instrument_id, found.order.side) != (order.instrument_id, order.side):
        return Refusal(Reason.UNKNOWN_ORDER)
    case.target = found
    return None


def _judge_limits(case: Case) -> Refusal | None:
    """Find out whether it is an exit, and the limits in force."""
    order, row, tables = case.order, case.row, case.tables
    if order.flags & REDUCE_ONLY:
        case.is_exit = exposure.reduces(case)
        if not case.is_exit:
            return Refusal(Reason.REDUCE_ONLY, exposure.reducible_lots(case), order.qty)
    case.stale = is_stale(row, case.now_ns, writer_dead=tables.writer_dead(case.now_ns))
    limits = in_force(row, stale=case.stale, is_exit=case.is_exit)
    if limits is None or not terms_are_set(row):
        return Refusal(Reason.LIMIT_UNSET)
    case.limits = limits
    return Refusal(Reason.HALTED) if row.halted and not case.is_exit else None


def _judge_quantity(case: Case) -> Refusal | None:
    order, row = case.order, case.row
    if order.qty < row.qty_min:
        return Refusal(Reason.QTY_STEP, row.qty_min, order.qty)
    if order.qty % row.qty_step:
        return Refusal(Reason.QTY_STEP, row.qty_step, order.qty)
    if order.price % row.tick_size:
        return Refusal(Reason.TICK_SIZE, row.tick_size, order.price)
    return above(Reason.MAX_ORDER_SIZE, case.limits.order_qty, order.qty)


def _decision(refusal: Refusal | None, case: Case | None = None) -> Decision:
    stale = case is not None and case.stale
    if refusal:
        verdict = Verdict.PEND if refusal.reason == Reason.NEEDS_APPROVAL else Verdict.REJECT
        return Decision(refusal.reason, verdict, False, stale, refusal.limit, refusal.observed)
    assert case is not None
    warned = exposure.large(case, case.row.warn_permille) is not None
    worst_price = case.price if case.order.order_type == OrderType.MARKET else 0
    return Decision(Reason.OK, Verdict.ACCEPT, warned, stale, worst_price=worst_price)
