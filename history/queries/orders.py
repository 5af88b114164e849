"""Questions about orders: what was decided and by which limit, what was asked, what became of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from history.queries.asking import ALWAYS, Conditions, Listed, Listing, Page, Source, Span, listed
from history.statement import Statement

_DECISIONS: Final = Listing(
    "SELECT ts_event_ns, order_id, enforcer, decision_id, account_id, instrument_id, verdict, reason, `limit`, observed, "
    "toString(tier) AS tier, stale, epoch, tick_ns, model_id, score, instance, seq, rule_id, warned, ref_price, worst_price, "
    "action, side, order_type, qty, price, post_only, reduce_only, position_before, working_buy_before, working_sell_before "
    "FROM decisions_once",
    time="ts_event_ns",
    keys=("order_id", "enforcer", "decision_id"),
)
_EXECUTIONS: Final = Listing(
    "SELECT ts_event_ns, account_id, venue_id, exec_id, source, order_id, instrument_id, kind, side, qty, price "
    "FROM executions_once",
    time="ts_event_ns",
    keys=("account_id", "venue_id", "exec_id", "source"),
)


@dataclass(frozen=True, slots=True)
class DecisionFilter:
    """Which decisions; ``None`` = whatever.

    Attributes:
        span: When the order was made.
        instrument_id: Instrument.
        account_id: Account.
        verdicts: Some of ACCEPT, REJECT, PEND.
        reasons: Reason codes in words.
        tiers: Tier in force.
        enforcer: ``gate`` or ``enforce_orders``.
    """

    span: Span = ALWAYS
    instrument_id: int | None = None
    account_id: str | None = None
    verdicts: Sequence[str] | None = None
    reasons: Sequence[str] | None = None
    tiers: Sequence[str] | None = None
    enforcer: str | None = None

    def conditions(self) -> Conditions:
        """Return the filter as conditions."""
        where = Conditions().within("ts_event_ns", self.span)
        where.add("instrument_id = {instrument_id:UInt32}", instrument_id=self.instrument_id)
        where.add("account_id = {account_id:String}", account_id=self.account_id)
        where.add("enforcer = {enforcer:String}", enforcer=self.enforcer)
        where.add("has({verdicts:Array(String)}, verdict)", verdicts=_list(self.verdicts))
        where.add("has({reasons:Array(String)}, reason)", reasons=_list(self.reasons))
        return where.add("has({tiers:Array(String)}, tier)", tiers=_list(self.tiers))


def decisions(source: Source, which: DecisionFilter, page: Page | None = None) -> Listed:
    """Return decisions, newest first; the columns are the fields of ``schemas.orders.OrderDecision``, without ``decided_ns``."""
    return listed(source, _DECISIONS, which.conditions(), page=page)


def decisions_by_reason(source: Source, which: DecisionFilter) -> pa.Table:
    """Return how many decisions there were by verdict, reason, tier and enforcer, most first.

    Columns: enforcer, verdict, reason, tier (text), decisions, lots (null = not told), accounts, first_ns, last_ns.
    """
    where = which.conditions()
    sql = f"""
SELECT enforcer, verdict, reason, toString(d.tier) AS tier, count() AS decisions, sum(qty) AS lots,
       uniqExact(account_id) AS accounts, min(ts_event_ns) AS first_ns, max(ts_event_ns) AS last_ns
FROM decisions_once AS d WHERE {where.sql} GROUP BY enforcer, verdict, reason, d.tier
ORDER BY decisions DESC, enforcer, verdict, reason, tier"""  # noqa: S608 (constants of ours)
    return source.table(Statement(sql, where.values))


def orders_on_timeline(source: Source, instrument_id: int, span: Span, *, rows_max: int = 10_000) -> pa.Table:
    """Return own orders and their fills on one time axis, for a chart: the first ``rows_max`` in order of time.

    Columns: ts_event_ns, what (``ACCEPT``, ``REJECT``, ``PEND`` or ``FILLED``), order_id, account_id, side, qty (lots), price (1e-9
    currency, null = market order), reason, limit, observed, tier (text, null for fills).
    """
    where = Conditions().add("instrument_id = {instrument_id:UInt32}", instrument_id=instrument_id)
    where.within("ts_event_ns", span)
    sql = f"""
SELECT * FROM (
SELECT ts_event_ns, toString(verdict) AS what, order_id, account_id, toString(side) AS side, qty, price, toString(reason) AS reason,
       `limit`, observed, toNullable(toString(d.tier)) AS tier
FROM decisions_once AS d WHERE {where.sql}
UNION ALL
SELECT ts_event_ns, 'FILLED', order_id, account_id, toString(side), toNullable(qty), price, '', NULL, NULL, NULL
FROM executions_once WHERE {where.sql} AND kind = 'FILLED' AND source != 'DROP_COPY'
) ORDER BY ts_event_ns, what, order_id LIMIT {{rows_max:UInt32}}"""  # noqa: S608 (constants of ours)
    return source.table(Statement(sql, {**where.values, "rows_max": rows_max}))


def executions(
    source: Source,
    span: Span,
    *,
    account_id: str | None = None,
    instrument_id: int | None = None,
    page: Page | None = None,
) -> Listed:
    """Return what venues and drop copies reported, newest first.

    Columns: ts_event_ns, account_id, venue_id, exec_id, source, order_id, instrument_id, kind, side, qty (lots), price.
    """
    where = Conditions().within("ts_event_ns", span).add("account_id = {account_id:String}", account_id=account_id)
    where.add("instrument_id = {instrument_id:UInt32}", instrument_id=instrument_id)
    return listed(source, _EXECUTIONS, where, page=page)


def decision(order_id: str) -> Statement:
    """Return all answers to one order, each with the risk state that was in force (the larger epoch when several)."""
    return Statement(
        "SELECT d.*, s.score AS state_score, s.p AS state_p, s.tier AS state_tier, s.ref_price AS state_ref_price, "
        "s.causes.name AS causes, s.causes.share AS shares "
        "FROM decisions_once AS d LEFT JOIN risk_states_once AS s "
        "ON d.instrument_id = s.instrument_id AND d.tick_ns = s.tick_ns AND d.epoch = s.epoch "
        "WHERE d.order_id = {order_id:String} ORDER BY d.enforcer, d.ts_event_ns, d.seq",
        {"order_id": order_id},
    )


def order_trail(account_id: str, order_id: str) -> Statement:
    """Return what was asked, decided and reported about one order, in order of time; ``what`` says which of the three."""
    where = "WHERE account_id = {account_id:String} AND order_id = {order_id:String}"
    return Statement(
        "SELECT * FROM ("  # noqa: S608 (constants of ours)
        "SELECT ts_event_ns, 1 AS step, 'request' AS what, '' AS source, toString(action) AS word, '' AS reason, side, "
        f"toNullable(qty) AS qty, price, '' AS id FROM requests_once {where} UNION ALL "
        "SELECT ts_event_ns, 2, 'decision', enforcer, verdict, reason, side, qty, ifNull(worst_price, price), decision_id "
        f"FROM decisions_once {where} UNION ALL "
        "SELECT ts_event_ns, 3, 'execution', source, kind, '', side, toNullable(qty), price, exec_id "
        f"FROM executions_once {where}) ORDER BY ts_event_ns, step, id",
        {"account_id": account_id, "order_id": order_id},
    )


def _list(values: Sequence[str] | None) -> list[str] | None:
    return None if values is None else list(values)
