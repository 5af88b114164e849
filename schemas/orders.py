"""The Avro records of orders: what was asked, what the gate answered, what the venue did, and what the process alone knows.

Conventions as in ``schemas.records``, which gives these names too. Fields that a later version added have a default,
the Avro default of the same field, so that a message of any version reads as one class. A decision repeats the order it is
about: it must stand alone where the request was never published (the gate inside a trading process).
"""

from dataclasses import dataclass
from enum import StrEnum

from schemas.tiers import Tier


class OrderSide(StrEnum):
    """Side of an order."""

    BUY = "BUY"
    SELL = "SELL"


class OrderType(StrEnum):
    """Pricing of an order."""

    LIMIT = "LIMIT"
    MARKET = "MARKET"


class OrderAction(StrEnum):
    """What the request does; ``CANCEL`` always passes the gate."""

    NEW = "NEW"
    REPLACE = "REPLACE"
    CANCEL = "CANCEL"


class Verdict(StrEnum):
    """Outcome of the order check."""

    ACCEPT = "ACCEPT"
    REJECT = "REJECT"
    PEND = "PEND"  # above a soft limit: waits for a second person, and comes again under the same id


class ExecutionKind(StrEnum):
    """What happened to an order at the venue."""

    ACKED = "ACKED"
    FILLED = "FILLED"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    REPLACED = "REPLACED"


class ExecutionSource(StrEnum):
    """Who reported an execution; the same one may come from several, which is how they are reconciled."""

    VENUE = "VENUE"  # the order session's own reports
    DROP_COPY = "DROP_COPY"
    OMS = "OMS"


class FactKind(StrEnum):
    """What a trading process knows of an account that no order and no report says."""

    DAY_STARTED = "DAY_STARTED"  # positions are marked, then profit and loss, peak and period sums begin anew
    SESSION_LOST = "SESSION_LOST"  # its orders are refused; what works there goes by the venue's own reports
    SESSION_BACK = "SESSION_BACK"
    POSITION_SET = "POSITION_SET"  # from the books of record, by two people


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """An order on its way to a venue.

    Attributes:
        order_id: Unique id of the request; a pended one comes again under the same id.
        account_id: Account; the Kafka key.
        instrument_id: Instrument.
        ts_event_ns: When the order was made.
        action: New, replace or cancel.
        side: Buy or sell.
        order_type: Limit or market.
        qty: Lots; of a replace the quantity that shall be open afterwards.
        price: Limit price, 1e-9 currency; of a market order the worst price that the sender accepts, ``None`` for
            what the gate allows.
        post_only: Refuse rather than take liquidity.
        reduce_only: Refuse rather than open or flip a position.
        orig_order_id: The order that a replace or a cancel is about.
        trader_id: Person or algorithm that made it.
        desk_id: Desk.
        strategy_id: Strategy.
        venue_id: Venue that it goes to.
        session_id: Order session that carries it.
        parent_order_id: The order that this one is a slice of.
        basket_id: Basket that it belongs to.
        parent_qty: Lots declared for the parent: its children may not exceed them. Said again, it changes the quantity;
            ``None`` = as declared before.
        executions_seen: Reports of this account (drop copies aside) that the sender had processed when it sent the order;
            ``None`` = not told. With ``OrderExecution.requests_sent`` it gives requests and reports one order.
        facts_seen: Facts of this account that held when it was sent; ``None`` = not told.
    """

    order_id: str
    account_id: str
    instrument_id: int
    ts_event_ns: int
    action: OrderAction
    side: OrderSide
    order_type: OrderType
    qty: int
    price: int | None
    post_only: bool = False
    reduce_only: bool = False
    orig_order_id: str | None = None
    trader_id: str | None = None
    desk_id: str | None = None
    strategy_id: str | None = None
    venue_id: str | None = None
    session_id: str | None = None
    parent_order_id: str | None = None
    basket_id: str | None = None
    parent_qty: int | None = None
    executions_seen: int | None = None
    facts_seen: int | None = None


@dataclass(frozen=True, slots=True)
class OrderDecision:
    """The gate's answer to one order; ``(order_id, enforcer, decision_id)`` is the idempotency key.

    Attributes:
        order_id: The request.
        account_id: Account; the Kafka key.
        instrument_id: Instrument.
        ts_event_ns: Of the request; of the decision where the gate inside a trading process made it.
        enforcer: ``gate`` (in the trading process) or ``enforce_orders`` (in Flink).
        verdict: Accept, reject, or pend.
        reason: Reason code of ``gate`` in words, ``ok`` when accepted.
        limit: Limit that decided, in its own unit (lots, bp, 1e-6 currency); ``None`` when no number did.
        observed: What the order showed against it.
        tier: Tier in force.
        stale: The stale column was in force.
        epoch: Epoch of the risk state in force; 0 = none.
        tick_ns: Tick of the risk state in force; 0 = none.
        model_id: Model of the risk state in force; empty = none.
        score: Score of the risk state in force.
        decision_id: As :func:`decision_id` makes it; empty = the enforcer answers an order once.
        instance: Which of the enforcers of that name; ``seq`` counts within it.
        seq: Number of the decision within ``enforcer`` and ``instance``, from 1 without holes: a hole is a decision
            that was made and not recorded. 0 = not counted.
        decided_ns: The enforcer's clock that the order was judged by: monotonic in a trading process, event time in
            Flink. 0 = not told.
        rule_id: Rule that the reason belongs to; empty = not told.
        warned: Accepted above the warning level.
        ref_price: Reference price in force, 1e-9 currency; ``None`` = none.
        worst_price: What must go to the venue as the limit of an accepted market order, 1e-9 currency.
        action: Of the order; ``None`` = not told, as with the four below.
        side: Of the order.
        order_type: Of the order.
        qty: Of the order, lots.
        price: Of the order, 1e-9 currency; ``None`` also for a market order without one.
        post_only: Of the order.
        reduce_only: Of the order.
        position_before: What the account held in the instrument when the order was judged, lots; ``None`` = the enforcer
            keeps no ledger, as with the two below.
        working_buy_before: Open lots of the account's working buys in the instrument, without this order.
        working_sell_before: The same of its sells.
    """

    order_id: str
    account_id: str
    instrument_id: int
    ts_event_ns: int
    enforcer: str
    verdict: Verdict
    reason: str
    limit: int | None
    observed: int | None
    tier: Tier
    stale: bool
    epoch: int
    tick_ns: int
    model_id: str
    score: float
    decision_id: str = ""
    instance: str = ""
    seq: int = 0
    decided_ns: int = 0
    rule_id: str = ""
    warned: bool = False
    ref_price: int | None = None
    worst_price: int | None = None
    action: OrderAction | None = None
    side: OrderSide | None = None
    order_type: OrderType | None = None
    qty: int | None = None
    price: int | None = None
    post_only: bool = False
    reduce_only: bool = False
    position_before: int | None = None
    working_buy_before: int | None = None
    working_sell_before: int | None = None


@dataclass(frozen=True, slots=True)
class OrderExecution:
    """What became of an order; ``(account_id, venue_id, exec_id, source, ts_event_ns)`` is the idempotency key.

    Attributes:
        exec_id: The reporter's id of this report; venues may use one again on another day.
        order_id: The request that the report is about; empty for an execution of an order that was not ours to check.
        account_id: Account; the Kafka key.
        instrument_id: Instrument.
        ts_event_ns: Time of the report at its source.
        kind: What happened.
        side: Of the order.
        qty: Lots: filled now (``FILLED``), open from now on (``ACKED``, ``REPLACED``), or taken off (the others).
        price: 1e-9 currency: of the fill, or in force from now on (``REPLACED``); ``None`` where there is none.
        venue_id: Venue; empty = not told.
        source: Who reported it.
        requests_sent: Requests of this account that the reporter had sent when it processed the report; ``None`` = not
            told. Drop copies do not count.
        facts_seen: Facts of this account that held when the reporter processed it; ``None`` = not told.
    """

    exec_id: str
    order_id: str
    account_id: str
    instrument_id: int
    ts_event_ns: int
    kind: ExecutionKind
    side: OrderSide
    qty: int
    price: int | None
    venue_id: str
    source: ExecutionSource
    requests_sent: int | None = None
    facts_seen: int | None = None


@dataclass(frozen=True, slots=True)
class OrderFact:
    """What is the case of an account from now on; ``(account_id, fact_id)`` is the idempotency key.

    Its place among the account's requests and reports is told by counts, as theirs is: it came after ``requests_sent`` and
    ``executions_seen`` of them, and before those whose ``facts_seen`` is at least its ``number``.

    Attributes:
        fact_id: Unique id.
        account_id: Account; the Kafka key. What concerns all accounts of a process is told of each.
        kind: What is the case.
        ts_event_ns: When it became the case.
        sender: Trading process, and which life of its journal; the counts are within it.
        number: Of the fact within sender and account, from 1 without holes; 0 = not counted.
        requests_sent: Requests of this account sent before; ``None`` = not told.
        executions_seen: Reports of this account processed before; ``None`` = not told.
        session_id: Of ``SESSION_LOST`` and ``SESSION_BACK``.
        instrument_id: Of ``POSITION_SET``.
        position: Of ``POSITION_SET``: lots held from now on, negative = short.
        is_reconciled: Of ``POSITION_SET``: the account's positions are now all confirmed.
        maker: Of ``POSITION_SET``: who set it; empty = no person stated the fact.
        checker: Of ``POSITION_SET``: the second person.
        reason: Of ``POSITION_SET``: why.
    """

    fact_id: str
    account_id: str
    kind: FactKind
    ts_event_ns: int
    sender: str
    number: int
    requests_sent: int | None = None
    executions_seen: int | None = None
    session_id: str | None = None
    instrument_id: int | None = None
    position: int | None = None
    is_reconciled: bool = False
    maker: str = ""
    checker: str | None = None
    reason: str = ""


def decision_id(account_id: str, order_id: str, *, enforcer: str, instance: str, seq: int) -> str:
    """Return the id of a decision: equal when the same decision is sent twice, and of no other.

    An order may be judged more than once under one id (pended and approved, or sent twice by mistake), so the order
    alone does not name its decision.
    """
    return f"{account_id}:{order_id}:{enforcer}:{instance}:{seq}"
