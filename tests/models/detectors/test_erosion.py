"""Erosion and silence: what is dangerous scores, what is safe does not, and activity explains what it can and no more."""

import numpy as np
import numpy.typing as npt
import pytest

from features.spec import FEATURES
from models.detectors.erosion import DEARER, EVENTS_PER_UNIT, GRACE_EVENTS, SIDES, Erosion, Silence
from models.detectors.views import HORIZONS, SILENCE, VIEWED_NAMES
from tests.models.detectors.made import WIDE, viewed, views

F64 = npt.NDArray[np.float64]
ROWS = 4_000
BOTH = dict.fromkeys(SIDES["bid"] + SIDES["ask"])


def slow(seed: int, rows: int = ROWS) -> F64:
    """Calm: liquidity of one common factor, and depth that grows by half of activity."""
    rng = np.random.Generator(np.random.PCG64(seed))
    made = 0.05 * rng.normal(size=(rows, HORIZONS, WIDE))
    activity, common = 0.2 * rng.normal(size=(2, rows, HORIZONS))
    for name in BOTH:
        sign = 1.0 if name in DEARER else -1.0
        made[..., VIEWED_NAMES.index(name)] += sign * (0.5 * common - 0.5 * activity)
    for name in ("add_rate", "cancel_rate"):
        made[..., VIEWED_NAMES.index(name)] += activity
    return made


def moved(names: list[str] | tuple[str, ...] | dict[str, None], by: float) -> F64:
    """One row in which features went ``by`` in the dangerous direction, others not at all."""
    made = np.zeros((1, HORIZONS, WIDE))
    for name in names:
        made[..., VIEWED_NAMES.index(name)] = by if name in DEARER else -by
    return made


@pytest.fixture(scope="module")
def measure() -> Erosion:
    made = Erosion(1)
    made.fit([viewed(np.zeros((ROWS, 21)), 1, slow(1)), viewed(np.zeros((ROWS, 21)), 2, slow(2))], 7)
    return made


def error(measure: Erosion, averages: F64) -> float:
    return float(measure.parts(views(slow=averages)).sum())


def test_signs_of_the_pattern_are_those_of_the_specification() -> None:
    adverse = {feature.name: feature.adverse for feature in FEATURES}
    assert {name: 1 if name in DEARER else -1 for name in BOTH} == {name: adverse[name] for name in BOTH}


def test_calm_is_about_one_and_erosion_far_above(measure: Erosion) -> None:
    usual = measure.parts(views(slow=slow(3))).sum(axis=1)
    assert 0.3 < usual.mean() < 2.0
    assert error(measure, moved(BOTH, 0.5)) > 1.5 * np.quantile(usual, 0.999)


@pytest.mark.parametrize("side", ["bid", "ask"])
def test_erosion_of_one_side_scores_and_is_named(measure: Erosion, side: str) -> None:
    parts = measure.parts(views(slow=moved(SIDES[side], 0.6)))[0]
    assert parts.sum() > 10
    assert {VIEWED_NAMES[column] for column in np.flatnonzero(parts)} <= set(SIDES[side])


def test_deeper_and_cheaper_is_no_danger(measure: Erosion) -> None:
    assert error(measure, moved(BOTH, -1.0)) == 0.0


def test_loss_that_activity_explains_scores_less_than_one_that_it_does_not(measure: Erosion) -> None:
    lost = moved(BOTH, 0.3)
    quiet = lost.copy()
    quiet[..., [VIEWED_NAMES.index(name) for name in ("add_rate", "cancel_rate")]] = -0.6
    assert error(measure, quiet) < 0.25 * error(measure, lost)


def test_activity_beyond_all_calm_promises_no_more_depth(measure: Erosion) -> None:
    rates = [VIEWED_NAMES.index(name) for name in ("add_rate", "cancel_rate")]
    news, more = moved((), 0.0), moved((), 0.0)
    news[..., rates], more[..., rates] = 0.2 * 3.5, 5.0
    assert error(measure, news) == error(measure, more)


def test_horizons_read_their_own_averages() -> None:
    calm = viewed(np.zeros((ROWS, 21)), 1, slow(4))
    found = []
    for horizon in range(HORIZONS):
        measure = Erosion(horizon)
        measure.fit([calm], 7)
        averages = np.zeros((1, HORIZONS, WIDE))
        averages[:, 2] = moved(BOTH, 0.5)[:, 2]
        found.append(error(measure, averages))
    assert found[0] == found[1] == 0.0
    assert found[2] > 5


def test_silence_begins_to_count_after_its_grace() -> None:
    seen = views(slow=np.zeros((3, HORIZONS, WIDE)))
    seen.missed[:] = (0.0, GRACE_EVENTS, GRACE_EVENTS + 2 * EVENTS_PER_UNIT)
    parts = Silence().parts(seen)
    assert parts.sum(axis=1).tolist() == [0.0, 0.0, 2.0]
    assert parts[2, SILENCE] == 2.0
