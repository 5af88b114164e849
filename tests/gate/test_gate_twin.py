"""The native gate against its twin: random histories in volume, and hypothesis, which shrinks what it finds."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gate.reference import Action, Decision, Order, OrderType, Reason, Side
from gate.rows import LIMIT_NAMES, UNLIMITED, AccountRow, InstrumentRow
from tests.gate.gates import CENT, PRICE, NativeGate, TwinGate, held
from tests.gate.histories import (
    ACCOUNTS,
    BASKET,
    ENVELOPE,
    INSTRUMENTS,
    PARENTS,
    SESSIONS,
    START_NS,
    STRATEGIES,
    Step,
    opening,
    plain_row,
    random_history,
)

accounts = st.sampled_from(ACCOUNTS)
instruments = st.sampled_from(INSTRUMENTS)
ids = st.integers(1, 30)
quantities = st.sampled_from([1, 2, 5, 10, 15, 20, 35, 60, 2**62])
prices = st.integers(-12, 12).map(lambda cents: PRICE + 3 * cents * CENT)
rates = st.sampled_from([0, 1, 3, 20, UNLIMITED]) | st.none()
members = st.sampled_from([*ACCOUNTS, *STRATEGIES, *SESSIONS, (ACCOUNTS[0], 1)])
orders = st.builds(
    Order, instrument_id=instruments, order_id=ids, account=accounts, side=st.sampled_from(list(Side)), qty=quantities,
    price=prices | st.just(0), order_type=st.sampled_from(list(OrderType)), flags=st.sampled_from([0, 0, 0, 1, 2]),
    strategy=st.sampled_from([0, *STRATEGIES]), session=st.sampled_from([0, *SESSIONS]),
    parent=st.sampled_from([0, 0, *PARENTS]), basket=st.sampled_from([0, BASKET]),
)  # fmt: skip


@st.composite
def rows(draw: st.DrawFn) -> InstrumentRow:
    """A row with a tightened dynamic column, and what a market or a person may have done to it."""
    plain, cut = plain_row(draw(instruments)), draw(st.sampled_from([1, 2, 4]))
    limit = draw(st.sampled_from(LIMIT_NAMES))
    said = draw(st.none() | st.integers(0, 200) | st.just(UNLIMITED))
    dynamic = replace(ENVELOPE, **{"order_qty": 90 // cut, "long": 140 // cut, "margin": 300 * cut, limit: said})
    drift = draw(st.integers(-9, 9)) * CENT
    return replace(
        plain, dynamic=dynamic, halted=draw(st.integers(0, 9)) == 0, stale=draw(st.integers(0, 9)) == 0,
        ref_price=draw(st.sampled_from([PRICE + drift] * 5 + [0, -1, 2**62])), ref_low=PRICE + drift - 10 * CENT,
        valid_until_ns=START_NS + draw(st.sampled_from([0, 10**8, 2**61])),
        lot_nano=draw(st.sampled_from([10**9, 10**9, 10**9, 0, 7, 2**62])),
    )  # fmt: skip


UNREACHED = {Reason.TORN_READ, Reason.NO_ROOM, Reason.NOT_RECONCILED}


def test_random_histories_meet_every_reason_that_orders_alone_can_cause() -> None:
    met = Counter[Reason]()
    for seed in range(4):
        gate = TwinGate()
        for step in random_history(seed, 2_500):
            said = step.on(gate)
            if isinstance(said, Decision):
                met[said.reason] += 1
    assert set(Reason) - set(met) == UNREACHED, met


@pytest.mark.parametrize("seed", range(6))
def test_native_gate_does_what_its_twin_does_in_a_random_history(seed: int, tmp_path: Path) -> None:
    twin, native = TwinGate(), NativeGate(tmp_path / "ledger")
    for count, step in enumerate(random_history(seed, 1_200)):
        if step.call == "submit":
            assert native.check(*step.arguments) == twin.check(*step.arguments), (count, step)
        assert step.on(native) == step.on(twin), (count, step)
        if count % 20 == 0:
            assert (held(native), sorted(native.working())) == (held(twin), sorted(twin.working())), (count, step)
        if count % 500 == 0:
            native.reopen()
    native.close()


class Gates(RuleBasedStateMachine):
    """Both gates side by side; every rule asks both, and every answer must be the same."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.twin, self.native = TwinGate(), NativeGate(Path(self.folder.name) / "ledger")
        self.now_ns = START_NS
        for step in opening():
            self.do(step)

    def do(self, step: Step) -> Any:
        said = step.on(self.twin)
        assert step.on(self.native) == said, step
        return said

    @rule(elapsed_ns=st.sampled_from([0, 1, 10**6, 10**8, 2 * 10**9, -(10**7)]))
    def pass_time(self, elapsed_ns: int) -> None:
        self.now_ns += elapsed_ns

    @rule(sent=orders)
    def submit(self, sent: Order) -> None:
        assert self.native.check(sent, self.now_ns) == self.twin.check(sent, self.now_ns)
        self.do(Step("submit", (sent, self.now_ns)))

    @rule(sent=orders, at=st.integers(0, 50), qty=quantities)
    def replace(self, sent: Order, at: int, qty: int) -> None:
        works = sorted(self.twin.working())
        if works:
            account, target_id, *_, instrument_id, _, _, side, _ = works[at % len(works)]
            self.submit(replace(sent, account=account, target_id=target_id, instrument_id=instrument_id, side=side, qty=qty,
                                action=Action.REPLACE))  # fmt: skip

    @rule(at=st.integers(0, 50), qty=quantities, price=prices)
    def fill(self, at: int, qty: int, price: int) -> None:
        works = sorted(self.twin.working())
        if works:
            self.do(Step("filled", works[at % len(works)][:2], {"qty": qty, "price": price}))

    @rule(at=st.integers(0, 50), call=st.sampled_from(["closed", "replaced"]))
    def end(self, at: int, call: str) -> None:
        works = sorted(self.twin.working())
        if works:
            self.do(Step(call, works[at % len(works)][:2]))

    @rule(account=accounts, order_id=ids, call=st.sampled_from(["closed", "replaced"]))
    def end_what_may_be_unknown(self, account: int, order_id: int, call: str) -> None:
        self.do(Step(call, (account, order_id)))

    @rule(sent=orders)
    def execute(self, sent: Order) -> None:
        self.do(Step("executed", (sent,)))

    @rule(account=accounts, parent=st.sampled_from(PARENTS), qty=st.integers(0, 60))
    def declare(self, account: int, parent: int, qty: int) -> None:
        self.do(Step("parent", (account, parent, qty)))

    @rule(account=accounts, instrument_id=instruments, lots=st.integers(-90, 90), done=st.booleans())
    def reconcile(self, account: int, instrument_id: int, lots: int, *, done: bool) -> None:
        self.do(Step("reconcile", (account, instrument_id, lots), {"done": done}))

    @rule(row=rows())
    def write(self, row: InstrumentRow) -> None:
        self.do(Step("put", (row,)))

    @rule(session=st.sampled_from(SESSIONS), up=st.booleans())
    def connect(self, session: int, *, up: bool) -> None:
        self.do(Step("session", (session,), {"up": up}))

    @rule(session=st.sampled_from(SESSIONS), per_s=rates, burst=rates)
    def limit_a_session(self, session: int, per_s: int | None, burst: int | None) -> None:
        self.do(Step("grant", (AccountRow(session, messages_per_s=per_s, message_burst=burst),)))

    @rule(member=members, blocked=st.booleans())
    def kill(self, member: int | tuple[int, int], *, blocked: bool) -> None:
        self.do(Step("block", (member,), {"blocked": blocked}))

    @rule(call=st.sampled_from(["mark", "new_day", "reopen"]))
    def begin_anew(self, call: str) -> None:
        self.do(Step(call))

    @rule(strategy=st.sampled_from(STRATEGIES), times=st.integers(0, 3), lots=st.integers(0, 50))
    def say(self, strategy: int, times: int, lots: int) -> None:
        self.do(Step("rearm", (strategy, times)))
        self.do(Step("locate", (ACCOUNTS[0], 3), {"lots": lots}))
        self.do(Step("approve", (times + 1, self.now_ns + lots)))
        self.do(Step("heartbeat", (self.now_ns, times * 10**8)))

    @invariant()
    def both_know_the_same(self) -> None:
        assert held(self.native) == held(self.twin)
        assert sorted(self.native.working()) == sorted(self.twin.working())

    def teardown(self) -> None:
        self.native.close()
        self.folder.cleanup()


TestGates = Gates.TestCase
TestGates.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
