"""Frames, orders and commands in; the messages of every topic that history keeps out, in order of event time.

Invariant: equal arguments give equal messages: nothing reads a clock. An order is judged by the states of ticks before it, its
report is booked when it arrives, a command counts from its own time: as in Flink, where event time orders all of them.
"""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Final

import numpy as np

from deploy.instruments import load_instruments, reference_commands
from deploy.rehearsal.flow import OrderFlow, Quote, executions_of
from deploy.rehearsal.scoring import Scoring
from jobs.machines.channel_features import ChannelFeatures
from jobs.machines.order_desk import OrderDesk
from schemas import codec, topics
from schemas.errors import Place
from schemas.frames import ChannelFrame, encode_frame
from schemas.orders import OrderDecision, OrderExecution, OrderRequest
from schemas.records import CommandKind, RiskCommand
from schemas.ticks import Ticks, decode_ticks
from schemas.units import NS_PER_S

Told = tuple[str, bytes]
"""Topic and value of a message."""

EPOCH: Final = 1
TTL_NS: Final = 3 * NS_PER_S
DESKS: Final = {"DESK-1": "cash", "DESK-2": "market-making"}
"""Desks of the scenarios' own orders, which name accounts alone."""


@dataclass(frozen=True, slots=True)
class Session:
    """What is rehearsed.

    Attributes:
        channel_id: Channel of the frames.
        frames: Market data in order.
        start_ns: First event time.
        model_dir: Model folder.
        orders: Orders that the session brings along, in order of time.
        commands: Commands of people beside the reference data, in order of time.
        seed: Of the simulated desks; ``None`` = they send nothing.
    """

    channel_id: str
    frames: Iterable[ChannelFrame]
    start_ns: int
    model_dir: Path
    orders: Sequence[OrderRequest] = ()
    commands: Sequence[RiskCommand] = ()
    seed: int | None = None


def rehearse(session: Session) -> Iterator[Told]:
    """Yield every message of the session.

    Raises:
        ModelError: The model folder cannot be used.
        ReferenceDataError: The reference data cannot be used.
    """
    yield from _Loop(session).run()


@dataclass(slots=True)
class _Pending:
    """Orders and reports to come, by event time."""

    heap: list[tuple[int, int, OrderRequest | OrderExecution]] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=count)

    def push(self, one: OrderRequest | OrderExecution) -> None:
        heapq.heappush(self.heap, (one.ts_event_ns, next(self.numbers), one))

    def before(self, until_ns: int) -> Iterator[OrderRequest | OrderExecution]:
        while self.heap and self.heap[0][0] < until_ns:
            yield heapq.heappop(self.heap)[2]


class _Loop:
    def __init__(self, session: Session) -> None:
        self._session = session
        self._features = ChannelFeatures(session.channel_id, epoch=EPOCH)
        self._scoring = Scoring(session.model_dir, epoch=EPOCH)
        self._desk = OrderDesk(ttl_ns=TTL_NS, instance="rehearsal")
        self._flow = None if session.seed is None else OrderFlow(session.seed, session.start_ns)
        self._commands = [*reference_commands(ts_ns=0), *session.commands]
        self._releases: list[RiskCommand] = []
        self._quotes: dict[int, Quote] = {}
        self._tick_sizes = {one.id: one.envelope.tick_size or 1 for one in load_instruments().values()}
        self._pending = _Pending()
        self._offsets = {topics.ORDERS_REQUESTS: count(), topics.ORDERS_EXECUTIONS: count()}
        for order in session.orders:
            desk_id = order.desk_id or DESKS.get(order.account_id)
            self._pending.push(replace(order, desk_id=desk_id))

    def run(self) -> Iterator[Told]:
        for frame in self._session.frames:
            outcome = self._features.apply(encode_frame(frame), Place(topics.MARKET_FRAMES))
            yield from ((topics.DEAD_LETTERS, raw) for _, raw in outcome.letters)
            if outcome.ticks is not None:
                yield from self._ticks(outcome.ticks)

    def _ticks(self, raw: bytes) -> Iterator[Told]:
        ticks = decode_ticks(raw)
        now_ns = int(ticks.tick_ns[-1])
        yield from self._people(now_ns)
        yield from self._trade(now_ns)
        yield topics.FEATURES_TICKS, raw
        scored = self._scoring.apply(raw, self._releases)
        for state in scored.states:
            self._desk.learn(state, Place(topics.RISK_STATES))
            yield topics.RISK_STATES, state
        yield from ((topics.RISK_ALERTS, alert) for alert in scored.alerts)
        yield from ((topics.MODELS_EVENTS, event) for event in scored.events)
        yield from ((topics.RISK_SCORES, scores) for scores in scored.scores)
        self._look(ticks)

    def _people(self, now_ns: int) -> Iterator[Told]:
        while self._commands and self._commands[0].ts_ns <= now_ns:
            command = self._commands.pop(0)
            raw = codec.encode(topics.RISK_COMMANDS, command)
            self._desk.learn(raw, Place(topics.RISK_COMMANDS))
            if command.kind is CommandKind.RELEASE:
                self._releases.append(command)
            yield topics.RISK_COMMANDS, raw

    def _trade(self, now_ns: int) -> Iterator[Told]:
        for order in self._flow.due(now_ns, self._quotes) if self._flow else ():
            self._pending.push(order)
        for one in self._pending.before(now_ns):
            topic = topics.ORDERS_REQUESTS if isinstance(one, OrderRequest) else topics.ORDERS_EXECUTIONS
            raw = codec.encode(topic, one)
            outcome = self._desk.apply(raw, Place(topic, 0, next(self._offsets[topic])))
            yield topic, raw
            yield from ((topics.DEAD_LETTERS, letter) for _, letter in outcome.letters)
            for _, told in outcome.decisions:
                yield topics.ORDERS_DECISIONS, told
                decision = codec.decode(topics.ORDERS_DECISIONS, told)
                assert isinstance(decision, OrderDecision)
                assert isinstance(one, OrderRequest)
                for execution in executions_of(one, decision, self._quotes.get(one.instrument_id)):
                    self._pending.push(execution)

    def _look(self, ticks: Ticks) -> None:
        """Note the market as of these ticks; where the cost of a clip is not known, half the spread stands for it."""
        names = ticks.feature_names
        buy, sell, spread = (
            ticks.values[:, names.index(name)] for name in ("buy_cost_bps", "sell_cost_bps", "spread_bps")
        )
        costs = [np.where(np.isnan(cost), spread / 2, cost) for cost in (buy, sell)]
        for row, (instrument_id, mid) in enumerate(
            zip(ticks.instrument_id.tolist(), ticks.ref_price.tolist(), strict=True)
        ):
            if mid > 0 and not np.isnan(costs[0][row] + costs[1][row]) and instrument_id in self._tick_sizes:
                size = self._tick_sizes[instrument_id]
                self._quotes[instrument_id] = Quote(mid, size, float(costs[0][row]), float(costs[1][row]))
            else:
                self._quotes.pop(instrument_id, None)
