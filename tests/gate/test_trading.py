"""The gate of a trading process: answers, reports, cancels, what survives it, and reconciliation against the drop copy."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gate._native import LimitTable
from gate.desk import Booked, hash_of
from gate.facts import Hand
from gate.journal import Journal
from gate.policy.limit_book import LimitBook
from gate.reconcile import Reconciler
from gate.trading import TradingGate, TradingSettings
from gate.trail.decision_record import entries_of, to_decision
from schemas.orders import (
    ExecutionKind,
    ExecutionSource,
    OrderAction,
    OrderExecution,
    OrderRequest,
    OrderSide,
    OrderType,
    Verdict,
)
from schemas.records import AlertKind, CommandKind, RiskAlert
from tests.gate import policies

FAR_NS = 2**61
NOW_NS = policies.TICK_NS + 10
ORDER = OrderRequest(
    order_id="o1",
    account_id="DESK-1",
    instrument_id=1,
    ts_event_ns=7,
    action=OrderAction.NEW,
    side=OrderSide.BUY,
    order_type=OrderType.LIMIT,
    qty=10,
    price=policies.REF,
    session_id="S1",
)
FILL = OrderExecution(
    exec_id="x1",
    order_id="o1",
    account_id="DESK-1",
    instrument_id=1,
    ts_event_ns=8,
    kind=ExecutionKind.FILLED,
    side=OrderSide.BUY,
    qty=10,
    price=policies.REF,
    venue_id="V",
    source=ExecutionSource.VENUE,
)
HAND = Hand("ann", "bo", "the books of record")


class Place:
    """A host: its table, kept by a book, and a folder for trading processes."""

    def __init__(self, folder: Path) -> None:
        self.table = LimitTable.create(folder / "limits", 16, 16)
        self.book = LimitBook(self.table, ttl_ns=FAR_NS)
        grant = replace(policies.COMMAND, command_id="a", kind=CommandKind.SET_ACCOUNT, envelope=None)
        self.book.apply_command(replace(policies.COMMAND, command_id="e", envelope=FOREVER))
        self.book.apply_command(replace(grant, scope="account:DESK-1", account=policies.ACCOUNT))
        self.book.apply_state(policies.STATE)
        self.settings = TradingSettings(folder / "limits", folder / "desk", "desk", accounts=4, positions=16, orders=64)
        self.alerts: list[RiskAlert] = []

    def open(self, *, reconcile_ms: int = 0, orders: int = 64) -> TradingGate:
        settings = replace(self.settings, reconcile_ms=reconcile_ms, orders=orders)
        return TradingGate(settings, on_alert=self.alerts.append)


FOREVER = replace(policies.ENVELOPE, ref_ttl_ms=2**60 // 10**6)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.table.close()


def test_order_is_answered_and_numbered_and_its_fill_moves_the_position(place: Place) -> None:
    with place.open() as gate:
        decision, request = gate.submit(ORDER, NOW_NS)
        assert (decision.verdict, decision.reason, decision.rule_id) == (Verdict.ACCEPT, "ok", "TG-PASS-ALL")
        assert (decision.seq, decision.position_before, request.executions_seen) == (1, 0, 0)
        booked, told = gate.report(FILL)
        assert (booked, told.requests_sent) == (Booked.BOOKED, 1)
        (held,) = gate.holdings()
        assert held == ("DESK-1", 1, 10, 0, 0)
        assert gate.submit(replace(ORDER, order_id="o2", qty=0), NOW_NS).decision.reason == "invalid_order"


def test_returned_decision_is_the_one_that_leaves_by_the_ring(place: Place) -> None:
    with place.open() as gate:
        orders = [ORDER, ORDER, replace(ORDER, order_id="o2", order_type=OrderType.MARKET, price=None, session_id=None)]
        said = [gate.submit(order, NOW_NS).decision for order in orders]
        accounts = {hash_of("account", "DESK-1"): "DESK-1"}
        shipped = [to_decision(e, accounts, instance=said[0].instance) for e in entries_of(gate._ring.read(9))]
    assert [replace(one, ts_event_ns=7) for one in shipped] == said
    assert [one.reason for one in said] == ["ok", "duplicate_order", "ok"]


@pytest.mark.parametrize(
    ("changes", "booked", "position"),
    [
        ({"kind": ExecutionKind.ACKED}, Booked.EVIDENCE, 0),
        ({"kind": ExecutionKind.CANCELLED}, Booked.BOOKED, 0),
        ({"kind": ExecutionKind.EXPIRED, "order_id": "other"}, Booked.UNKNOWN, 0),
        ({"order_id": "other"}, Booked.EXECUTED, 10),
        ({"order_id": "", "source": ExecutionSource.DROP_COPY}, Booked.EXECUTED, 10),
        ({"source": ExecutionSource.DROP_COPY}, Booked.EVIDENCE, 0),
        ({"qty": 0}, Booked.INVALID, 0),
        ({"price": None}, Booked.INVALID, 0),
        ({"account_id": ""}, Booked.INVALID, 0),
    ],
)
def test_report_is_booked_by_what_it_says(
    place: Place, changes: dict[str, object], booked: Booked, position: int
) -> None:
    with place.open() as gate:
        gate.submit(ORDER, NOW_NS)
        assert gate.report(replace(FILL, **changes)).booked is booked  # type: ignore[arg-type]
        assert sum(held.position for held in gate.holdings()) == position
        if booked is not Booked.EVIDENCE and booked is not Booked.INVALID:
            assert gate.report(replace(FILL, **changes)).booked is Booked.REPEATED  # type: ignore[arg-type]


def test_lost_session_and_kill_name_the_orders_that_must_go(place: Place) -> None:
    with place.open() as gate:
        gate.submit(ORDER, NOW_NS)
        gate.submit(replace(ORDER, order_id="o2", session_id="S2"), NOW_NS + 10**9)
        assert gate.cancels() == []
        (lost,) = gate.session("S1", is_up=False)
        assert (lost.account_id, lost.order_id, lost.open_qty) == ("DESK-1", "o1", 10)
        assert gate.submit(replace(ORDER, order_id="o3"), NOW_NS).decision.reason == "session_down"
        assert gate.session("S1", is_up=True) == []
        kill = policies.alone(policies.COMMAND, command_id="k", kind=CommandKind.KILL, scope="firm", envelope=None)
        place.book.apply_command(kill)
        assert {one.order_id for one in gate.cancels()} == {"o1", "o2"}


def test_process_that_died_goes_on_with_positions_names_numbers_and_what_it_has_booked(place: Place) -> None:
    with place.open() as gate:
        gate.submit(ORDER, NOW_NS)
        gate.submit(replace(ORDER, order_id="o2"), NOW_NS + 10**9)
        gate.report(FILL)
        with pytest.raises(ValueError, match="another process"):
            place.open()
    journal = place.settings.folder / "journal"
    journal.write_bytes(journal.read_bytes() + b'["r","DES')  # cut short by the end of the process
    for life in (1, 2):
        with place.open() as gate:
            assert gate.report(FILL).booked is Booked.REPEATED
            assert [held.position for held in gate.holdings()] == [10]
            (lost,) = gate.session("S1", is_up=False)
            assert lost.order_id == "o2"
            decision, request = gate.submit(replace(ORDER, order_id=f"n{life}"), NOW_NS)
            assert (decision.seq, request.executions_seen) == (2 + life, 1 + life)
            gate.session("S1", is_up=True)


def test_parent_declared_by_the_order_or_by_hand_bounds_its_children(place: Place) -> None:
    child = replace(ORDER, parent_order_id="P", parent_qty=15)
    with place.open() as gate:
        assert gate.submit(child, NOW_NS).decision.reason == "ok"
        second = replace(child, order_id="o2", parent_qty=None)
        later = NOW_NS + 10**9
        assert gate.submit(second, later).decision.reason == "parent_qty"
        assert gate.parent("DESK-1", "P", 20)
        assert gate.submit(second, later).decision.reason == "ok"
        stranger = replace(child, account_id="NOBODY", order_id="o3")
        assert gate.submit(stranger, later).decision.reason == "unknown_account"
        assert len(gate.holdings()) == 1, "an order of nobody takes no place in the ledger"


def test_housekeeping_tells_when_ledger_and_drop_copy_stay_apart(place: Place) -> None:
    copy = replace(FILL, source=ExecutionSource.DROP_COPY)
    with place.open(reconcile_ms=1_000_000) as gate:
        gate.submit(ORDER, NOW_NS)
        gate.report(FILL)
        gate.report(copy)
        assert gate.keep_house(FAR_NS, 5) == []
        gate.report(replace(copy, exec_id="x2", qty=4))
        gate.keep_house(FAR_NS, 5)
        (alert,) = gate.keep_house(FAR_NS + 10**15, 6)
        assert alert.kind is AlertKind.POSITION_MISMATCH
        assert "account DESK-1, instrument 1: the ledger says 10 lots, the drop copy 14" in alert.message
        assert "V/x2" in alert.message
        assert place.alerts == [alert]
        assert gate.keep_house(FAR_NS + 2 * 10**15, 7) == [], "told once"
        assert gate.reconcile("DESK-1", 1, 14, is_done=True, hand=HAND) == 10
        assert gate.keep_house(FAR_NS + 3 * 10**15, 8) == []
        assert gate.counters()["mismatches"] == 1


def test_day_and_marks_begin_anew(place: Place) -> None:
    with place.open() as gate:
        gate.report(replace(FILL, order_id=""))
        gate.mark()
        gate.new_day()
        assert [held.position for held in gate.holdings()] == [10]


def test_reconciler_counts_each_report_once_and_forgets_a_difference_that_ends() -> None:
    said: Callable[..., OrderExecution] = lambda **changes: replace(FILL, **changes)  # noqa: E731
    found = Reconciler({("DESK-1", 1): 3}, settle_ns=10)
    held = {("DESK-1", 1): 13}
    for _ in range(2):
        found.take(said())
    assert found.check(held, 0, wall_ns=0) == []
    found.take(said(source=ExecutionSource.DROP_COPY))
    assert found.check(held, 100, wall_ns=0) == [], "the copy came in time"
    found.take(said(exec_id="x9", side=OrderSide.SELL, source=ExecutionSource.DROP_COPY))
    assert found.check(held, 100, wall_ns=0) == []
    (alert,) = found.check(held, 110, wall_ns=0)
    assert "the ledger says 13 lots, the drop copy 3" in alert.message
    found.take(said(kind=ExecutionKind.ACKED))
    assert found.check({("DESK-1", 1): 3}, 111, wall_ns=0) == []


def test_journal_that_begins_anew_has_no_old_lines(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    journal.note("r", "A", "o1")
    journal.close()
    again = Journal(tmp_path / "journal")
    assert (again.base, again.lines) == ({}, [["r", "A", "o1"]])
    again.begin({"n": 1})
    again.note("x", "A", 7)
    again.close()
    assert (Journal(tmp_path / "journal").base, Journal(tmp_path / "journal").lines) == ({"n": 1}, [["x", "A", 7]])


def test_process_that_cannot_open_its_table_gives_back_everything(place: Place, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        TradingGate(replace(place.settings, table_path=tmp_path / "none"))
    with pytest.raises(ValueError):
        place.open(orders=0)
    with place.open() as gate:
        assert gate.submit(ORDER, time.monotonic_ns()).decision.reason in {"ok", "no_reference_price"}
