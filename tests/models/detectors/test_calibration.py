"""Calibration: uniform where nothing happens, slow to learn a crisis, frozen when told."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.detectors.calibration import (
    FREEZE_ENTER,
    FREEZE_LEAVE,
    FREEZE_TICKS,
    CalibrationStart,
    Calibrator,
    Freeze,
    fit_calibration,
)

F64 = npt.NDArray[np.float64]
ONE = np.ones(1, dtype=np.uint32)


def errors(seed: int, count: int) -> F64:
    """Two measures: log-normal, and chi-squared with 21 degrees of freedom."""
    rng = np.random.Generator(np.random.PCG64(seed))
    return np.column_stack([np.exp(rng.normal(1.0, 0.5, count)), rng.chisquare(21, count)])


@pytest.fixture(scope="module")
def start() -> CalibrationStart:
    return fit_calibration([(instrument, errors(instrument, 2_000)) for instrument in range(1, 9)])


def followed(start: CalibrationStart, rows: F64, instrument: int = 1) -> F64:
    calibrator = Calibrator(start)
    slot = calibrator.slots(np.array([instrument], dtype=np.uint32))
    found = np.empty_like(rows)
    for n in range(len(rows)):
        found[n] = calibrator.p(slot, rows[n : n + 1])[0]
        calibrator.learn(slot, rows[n : n + 1])
    return found


@pytest.mark.parametrize("first", [1, 101])
def test_p_of_independent_calm_errors_is_uniform_for_the_known_and_the_unknown(
    start: CalibrationStart, first: int
) -> None:
    calibrator, rows = Calibrator(start), errors(10, 8 * 2_000).reshape(2_000, 8, 2)
    slots = calibrator.slots(np.arange(first, first + 8, dtype=np.uint32))
    found = []
    for tick in rows:
        found.append(calibrator.p(slots, tick))
        calibrator.learn(slots, tick)
    p = np.concatenate(found)
    for column in range(2):
        for level in (0.9, 0.5, 0.2, 0.1, 0.05):
            assert (p[:, column] <= level).mean() == pytest.approx(level, abs=0.03), (column, level)
        for level in (0.02, 0.005):
            assert 0.6 < (p[:, column] <= level).mean() / level < 1.6, (column, level)


def test_body_and_tail_meet(start: CalibrationStart) -> None:
    calibrator = Calibrator(start)
    slot = calibrator.slots(ONE)
    own = start.own[1]
    at = own[0] + own[1] * start.tail.threshold
    below, above = (calibrator.p(slot, (at * factor)[None])[0] for factor in (1 - 1e-9, 1 + 1e-9))
    assert below == pytest.approx(above, rel=1e-4)
    assert above == pytest.approx(0.02, rel=0.15)


@settings(max_examples=30, deadline=None)
@given(st.floats(1e-6, 1e9), st.floats(1e-6, 1e9))
def test_law_a_larger_error_is_never_more_probable(start: CalibrationStart, one: float, other: float) -> None:
    calibrator = Calibrator(start)
    slots = calibrator.slots(np.array([1, 1], dtype=np.uint32))
    low, high = calibrator.p(slots, np.array([[min(one, other)] * 2, [max(one, other)] * 2]))
    assert (high <= low).all()
    assert (high > 0).all()


def test_minute_of_slow_crisis_below_any_freeze_changes_what_is_normal_by_little(start: CalibrationStart) -> None:
    calibrator = Calibrator(start)
    slot = calibrator.slots(ONE)
    usual_late = np.quantile(errors(3, 20_000), 0.995, axis=0)[None]
    before = calibrator.p(slot, usual_late)
    for _ in range(600):
        calibrator.learn(slot, usual_late)
    after = calibrator.p(slot, usual_late)
    assert (np.abs(np.log10(after / before)) < 0.5).all()


def test_looking_teaches_nothing(start: CalibrationStart) -> None:
    calibrator, rows = Calibrator(start), errors(4, 50)
    slot = calibrator.slots(ONE)
    first = calibrator.p(slot, rows[:1])
    for row in rows:
        calibrator.p(slot, row[None] * 100)
    assert (calibrator.p(slot, rows[:1]) == first).all()


def test_instruments_together_are_as_each_alone(start: CalibrationStart) -> None:
    together, ids = Calibrator(start), np.array([1, 2, 7], dtype=np.uint32)
    rows = np.stack([errors(20 + n, 400) for n in range(3)], axis=1)
    slots = together.slots(ids)
    found = []
    for tick in rows:
        found.append(together.p(slots, tick))
        together.learn(slots, tick)
    for n, one in enumerate(ids.tolist()):
        assert np.array(found)[:, n] == pytest.approx(followed(start, rows[:, n], one), rel=1e-9)


def test_too_few_errors_are_refused() -> None:
    with pytest.raises(ValueError, match="1000"):
        fit_calibration([(1, errors(1, 999))])


def test_freeze_holds_until_the_score_was_low_for_half_a_minute() -> None:
    freeze, slot = Freeze(), np.zeros(1, dtype=np.intp)

    def step(score: float) -> bool:
        return bool(freeze.step(slot, np.array([score]))[0])

    assert not step(FREEZE_ENTER - 0.01)
    assert step(FREEZE_ENTER)
    assert all(step(FREEZE_LEAVE) for _ in range(2 * FREEZE_TICKS))
    assert all(step(0.0) for _ in range(FREEZE_TICKS - 1))
    assert not step(0.0)
    assert not step(FREEZE_LEAVE)


def test_calibration_goes_on_after_a_restart_bit_for_bit(start: CalibrationStart) -> None:
    rows, ids = errors(30, 3 * 400).reshape(400, 3, 2), np.array([1, 9, 77], dtype=np.uint32)
    calibrator = Calibrator(start)
    for tick in rows[:300]:
        calibrator.learn(calibrator.slots(ids), tick)
    raw = calibrator.to_bytes()
    again = Calibrator.from_bytes(raw, CalibrationStart.from_arrays(start.arrays()))
    assert again.to_bytes() == raw
    for tick in rows[300:]:
        for one in (calibrator, again):
            one.learn(one.slots(ids), tick)
    assert calibrator.to_bytes() == again.to_bytes()
    slots = calibrator.slots(ids)
    assert calibrator.p(slots, rows[0]).tobytes() == again.p(slots, rows[0]).tobytes()


def test_state_of_another_calibration_or_cut_short_is_refused(start: CalibrationStart) -> None:
    calibrator = Calibrator(start)
    calibrator.slots(ONE)
    raw = calibrator.to_bytes()
    narrow = fit_calibration([(1, errors(1, 2_000)[:, :1])])
    for wrong, of in ((b"", start), (raw[:-1], start), (raw + b"x", start), (raw, narrow)):
        with pytest.raises(ValueError, match="state of a calibration"):
            Calibrator.from_bytes(wrong, of)
    for wrong in (b"", b"\x01", b"\x01\x00abc"):
        with pytest.raises(ValueError, match="freeze"):
            Freeze.from_bytes(wrong)


def test_freeze_goes_on_after_a_restart() -> None:
    freeze, slots = Freeze(), np.arange(3, dtype=np.intp)
    freeze.step(slots, np.array([0.0, FREEZE_ENTER, 9.0]))
    again = Freeze.from_bytes(freeze.to_bytes())
    assert again.to_bytes() == freeze.to_bytes()
    assert again.step(slots, np.zeros(3)).tolist() == [False, True, True]


def test_error_of_a_measure_that_is_away_has_no_p_and_teaches_nothing(start: CalibrationStart) -> None:
    one, other = Calibrator(start), Calibrator(start)
    slot, rows = one.slots(ONE), errors(31, 300)
    other.slots(ONE)
    away = np.where([True, False], rows, np.nan)
    assert np.isnan(one.p(slot, away[:1])).tolist() == [[False, True]]
    for row, gone in zip(rows, away, strict=True):
        other.learn(slot, row[None])
        one.learn(slot, gone[None])
    usual = rows[:1]
    assert one.p(slot, usual)[0, 0] == other.p(slot, usual)[0, 0]
    untouched = Calibrator(start)
    assert one.p(slot, usual)[0, 1] == untouched.p(untouched.slots(ONE), usual)[0, 1]


def test_error_that_is_nearly_always_the_same_is_not_rare() -> None:
    rows = np.zeros((2_000, 1))
    rows[::400] = 3.0
    start = fit_calibration([(1, rows), (2, rows)])
    calibrator = Calibrator(start)
    slot = calibrator.slots(ONE)
    assert calibrator.p(slot, np.zeros((1, 1)))[0, 0] > 0.5
    assert calibrator.p(slot, np.full((1, 1), 3.0))[0, 0] < 0.01


def test_sessions_that_were_learned_from_tell_of_instruments_and_not_of_tails() -> None:
    calm, narrow = [(n, errors(n, 2_000)) for n in (1, 2)], errors(9, 2_000) * 0.1
    start = fit_calibration([(3, narrow), *calm], held_out_from=1)
    assert 3 in start.own
    with pytest.raises(ValueError, match="1000"):
        fit_calibration(calm, held_out_from=2)
