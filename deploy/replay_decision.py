"""One decision rebuilt from history: rules, requests, reports and facts of its account up to it, through the same desk.

Accounts that send by a session with a rate share its bucket: then the messages of all of them are taken, between accounts in the
order in which the enforcer numbered their decisions.

The rebuilt decision is compared with the stored one bit by bit. Each order is judged by the risk state that its stored decision
names, by the commands of people up to its own time, and after the reports and facts that its sender had seen; what else the
account holds is marked at the states of that time, never past what the next decision in the instrument names. Invariant: what
history does not hold is said, never guessed: an order without its decision or state, features other than those that the state
names, or a hole in the numbers, makes the answer "incomplete" or "differs", whatever it looks like. Rejected: trusting the
stored decision (it is what shall be checked).
"""

import heapq
import json
import math
import struct
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import Enum
from typing import Any, Final, NamedTuple

from gate._native import Gate
from gate.causal import CausalOrder, Message, Released
from gate.desk import GateDesk
from gate.policy.account_book import SESSION
from gate.rows import InstrumentRow
from history.queries import text
from jobs.machines.rule_book import RuleBook
from schemas import codec, topics
from schemas.errors import Place
from schemas.orders import OrderDecision, OrderExecution, OrderRequest
from schemas.people import fault_of_fact
from schemas.records import CommandKind, RiskCommand, RiskState
from schemas.units import NS_PER_S

Ask = Callable[[str], list[dict[str, Any]]]
"""Runs one statement of SQL and returns its rows by column name."""

TTL_NS: Final = 3 * NS_PER_S
_NOT_COMPARED: Final = {"seq", "decision_id", "instance", "decided_ns", "enforcer", "ts_event_ns"}
"""Who decided, and by which clock; everything else must be equal."""
_LAST: Final = 2**63
_Key = tuple[int, int]
"""Epoch and tick of a risk state."""


class Answered(NamedTuple):
    """A message; of a request what the enforcer answered; and how many messages that it follows are not in history."""

    message: Message
    answer: OrderDecision | None
    missing: int


class NoDecisionError(LookupError):
    """History holds no decision of this id."""


@dataclass(slots=True)
class Rebuilt:
    """What came out.

    Attributes:
        stored: The decision as history holds it.
        decision: The decision as rebuilt; ``None`` when its request is missing.
        differs: What differs: field of the decision, or feature of the tick → stored, rebuilt (or named by the state).
        incomplete: What history lacks, a sentence each.
        row: The limits in force, as the gate held them.
        positions: Positions of the account before the decision.
        features: Features of the tick that the risk state followed from.
    """

    stored: OrderDecision
    decision: OrderDecision | None = None
    differs: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    incomplete: list[str] = field(default_factory=list)
    row: InstrumentRow | None = None
    positions: list[tuple[Any, ...]] = field(default_factory=list)
    features: dict[str, Any] = field(default_factory=dict)

    @property
    def is_equal(self) -> bool:
        """Whether the decision was rebuilt bit by bit from a history that lacks nothing."""
        return self.decision is not None and not self.differs and not self.incomplete


def rebuild(decision_id: str, ask: Ask, *, ttl_ns: int = TTL_NS) -> Rebuilt:
    """Rebuild a decision.

    Args:
        decision_id: Its id, or an order id that was answered once by this enforcer.
        ask: Asks history.
        ttl_ns: How long a risk state was fresh.

    Raises:
        NoDecisionError: There is no such decision, or the order id has several.
    """
    stored = _stored(decision_id, ask)
    return _Rebuilder(stored, ask, ttl_ns).run()


def plain_of(rebuilt: Rebuilt) -> dict[str, Any]:
    """Return the answer as plain values, for JSON."""
    decision = rebuilt.decision
    return {
        "equal": rebuilt.is_equal,
        "incomplete": rebuilt.incomplete,
        "differs": {name: [_plain(was), _plain(now)] for name, (was, now) in rebuilt.differs.items()},
        "decision": codec.to_plain(decision) if decision else None,
        "limits": None if rebuilt.row is None else _row_plain(rebuilt.row),
        "positions": [list(held) for held in rebuilt.positions],
        "features": rebuilt.features,
    }


class _Rebuilder:
    def __init__(self, stored: OrderDecision, ask: Ask, ttl_ns: int) -> None:
        self._stored, self._ask, self._ttl_ns = stored, ask, ttl_ns
        self._out = Rebuilt(stored)
        self._rules = RuleBook(ttl_ns=ttl_ns, source="replay")
        gate = Gate(self._rules.table)
        self._desk = GateDesk(gate, self._rules.table, enforcer=stored.enforcer, instance=stored.instance)
        self._states: dict[int, deque[RiskState]] = {}  # of an instrument, not yet applied
        self._newest: dict[int, RiskState] = {}  # applied
        self._named: dict[int, deque[_Key]] = {}  # by the decisions to come
        self._commands = self._known_commands()

    def run(self) -> Rebuilt:
        accounts = self._bound_together()
        self._look_for_holes()
        found = list(_by_number(self._answered(account) for account in accounts))
        for _, answer, _ in found:
            if answer is not None and answer.tick_ns:
                self._named.setdefault(answer.instrument_id, deque()).append((answer.epoch, answer.tick_ns))
        for message, answer, missing in found:
            if missing:
                words = f"order {message.order_id}" if isinstance(message, OrderRequest) else f"a {message.kind}"
                self._out.incomplete.append(f"{missing} messages that {words} followed are not in history")
            self._bring_market(message)
            if isinstance(message, OrderRequest):
                if self._judge(message, answer):
                    self._look_at_features()
                    return self._out
            elif isinstance(message, OrderExecution):
                self._desk.report(message)
            elif fault_of_fact(message) is None:
                self._desk.take(message)
        self._out.incomplete.append(f"the request of order {self._stored.order_id} is not in history")
        return self._out

    def _bound_together(self) -> list[str]:
        """Return the account, and those whose orders took from the same buckets of sessions, the account first."""
        kinds = (command.scope.partition(":") for command in self._commands if command.kind is CommandKind.SET_ACCOUNT)
        rated = {name for kind, _, name in kinds if kind == SESSION}
        accounts, sessions = [self._stored.account_id], set[str]()
        while rated:
            found = rated & self._distinct("session_id", f"account_id IN ({_texts(accounts)})")
            if found <= sessions:
                break
            sessions |= found
            users = self._distinct("account_id", f"session_id IN ({_texts(sessions)})")
            accounts += sorted(users - set(accounts))
        return accounts

    def _distinct(self, column: str, where: str) -> set[str]:
        rows = self._ask(f"SELECT DISTINCT {column} AS found FROM requests_once WHERE {where}")  # noqa: S608 - as `_rows`
        return {row["found"] for row in rows if row["found"]}

    def _answered(self, account_id: str) -> list[Answered]:
        """Return the messages of an account in its sender's order, requests with what they were answered."""
        account = text(account_id)
        decisions = self._decisions(account)
        if not decisions:
            if account_id != self._stored.account_id:
                return []  # it sends by the session to another ledger
            self._out.incomplete.append("history holds no decision of the account")
        requests = _records(
            self._ask, "requests", f"account_id = {account} ORDER BY ts_event_ns, executions_seen, order_id"
        )
        executions = _records(
            self._ask, "executions", f"account_id = {account} ORDER BY requests_sent, ts_event_ns, exec_id"
        )
        facts = _records(self._ask, "facts", f"account_id = {account} ORDER BY ts_event_ns, number, fact_id")
        found: list[Answered] = []
        for message, missing in _in_order([*facts, *requests, *executions]):
            answers = None
            if isinstance(message, OrderRequest):
                answers = decisions.get((message.order_id, message.ts_event_ns))
            found.append(Answered(message, answers.pop(0) if answers else None, missing))
        return found

    def _judge(self, order: OrderRequest, answer: OrderDecision | None) -> bool:
        """Judge an order; true when it is the one asked for."""
        if answer is None:
            self._out.incomplete.append(f"order {order.order_id} has no decision of {self._stored.enforcer} in history")
        elif answer.tick_ns:
            self._bring_named(answer)
        is_it = answer is not None and answer.decision_id == self._stored.decision_id
        if is_it:
            self._out.positions = [tuple(held) for held in self._desk.holdings()]
            raw = self._rules.table.read(order.instrument_id)
            self._out.row = InstrumentRow.unpack(raw) if raw else None
        found = self._desk.submit(order, order.ts_event_ns)
        if is_it:
            self._out.decision = found
            names = [one.name for one in fields(OrderDecision) if one.name not in _NOT_COMPARED]
            pairs = {name: (getattr(self._stored, name), getattr(found, name)) for name in names}
            self._out.differs = {name: (was, now) for name, (was, now) in pairs.items() if was != now}
        elif answer is not None and (found.verdict, found.reason) != (answer.verdict, answer.reason):
            told = f"{answer.verdict} {answer.reason}"
            self._out.incomplete.append(
                f"order {order.order_id} was {told}, and is {found.verdict} {found.reason} here"
            )
        return is_it

    def _bring_market(self, message: Message) -> None:
        """Apply the commands up to a message's own time, and the states of what its account may hold by then."""
        until_ns = message.ts_event_ns
        while self._commands and self._commands[0].ts_ns <= until_ns:
            self._learn(topics.RISK_COMMANDS, self._commands.pop(0))
        if message.instrument_id is not None and message.instrument_id not in self._states:
            where = f"instrument_id = {message.instrument_id} AND tick_ns <= {_time(self._last_ns())}"
            self._states[message.instrument_id] = deque(
                _records(self._ask, "risk_states", f"{where} ORDER BY epoch, tick_ns")
            )
        for number, states in self._states.items():
            named = self._named.get(number)
            while states and states[0].tick_ns <= until_ns and (not named or _key(states[0]) <= named[0]):
                self._apply_state(states.popleft())

    def _bring_named(self, answer: OrderDecision) -> None:
        """Apply the states of the instrument up to the one that the decision names."""
        number = answer.instrument_id
        states, named = self._states[number], self._named[number].popleft()
        while states and _key(states[0]) <= named:
            self._apply_state(states.popleft())
        newest = self._newest.get(number)
        if newest is None or _key(newest) != named:
            self._out.incomplete.append(f"the risk state of instrument {number} at {answer.tick_ns} is not in history")

    def _apply_state(self, state: RiskState) -> None:
        self._newest[state.instrument_id] = state
        self._learn(topics.RISK_STATES, state)

    def _last_ns(self) -> int:
        """Return the newest time that anything about the decision can have."""
        return max(self._stored.ts_event_ns, self._stored.tick_ns)

    def _learn(self, topic: str, record: RiskState | RiskCommand) -> None:
        self._rules.learn(codec.encode(topic, record), Place(topic))

    def _known_commands(self) -> list[RiskCommand]:
        return _records(self._ask, "commands", "1 ORDER BY ts_ns, command_id")

    def _decisions(self, account: str) -> dict[tuple[str, int], list[OrderDecision]]:
        """Return the decisions of the enforcer on the account, by order and the time of its request.

        The gate in a trading process notes its own time: there, an order's decisions come in their order.
        """
        where = (
            f"account_id = {account} AND enforcer = {text(self._stored.enforcer)} "
            f"AND instance = {text(self._stored.instance)} ORDER BY seq"
        )
        found: list[OrderDecision] = _records(self._ask, "decisions", where)
        sql = f"SELECT order_id, ts_event_ns FROM requests_once WHERE account_id = {account} ORDER BY ts_event_ns"  # noqa: S608
        times: dict[str, list[int]] = {}
        for row in self._ask(sql):
            times.setdefault(row["order_id"], []).append(_ns(row["ts_event_ns"]))
        by_request: dict[tuple[str, int], list[OrderDecision]] = {}
        for decision in found:
            at = times.get(decision.order_id) or [decision.ts_event_ns]
            key = decision.order_id, at.pop(0) if len(at) > 1 else at[0]
            by_request.setdefault(key, []).append(decision)
        return by_request

    def _look_for_holes(self) -> None:
        """Say when numbers before the decision are missing: orders of these accounts may be among them."""
        until = self._stored.seq
        where = (
            f"enforcer = {text(self._stored.enforcer)} AND instance = {text(self._stored.instance)} AND seq <= {until}"
        )
        (row,) = self._ask(f"SELECT uniqExact(seq) AS found FROM decisions_once WHERE {where} AND seq > 0")  # noqa: S608
        if int(row["found"]) < until:
            self._out.incomplete.append(
                f"{until - int(row['found'])} of the {until} decisions before are not in history"
            )

    def _look_at_features(self) -> None:
        stored = self._stored
        if not stored.tick_ns:
            return
        where = (
            f"instrument_id = {stored.instrument_id} AND tick_ns = {_time(stored.tick_ns)} AND epoch = {stored.epoch}"
        )
        rows = self._ask(f"SELECT * FROM ticks_once WHERE {where}")  # noqa: S608
        if not rows:
            self._out.incomplete.append(f"the features of tick {stored.tick_ns} are not in history")
            return
        self._out.features = rows[0]
        state = self._newest.get(stored.instrument_id)
        if state is None or _key(state) != (stored.epoch, stored.tick_ns):
            return  # said before
        named = {cause.name: cause.value for cause in state.causes}
        for name, value in named.items():
            found = rows[0].get(name)
            if name not in rows[0] or _bits(found) != _bits(value):
                self._out.differs[f"feature {name}"] = (found, value)


def _stored(name: str, ask: Ask) -> OrderDecision:
    where = f"decision_id = {text(name)} OR order_id = {text(name)} ORDER BY enforcer, instance, seq"
    found: list[OrderDecision] = _records(ask, "decisions", where)
    if not found:
        raise NoDecisionError(f"history holds no decision {name}")
    exact = [decision for decision in found if decision.decision_id == name]
    if not exact and len(found) > 1:
        ids = ", ".join(decision.decision_id or decision.enforcer for decision in found)
        raise NoDecisionError(f"order {name} has several decisions, name one: {ids}")
    return (exact or found)[0]


def _in_order(messages: list[Message]) -> list[tuple[Message, int]]:
    """Return the messages of an account in its sender's order, and how many each should have waited for."""
    order: CausalOrder[Message] = CausalOrder(waiting_max=len(messages) + 1)
    merged: list[Released[Message]] = []
    for one in sorted(messages, key=lambda message: message.ts_event_ns):
        merged += order.offer(one, one)
    return [(one.item, one.missing) for one in [*merged, *order.let_all_go()]]


def _by_number(accounts: Iterable[list[Answered]]) -> Iterator[Answered]:
    """Yield the messages of all accounts; those of each in their order, others with the next request that has a number."""
    numbered = []
    for messages in accounts:
        number, keyed = _LAST, []
        for one in reversed(messages):
            number = one.answer.seq if one.answer is not None else number
            keyed.append((number, one))
        numbered.append(keyed[::-1])
    for _, answered in heapq.merge(*numbered, key=lambda one: one[0]):
        yield answered


def _key(state: RiskState) -> _Key:
    return state.epoch, state.tick_ns


def _bits(value: float | None) -> bytes:
    """Return a number bit by bit; what is not known is one thing, and history shows it as null."""
    return b"" if value is None or math.isnan(value) else struct.pack("<d", value)


def _texts(names: Iterable[str]) -> str:
    return ", ".join(map(text, sorted(names)))


def _records(ask: Ask, table: str, where: str) -> list[Any]:
    """Return the rows of a table as the records that they were."""
    topic = _TOPIC_OF[table]
    return [
        codec.from_plain(topic, _PLAIN_OF.get(table, dict)(row))
        for row in map(_without_times, _rows(ask, table, where))
    ]


def _rows(ask: Ask, table: str, where: str) -> list[dict[str, Any]]:
    return ask(f"SELECT * FROM {table}_once WHERE {where}")  # noqa: S608 - names of ours, texts are quoted


def _without_times(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _ns(value) if name.endswith("_ns") and isinstance(value, str) else value for name, value in row.items()
    }


def _state_plain(row: dict[str, Any]) -> dict[str, Any]:
    names = ("name", "value", "z", "share", "adverse")
    causes = zip(*(row[f"causes.{name}"] for name in names), strict=True)
    plain = {name: value for name, value in row.items() if not name.startswith("causes.")}
    found = [dict(zip(names, cause, strict=True)) for cause in causes]
    return plain | {"causes": [{n: math.nan if v is None else v for n, v in cause.items()} for cause in found]}


def _command_plain(row: dict[str, Any]) -> dict[str, Any]:
    return row | {name: json.loads(row[name]) if row[name] else None for name in ("envelope", "account")}


_TOPIC_OF: Final = {
    "requests": topics.ORDERS_REQUESTS,
    "executions": topics.ORDERS_EXECUTIONS,
    "facts": topics.ORDERS_FACTS,
    "decisions": topics.ORDERS_DECISIONS,
    "risk_states": topics.RISK_STATES,
    "commands": topics.RISK_COMMANDS,
}
_PLAIN_OF: Final[dict[str, Callable[[dict[str, Any]], dict[str, Any]]]] = {
    "risk_states": _state_plain,
    "commands": _command_plain,
}


def _ns(shown: str) -> int:
    """Return a time that ClickHouse shows as ``YYYY-MM-DD hh:mm:ss.nnnnnnnnn`` (UTC) in ns."""
    whole, _, rest = shown.partition(".")
    seconds = int(datetime.fromisoformat(f"{whole}+00:00").timestamp())
    return seconds * NS_PER_S + int((rest or "0").ljust(9, "0")[:9])


def _time(ns: int) -> str:
    return f"fromUnixTimestamp64Nano(toInt64({ns}), 'UTC')"


def _plain(value: Any) -> Any:
    return value.name if isinstance(value, Enum) else value


def _row_plain(row: InstrumentRow) -> dict[str, Any]:
    columns = ("envelope", "dynamic", "stale_limits")
    found = {one.name: getattr(row, one.name) for one in fields(row)}
    return {
        name: {one.name: getattr(value, one.name) for one in fields(value)} if name in columns else _plain(value)
        for name, value in found.items()
    }
