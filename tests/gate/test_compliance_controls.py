"""What rules ask of a pre-trade control, shown on the gate that trading systems embed: one duty, one situation, one outcome.

`deploy/reference/compliance.toml` names these tests. They are thin on purpose: the twin, the laws and the scenarios are elsewhere.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from gate import _native
from gate._native import Decision, Gate, LimitTable, pair_hash, scope_hash
from gate.rows import AccountRow, InstrumentRow, Limits

S = 10**9
NOW = 1_000 * S
LATER = NOW + 3_600 * S
CENT = 10**7
REF = 50 * S
MONEY = 10**6
FREE = 2**63 - 1

LIMITS = Limits(
    order_qty=1_000,
    order_value=FREE,
    long=FREE,
    short=FREE,
    band_bps=500,
    band_ticks=100_000,
    period_band_bps=1_000,
    quote_offset_bps=0,
    message_weight=1_000,
    margin=1_000,
)
ROW = InstrumentRow(
    instrument_id=1,
    envelope=LIMITS,
    dynamic=LIMITS,
    stale_limits=LIMITS,
    ref_price=REF,
    ref_low=REF,
    ref_high=REF,
    ref_until_ns=LATER,
    valid_until_ns=LATER,
    tick_size=CENT,
    lot_nano=10**9,
    qty_min=1,
    qty_step=1,
)
ACCOUNT = AccountRow(
    account=scope_hash("account:A1"),
    gross_value=FREE,
    net_value=FREE,
    instrument_value=FREE,
    credit=FREE,
    day_loss=FREE,
    drawdown=FREE,
    period_value=FREE,
    basket_value=FREE,
    open_orders=FREE,
    messages_per_s=FREE,
    message_burst=FREE,
    repeats_max=FREE,
    period_ns=S,
    duplicate_ns=0,
    class_mask=1,
)
SCOPES = {name: scope_hash(f"{name}:{name[0].upper()}1") for name in ("trader", "desk", "strategy", "venue", "session")}


class Desk:
    """A trading process of one account: a table of its own, a gate on it, and a counter of order ids."""

    def __init__(self, ledger: Path | None = None) -> None:
        self.table = LimitTable.private(16, 16)
        self.put(ROW)
        self.put_account(ACCOUNT)
        self.gate = Gate(self.table, str(ledger) if ledger else None)
        self.account = ACCOUNT.account
        self.route = self.gate.route(self.account, *SCOPES.values())
        self.last_id = 0

    def close(self) -> None:
        self.gate.close()
        self.table.close()

    def put(self, row: InstrumentRow) -> None:
        assert self.table.put(row.pack())

    def put_account(self, row: AccountRow) -> None:
        assert self.table.put_account(row.pack())

    def limits(self, **changes: int | None) -> None:
        limits = replace(LIMITS, **changes)
        self.put(replace(ROW, envelope=limits, dynamic=limits, stale_limits=limits))

    def submit(self, side: int = 1, qty: int = 100, price: int = REF, **more: int) -> Decision:
        """Submit a limit order for the next order id."""
        self.last_id += 1
        fields = {
            "action": 0,
            "order_type": 1,
            "flags": 0,
            "now_ns": NOW,
            "target_id": 0,
            "parent": 0,
            "basket": 0,
        } | more
        order_id = fields.pop("order_id", self.last_id)
        action, kind, flags, now_ns, target_id, parent, basket = (fields.pop(name) for name in tuple(fields))
        return self.route.submit(1, order_id, action, side, kind, flags, qty, price, now_ns, target_id, parent, basket)

    def rule(self, *order: int, **more: int) -> str:
        """Submit, and return the id of the rule that decided."""
        return _native.RULES[self.submit(*order, **more).reason]

    def hold(self, qty: int, price: int = REF) -> None:
        """Own so many lots, bought or sold at a price."""
        assert self.gate.executed(self.account, 1, 1 if qty > 0 else 2, abs(qty), price)


PASS = "TG-PASS-ALL"
BUY, SELL = 1, 2
POST_ONLY, REDUCE_ONLY = 1, 2


@pytest.fixture
def desk() -> Iterator[Desk]:
    with closing(Desk()) as made:
        yield made


@pytest.mark.parametrize(
    ("limit", "rule"),
    [
        ("gross_value", "TG-EXPOSURE-GROSS"),
        ("net_value", "TG-EXPOSURE-NET"),
        ("instrument_value", "TG-EXPOSURE-INSTRUMENT"),
        ("credit", "TG-EXPOSURE-CREDIT"),
    ],
)
def test_order_beyond_the_accounts_capital_is_refused_counting_what_it_already_has_working(
    desk: Desk, limit: str, rule: str
) -> None:
    desk.put_account(replace(ACCOUNT, **{limit: 10_000 * MONEY}))
    assert desk.rule(BUY, 100) == PASS
    assert desk.rule(BUY, 101) == rule
    assert desk.rule(BUY, 100) == PASS


def test_orders_of_several_accounts_together_stay_within_the_firms_capital(desk: Desk) -> None:
    desk.put_account(replace(ACCOUNT, account=scope_hash("firm"), gross_value=5_010 * MONEY))
    assert desk.rule(BUY, 100) == PASS
    other = scope_hash("account:A2")
    desk.put_account(replace(ACCOUNT, account=other))
    refused = desk.gate.route(other).submit(1, 1, 0, BUY, 1, 0, 1, REF, NOW)
    assert _native.RULES[refused.reason] == "TG-EXPOSURE-FIRM"


@pytest.mark.parametrize(("limit", "rule"), [("day_loss", "TG-LOSS-DAY"), ("drawdown", "TG-LOSS-DRAWDOWN")])
def test_account_that_lost_its_limit_trades_no_more_but_may_still_get_out(desk: Desk, limit: str, rule: str) -> None:
    desk.put_account(replace(ACCOUNT, **{limit: 100 * MONEY}))
    desk.hold(100, REF + 2 * S)
    desk.gate.mark()
    assert desk.rule(BUY, 1) == rule
    assert desk.rule(SELL, 100, flags=REDUCE_ONLY) == PASS


def test_order_too_large_in_lots_or_in_value_is_refused(desk: Desk) -> None:
    assert desk.rule(BUY, 1_001) == "TG-SIZE-QTY"
    desk.limits(order_value=5_000 * MONEY)
    assert desk.rule(BUY, 100) == PASS
    assert desk.rule(BUY, 101) == "TG-SIZE-VALUE"


def test_price_far_from_the_market_is_refused_in_basis_points_and_in_ticks(desk: Desk) -> None:
    assert desk.rule(BUY, 1, REF + REF // 20) == PASS
    assert desk.rule(BUY, 1, REF + REF // 20 + CENT) == "TG-PRICE-BAND"
    assert desk.rule(SELL, 1, REF - REF // 20 - CENT) == "TG-PRICE-BAND"
    desk.limits(band_ticks=10)
    assert desk.rule(BUY, 1, REF + 11 * CENT) == "TG-PRICE-TICKS"


def test_price_within_the_band_of_the_moment_but_far_over_the_period_is_refused(desk: Desk) -> None:
    desk.put(replace(ROW, ref_low=REF * 9 // 10))
    assert desk.rule(BUY, 1, REF) == "TG-PRICE-PERIOD"


def test_market_order_carries_a_worst_price_and_none_passes_without_a_reference(desk: Desk) -> None:
    assert desk.submit(BUY, 1, 0, order_type=2).worst_price == REF + REF // 20
    desk.put(replace(ROW, ref_until_ns=NOW))
    assert desk.rule(BUY, 1, 0, order_type=2) == "TG-DATA-REFERENCE"


def test_malformed_order_and_price_off_the_tick_or_quantity_off_the_step_are_refused(desk: Desk) -> None:
    assert desk.rule(BUY, 0) == "TG-FORM-INVALID"
    assert desk.rule(BUY, 1, REF + 1) == "TG-FORM-TICK"
    desk.put(replace(ROW, qty_step=10, qty_min=10))
    assert desk.rule(BUY, 15) == "TG-FORM-STEP"


def test_same_order_sent_twice_is_refused(desk: Desk) -> None:
    desk.put_account(replace(ACCOUNT, duplicate_ns=S))
    assert desk.rule(BUY, 7) == PASS
    assert desk.rule(BUY, 7, now_ns=NOW + S // 2) == "TG-FLOW-DUPLICATE"
    assert desk.rule(BUY, 8, order_id=1) == "TG-FLOW-DUPLICATE"
    assert desk.rule(BUY, 7, now_ns=NOW + S) == PASS


def test_value_over_a_short_period_and_over_a_basket_is_bounded(desk: Desk) -> None:
    desk.put_account(replace(ACCOUNT, period_value=10_000 * MONEY))
    assert [desk.rule(BUY, 100), desk.rule(BUY, 100), desk.rule(BUY, 1)] == [PASS, PASS, "TG-FLOW-PERIOD"]
    desk.put_account(replace(ACCOUNT, basket_value=5_000 * MONEY))
    assert [desk.rule(BUY, 100, basket=9), desk.rule(BUY, 1, basket=9)] == [PASS, "TG-FLOW-BASKET"]


def test_short_sale_without_a_located_quantity_is_refused(desk: Desk) -> None:
    desk.put(replace(ROW, needs_locate=True))
    assert desk.rule(SELL, 10) == "TG-POSITION-LOCATE"
    assert desk.table.set_put(_native.SET_LOCATED, pair_hash(desk.account, 1), 10)
    assert [desk.rule(SELL, 10), desk.rule(SELL, 1)] == [PASS, "TG-POSITION-LOCATE"]


def test_restricted_instrument_is_refused_for_the_firm_and_for_one_customer(desk: Desk) -> None:
    assert desk.table.set_put(_native.SET_BLOCKED, pair_hash(desk.account, 1), 0)
    assert desk.rule(BUY, 1) == "TG-PERMIT-RESTRICTED"
    desk.table.set_drop(_native.SET_BLOCKED, pair_hash(desk.account, 1))
    assert desk.rule(BUY, 1) == PASS
    desk.put(replace(ROW, restricted=True))
    assert desk.rule(BUY, 1) == "TG-PERMIT-RESTRICTED"


def test_account_nobody_set_up_and_class_nobody_granted_are_refused(desk: Desk) -> None:
    stranger = desk.gate.route(scope_hash("account:stranger")).submit(1, 1, 0, BUY, 1, 0, 1, REF, NOW)
    assert _native.RULES[stranger.reason] == "TG-DATA-ACCOUNT"
    desk.put(replace(ROW, class_id=5))
    assert desk.rule(BUY, 1) == "TG-PERMIT-CLASS"


def test_every_decision_names_rule_limit_observed_value_and_the_limits_version(desk: Desk) -> None:
    desk.put(replace(ROW, epoch=3, tick_ns=77, model_id="default-7", tier=2, score=4.5))
    refused = desk.submit(BUY, 1_001)
    assert (refused.limit, refused.observed) == (1_000, 1_001)
    for decision in (refused, desk.submit(BUY, 1)):
        assert (decision.epoch, decision.tick_ns, decision.model_id, decision.tier) == (3, 77, "default-7", 2)


def test_machine_may_tighten_a_limit_and_never_loosens_it(desk: Desk) -> None:
    desk.put(replace(ROW, dynamic=replace(LIMITS, order_qty=10)))
    assert desk.rule(BUY, 11) == "TG-SIZE-QTY"
    desk.put(replace(ROW, dynamic=replace(LIMITS, order_qty=1_000_000)))
    assert desk.rule(BUY, 1_001) == "TG-SIZE-QTY"


def test_second_writer_of_the_limits_is_turned_away(tmp_path: Path) -> None:
    with LimitTable.create(tmp_path / "limits", 16, 16), pytest.raises(_native.LimitTableError):
        LimitTable.create(tmp_path / "limits", 16, 16)


def test_quote_passes_the_same_rules_and_keeps_its_distance(desk: Desk) -> None:
    desk.limits(quote_offset_bps=10)
    assert desk.rule(BUY, 1, REF, flags=POST_ONLY) == "TG-PRICE-OFFSET"
    assert desk.rule(BUY, 1, REF - REF // 1_000, flags=POST_ONLY) == PASS
    assert desk.rule(BUY, 1_001, REF - REF // 1_000, flags=POST_ONLY) == "TG-SIZE-QTY"


@pytest.mark.parametrize("scope", sorted(SCOPES))
def test_one_kill_stops_a_scope_and_lists_what_of_it_must_be_cancelled(desk: Desk, scope: str) -> None:
    assert desk.rule(BUY, 10) == PASS
    assert desk.table.set_put(_native.SET_BLOCKED, SCOPES[scope], 0)
    assert desk.rule(BUY, 10) == "TG-STOP-KILL"
    assert [order[-1] for order in desk.gate.working()] == [True]
    assert desk.rule(BUY, 10, action=2, target_id=1) == PASS


def test_kill_of_account_instrument_and_firm_refuses_and_cancels_still_pass(desk: Desk) -> None:
    def killed(kill: Callable[[], Any], revive: Callable[[], Any]) -> None:
        kill()
        assert desk.rule(BUY, 10) == "TG-STOP-KILL"
        assert desk.rule(BUY, 10, action=2, target_id=1) == PASS
        revive()
        assert desk.rule(BUY, 10) == PASS

    blocked = _native.SET_BLOCKED
    killed(lambda: desk.table.kill_firm(True), lambda: desk.table.kill_firm(False))
    killed(lambda: desk.table.set_put(blocked, desk.account, 0), lambda: desk.table.set_drop(blocked, desk.account))
    killed(lambda: desk.put(replace(ROW, killed=True)), lambda: desk.put(ROW))


def test_lost_session_refuses_and_lists_its_orders_for_cancelling(desk: Desk) -> None:
    assert desk.rule(BUY, 10) == PASS
    desk.gate.session(SCOPES["session"], False)
    assert desk.rule(BUY, 10) == "TG-STOP-SESSION"
    assert [order[-1] for order in desk.gate.working()] == [True]
    desk.gate.session(SCOPES["session"], True)
    assert desk.rule(BUY, 10) == PASS


def test_halted_market_lets_exits_out_and_nothing_else(desk: Desk) -> None:
    desk.hold(100)
    desk.put(replace(ROW, halted=True))
    assert desk.rule(BUY, 1) == "TG-STOP-HALT"
    assert desk.rule(SELL, 101, flags=REDUCE_ONLY) == "TG-POSITION-REDUCE"
    assert desk.rule(SELL, 100, flags=REDUCE_ONLY) == PASS


def test_positions_and_working_orders_survive_the_trading_process(tmp_path: Path) -> None:
    with closing(Desk(tmp_path / "ledger")) as before:
        before.hold(60)
        assert before.rule(BUY, 30) == PASS
    with closing(Desk(tmp_path / "ledger")) as after:
        after.limits(long=100)
        assert after.rule(BUY, 11, order_id=2) == "TG-POSITION-LONG"
        assert after.rule(BUY, 10, order_id=3) == PASS


def test_expired_limits_give_way_to_the_stale_column(desk: Desk) -> None:
    desk.put(replace(ROW, stale_limits=replace(LIMITS, order_qty=10)))
    assert desk.rule(BUY, 11) == PASS
    assert desk.rule(BUY, 11, now_ns=LATER - 1) == PASS
    desk.put(replace(ROW, stale_limits=replace(LIMITS, order_qty=10), valid_until_ns=NOW))
    assert desk.rule(BUY, 11) == "TG-SIZE-QTY"
    assert desk.rule(BUY, 10) == PASS


def test_messages_over_the_rate_are_refused_and_cancels_weigh_nothing(desk: Desk) -> None:
    desk.put_account(replace(ACCOUNT, messages_per_s=10, message_burst=2))
    assert [desk.rule(BUY, 1), desk.rule(BUY, 1), desk.rule(BUY, 1)] == [PASS, PASS, "TG-FLOW-RATE"]
    assert desk.rule(BUY, 1, action=2, target_id=1) == PASS
    assert desk.rule(BUY, 1, now_ns=NOW + S // 10) == PASS


def test_messages_over_the_rate_of_the_session_are_refused_whatever_account_sends_them(desk: Desk) -> None:
    desk.put_account(AccountRow(SCOPES["session"], messages_per_s=10, message_burst=2))
    other = replace(ACCOUNT, account=scope_hash("account:A2"))
    desk.put_account(other)
    assert [desk.rule(BUY, 1), desk.rule(BUY, 1), desk.rule(BUY, 1)] == [PASS, PASS, "TG-FLOW-SESSION"]
    second = desk.gate.route(other.account, *SCOPES.values())
    found = [second.submit(1, 7, 0, BUY, 1, 0, 1, REF, now_ns).reason for now_ns in (NOW, NOW + S // 10)]
    assert [_native.RULES[reason] for reason in found] == ["TG-FLOW-SESSION", PASS]
    assert desk.rule(BUY, 1, action=2, target_id=1) == PASS


def test_order_counts_from_the_moment_it_is_sent(desk: Desk) -> None:
    desk.limits(long=100)
    assert [desk.rule(BUY, 60), desk.rule(BUY, 41), desk.rule(BUY, 40)] == [PASS, "TG-POSITION-LONG", PASS]


def test_slices_never_exceed_the_order_they_are_slices_of(desk: Desk) -> None:
    assert desk.rule(BUY, 10, parent=5) == "TG-FLOW-PARENT"
    desk.gate.parent(desk.account, 5, 100)
    assert desk.rule(BUY, 60, parent=5) == PASS
    desk.gate.filled(desk.account, desk.last_id, 60, REF)
    assert [desk.rule(BUY, 41, parent=5), desk.rule(BUY, 40, parent=5)] == ["TG-FLOW-PARENT", PASS]


def test_strategy_that_repeats_itself_is_disabled_until_a_person_re_enables_it(desk: Desk) -> None:
    desk.put_account(replace(ACCOUNT, repeats_max=2))
    assert [desk.rule(BUY, 1), desk.rule(BUY, 1), desk.rule(BUY, 1)] == [PASS, PASS, "TG-FLOW-REPEAT"]
    assert desk.rule(BUY, 2, now_ns=NOW + 60 * S) == "TG-FLOW-REPEAT"
    assert desk.table.set_put(_native.SET_REARMED, SCOPES["strategy"], 1)
    assert desk.rule(BUY, 2, now_ns=NOW + 61 * S) == PASS


def test_limit_that_nobody_set_blocks(desk: Desk) -> None:
    desk.limits(order_qty=None)
    assert desk.rule(BUY, 1) == "TG-DATA-UNSET"
    desk.put(ROW)
    desk.put_account(replace(ACCOUNT, credit=None))
    assert desk.rule(BUY, 1) == "TG-DATA-UNSET"
    unknown = desk.route.submit(2, 99, 0, BUY, 1, 0, 1, REF, NOW)
    assert _native.RULES[unknown.reason] == "TG-DATA-INSTRUMENT"


def test_override_is_for_one_order_and_for_a_time(desk: Desk) -> None:
    desk.put(replace(ROW, pend_permille=500))
    assert desk.rule(BUY, 501, order_id=9) == "TG-SOFT-APPROVAL"
    assert desk.table.set_put(_native.SET_APPROVED, 9, NOW)
    assert desk.rule(BUY, 501, order_id=9) == "TG-SOFT-APPROVAL"
    assert desk.table.set_put(_native.SET_APPROVED, 9, NOW + S)
    assert desk.rule(BUY, 501, order_id=10) == "TG-SOFT-APPROVAL"
    assert desk.rule(BUY, 501, order_id=9) == PASS
    assert desk.table.set_put(_native.SET_APPROVED, 11, NOW + S)
    assert desk.rule(BUY, 1_001, order_id=11) == "TG-SIZE-QTY"


def test_position_limit_counts_working_orders_on_each_side(desk: Desk) -> None:
    desk.limits(long=100, short=50)
    assert [desk.rule(BUY, 100, REF - CENT), desk.rule(SELL, 50, REF)] == [PASS, PASS]
    assert desk.rule(BUY, 1, REF - CENT) == "TG-POSITION-LONG"
    assert desk.rule(SELL, 1, REF) == "TG-POSITION-SHORT"


def test_replace_is_judged_like_a_new_order_and_only_of_one_that_works(desk: Desk) -> None:
    assert desk.rule(BUY, 10, action=1, target_id=77) == "TG-DATA-ORDER"
    assert desk.rule(BUY, 10) == PASS
    assert desk.rule(BUY, 1_001, action=1, target_id=2) == "TG-SIZE-QTY"
    assert desk.rule(BUY, 1_000, action=1, target_id=2) == PASS


def test_order_that_would_meet_the_accounts_own_is_refused(desk: Desk) -> None:
    assert desk.rule(SELL, 10, REF) == PASS
    assert desk.rule(BUY, 10, REF) == "TG-FLOW-SELF"
    assert desk.rule(BUY, 10, REF - CENT) == PASS


def test_working_orders_of_an_account_are_bounded_in_number(desk: Desk) -> None:
    desk.put_account(replace(ACCOUNT, open_orders=2))
    assert [desk.rule(BUY, 1), desk.rule(BUY, 1), desk.rule(BUY, 1)] == [PASS, PASS, "TG-FLOW-OPEN"]
    assert desk.gate.closed(desk.account, 1)
    assert desk.rule(BUY, 1) == PASS


def test_drop_copy_and_books_of_record_correct_the_position(desk: Desk) -> None:
    desk.limits(long=100)
    desk.hold(70)
    assert desk.rule(BUY, 31) == "TG-POSITION-LONG"
    assert desk.gate.reconcile(desk.account, 1, 90, True) == 70
    assert [desk.rule(BUY, 11), desk.rule(BUY, 10)] == ["TG-POSITION-LONG", PASS]


def test_account_whose_positions_are_not_known_waits_for_the_books_of_record(desk: Desk) -> None:
    with closing(Gate(desk.table, positions=1)) as small:
        route = small.route(desk.account)
        assert small.executed(desk.account, 1, BUY, 10, REF)
        assert not small.executed(desk.account, 2, BUY, 10, REF), "there is no room for a second position"
        assert _native.RULES[route.check(1, 1, 0, BUY, 1, 0, 1, REF, NOW)] == "TG-STOP-RECONCILE"
        assert small.reconcile(desk.account, 1, 10, True) == 10
        assert _native.RULES[route.check(1, 1, 0, BUY, 1, 0, 1, REF, NOW)] == PASS


def test_full_ledger_refuses_instead_of_forgetting(desk: Desk) -> None:
    with closing(Gate(desk.table, accounts=1, positions=1, orders=1)) as small:
        route = small.route(desk.account)
        reasons = [route.check(1, 1, 0, BUY, 1, 0, 1, REF, NOW), route.submit(1, 1, 0, BUY, 1, 0, 1, REF, NOW).reason]
        assert [_native.RULES[reason] for reason in reasons] == [PASS, PASS]
        assert _native.RULES[route.submit(1, 2, 0, BUY, 1, 0, 1, REF, NOW).reason] == "TG-STOP-ROOM"


def test_silence_is_told_within_five_seconds_unless_somebody_sets_it_otherwise() -> None:
    from gate.sidecar import SidecarSettings

    defaults = {field.name: field.default for field in fields(SidecarSettings)}
    assert isinstance(defaults["ttl_ms"], int)
    assert defaults["ttl_ms"] < 5_000
