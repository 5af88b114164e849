"""The limit book: fencing, order of arrival, rows of every tier, references, kills, approvals, locates, silence."""

import itertools
from dataclasses import replace
from typing import Any

import pytest

from gate import _native
from gate._native import LimitTable, pair_hash, scope_hash
from gate.errors import TableFullError
from gate.policy.administrators import NO_ACCOUNT, NO_ENVELOPE
from gate.policy.instrument import NEVER_FRESH_NS
from gate.policy.limit_book import LimitBook, StateOutcome
from gate.rows import UNLIMITED, AccountRow, InstrumentRow, Limits
from schemas.records import CommandKind, Envelope, RiskCommand, Tier
from schemas.units import NS_PER_MS
from tests.gate.policies import ACCOUNT, COMMAND, ENVELOPE, FAR_NS, LIMITS, REF, STATE, TICK_NS

TTL_NS = 3_000 * NS_PER_MS
DESK = "account:DESK-1"
RATE = replace(NO_ACCOUNT, messages_per_s=10, message_burst=20)


class Desk:
    """A book and the people around it."""

    def __init__(self, capacity: int = 8, **options: Any) -> None:
        self.book = LimitBook(LimitTable.private(capacity, 4), ttl_ns=TTL_NS, **options)
        self._numbers = itertools.count()

    def command(self, kind: CommandKind, scope: str, **changes: Any) -> str:
        return str(self.outcome(kind, scope, **changes).cause)

    def outcome(self, kind: CommandKind, scope: str, **changes: Any) -> Any:
        until_ns = changes.pop("until_ns", None)
        plain = {"kind": kind, "scope": scope, "envelope": None, **changes}
        command = replace(COMMAND, command_id=f"c{next(self._numbers)}", **plain)
        return self.book.apply_command(command, until_ns=until_ns)

    def envelope(self, envelope: Envelope | None = ENVELOPE, scope: str = "instrument:1", **changes: Any) -> str:
        return self.command(CommandKind.SET_ENVELOPE, scope, envelope=envelope, **changes)

    def row(self, instrument_id: int = 1) -> InstrumentRow:
        raw = self.book.table.read(instrument_id)
        assert raw is not None
        return InstrumentRow.unpack(raw)

    def account(self, scope: str = DESK) -> AccountRow | None:
        raw = self.book.table.read_account(scope_hash(scope))
        return None if raw is None else AccountRow.unpack(raw)

    def is_blocked(self, scope: str) -> bool:
        return self.book.table.set_find(_native.SET_BLOCKED, scope_hash(scope)) is not None


@pytest.fixture
def desk() -> Desk:
    made = Desk()
    assert made.envelope() == "applied"
    assert made.command(CommandKind.SET_ACCOUNT, DESK, account=ACCOUNT) == "applied"
    assert made.book.apply_state(STATE) is StateOutcome.APPLIED
    return made


def test_row_says_everything_of_the_envelope_and_the_state(desk: Desk) -> None:
    limits = Limits(500, 10**12, 5_000, 4_000, 500, 900, 400, 2, 1000, 1000)
    assert desk.row() == InstrumentRow(
        instrument_id=1,
        envelope=limits,
        dynamic=limits,
        stale_limits=replace(limits, order_qty=50, band_bps=100),
        class_id=3,
        warn_permille=800,
        pend_permille=900,
        ref_price=REF,
        ref_low=REF,
        ref_high=REF,
        ref_until_ns=TICK_NS + 2_000 * NS_PER_MS,
        valid_until_ns=TICK_NS + TTL_NS,
        tick_size=10_000_000,
        lot_nano=10**9,
        qty_min=1,
        qty_step=1,
        epoch=1,
        tick_ns=TICK_NS,
        score=0.5,
        model_id="model-1",
    )


def test_account_row_says_everything_of_the_grant(desk: Desk) -> None:
    row = desk.account()
    assert row is not None
    assert (row.gross_value, row.period_ns, row.duplicate_ns) == (10**13, 1_000 * NS_PER_MS, 50 * NS_PER_MS)
    assert (row.class_mask, row.repeats_max, row.period_value) == (0b1001, 20, 2**63 - 1)
    assert desk.account("account:DESK-2") is None
    assert desk.command(CommandKind.SET_ACCOUNT, "firm", account=replace(ACCOUNT, gross_value=7)) == "applied"
    firm = desk.account("firm")
    assert firm is not None
    assert firm.gross_value == 7


@pytest.mark.parametrize(
    ("tier", "qty", "halted"),
    [(Tier.NORMAL, 500, False), (Tier.ELEVATED, 250, False), (Tier.HIGH_ALERT, 50, False), (Tier.CRITICAL, 0, True)],
)
def test_tier_sets_the_dynamic_column(desk: Desk, tier: Tier, qty: int, *, halted: bool) -> None:
    desk.book.apply_state(replace(STATE, tier=tier, tick_ns=TICK_NS + 1))
    row = desk.row()
    assert (row.dynamic.order_qty, row.halted, row.tier) == (qty, halted, tier)
    assert row.envelope.order_qty == 500


def test_nothing_known_of_the_instrument_is_no_row() -> None:
    assert Desk().book.table.read(1) is None


def test_state_before_its_envelope_is_remembered_and_blocks_until_the_envelope_comes() -> None:
    desk = Desk()
    desk.book.apply_state(replace(STATE, tier=Tier.ELEVATED, ref_price=REF - 5, tick_ns=TICK_NS - 1))
    desk.book.apply_state(replace(STATE, tier=Tier.ELEVATED))
    assert (desk.row().envelope, desk.row().tick_size, desk.row().ref_low) == (Limits.UNSET, 0, 0)
    desk.envelope()
    assert (desk.row().dynamic.order_qty, desk.row().ref_low, desk.row().ref_high) == (250, REF - 5, REF)


def test_envelope_before_its_first_state_has_no_dynamic_column_and_no_reference_price() -> None:
    desk = Desk()
    desk.envelope()
    row = desk.row()
    assert (row.dynamic, row.halted, row.ref_price, row.valid_until_ns, row.ref_until_ns) == (
        Limits.UNSET,
        False,
        0,
        0,
        0,
    )
    assert desk.book.expired(10**18) == [], "nothing fell silent"


def test_new_envelope_applies_to_the_tier_in_force(desk: Desk) -> None:
    desk.book.apply_state(replace(STATE, tier=Tier.ELEVATED, tick_ns=TICK_NS + 1))
    desk.envelope(replace(ENVELOPE, limits=replace(LIMITS, max_order_qty=80)))
    assert desk.row().dynamic.order_qty == 40
    desk.envelope(replace(ENVELOPE, limits=replace(LIMITS, max_order_qty=None)))
    assert (desk.row().envelope.order_qty, desk.row().dynamic.order_qty) == (None, None)


@pytest.mark.parametrize("name", ["tick_size", "class_id"])
def test_conflicting_or_missing_facts_block_by_an_unset_tick_size(desk: Desk, name: str) -> None:
    one: dict[str, Any] = {name: 1}
    other = replace(NO_ENVELOPE, **one, warn_permille=800, pend_permille=900)
    assert desk.envelope(other, administrator="venue", checker=None, expires_ns=None) == "applied"
    assert desk.row().tick_size == 0
    missing = Desk()
    missing.envelope(replace(ENVELOPE, **dict[str, Any]({name: None})))
    assert missing.row().tick_size == 0


def test_reference_price_ages_from_the_last_book_that_could_be_trusted(desk: Desk) -> None:
    until_ns = desk.row().ref_until_ns
    desk.book.apply_state(replace(STATE, tick_ns=TICK_NS + 5, stale=True, ref_price=REF + 9))
    assert (desk.row().ref_price, desk.row().ref_until_ns, desk.row().stale) == (REF, until_ns, True)
    desk.book.apply_state(replace(STATE, tick_ns=TICK_NS + 6, ref_price=REF + 9))
    assert (desk.row().ref_price, desk.row().ref_until_ns) == (REF + 9, until_ns + 6)
    desk.book.apply_state(replace(STATE, tick_ns=TICK_NS + 7, ref_price=None))
    assert (desk.row().ref_price, desk.row().ref_low, desk.row().ref_until_ns) == (0, 0, 0)


def test_reference_price_of_a_state_that_is_never_fresh_is_never_good(desk: Desk) -> None:
    desk.book.apply_state(replace(STATE, tick_ns=TICK_NS + 1), valid_until_ns=NEVER_FRESH_NS)
    assert (desk.row().ref_until_ns, desk.row().valid_until_ns) == (0, 0)
    desk.book.apply_state(replace(STATE, tick_ns=TICK_NS + 2), valid_until_ns=77 + TTL_NS)
    assert desk.row().ref_until_ns == 77 + 2_000 * NS_PER_MS


def test_range_covers_the_period_and_a_past_life_can_hand_it_on(desk: Desk) -> None:
    for at_ms, price in ((1_000, REF - 100), (3_000, REF + 50), (5_999, REF)):
        desk.book.apply_state(replace(STATE, tick_ns=TICK_NS + at_ms * NS_PER_MS, ref_price=price))
    assert (desk.row().ref_low, desk.row().ref_high) == (REF - 100, REF + 50)
    heir = Desk()
    heir.envelope()
    heir.book.remember(1, desk.book.memory_of(1))
    for at_ms, low in ((6_000, REF), (8_000, REF)):
        for each in (desk, heir):
            each.book.apply_state(replace(STATE, tick_ns=TICK_NS + at_ms * NS_PER_MS))
        assert (desk.row().ref_low, desk.row()) == (low, heir.row())
    assert desk.row().ref_high == REF


def test_flapping_tier_loosens_only_after_the_dwell() -> None:
    desk = Desk(loosen_dwell_ns=100)
    desk.envelope()
    seen = []
    for at_ns, tier in ((0, 0), (10, 2), (50, 0), (60, 1), (109, 0), (110, 0), (159, 0), (160, 0)):
        desk.book.apply_state(replace(STATE, tick_ns=TICK_NS + at_ns, tier=Tier(tier)))
        seen.append((int(desk.row().tier), desk.row().dynamic.order_qty))
    assert [tier for tier, _ in seen] == [0, 2, 2, 2, 2, 1, 1, 0]
    assert [qty for _, qty in seen] == [500, 50, 50, 50, 50, 250, 250, 500]


@pytest.mark.parametrize(
    ("epoch", "tick_ns", "outcome"),
    [
        (1, TICK_NS, StateOutcome.REFUSED),
        (1, TICK_NS - 1, StateOutcome.REFUSED),
        (0, TICK_NS + 1, StateOutcome.REFUSED),
        (1, TICK_NS + 1, StateOutcome.APPLIED),
        (2, TICK_NS - 5, StateOutcome.APPLIED),
    ],
    ids=["same", "older-tick", "older-epoch", "newer-tick", "newer-epoch-starts-anew"],
)
def test_largest_epoch_and_tick_wins(desk: Desk, epoch: int, tick_ns: int, outcome: StateOutcome) -> None:
    state = replace(STATE, epoch=epoch, tick_ns=tick_ns, tier=Tier.ELEVATED)
    assert desk.book.apply_state(state) is outcome
    assert bool(outcome) == (desk.row().dynamic.order_qty == 250)


def test_epoch_seen_on_one_instrument_fences_the_old_job_on_all(desk: Desk) -> None:
    desk.book.apply_state(replace(STATE, instrument_id=2, epoch=2))
    assert desk.book.apply_state(replace(STATE, tick_ns=TICK_NS + 1)) is StateOutcome.REFUSED
    assert desk.book.counters()["states_fenced"] == 1
    assert desk.book.fence_epoch == 2


def test_fence_can_be_set_before_the_first_state() -> None:
    desk = Desk(fence_epoch=3)
    assert desk.book.apply_state(replace(STATE, epoch=2)) is StateOutcome.REFUSED
    assert desk.book.apply_state(replace(STATE, epoch=3)) is StateOutcome.APPLIED


@pytest.mark.parametrize(
    "changes",
    [
        {"instrument_id": 0},
        {"instrument_id": 2**32},
        {"tick_ns": 2**63 - 1},
        {"epoch": 2**63 - 1},
        {"ref_price": 2**63},
    ],
)
def test_state_out_of_reach_is_refused_and_changes_nothing(desk: Desk, changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(changes))):
        desk.book.apply_state(replace(STATE, **changes))
    assert desk.book.apply_state(replace(STATE, tick_ns=TICK_NS + 1)) is StateOutcome.APPLIED


def test_silence_is_reported_once_and_its_end_once(desk: Desk) -> None:
    assert desk.book.expired(TICK_NS + TTL_NS - 1) == []
    assert desk.book.expired(TICK_NS + TTL_NS) == [1]
    assert desk.book.expired(TICK_NS + TTL_NS + 1) == []
    old = desk.book.apply_state(replace(STATE, tick_ns=TICK_NS + 1), valid_until_ns=NEVER_FRESH_NS)
    assert old is StateOutcome.APPLIED
    again = replace(STATE, tick_ns=TICK_NS + TTL_NS)
    assert desk.book.apply_state(again) is StateOutcome.RECOVERED
    assert desk.book.apply_state(replace(again, tick_ns=TICK_NS + TTL_NS + 1)) is StateOutcome.APPLIED
    assert desk.book.expired(TICK_NS + 3 * TTL_NS) == [1]


@pytest.mark.parametrize("scope", ["account:A", "desk:A", "trader:A", "strategy:A", "venue:A", "session:A"])
def test_kill_blocks_its_scope_until_two_people_rearm_it(desk: Desk, scope: str) -> None:
    assert desk.command(CommandKind.KILL, scope, checker=None, reason="", expires_ns=None) == "applied"
    assert desk.is_blocked(scope)
    assert not desk.is_blocked(scope + "B")
    assert desk.command(CommandKind.REARM, scope, checker=None) == "no_checker"
    assert desk.is_blocked(scope)
    assert desk.command(CommandKind.REARM, scope) == "applied"
    assert not desk.is_blocked(scope)


def test_firm_and_instrument_have_switches_of_their_own(desk: Desk) -> None:
    desk.command(CommandKind.KILL, "firm")
    desk.command(CommandKind.KILL, "instrument:2")
    desk.command(CommandKind.RESTRICT, "instrument:1")
    desk.book.apply_state(replace(STATE, tick_ns=TICK_NS + 1))
    desk.envelope()
    assert (desk.book.table.firm_killed, desk.row(2).killed, desk.row().restricted) == (True, True, True)
    assert (desk.row().killed, desk.row(2).restricted) == (False, False)
    desk.command(CommandKind.REARM, "firm", expires_ns=None)
    desk.command(CommandKind.REARM, "instrument:2", expires_ns=None)
    assert desk.command(CommandKind.UNRESTRICT, "instrument:1", checker=None) == "no_checker"
    assert desk.command(CommandKind.UNRESTRICT, "instrument:1") == "applied"
    assert (desk.book.table.firm_killed, desk.row(2).killed, desk.row().restricted) == (False, False, False)


@pytest.mark.parametrize("scope", ["firm", "instrument:1", "desk:ARB"])
def test_block_of_one_administrator_outlives_the_rearming_by_another(desk: Desk, scope: str) -> None:
    def is_blocked() -> bool:
        return desk.book.table.firm_killed or desk.row().killed or desk.is_blocked(scope)

    desk.command(CommandKind.KILL, scope, administrator="broker")
    desk.command(CommandKind.KILL, scope)
    assert "broker" in desk.outcome(CommandKind.REARM, scope).detail
    assert is_blocked()
    desk.command(CommandKind.REARM, scope, administrator="broker")
    assert not is_blocked()


def test_account_can_be_restricted_in_one_instrument(desk: Desk) -> None:
    pair = pair_hash(scope_hash(DESK), 1)
    assert desk.command(CommandKind.RESTRICT, DESK, instrument_id=1, checker=None) == "applied"
    assert desk.book.table.set_members(_native.SET_BLOCKED) == {pair: 0}
    assert desk.command(CommandKind.UNRESTRICT, DESK, instrument_id=2) == "applied"
    assert pair in desk.book.table.set_members(_native.SET_BLOCKED)
    assert desk.command(CommandKind.UNRESTRICT, DESK, instrument_id=1) == "applied"
    assert desk.book.table.set_members(_native.SET_BLOCKED) == {}


def test_too_many_blocked_scopes_block_all_until_one_is_rearmed(desk: Desk) -> None:
    for number in range(_native.SET_CAPACITY + 1):
        assert desk.command(CommandKind.KILL, f"account:A{number}") == "applied"
    assert desk.book.table.set_overflowed(_native.SET_BLOCKED)
    desk.command(CommandKind.REARM, "account:A3")
    assert not desk.book.table.set_overflowed(_native.SET_BLOCKED)
    assert [desk.is_blocked(f"account:A{n}") for n in (0, 3, 4, _native.SET_CAPACITY)] == [True, False, True, True]


def test_rearming_a_strategy_counts_how_often_a_person_reenabled_it(desk: Desk) -> None:
    for _ in range(2):
        assert desk.command(CommandKind.REARM, "strategy:TWAP") == "applied"
    desk.command(CommandKind.REARM, "desk:TWAP")
    assert desk.book.table.set_members(_native.SET_REARMED) == {scope_hash("strategy:TWAP"): 2}


def test_approval_holds_until_its_end_on_the_clock_of_orders(desk: Desk) -> None:
    assert desk.command(CommandKind.APPROVE_ORDER, "order:O-1", until_ns=900) == "applied"
    assert desk.command(CommandKind.APPROVE_ORDER, "order:O-2") == "applied"
    members = {scope_hash("order:O-1"): 900, scope_hash("order:O-2"): FAR_NS}
    assert desk.book.table.set_members(_native.SET_APPROVED) == members
    assert desk.book.expire(899) == []
    assert [command.scope for command in desk.book.expire(900)] == ["order:O-1"]
    assert list(desk.book.table.set_members(_native.SET_APPROVED)) == [scope_hash("order:O-2")]


def test_approval_that_finds_no_room_is_refused_and_the_others_stay(desk: Desk) -> None:
    for number in range(_native.SET_CAPACITY):
        assert desk.command(CommandKind.APPROVE_ORDER, f"order:{number}") == "applied"
    assert desk.command(CommandKind.APPROVE_ORDER, "order:x") == "table_full"
    assert not desk.book.table.set_overflowed(_native.SET_APPROVED)
    assert len(desk.book.table.set_members(_native.SET_APPROVED)) == _native.SET_CAPACITY
    desk.book.expire(FAR_NS)
    assert desk.command(CommandKind.APPROVE_ORDER, "order:x", until_ns=FAR_NS + 1) == "applied"


def test_located_lots_rise_with_two_people_fall_with_one_and_end(desk: Desk) -> None:
    pair = pair_hash(scope_hash(DESK), 1)
    located = {"instrument_id": 1}
    assert desk.command(CommandKind.LOCATE, DESK, qty=500, until_ns=50, **located) == "applied"
    assert desk.command(CommandKind.LOCATE, DESK, qty=501, checker=None, **located) == "no_checker"
    assert desk.command(CommandKind.LOCATE, DESK, qty=501, expires_ns=None, **located) == "no_expiry"
    assert desk.command(CommandKind.LOCATE, DESK, qty=300, checker=None, expires_ns=None, **located) == "applied"
    assert desk.book.table.set_members(_native.SET_LOCATED) == {pair: 300}
    assert len(desk.book.expire(50)) == 1
    assert desk.book.table.set_members(_native.SET_LOCATED) == {}
    assert desk.command(CommandKind.LOCATE, DESK, qty=5, **located) == "applied"
    assert desk.command(CommandKind.LOCATE, DESK, qty=0, checker=None, **located) == "applied"
    assert desk.book.table.set_members(_native.SET_LOCATED) == {}


def test_loosened_limits_fall_back_at_their_end(desk: Desk) -> None:
    desk.envelope(replace(ENVELOPE, limits=replace(LIMITS, max_order_qty=900)), expires_ns=TICK_NS + 9, until_ns=40)
    generous = replace(ACCOUNT, credit=2 * 10**13)
    desk.command(CommandKind.SET_ACCOUNT, DESK, account=generous, expires_ns=TICK_NS + 9, until_ns=41)
    account = desk.account()
    assert account is not None
    assert (desk.row().envelope.order_qty, account.credit) == (900, 2 * 10**13)
    assert [command.kind for command in desk.book.expire(41)] == [CommandKind.SET_ENVELOPE, CommandKind.SET_ACCOUNT]
    account = desk.account()
    assert account is not None
    assert (desk.row().envelope.order_qty, account.credit) == (500, 10**13)


@pytest.mark.parametrize(
    ("kind", "changes", "cause"),
    [
        (CommandKind.SET_ENVELOPE, {"envelope": None}, "no_envelope"),
        (CommandKind.SET_ENVELOPE, {"envelope": replace(ENVELOPE, class_id=64)}, "bad_envelope"),
        (CommandKind.SET_ENVELOPE, {"maker": ""}, "no_maker"),
        (CommandKind.SET_ENVELOPE, {"checker": "Maker"}, "same_person"),
        (CommandKind.SET_ENVELOPE, {"scope": "firm"}, "bad_scope"),
        (CommandKind.SET_ENVELOPE, {"scope": "instrument:0"}, "bad_scope"),
        (CommandKind.SET_ENVELOPE, {"scope": "instrument:x"}, "bad_scope"),
        (CommandKind.SET_ENVELOPE, {"scope": "instrument:4294967296"}, "bad_scope"),
        (CommandKind.SET_ENVELOPE, {"scope": "instrument:" + "9" * 5000}, "bad_scope"),
        (CommandKind.SET_ENVELOPE, {"scope": ""}, "bad_scope"),
        (CommandKind.SET_ENVELOPE, {"expires_ns": TICK_NS - 1}, "expired"),
        (CommandKind.SET_ENVELOPE, {"expires_ns": TICK_NS}, "applied"),
        (CommandKind.SET_ACCOUNT, {"scope": DESK}, "no_account"),
        (CommandKind.SET_ACCOUNT, {"scope": "account:", "account": ACCOUNT}, "bad_scope"),
        (CommandKind.SET_ACCOUNT, {"scope": "desk:A", "account": ACCOUNT}, "bad_scope"),
        (CommandKind.SET_ACCOUNT, {"scope": DESK, "account": replace(ACCOUNT, class_ids=(99,))}, "bad_account"),
        (CommandKind.SET_ACCOUNT, {"scope": "session:", "account": RATE}, "bad_scope"),
        (CommandKind.SET_ACCOUNT, {"scope": "session:S", "account": RATE, "maker": ""}, "no_maker"),
        (CommandKind.SET_ACCOUNT, {"scope": "session:S", "account": ACCOUNT}, "bad_account"),
        (CommandKind.SET_ACCOUNT, {"scope": "session:S", "account": replace(RATE, message_burst=None)}, "bad_account"),
        (CommandKind.SET_ACCOUNT, {"scope": "session:S", "account": replace(RATE, messages_per_s=-1)}, "bad_account"),
        (CommandKind.SET_ACCOUNT, {"scope": "session:S", "account": replace(RATE, credit=UNLIMITED)}, "bad_account"),
        (CommandKind.SET_ACCOUNT, {"scope": "session:S", "account": RATE}, "applied"),
        (CommandKind.KILL, {"maker": " "}, "no_maker"),
        (CommandKind.KILL, {"scope": "firm:x"}, "bad_scope"),
        (CommandKind.KILL, {"scope": "firm:"}, "bad_scope"),
        (CommandKind.KILL, {"scope": "order:x"}, "bad_scope"),
        (CommandKind.REARM, {"scope": "desk:"}, "bad_scope"),
        (CommandKind.REARM, {"scope": "desk:A", "reason": ""}, "no_reason"),
        (CommandKind.RESTRICT, {"scope": DESK}, "bad_instrument"),
        (CommandKind.RESTRICT, {"scope": "trader:A", "instrument_id": 1}, "bad_scope"),
        (CommandKind.APPROVE_ORDER, {"scope": "order:O", "expires_ns": None}, "no_expiry"),
        (CommandKind.APPROVE_ORDER, {"scope": "order:O", "checker": None}, "no_checker"),
        (CommandKind.LOCATE, {"scope": DESK, "instrument_id": 1}, "bad_qty"),
        (CommandKind.LOCATE, {"scope": DESK, "instrument_id": 1, "qty": -1}, "bad_qty"),
        (CommandKind.LOCATE, {"scope": DESK, "instrument_id": 0, "qty": 1}, "bad_instrument"),
        (CommandKind.RELEASE, {}, "ignored"),
    ],
)
def test_command_is_applied_or_refused_with_its_cause(
    desk: Desk, kind: CommandKind, changes: dict[str, Any], cause: str
) -> None:
    before = (desk.row(), desk.account())
    tighter = replace(ENVELOPE, limits=replace(LIMITS, max_order_qty=7))
    plain = {"scope": "instrument:1", "envelope": tighter, **changes}
    outcome = desk.outcome(kind, **plain)
    assert (outcome.cause, outcome.applied) == (cause, cause == "applied")
    assert outcome.detail
    assert cause == "applied" or (desk.row(), desk.account()) == before


def test_late_command_is_judged_by_the_time_that_is_given(desk: Desk) -> None:
    kill = replace(COMMAND, command_id="k", kind=CommandKind.KILL, scope="firm", expires_ns=9)
    assert desk.book.apply_command(kill, now_ns=10).cause == "expired"
    assert desk.book.apply_command(kill, now_ns=9).cause == "applied", "a refused command may come again"


def test_command_is_applied_once(desk: Desk) -> None:
    kill = replace(COMMAND, command_id="k", kind=CommandKind.KILL, scope="firm")
    assert desk.book.apply_command(kill).cause == "applied"
    desk.command(CommandKind.REARM, "firm")
    assert desk.book.apply_command(kill).cause == "duplicate"
    assert not desk.book.table.firm_killed


def test_full_table_is_an_error_for_states_and_a_refusal_for_commands() -> None:
    desk = Desk(capacity=1)
    desk.envelope()
    with pytest.raises(TableFullError, match="instrument 2"):
        desk.book.apply_state(replace(STATE, instrument_id=2))
    assert desk.envelope(scope="instrument:3") == "table_full"
    assert desk.command(CommandKind.KILL, "instrument:3") == "table_full"
    accounts = [desk.command(CommandKind.SET_ACCOUNT, f"account:{n}", account=ACCOUNT) for n in range(5)]
    assert accounts == ["applied"] * 4 + ["table_full"]
    assert desk.book.apply_state(STATE) is StateOutcome.APPLIED
    assert desk.book.counters()["instruments"] == 1
    assert desk.book.counters()["accounts"] == 4


def test_long_or_foreign_model_name_is_cut_to_the_row(desk: Desk) -> None:
    desk.book.apply_state(replace(STATE, model_id="modèle-" + "x" * 40, tick_ns=TICK_NS + 1))
    assert desk.row().model_id == "mod?le-" + "x" * 17


def test_v1_commands_of_two_people_still_set_limits() -> None:
    command: RiskCommand = replace(COMMAND, expires_ns=None)
    book = LimitBook(LimitTable.private(1), ttl_ns=1)
    assert book.apply_command(command).applied
