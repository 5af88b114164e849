"""The tier machine: enter fast, leave slowly, Critical waits for a person."""

import json
from dataclasses import replace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.tiers import DWELL_TICKS, FLAP_TICKS, TierLevels, TierMachine, use_of
from schemas import topics
from schemas.codec import SCHEMA_ROOT, from_plain
from schemas.records import RiskState, Tier
from schemas.units import NS_PER_S

EXAMPLE = SCHEMA_ROOT / topics.RISK_STATES / "examples" / "v2" / "high_alert.json"

LEVELS = TierLevels(enter=(0.0, 3.0, 5.0, 8.0), leave=(0.0, 2.0, 4.0, 6.0))
N, E, H, C = Tier


def after(*scores: float, adverse: bool = True) -> Tier:
    machine = TierMachine()
    for score in scores:
        machine.step(score, LEVELS, adverse=adverse)
    return machine.tier


def critical() -> TierMachine:
    machine = TierMachine()
    for _ in range(3):
        machine.step(9.0, LEVELS, adverse=True)
    assert machine.latched
    return machine


@pytest.mark.parametrize(
    ("scores", "tier"),
    [
        ((3.5, 3.5, 9.0), C),  # Critical needs one tick where the two before it spoke
        ((9.0, 3.5, 3.5), C),  # or the two after it
        ((9.0,), H),  # alone, it tightens at once
        ((9.0, 0.0, 9.0, 0.0, 9.0), H),  # and never halts between calm neighbours
        ((9.0, 9.0), H),
        ((9.0, 9.0, 9.0), C),
        ((5.5,), N),  # others two of three
        ((3.5, 3.5), E),
        ((3.5, 0.0, 3.5), E),
        ((3.5, 0.0, 0.0, 3.5), N),
        ((5.5, 3.5), E),  # both support Elevated, one High Alert
        ((5.5, 0.0, 5.5), H),
        ((2.9, 2.9, 2.9), N),
    ],
)
def test_tier_is_entered_on_its_evidence(scores: tuple[float, ...], tier: Tier) -> None:
    assert after(*scores) is tier


def test_echo_of_a_bad_tick_confirms_nothing() -> None:
    machine = TierMachine()
    machine.step(12.0, LEVELS, adverse=True)
    assert {machine.step(12.0, LEVELS, adverse=True, standing=False) for _ in range(600)} == {H}
    assert [machine.step(12.0, LEVELS, adverse=True) for _ in range(3)] == [H, H, C]


def test_use_counts_time_entries_and_flaps() -> None:
    machine = TierMachine()
    for score, ticks in ((0.0, 100), (3.5, 2), (0.0, DWELL_TICKS + FLAP_TICKS - 2), (3.5, 2), (0.0, 1000), (5.5, 2)):
        for _ in range(ticks):
            machine.step(score, LEVELS, adverse=True)
    use = machine.use
    assert sum(use.ticks) == machine.clock
    assert use.entered == (0, 3, 1, 0)
    assert use.flapped == (0, 1, 0, 0)
    assert use.ticks[E] == 2 * DWELL_TICKS
    assert use.ticks[H] == 0  # the tick that changes a tier counts to the one before it
    assert TierMachine.from_bytes(machine.to_bytes()).use == use
    assert (use + use).entered == (0, 6, 2, 0)


def test_use_of_published_states_counts_what_subscribers_saw() -> None:
    state = cast("RiskState", from_plain(topics.RISK_STATES, json.loads(EXAMPLE.read_text())))
    steps = [(N, E, 0), (E, N, 40), (N, H, 80), (H, E, 200), (E, H, 261)]
    told = [replace(state, tier_before=a, tier=b, tick_ns=at * NS_PER_S) for a, b, at in steps]
    use = use_of(told)
    assert use.entered == (0, 2, 2, 0)
    assert use.flapped == (0, 1, 0, 0)


def test_anomaly_that_is_not_adverse_never_tightens() -> None:
    assert after(*[20.0] * 50, adverse=False) is N


def test_tier_is_left_one_step_at_a_time_after_the_dwell() -> None:
    machine = TierMachine()
    for _ in range(2):
        machine.step(5.5, LEVELS, adverse=True)
    seen = [machine.step(0.0, LEVELS, adverse=True) for _ in range(2 * DWELL_TICKS)]
    assert seen.index(E) == DWELL_TICKS - 1
    assert seen.index(N) == 2 * DWELL_TICKS - 1


def test_one_tick_above_the_exit_level_starts_the_dwell_again() -> None:
    machine = TierMachine(tier=E)
    for _ in range(DWELL_TICKS - 1):
        machine.step(0.0, LEVELS, adverse=True)
    machine.step(2.5, LEVELS, adverse=True)
    for _ in range(DWELL_TICKS - 1):
        assert machine.step(0.0, LEVELS, adverse=True) is E
    assert machine.step(0.0, LEVELS, adverse=True) is N


def test_critical_never_falls_by_itself() -> None:
    machine = TierMachine(tier=C)
    assert all(machine.step(0.0, LEVELS, adverse=True) is C for _ in range(5 * DWELL_TICKS))
    assert machine.latched


def test_release_holds_against_the_same_evidence_but_not_against_worse() -> None:
    machine = critical()
    assert machine.release()
    assert [machine.step(9.5, LEVELS, adverse=True) for _ in range(3)] == [H, H, H]
    assert machine.step(10.1, LEVELS, adverse=True) is C


def test_release_is_spent_once_the_score_was_calm() -> None:
    machine = critical()
    machine.release()
    machine.step(1.0, LEVELS, adverse=True)
    assert [machine.step(8.5, LEVELS, adverse=True) for _ in range(3)] == [H, H, C]


def test_release_without_critical_does_nothing() -> None:
    machine = TierMachine(tier=H)
    assert not machine.release()
    assert machine.tier is H


@given(st.lists(st.tuples(st.floats(0, 12), st.booleans()), max_size=400))
def test_no_path_loosens_faster_than_the_dwell_and_state_survives(steps: list[tuple[float, bool]]) -> None:
    machine, calm = TierMachine(), 0
    for score, adverse in steps:
        before = machine.tier
        calm = calm + 1 if not adverse or score < LEVELS.leave[before] else 0
        machine = TierMachine.from_bytes(machine.to_bytes())
        tier = machine.step(score, LEVELS, adverse=adverse)
        assert tier >= before - 1
        if tier < before:
            assert before is not C
            assert calm >= DWELL_TICKS
