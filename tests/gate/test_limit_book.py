"""The limit book: fencing, order of arrival, kill and re-arm, envelopes, silence, and moving to another table."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate._native import ACCOUNTS_MAX, BAND_BPS_MAX, LimitTable
from gate.limit_book import NEVER_FRESH_NS, LimitBook, StateOutcome, TableFullError
from schemas.records import (
    CommandKind,
    Envelope,
    LimitSet,
    OrderAction,
    OrderDecision,
    OrderRequest,
    OrderSide,
    OrderType,
    RiskCommand,
    RiskState,
    Tier,
    TierRule,
    Verdict,
)

TTL_NS = 3_000
TICK_NS = 10_000
REF = 50_000_000_000
ENVELOPE = Envelope(
    limits=LimitSet(500, 500),
    stale_limits=LimitSet(50, 100),
    tiers=(
        TierRule(Tier.NORMAL, 1000, 1000, halt=False),
        TierRule(Tier.ELEVATED, 500, 1000, halt=False),
        TierRule(Tier.HIGH_ALERT, 100, 1000, halt=False),
        TierRule(Tier.CRITICAL, 0, 1000, halt=True),
    ),
)
STATE = RiskState(
    instrument_id=1,
    channel_id="SIM",
    tick_ns=TICK_NS,
    epoch=1,
    tier=Tier.NORMAL,
    tier_before=Tier.NORMAL,
    latched=False,
    stale=False,
    degraded=False,
    score=0.5,
    score01=0.1,
    p=0.3,
    adverse_share=0.5,
    ref_price=REF,
    model_id="model-1",
    causes=(),
)
COMMAND = RiskCommand("c", CommandKind.SET_ENVELOPE, "instrument:1", 5, "maker", "checker", "why", None, ENVELOPE)
ORDER = OrderRequest("o", "DESK-1", 1, 7, OrderAction.NEW, OrderSide.BUY, OrderType.LIMIT, 1, REF)
NOW_NS = TICK_NS + 1


class Desk:
    """A book and the people around it."""

    def __init__(self, capacity: int = 8) -> None:
        self.book = LimitBook(LimitTable.private(capacity), ttl_ns=TTL_NS)
        self._numbers = itertools.count()

    def command(self, kind: CommandKind, scope: str, **changes: Any) -> str:
        command = replace(COMMAND, command_id=f"c{next(self._numbers)}", kind=kind, scope=scope, **changes)
        return self.book.apply_command(command).cause

    def envelope(self, envelope: Envelope | None = ENVELOPE, scope: str = "instrument:1", **changes: Any) -> str:
        return self.command(CommandKind.SET_ENVELOPE, scope, envelope=envelope, **changes)

    def decide(self, now_ns: int = NOW_NS, **changes: Any) -> OrderDecision:
        return self.book.check(replace(ORDER, **changes), now_ns, "gate")

    def limit(self, now_ns: int = NOW_NS) -> int | str:
        """Return the largest order that passes, or the reason why none does."""
        probe = {"order_type": OrderType.MARKET, "price": None}
        decision = self.decide(now_ns, qty=2**62, **probe)
        if decision.reason != "max_order_size":
            return decision.reason
        assert decision.limit is not None
        assert decision.limit == 0 or self.decide(now_ns, qty=decision.limit, **probe).reason == "ok"
        assert self.decide(now_ns, qty=decision.limit + 1, **probe).reason == "max_order_size"
        return decision.limit


@pytest.fixture
def desk() -> Desk:
    made = Desk()
    assert made.envelope() == "applied"
    assert made.book.apply_state(STATE) is StateOutcome.APPLIED
    return made


@pytest.mark.parametrize(
    ("tier", "limit"), [(Tier.NORMAL, 500), (Tier.ELEVATED, 250), (Tier.HIGH_ALERT, 50), (Tier.CRITICAL, "halted")]
)
def test_tier_sets_the_limit(desk: Desk, tier: Tier, limit: int | str) -> None:
    desk.book.apply_state(replace(STATE, tier=tier, tick_ns=TICK_NS + 1))
    assert desk.limit() == limit
    assert desk.decide().tier is tier


def test_decision_repeats_the_order_and_the_state_in_force(desk: Desk) -> None:
    decision = desk.book.check(replace(ORDER, qty=501), NOW_NS, "enforce_orders")
    assert decision == OrderDecision(
        "o", "DESK-1", 1, 7, "enforce_orders", Verdict.REJECT, "max_order_size", 500, 501, Tier.NORMAL, False, 1,
        TICK_NS, "model-1", 0.5,
    )  # fmt: skip
    assert desk.decide().verdict is Verdict.ACCEPT


def test_nothing_known_of_the_instrument_blocks() -> None:
    assert Desk().limit() == "unknown_instrument"


def test_state_before_its_envelope_is_remembered_and_blocks_until_the_envelope_comes() -> None:
    desk = Desk()
    desk.book.apply_state(replace(STATE, tier=Tier.ELEVATED))
    assert desk.limit() == "limit_unset"
    desk.envelope()
    assert desk.limit() == 250


def test_envelope_before_its_first_state_means_the_stale_column_and_no_reference_price() -> None:
    desk = Desk()
    desk.envelope()
    assert desk.limit() == 50
    assert desk.decide().reason == "no_reference_price"
    assert desk.decide(order_type=OrderType.MARKET, price=None).reason == "ok"
    assert desk.book.expired(10**18) == [], "nothing fell silent"


def test_new_envelope_applies_to_the_tier_in_force(desk: Desk) -> None:
    desk.book.apply_state(replace(STATE, tier=Tier.ELEVATED, tick_ns=TICK_NS + 1))
    desk.envelope(replace(ENVELOPE, limits=LimitSet(80, 500)))
    assert desk.limit() == 40
    desk.envelope(replace(ENVELOPE, limits=LimitSet(None, 500)))
    assert desk.limit() == "limit_unset"


def test_limit_order_without_reference_price_is_refused(desk: Desk) -> None:
    desk.book.apply_state(replace(STATE, ref_price=None, tick_ns=TICK_NS + 1))
    assert desk.decide().reason == "no_reference_price"
    assert desk.decide(order_type=OrderType.MARKET, price=None).reason == "ok"
    assert desk.decide(price=None).reason == "invalid_order"


@pytest.mark.parametrize("number", ["qty", "price", "instrument_id"])
def test_number_beyond_the_wire_format_is_invalid_but_cancels_still_pass(desk: Desk, number: str) -> None:
    assert desk.decide(**{number: 2**70}).reason == "invalid_order"
    assert desk.decide(**{number: 2**70}, action=OrderAction.CANCEL).reason == "ok"


def test_state_expires_at_tick_plus_ttl_in_event_time(desk: Desk) -> None:
    assert desk.limit(TICK_NS + TTL_NS - 1) == 500
    assert desk.limit(TICK_NS + TTL_NS) == 50
    assert desk.decide(TICK_NS + TTL_NS).stale


def test_stale_state_means_the_stale_column(desk: Desk) -> None:
    desk.book.apply_state(replace(STATE, stale=True, tick_ns=TICK_NS + 1))
    assert desk.limit() == 50
    assert desk.decide().stale


def test_critical_stays_a_halt_when_the_feed_falls_silent(desk: Desk) -> None:
    desk.book.apply_state(replace(STATE, tier=Tier.CRITICAL, tick_ns=TICK_NS + 1))
    assert desk.limit(10**15) == "halted"


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
    assert bool(outcome) == (desk.limit() == 250)


def test_epoch_seen_on_one_instrument_fences_the_old_job_on_all(desk: Desk) -> None:
    desk.book.apply_state(replace(STATE, instrument_id=2, epoch=2))
    assert desk.book.apply_state(replace(STATE, tick_ns=TICK_NS + 1)) is StateOutcome.REFUSED
    assert desk.book.counters()["states_fenced"] == 1
    assert desk.book.fence_epoch == 2


def test_fence_can_be_set_before_the_first_state() -> None:
    book = LimitBook(LimitTable.private(1), ttl_ns=TTL_NS, fence_epoch=3)
    assert book.apply_state(replace(STATE, epoch=2)) is StateOutcome.REFUSED
    assert book.apply_state(replace(STATE, epoch=3)) is StateOutcome.APPLIED


@pytest.mark.parametrize("changes", [{"instrument_id": 0}, {"instrument_id": 2**32}, {"tick_ns": 2**63 - 1},
                                     {"epoch": 2**63 - 1}])  # fmt: skip
def test_state_out_of_reach_is_refused_and_changes_nothing(desk: Desk, changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
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


@pytest.mark.parametrize("scope", ["firm", "account:DESK-1", "instrument:1"])
def test_kill_blocks_its_scope_until_rearmed_and_lets_cancels_pass(desk: Desk, scope: str) -> None:
    assert desk.command(CommandKind.KILL, scope, maker="", checker=None) == "applied"
    assert desk.limit() == "killed"
    assert desk.decide(action=OrderAction.CANCEL).verdict is Verdict.ACCEPT
    desk.book.apply_state(replace(STATE, tick_ns=TICK_NS + 1))
    desk.envelope()
    assert desk.limit() == "killed"
    assert desk.command(CommandKind.REARM, scope) == "applied"
    assert desk.limit() == 500


def test_kill_of_another_account_or_instrument_does_not_reach_this_one(desk: Desk) -> None:
    desk.command(CommandKind.KILL, "account:DESK-2")
    desk.command(CommandKind.KILL, "instrument:2")
    assert desk.limit() == 500
    assert desk.decide(account_id="DESK-2").reason == "killed"
    assert desk.decide(instrument_id=2).reason == "killed"


def test_kill_of_too_many_accounts_blocks_all_and_rearming_one_ends_that(desk: Desk) -> None:
    for number in range(ACCOUNTS_MAX + 1):
        assert desk.command(CommandKind.KILL, f"account:A{number}") == "applied"
    assert desk.limit() == "killed"
    desk.command(CommandKind.REARM, "account:A3")
    assert desk.limit() == 500
    assert desk.decide(account_id="A3").reason == "ok"
    assert {desk.decide(account_id=f"A{n}").reason for n in (0, 4, ACCOUNTS_MAX)} == {"killed"}


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"maker": ""}, "no_maker"),
        ({"checker": "maker"}, "same_person"),
        ({"checker": None}, "applied"),
        ({"envelope": None}, "no_envelope"),
        ({"envelope": replace(ENVELOPE, limits=LimitSet(5, BAND_BPS_MAX + 1))}, "bad_envelope"),
        ({"scope": "firm"}, "bad_scope"),
        ({"scope": "account:DESK-1"}, "bad_scope"),
        ({"scope": "instrument:0"}, "bad_scope"),
        ({"scope": "instrument:x"}, "bad_scope"),
        ({"scope": "instrument:4294967296"}, "bad_scope"),
        ({"scope": ""}, "bad_scope"),
        ({"expires_ns": 4}, "expired"),
        ({"expires_ns": 5}, "applied"),
    ],
)
def test_envelope_command_is_applied_or_refused_with_its_cause(desk: Desk, changes: dict[str, Any], cause: str) -> None:
    tighter = replace(ENVELOPE, limits=LimitSet(7, 7))
    outcome = desk.book.apply_command(replace(COMMAND, **({"envelope": tighter} | changes)))
    assert (outcome.cause, outcome.applied) == (cause, cause == "applied")
    assert outcome.detail
    assert desk.limit() == (7 if cause == "applied" else 500)


@pytest.mark.parametrize("changes", [{"maker": ""}, {"checker": "maker"}, {"scope": "desk:1"}, {"scope": "account:"}])
def test_rearm_needs_people_and_a_scope(desk: Desk, changes: dict[str, Any]) -> None:
    desk.command(CommandKind.KILL, "firm")
    arguments = {"scope": "firm"} | changes
    assert desk.command(CommandKind.REARM, **arguments) in {"no_maker", "same_person", "bad_scope"}
    assert desk.limit() == "killed"


def test_late_command_is_judged_by_the_time_that_is_given(desk: Desk) -> None:
    kill = replace(COMMAND, kind=CommandKind.KILL, scope="firm", expires_ns=9)
    assert desk.book.apply_command(kill, now_ns=10).cause == "expired"
    assert desk.book.apply_command(kill, now_ns=9).cause == "applied", "a refused command may come again"


def test_command_is_applied_once(desk: Desk) -> None:
    kill = replace(COMMAND, kind=CommandKind.KILL, scope="firm")
    assert desk.book.apply_command(kill).cause == "applied"
    desk.command(CommandKind.REARM, "firm")
    assert desk.book.apply_command(kill).cause == "duplicate"
    assert desk.limit() == 500


def test_release_is_not_the_business_of_the_gate(desk: Desk) -> None:
    desk.book.apply_state(replace(STATE, tier=Tier.CRITICAL, tick_ns=TICK_NS + 1))
    assert desk.command(CommandKind.RELEASE, "instrument:1") == "ignored"
    assert desk.limit() == "halted"


def test_full_table_is_an_error_for_states_and_a_refusal_for_commands() -> None:
    desk = Desk(capacity=1)
    desk.envelope()
    with pytest.raises(TableFullError, match="instrument 2"):
        desk.book.apply_state(replace(STATE, instrument_id=2))
    assert desk.envelope(scope="instrument:3") == "table_full"
    assert desk.book.apply_state(STATE) is StateOutcome.APPLIED
    assert desk.limit() == 500


def test_long_or_foreign_model_name_is_cut_to_the_row(desk: Desk) -> None:
    desk.book.apply_state(replace(STATE, model_id="modèle-" + "x" * 40, tick_ns=TICK_NS + 1))
    assert desk.decide().model_id == "mod?le-" + "x" * 17


def test_moved_book_makes_the_same_decisions_and_unsets_rows_of_a_past_life(desk: Desk) -> None:
    desk.command(CommandKind.KILL, "account:DESK-2")
    desk.book.apply_state(replace(STATE, tier=Tier.ELEVATED, tick_ns=TICK_NS + 1))
    past = Desk()
    past.envelope()
    past.envelope(scope="instrument:5")
    past.command(CommandKind.KILL, "firm")
    past.command(CommandKind.KILL, "account:DESK-3")
    for instrument_id in (1, 5):
        past.book.apply_state(replace(STATE, instrument_id=instrument_id, epoch=9))
    desk.book.move_to(past.book.table)
    assert desk.limit() == 250
    assert desk.decide(account_id="DESK-2").reason == "killed"
    assert desk.decide(account_id="DESK-3").reason == "ok"
    assert desk.decide(instrument_id=5).reason == "limit_unset"
    desk.book.apply_state(replace(STATE, tick_ns=TICK_NS + 2))
    assert desk.limit() == 500


states = st.builds(
    replace,
    st.just(STATE),
    instrument_id=st.integers(1, 3),
    tick_ns=st.integers(1, 6),
    epoch=st.integers(1, 3),
    tier=st.sampled_from(Tier),
    stale=st.booleans(),
)
rules = st.builds(TierRule, st.sampled_from(Tier), st.integers(0, 3000), st.integers(0, 3000), st.booleans())
limit_sets = st.builds(LimitSet, st.none() | st.integers(0, 40), st.none() | st.integers(0, 900))
envelopes = st.builds(
    Envelope, limit_sets, limit_sets, st.lists(rules, max_size=4, unique_by=lambda rule: rule.tier).map(tuple)
)
commands = st.builds(
    replace,
    st.just(COMMAND),
    command_id=st.integers(0, 30).map(str),
    kind=st.sampled_from(CommandKind),
    scope=st.sampled_from(["firm", "account:DESK-1", "instrument:1", "instrument:2", "instrument:3"]),
    envelope=st.none() | envelopes,
)
histories = st.lists(states | commands, max_size=25)


def play(history: list[RiskState | RiskCommand], between: Callable[[LimitBook], None] = lambda _: None) -> LimitBook:
    book = LimitBook(LimitTable.private(8), ttl_ns=4)
    for item in history:
        if isinstance(item, RiskState):
            book.apply_state(item)
        else:
            book.apply_command(item)
        between(book)
    return book


def answers(book: LimitBook) -> list[OrderDecision]:
    return [
        book.check(replace(ORDER, instrument_id=instrument_id, qty=qty), now_ns, "gate")
        for instrument_id, qty, now_ns in itertools.product((1, 2, 3), (1, 10, 41), (1, 6, 10))
    ]


@given(histories)
def test_after_any_history_no_order_above_its_last_envelope_passes(history: list[RiskState | RiskCommand]) -> None:
    book = play(history)
    seen: set[str] = set()
    hard: dict[str, int | None] = {}
    for item in history:
        if isinstance(item, RiskCommand) and item.command_id not in seen:
            is_good = item.kind is not CommandKind.SET_ENVELOPE or (item.scope[:10] == "instrument" and item.envelope)
            if is_good and item.kind is not CommandKind.RELEASE:
                seen.add(item.command_id)
            if item.kind is CommandKind.SET_ENVELOPE and is_good and item.envelope:
                hard[item.scope] = item.envelope.limits.max_order_qty
    for decision in answers(book):
        if decision.verdict is Verdict.ACCEPT:
            largest = hard[f"instrument:{decision.instrument_id}"]
            assert largest is not None
            assert largest >= 1
    for instrument_id in (1, 2, 3):
        largest = hard.get(f"instrument:{instrument_id}")
        if largest is not None:
            above = replace(ORDER, instrument_id=instrument_id, qty=largest + 1)
            assert book.check(above, 1, "gate").verdict is Verdict.REJECT


@given(histories)
def test_book_that_moves_after_every_step_answers_like_one_that_stays(history: list[RiskState | RiskCommand]) -> None:
    moving = play(history, lambda book: book.move_to(LimitTable.private(8)))
    assert answers(moving) == answers(play(history))


@given(histories)
def test_history_delivered_twice_answers_like_once(history: list[RiskState | RiskCommand]) -> None:
    once, twice = play(history), play(history + history)
    assert answers(once) == answers(twice)
