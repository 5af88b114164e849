"""The limits that people are shown equal those of the gate's own book, for the same commands and states."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.limits import NAMES, NONE_SET, Grants
from deploy.instruments import load_instruments, reference_commands
from gate._native import LimitTable
from gate.policy.limit_book import LimitBook
from gate.rows import BPS_MAX, TICKS_MAX, UNLIMITED, InstrumentRow, Limits
from schemas.records import CommandKind, Envelope, LimitSet, RiskCommand, Tier
from tests.api.session import START_NS, state_of
from tests.gate.policies import envelopes

GATE_NAMES = (
    "order_qty",
    "order_value",
    "long",
    "short",
    "band_bps",
    "band_ticks",
    "period_band_bps",
    "quote_offset_bps",
)
ENVELOPE = load_instruments()[1].envelope
SHOWN = envelopes.map(lambda made: replace(made, message_weight_permille=None, margin_permille=None))
"""Message weight and margin are not shown to people here."""
HOUR_NS = 3_600_000_000_000


def command(number: int, envelope: Envelope, *, administrator: str = "", until_ns: int | None = 2**62) -> RiskCommand:
    return RiskCommand(f"c{number}", CommandKind.SET_ENVELOPE, "instrument:1", START_NS + number, "max", "cleo", "why", until_ns,
                       envelope, administrator=administrator)  # fmt: skip


def gate_row(commands: list[RiskCommand], tier: Tier, at_ns: int) -> InstrumentRow:
    book = LimitBook(LimitTable.private(16, 16), ttl_ns=HOUR_NS)
    for one in commands:
        assert book.apply_command(one, until_ns=one.expires_ns).applied, one
    book.apply_state(state_of(1, at_ns, tier, before=tier, score=1.0), valid_until_ns=at_ns + HOUR_NS)
    book.expire(at_ns)
    raw = book.table.read(1)
    assert raw is not None
    return InstrumentRow.unpack(raw)


def plain(limits: Limits) -> LimitSet:
    return LimitSet(*(getattr(limits, name) for name in GATE_NAMES))


def as_kept(limits: LimitSet) -> LimitSet:
    """Return limits as a row can hold them: a band of any more is one that refuses nothing."""
    most = {"price_band_bps": BPS_MAX, "price_band_ticks": TICKS_MAX, "period_band_bps": BPS_MAX}
    kept = {name: getattr(limits, name) for name in most}
    return replace(limits, **{name: None if value is None else min(value, most[name]) for name, value in kept.items()})


def shown(commands: list[RiskCommand], tier: Tier, at_ns: int) -> tuple[LimitSet, LimitSet, LimitSet, bool]:
    grants = Grants()
    for one in commands:
        grants.take(one)
    grant = grants.of(1, at_ns)
    step = grant.step(tier)
    return grant.limits, grant.stale_limits, step.limits, step.halt


def assert_equal(commands: list[RiskCommand], tier: Tier, at_ns: int = START_NS + 10**9) -> None:
    row = gate_row(commands, tier, at_ns)
    envelope, stale, dynamic, halt = shown(commands, tier, at_ns)
    assert as_kept(envelope) == plain(row.envelope)
    assert as_kept(stale) == plain(row.stale_limits)
    assert halt == row.halted
    assert as_kept(dynamic) == plain(row.dynamic)


@pytest.mark.parametrize("tier", list(Tier))
def test_reference_data_gives_the_gates_row_in_every_tier(tier: Tier) -> None:
    of_one = [one for one in reference_commands(ts_ns=START_NS) if one.scope == "instrument:1"]
    assert_equal(of_one, tier)


@pytest.mark.parametrize("tier", list(Tier))
def test_tighter_word_of_another_administrator_wins_field_by_field(tier: Tier) -> None:
    broker = replace(
        ENVELOPE, limits=replace(ENVELOPE.limits, max_order_qty=120, price_band_bps=None, quote_offset_bps=7)
    )
    assert_equal([command(1, ENVELOPE), command(2, broker, administrator="broker")], tier)


@pytest.mark.parametrize("tier", list(Tier))
def test_end_of_a_loosening_brings_back_what_was(tier: Tier) -> None:
    wide = replace(ENVELOPE, limits=replace(ENVELOPE.limits, max_order_qty=900))
    commands = [command(1, ENVELOPE), command(2, wide, until_ns=START_NS + 10**8)]
    assert shown(commands, Tier.NORMAL, START_NS + 10**7)[0].max_order_qty == 900
    assert_equal(commands, tier)


def test_instrument_without_a_grant_shows_every_limit_unset() -> None:
    limits, stale, dynamic, halt = shown([], Tier.NORMAL, START_NS)
    assert limits == stale == dynamic == NONE_SET
    assert halt


@settings(max_examples=150, deadline=None)
@given(SHOWN, st.sampled_from(list(Tier)))
def test_any_envelope_gives_the_gates_row(envelope: Envelope, tier: Tier) -> None:
    assert_equal([command(1, envelope)], tier)


@settings(max_examples=100, deadline=None)
@given(SHOWN, SHOWN, st.sampled_from(list(Tier)))
def test_any_two_administrators_give_the_gates_row(one: Envelope, other: Envelope, tier: Tier) -> None:
    assert_equal([command(1, one), command(2, other, administrator="broker")], tier)


def test_names_are_those_of_the_record() -> None:
    assert len(NAMES) == len(GATE_NAMES)
    assert UNLIMITED == 2**63 - 1
