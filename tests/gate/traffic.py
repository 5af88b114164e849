"""Random orders and reports of an OMS, and the rules around them, for tests and benches that compare enforcers.

The market and the firm are small on purpose: the same few accounts and instruments meet again and again, so ledgers fill, limits
bind and every kind of report finds an order.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from gate.causal import CausalCounters
from gate.policy.administrators import NO_ACCOUNT
from gate.rows import UNLIMITED
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
)
from schemas.records import CommandKind, RiskCommand, RiskState, Tier
from tests.gate import policies

START_NS = policies.TICK_NS + 10**9
ACCOUNTS = ("DESK-1", "DESK-2", "DESK-3")
INSTRUMENTS = (1, 2, 3)
STEP_NS = 3_000_000
SESSION = "shared"
"""By which every account sends, where one binds them together."""


def rules(*, firm_value: int = UNLIMITED) -> list[RiskCommand | RiskState]:
    """Return what must be known before the first order; ``firm_value`` binds all accounts together, 1e-6 currency.

    The session that all share has a rate, and so has that of the first account; the others have none.
    """
    made: list[RiskCommand | RiskState] = []
    for number in INSTRUMENTS:
        scope = f"instrument:{number}"
        made.append(replace(policies.COMMAND, command_id=f"e{number}", scope=scope))
        made.append(replace(policies.STATE, instrument_id=number, tick_ns=START_NS))
    limits = replace(policies.ACCOUNT, open_orders=8, messages_per_s=90, repeats_max=4, gross_value=12 * 10**10)
    limits = replace(limits, day_loss=3 * 10**8, drawdown=5 * 10**8)
    grant = replace(policies.COMMAND, kind=CommandKind.SET_ACCOUNT, envelope=None)
    for name in ACCOUNTS:
        made.append(replace(grant, command_id=f"a{name}", scope=f"account:{name}", account=limits))
    firm = replace(NO_ACCOUNT, gross_value=firm_value)
    made.append(replace(grant, command_id="firm", scope="firm", account=firm))
    rate = replace(NO_ACCOUNT, messages_per_s=60, message_burst=6)
    for name in (SESSION, session_of(ACCOUNTS[0])):
        made.append(replace(grant, command_id=f"s{name}", scope=f"session:{name}", account=rate))
    return made


class Happening(NamedTuple):
    """What happened to the process itself: a day, a session (by name), or a position; and what is published of it."""

    kind: FactKind
    session_id: str | None
    facts: list[OrderFact]


def session_of(account: str) -> str:
    """Return the session by which an account sends when it shares none."""
    return f"FIX-{account}"


@dataclass
class Oms:
    """A sender of orders that hears what became of them.

    Attributes:
        seed: Of all that is random.
        is_shared: All accounts send by one session.
    """

    seed: int
    is_shared: bool = False
    now_ns: int = START_NS
    counters: CausalCounters = field(default_factory=CausalCounters)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._working: list[OrderRequest] = []
        self._number = 0
        self._lost: list[str] = []
        self._epoch_tick = START_NS

    def state(self) -> RiskState | None:
        """Return a risk state, now and then."""
        if self._random.random() > 0.04:
            return None
        self._epoch_tick = max(self._epoch_tick + 1, self.now_ns)
        tier = self._random.choices(list(Tier), weights=[60, 8, 3, 1])[0]
        price = policies.REF + self._random.randint(-30, 30) * 10_000_000
        instrument = self._random.choice(INSTRUMENTS)
        return replace(policies.STATE, instrument_id=instrument, tick_ns=self._epoch_tick, tier=tier, ref_price=price)

    def happening(self) -> Happening | None:
        """Return what happened to the process, now and then; of accounts that trade nowhere nothing is told."""
        pick = self._random
        if pick.random() > (0.2 if self._lost else 0.03):
            return None
        is_back = self._lost and pick.random() < 0.8
        kind = (
            FactKind.SESSION_BACK if is_back else pick.choice([k for k in FactKind if k is not FactKind.SESSION_BACK])
        )
        session_id = None
        if kind is FactKind.SESSION_BACK:
            session_id = self._lost.pop()
        elif kind is FactKind.SESSION_LOST:
            session_id = SESSION if self.is_shared else session_of(pick.choice(ACCOUNTS))
            self._lost.append(session_id)
        fact = OrderFact("", "", kind, self.now_ns, "traffic", 0, session_id=session_id)
        if kind is FactKind.POSITION_SET:
            number, lots = pick.choice(INSTRUMENTS), pick.choice([-700, -90, 0, 5, 400])
            fact = replace(fact, instrument_id=number, position=lots, maker="ann", checker="bo", reason="books")
        accounts = [pick.choice(ACCOUNTS)] if kind is FactKind.POSITION_SET else ACCOUNTS
        facts = [self.counters.fact(replace(fact, account_id=name)) for name in accounts]
        return Happening(kind, session_id, facts)

    def order(self) -> OrderRequest:
        """Return the next order, as it is published."""
        pick, number = self._random, self._number
        self._number += 1
        self.now_ns += pick.randint(0, 2 * STEP_NS)
        target = pick.choice(self._working) if self._working and pick.random() < 0.25 else None
        action = OrderAction.NEW if target is None else pick.choice([OrderAction.REPLACE, OrderAction.CANCEL])
        account = target.account_id if target else pick.choice(ACCOUNTS) if pick.random() > 0.01 else "NOBODY"
        side = target.side if target else pick.choice(list(OrderSide))
        is_market = pick.random() < 0.2
        price = policies.REF + pick.randint(-120, 60) * (1 if side is OrderSide.BUY else -1) * 10_000_000
        has_parent = pick.random() < 0.2
        order = OrderRequest(
            order_id=f"o{number}" if pick.random() > 0.01 else f"o{max(0, number - 3)}",
            account_id=account,
            instrument_id=target.instrument_id if target else pick.choice(INSTRUMENTS) if pick.random() > 0.01 else 9,
            ts_event_ns=self.now_ns,
            action=action,
            side=side,
            order_type=OrderType.MARKET if is_market else OrderType.LIMIT,
            qty=pick.choice([1, 10, 10, 40, 40, 100, 300, 600]),
            price=None if is_market else price,
            post_only=not is_market and pick.random() < 0.1,
            reduce_only=pick.random() < 0.1,
            orig_order_id=target.order_id if target else None,
            strategy_id=pick.choice([None, "s1", "s2"]),
            trader_id=pick.choice([None, "t1"]),
            session_id=SESSION if self.is_shared else session_of(account),
            parent_order_id=f"p{number // 40}" if has_parent else None,
            parent_qty=500 if has_parent and pick.random() < 0.5 else None,
            basket_id=f"b{number // 100}" if pick.random() < 0.3 else None,
        )
        return self.counters.request(order)

    def hear(self, order: OrderRequest, decision: OrderDecision) -> Iterator[OrderExecution]:
        """Yield the reports that follow an answer, as they are published."""
        if decision.verdict is Verdict.ACCEPT and order.action is not OrderAction.CANCEL:
            self._working.append(order)
        while self._working and self._random.random() < min(0.9, 0.05 * len(self._working)):
            one = self._random.choice(self._working)
            yield self.counters.report(self._report(one))

    def _report(self, order: OrderRequest) -> OrderExecution:
        pick = self._random
        kinds = [ExecutionKind.FILLED, ExecutionKind.CANCELLED, ExecutionKind.ACKED]
        kind = pick.choice([*kinds, ExecutionKind.REPLACED if order.action is OrderAction.REPLACE else kinds[0]])
        qty, is_stranger = pick.choice([1, 10, order.qty]), pick.random() < 0.03
        is_end = kind is ExecutionKind.CANCELLED or (kind is ExecutionKind.FILLED and qty == order.qty)
        if is_end and not is_stranger:
            self._working.remove(order)
        self._number += 1
        return OrderExecution(
            exec_id=f"x{self._number if pick.random() > 0.03 else self._number // 2}",
            order_id=f"stranger-{self._number}" if is_stranger else order.order_id,
            account_id=order.account_id,
            instrument_id=order.instrument_id,
            ts_event_ns=self.now_ns,
            kind=kind,
            side=order.side,
            qty=qty,
            price=policies.REF + pick.randint(-100, 100) * 10_000_000,
            venue_id="SIM",
            source=ExecutionSource.VENUE,
        )
