"""A ledger as bytes: the same again when loaded, and refused when damaged or of other sizes."""

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gate import _native
from gate._native import Gate, LimitTable, LimitTableError
from gate.desk import GateDesk
from jobs.machines.rule_book import RuleBook
from schemas import codec, topics
from schemas.errors import Place
from schemas.records import RiskCommand
from tests.gate.traffic import Oms, rules

A, B = 11, 12


def gate(table: LimitTable, snapshot: bytes | None = None) -> Gate:
    return Gate(table, accounts=8, positions=32, orders=64, snapshot=snapshot)


def ruled() -> LimitTable:
    book = RuleBook(ttl_ns=3 * 10**9, source="test")
    for rule in rules():
        topic = topics.RISK_COMMANDS if isinstance(rule, RiskCommand) else topics.RISK_STATES
        book.learn(codec.encode(topic, rule), Place(topic))
    return book.table


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 120))
def test_ledger_that_was_loaded_writes_the_same_bytes_and_judges_the_same_from_then_on(seed: int, orders: int) -> None:
    table, oms = ruled(), Oms(seed)
    first = GateDesk(gate(table), table, enforcer="gate")

    def go_on(desks: list[GateDesk]) -> None:
        order = oms.order()
        said = [desk.submit(order, order.ts_event_ns) for desk in desks]
        assert said[1:] == said[:-1]
        for execution in oms.hear(order, said[0]):
            assert len({desk.report(execution) for desk in desks}) == 1

    for _ in range(orders):
        go_on([first])
    first.gate.session(99, False)
    snapshot = first.gate.snapshot()
    second = GateDesk(gate(table, snapshot), table, enforcer="gate")
    second.remember(first.memory())
    assert second.gate.snapshot() == snapshot
    assert (second.gate.counters(), second.gate.working()) == (first.gate.counters(), first.gate.working())
    for _ in range(40):
        go_on([first, second])
    assert first.gate.positions() == second.gate.positions()


def test_snapshot_that_is_damaged_anywhere_is_refused() -> None:
    table = LimitTable.private(4)
    one = gate(table)
    one.executed(A, 1, _native.ORDER_BUY, 5, 100)
    one.executed(B, 2, _native.ORDER_SELL, 7, 100)
    whole, pick = one.snapshot(), random.Random(1)
    for _ in range(300):
        at = pick.randrange(len(whole))
        damaged = whole[:at] + bytes([whole[at] ^ 1 << pick.randrange(8)]) + whole[at + 1 :]
        with pytest.raises(LimitTableError, match="damaged"):
            gate(table, damaged)
    for cut in (b"", whole[:40], whole[:-1], whole + b"\0"):
        with pytest.raises(LimitTableError, match="damaged"):
            gate(table, cut)


def test_snapshot_of_other_sizes_or_into_a_file_is_refused(tmp_path: Path) -> None:
    table = LimitTable.private(4)
    snapshot = gate(table).snapshot()
    with pytest.raises(LimitTableError, match="sizes"):
        Gate(table, accounts=8, positions=32, orders=65, snapshot=snapshot)
    with pytest.raises(ValueError, match="not into a file"):
        Gate(table, tmp_path / "ledger", accounts=8, positions=32, orders=64, snapshot=snapshot)
    with pytest.raises(TypeError):
        Gate(table, snapshot="text")  # type: ignore[arg-type]


def test_marks_of_one_account_leave_the_others_alone() -> None:
    table = ruled()
    one = gate(table)
    for account in (A, B):
        one.executed(account, 1, _native.ORDER_BUY, 5, 100)
    before = one.snapshot()
    one.mark_account(A, (2, 3))
    one.mark_account(77, (1,))
    assert one.snapshot() == before
    with pytest.raises(TypeError):
        one.mark_account(A, 7)  # type: ignore[arg-type]
