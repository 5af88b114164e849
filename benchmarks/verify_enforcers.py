"""Do the gate in the trading process and the enforcer in Flink agree? Random orders through both; prints JSON.

The desk of a trading process and the machine of `enforce_orders` get the same rules, orders, reports, day starts, lost sessions and
positions set by hand; what happens to the process as a whole reaches the machine account by account, and everything as bytes,
from three topics whose messages come in an order of their own. Every decision and every
position is compared, field by field, but for who decided and its number. With a limit on the firm as a whole, or a session
that accounts share, which bind accounts together, the machine reads in the order of sending: between accounts there is no
other order to agree on.

    python -m benchmarks.verify_enforcers --orders 1000000
"""

import argparse
import json
import random
import time
from collections import Counter, deque
from dataclasses import dataclass, field, replace
from typing import Any, Final, cast

from gate._native import Gate
from gate.desk import GateDesk, hash_of
from gate.rows import UNLIMITED
from jobs.machines.order_desk import SOURCE, OrderDesk
from jobs.machines.rule_book import RuleBook
from schemas import codec, topics
from schemas.errors import Place
from schemas.orders import FactKind, OrderDecision, OrderExecution, OrderFact, OrderRequest
from schemas.records import RiskCommand, RiskState
from tests.gate.traffic import Happening, Oms, rules

TTL_NS = 3_000_000_000
LATE_MAX = 40
"""Messages of one topic that the machine may be behind on while it reads the other."""
REPEATED: Final = 0.1
"""Facts that are sent twice: their writer may not know that the broker has them."""
_TOPICS: Final[dict[type, str]] = {
    OrderRequest: topics.ORDERS_REQUESTS,
    OrderExecution: topics.ORDERS_EXECUTIONS,
    OrderFact: topics.ORDERS_FACTS,
}


@dataclass
class Comparison:
    """Both enforcers over one history."""

    seed: int
    restart_every: int = 0
    firm_value: int = UNLIMITED
    is_shared: bool = False
    orders: int = 0
    different: list[str] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    facts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._oms, self._random = Oms(self.seed, is_shared=self.is_shared), random.Random(-self.seed - 1)
        self._rules = RuleBook(ttl_ns=TTL_NS, source="gate")
        gate = Gate(self._rules.table, accounts=256, positions=8192, orders=8192)
        self._desk = GateDesk(gate, self._rules.table, enforcer=SOURCE)
        self._machine = OrderDesk(ttl_ns=TTL_NS)
        self._kept: dict[str, bytes] = {}
        self._snapshot: bytes | None = None
        self._entries: list[bytes] = []
        self._queues: dict[str, deque[bytes]] = {topic: deque() for topic in _TOPICS.values()}
        self._offsets = dict.fromkeys((*self._queues, topics.RISK_STATES, topics.RISK_COMMANDS), 0)
        self._wanted: dict[str, deque[OrderDecision]] = {}
        for rule in rules(firm_value=self.firm_value):
            self._learn(rule)

    def run(self, orders: int) -> None:
        """Send so many orders and compare."""
        for _ in range(orders):
            if (state := self._oms.state()) is not None:
                self._drain(0)  # both judge by the state that was in force when the order was sent
                self._learn(state)
            if (happening := self._oms.happening()) is not None:
                self._live_through(happening)
            order = self._oms.order()
            decision = self._desk.submit(order, order.ts_event_ns)
            self.reasons[decision.reason] += 1
            self.orders += 1
            self._send(order, decision)
            if self._binds_accounts:
                self._drain(0)
            for execution in self._oms.hear(order, decision):
                self._desk.report(execution)
                self._send(execution, None)
            self._drain(0 if self._binds_accounts else LATE_MAX)
            if self.restart_every and self.orders % self.restart_every == 0:
                self._restart()
        self._drain(0)
        if self._machine.holdings() != [tuple(held) for held in self._desk.holdings()]:
            mine, theirs = self._desk.holdings(), self._machine.holdings()
            self.different += [f"{a} / {b}" for a, b in zip(mine, theirs, strict=False) if tuple(a)[1:] != tuple(b)[1:]]

    def counters(self) -> dict[str, int]:
        """Return what the machine counted."""
        return self._machine.counters()

    @property
    def _binds_accounts(self) -> bool:
        return self.firm_value != UNLIMITED or self.is_shared

    def _learn(self, rule: RiskCommand | RiskState) -> None:
        topic = topics.RISK_COMMANDS if isinstance(rule, RiskCommand) else topics.RISK_STATES
        raw, place = codec.encode(topic, rule), self._place(topic)
        self._rules.learn(raw, place)
        kept, letters = self._machine.learn(raw, place)
        assert not letters, "the rules are sound"
        if kept is not None:
            self._kept[kept[0]] = kept[1]

    def _live_through(self, happening: Happening) -> None:
        """Let it happen to the process at once, and publish what is told of it."""
        self.facts[happening.kind] += len(happening.facts)
        if happening.session_id is not None:
            self._desk.gate.session(hash_of("session", happening.session_id), happening.kind is FactKind.SESSION_BACK)
        elif happening.kind is FactKind.DAY_STARTED:
            self._desk.start_day()
        else:
            self._desk.take(happening.facts[0])
        for fact in happening.facts:
            self._send(fact, None)
            if self._random.random() < REPEATED:
                self._send(fact, None)
        if self._binds_accounts:
            self._drain(0)

    def _send(self, record: OrderRequest | OrderExecution | OrderFact, decision: OrderDecision | None) -> None:
        topic = _TOPICS[type(record)]
        self._queues[topic].append(codec.encode(topic, record))
        if decision is not None:
            self._wanted.setdefault(record.account_id, deque()).append(decision)

    def _drain(self, left_max: int) -> None:
        """Read the three topics in any order, until no more than so many messages are left."""
        while sum(map(len, self._queues.values())) > left_max:
            topic = self._random.choice([name for name, queue in self._queues.items() if queue])
            outcome = self._machine.apply(self._queues[topic].popleft(), self._place(topic))
            if outcome.snapshot is not None:
                self._snapshot, self._entries = outcome.snapshot, []
            elif outcome.entry is not None:
                self._entries.append(outcome.entry)
            for _, raw in outcome.decisions:
                self._compare(cast("OrderDecision", codec.decode(topics.ORDERS_DECISIONS, raw)))

    def _restart(self) -> None:
        """Kill the machine: only what it asked to keep is left."""
        self._machine = OrderDesk(ttl_ns=TTL_NS)
        self._machine.relearn(self._kept.items())
        self._machine.restore(self._snapshot, self._entries)

    def _compare(self, found: OrderDecision) -> None:
        wanted = self._wanted[found.account_id].popleft()
        if replace(found, seq=0, decision_id="") != replace(wanted, seq=0, decision_id=""):
            self.different.append(f"{wanted} / {found}")

    def _place(self, topic: str) -> Place:
        self._offsets[topic] += 1
        return Place(topic, 0, self._offsets[topic])


def verify(orders: int, seed: int) -> dict[str, Any]:
    """Return the report."""
    started = time.monotonic()
    comparison = Comparison(seed)
    comparison.run(orders)
    return {
        "orders": comparison.orders,
        "different": len(comparison.different),
        "first": comparison.different[:1],
        "facts": dict(comparison.facts),
        "reasons": dict(comparison.reasons.most_common()),
        "machine": comparison.counters(),
        "seconds": round(time.monotonic() - started, 1),
    }


def main() -> None:
    """Print the report; exit 1 at a difference."""
    parser = argparse.ArgumentParser(description="Compare the two enforcers on random orders.")
    parser.add_argument("--orders", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    report = verify(arguments.orders, arguments.seed)
    print(json.dumps(report))
    if report["different"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
