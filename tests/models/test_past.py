"""What earlier sessions teach: the shape of the day, priors without it, and a start for instruments never seen."""

import numpy as np
import numpy.typing as npt
import pytest

from features.spec import FEATURE_NAMES, SCORED, SPEC_HASH
from models.evaluation.blocks import TickBlock
from models.past import BUCKET_NS, DAY_NS, fit_past
from models.scaling import WARMUP_TICKS, WINDOW_TICKS, Scaler
from schemas.events import TickStatus
from schemas.ticks import Ticks
from schemas.units import TICK_NS

COUNT = len(SCORED)
HALF_HOUR = BUCKET_NS // TICK_NS
EDGE = 20 * HALF_HOUR
"""Number of the tick at which half hour 20 of a day begins."""

ROWS = 1_200


def session(day: int, instrument: int = 1, *, jump: float = 0.0, level: float = 3.0) -> TickBlock:
    """Return a minute on either side of an edge of half hours; from the edge on all features lie ``jump`` higher."""
    rng = np.random.Generator(np.random.PCG64(100 * day + instrument))
    moved = level + 0.2 * rng.normal(size=(ROWS, COUNT))
    moved[ROWS // 2 :] += jump
    values = np.zeros((ROWS, len(FEATURE_NAMES)))
    for column, feature in enumerate(SCORED):
        if feature.transform == "log1p":
            values[:, column] = np.expm1(moved[:, column])
        else:
            values[:, column] = np.sinh(moved[:, column]) if feature.transform == "asinh" else moved[:, column]
    ticks = np.arange(EDGE - ROWS // 2, EDGE + ROWS // 2, dtype=np.int64)
    status, price = np.zeros(ROWS, np.uint32), np.full(ROWS, 10**11, np.int64)
    return TickBlock(f"{day}/{instrument}", instrument, day * DAY_NS + ticks * TICK_NS, values, status, price)


def message(block: TickBlock) -> Ticks:
    who = np.full(len(block), block.instrument_id, dtype=np.uint32)
    return Ticks("T", 0, SPEC_HASH, FEATURE_NAMES, block.tick_ns, who, block.status, block.ref_price, block.values)


def middle_ns(bucket: int) -> npt.NDArray[np.int64]:
    return np.array([bucket * BUCKET_NS + BUCKET_NS // 2], dtype=np.int64)


ONE = np.ones(1, dtype=np.uint32)


def test_shape_of_the_day_is_found_shrunk_by_how_few_sessions_showed_it() -> None:
    past = fit_past([session(day, jump=1.0) for day in range(9)])
    early, late = (past.unseason(np.full((1, COUNT), 3.0), middle_ns(bucket), ONE)[0] for bucket in (19, 20))
    ratio = past.shape.ratio[past.shape.rows[1], 20]
    wanted = 8 / (8 + 4)  # nine sessions, the first for nothing, half trust at four
    assert ((early - late) * ratio).mean() == pytest.approx(wanted, abs=0.05)
    assert (ratio < 1).all()  # within a half hour values lie closer together than over the session


def test_one_session_shows_no_shape() -> None:
    past = fit_past([session(1, jump=1.0)])
    moved = np.full((1, COUNT), 2.5)
    assert (past.unseason(moved, middle_ns(20), ONE) == moved).all()


def test_half_hours_and_instruments_without_a_past_are_left_alone() -> None:
    past = fit_past([session(day, jump=1.0) for day in range(5)])
    moved = np.full((1, COUNT), 2.5)
    assert (past.unseason(moved, middle_ns(3), ONE) == moved).all()
    assert (past.unseason(moved, middle_ns(20), np.full(1, 9, np.uint32)) == moved).all()


def test_shape_changes_without_a_jump_across_edges_and_midnight() -> None:
    past = fit_past([session(day, jump=1.0) for day in range(9)])
    moved = np.full((2, COUNT), 3.0)
    for edge_ns in (20 * BUCKET_NS, 20 * BUCKET_NS + BUCKET_NS // 2, DAY_NS):
        before, after = past.unseason(moved, np.array([edge_ns - 1, edge_ns + 1]), np.ones(2, np.uint32))
        assert before == pytest.approx(after, abs=1e-6)


def test_known_shape_makes_the_usual_jump_ordinary() -> None:
    earlier = [session(day, jump=1.0) for day in range(20)]
    jumps = []
    for past in (fit_past(earlier), fit_past(earlier[:1])):
        scaler = Scaler(past.priors, past)
        # Away from the edge, about the middles of both half hours: what is usual there now and was on all days before.
        calm, shifted = session(30), session(31, level=4.0)
        calm.tick_ns[:] = 30 * DAY_NS + middle_ns(19) + np.arange(-ROWS // 2, ROWS // 2) * TICK_NS
        shifted.tick_ns[:] = 30 * DAY_NS + middle_ns(20) + np.arange(-ROWS // 2, ROWS // 2) * TICK_NS
        before, after = scaler.step(message(calm)).z[200:], scaler.step(message(shifted)).z
        jumps.append(float(np.abs(after.mean(axis=0) - before.mean(axis=0)).mean() / after.std(axis=0).mean()))
    assert jumps[0] < 0.4 * jumps[1]


def test_newcomer_starts_from_its_group_and_is_scored_once_windows_are_filled() -> None:
    blocks = [session(day, instrument, level=2.0 + instrument) for day in range(2) for instrument in (1, 2, 3)]
    past = fit_past(blocks, {1: "liquid", 2: "liquid", 3: "thin", 4: "liquid", 5: "nowhere"})
    liquid, thin = past.group_priors["liquid"], past.group_priors["thin"]
    assert liquid.location == pytest.approx(3.5, abs=0.1)
    assert thin.location == pytest.approx(5.0, abs=0.1)
    # Between members lies 0.5, within 0.2: a newcomer may be anywhere among them.
    assert (liquid.scale > 0.5).all()
    assert thin.scale == pytest.approx(1.5 * past.priors[3].scale)
    scaled = Scaler(past.priors, past).step(message(session(5, 4, level=3.2)))
    assert scaled.scored[WINDOW_TICKS:].all()
    assert np.abs(scaled.z).max() < 3
    stranger = Scaler(past.priors, past).step(message(session(5, 5)))
    assert not stranger.scored[:WARMUP_TICKS].any()


def test_stale_rows_and_nulls_teach_nothing() -> None:
    clean, dirty = session(1), session(1)
    dirty.values[5:50] = 1e6
    dirty.status[5:50] = int(TickStatus.STALE)
    clean.values[5:50] = np.nan
    one, other = fit_past([clean]).priors[1], fit_past([dirty]).priors[1]
    assert one.location == pytest.approx(other.location)
    assert one.scale == pytest.approx(other.scale)


def test_feature_that_was_never_seen_has_no_prior_and_scores_zero() -> None:
    blocks = [session(day) for day in range(3)]
    for block in blocks:
        block.values[:, 4] = np.nan
    past = fit_past(blocks)
    assert np.isnan(past.priors[1].location[4])
    z = Scaler(past.priors, past).step(message(session(4))).z
    assert not z[: WARMUP_TICKS - 1, 4].any()
    assert z[:, 3].any()


def test_no_session_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one past session"):
        fit_past([])
