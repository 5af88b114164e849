"""The tier machine: enter fast, leave slowly, Critical waits for a person."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.tiers import DWELL_TICKS, TierLevels, TierMachine
from schemas.records import Tier

LEVELS = TierLevels(enter=(0.0, 3.0, 5.0, 8.0), leave=(0.0, 2.0, 4.0, 6.0))
N, E, H, C = Tier


def after(*scores: float, adverse: bool = True) -> Tier:
    machine = TierMachine()
    for score in scores:
        machine.step(score, LEVELS, adverse=adverse)
    return machine.tier


@pytest.mark.parametrize(
    ("scores", "tier"),
    [
        ((9.0,), C),  # Critical needs one tick
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
    machine = TierMachine()
    machine.step(9.0, LEVELS, adverse=True)
    assert machine.release()
    assert [machine.step(9.5, LEVELS, adverse=True) for _ in range(3)] == [H, H, H]
    assert machine.step(10.1, LEVELS, adverse=True) is C


def test_release_is_spent_once_the_score_was_calm() -> None:
    machine = TierMachine()
    machine.step(9.0, LEVELS, adverse=True)
    machine.release()
    machine.step(1.0, LEVELS, adverse=True)
    assert machine.step(8.5, LEVELS, adverse=True) is C


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
