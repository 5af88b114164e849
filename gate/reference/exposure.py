"""Questions about what the account would hold: lots of the instrument, orders that work, and value in all instruments.

Invariant: working orders count on their worst side, as if all of one side traded and none of the other. An exit passes
the questions that ask how much is held, for it makes that less.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from gate.reference.case import INT64_MAX, MICRO, Case, Refusal, above, value_above, whole
from gate.reference.ledger import LOTS_CAP, MARGIN_CAP, Account, Position, value_of
from gate.reference.orders import Reason, Side
from gate.reference.tables import FIRM
from gate.rows import UNLIMITED

FIRM_UNIT: Final = 2**40  # 1e-18 currency: the firm's sum is kept in these, each position rounded up
FIRM_UNITS_MAX: Final = 2**56  # of one position: more than the sum can count


def reduces(case: Case) -> bool:
    """Return whether everything that works on the order's side, and the order, only brings the position nearer to zero."""
    return case.order.qty <= reducible_lots(case)


def reducible_lots(case: Case) -> int:
    """Return how many lots may still be reduced on the order's side, its target aside."""
    held = -case.position.lots if case.order.is_buy else case.position.lots
    aside = case.target.open_qty if case.target else 0
    return max(0, held - (case.working(case.order.side) - aside)) if held > 0 else 0


def judge_lots(case: Case) -> Refusal | None:
    """Refuse when the account could become too long or too short, or short of what nobody lends."""
    order = case.order
    if order.is_buy:
        long_after = case.position.lots + case.working_after(Side.BUY)
        return _lots_above(Reason.MAX_LONG, case.limits.long, long_after)
    short = case.short_after()
    located = case.tables.located_lots(order.account, order.instrument_id)
    refusal = _lots_above(Reason.MAX_SHORT, case.limits.short, short)
    if refusal is None and case.row.needs_locate and short > max(0, located):
        refusal = Refusal(Reason.SHORT_LOCATE, located, whole(short))
    return refusal


def _lots_above(reason: Reason, limit: int | None, lots: int) -> Refusal | None:
    assert limit is not None
    return above(reason, min(limit, LOTS_CAP), lots)


def judge_self_match(case: Case) -> Refusal | None:
    """Refuse when the order would meet one of the account's own."""
    others = [
        working.price
        for working in case.account.working.values()
        if working.order.instrument_id == case.order.instrument_id and working.order.side != case.order.side
    ]
    if not others:
        return None
    best = min(others) if case.order.is_buy else max(others)
    meets = case.price >= best if case.order.is_buy else case.price <= best
    return Refusal(Reason.SELF_MATCH, best, case.price) if meets else None


def judge_open_orders(case: Case) -> Refusal | None:
    """Refuse when too many orders work."""
    if case.is_exit or case.order.is_replace:
        return None
    return above(Reason.OPEN_ORDERS, case.granted.open_orders, len(case.account.working) + 1)


@dataclass(frozen=True, slots=True)
class Exposure:
    """A position with its working orders at its mark: 1e-18 currency if all buys trade, if all sells trade."""

    up: int
    down: int
    margin: int  # thousandths

    @property
    def gross(self) -> int:
        """The worse side."""
        return max(abs(self.up), abs(self.down))

    @property
    def credit(self) -> int:
        """What it takes of the credit, 1e-21 currency."""
        return min(self.gross * self.margin, MARGIN_CAP)

    @property
    def firm_units(self) -> int:
        """The worse side in units of the firm's sum."""
        return min(-(-self.gross // FIRM_UNIT), FIRM_UNITS_MAX)


def exposure(account: Account, instrument_id: int, position: Position) -> Exposure:
    """Return what a position could become with what works now."""
    buys = account.working_lots(instrument_id, Side.BUY)
    sells = account.working_lots(instrument_id, Side.SELL)
    return _exposure(position, buys, sells)


def _exposure(position: Position, buys: int, sells: int) -> Exposure:
    up = value_of(position.lots + buys, position.mark, position.lot_nano)
    down = value_of(position.lots - sells, position.mark, position.lot_nano)
    return Exposure(up, down, position.margin)


def judge_value(case: Case) -> Refusal | None:
    """Refuse when the account, or the firm, could hold too much, or has lost too much."""
    return None if case.is_exit else next(filter(None, _judge_value(case)), None)


def _judge_value(case: Case) -> Iterator[Refusal | None]:
    granted = case.granted
    mine = _exposure(_marked(case), case.working_after(Side.BUY), case.working_after(Side.SELL))
    all_of = [*_others(case), mine]
    up, down = sum(e.up for e in all_of), sum(e.down for e in all_of)
    yield value_above(Reason.CONCENTRATION, granted.instrument_value, mine.gross)
    yield value_above(Reason.GROSS_VALUE, granted.gross_value, sum(e.gross for e in all_of))
    yield value_above(Reason.NET_VALUE, granted.net_value, max(abs(up), abs(down)))
    yield value_above(Reason.CREDIT, granted.credit, Fraction(sum(e.credit for e in all_of), 1000))
    yield _judge_firm(case, mine, all_of)
    pnl = case.account.pnl - case.position.pnl + _marked(case).pnl
    yield value_above(Reason.DAY_LOSS, granted.day_loss, -pnl)
    yield value_above(Reason.DRAWDOWN, granted.drawdown, max(case.account.peak, pnl) - pnl)


def _marked(case: Case) -> Position:
    """The position as it is worth now."""
    held = case.position
    marked = Position(held.lots, held.cash, held.base, held.mark, held.lot_nano, case.limits.margin or 0)
    marked.set_mark(case.row.ref_price, case.row.lot_nano)
    return marked


def _others(case: Case) -> list[Exposure]:
    held = case.account.positions.items()
    return [exposure(case.account, key, position) for key, position in held if key != case.order.instrument_id]


def _judge_firm(case: Case, mine: Exposure, all_of: list[Exposure]) -> Refusal | None:
    firm = case.tables.accounts.get(FIRM)
    if firm is None or firm.gross_value == UNLIMITED:
        return None
    if firm.gross_value is None:
        return Refusal(Reason.LIMIT_UNSET)
    units = sum(e.firm_units for e in all_of)
    for key, account in case.ledger.accounts.items():
        if key != case.order.account:
            units += sum(exposure(account, i, position).firm_units for i, position in account.positions.items())
    if mine.firm_units == FIRM_UNITS_MAX:
        return Refusal(Reason.FIRM_VALUE, firm.gross_value, INT64_MAX)
    if units <= firm.gross_value * MICRO // FIRM_UNIT:
        return None
    return Refusal(Reason.FIRM_VALUE, firm.gross_value, whole(Fraction(units * FIRM_UNIT, MICRO)))


def judge_soft(case: Case) -> Refusal | None:
    """Ask for a second person when the order is large within its limits."""
    if case.tables.approved_until_ns(case.order.order_id) > case.now_ns:
        return None
    return large(case, case.row.pend_permille)


def large(case: Case, permille: int) -> Refusal | None:
    """Return the first limit, with its numbers, of which the order takes more than so many thousandths."""
    value = Fraction(case.value, MICRO)
    for limit, observed in ((case.limits.order_qty, Fraction(case.order.qty)), (case.limits.order_value, value)):
        assert limit is not None
        if limit != UNLIMITED and observed * 1000 > limit * permille:
            return Refusal(Reason.NEEDS_APPROVAL, limit, whole(observed))
    return None
