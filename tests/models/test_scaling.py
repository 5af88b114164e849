"""The scaler: causal, bounded influence, cold starts, and state that continues bit for bit."""

import itertools
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.spec import FEATURE_NAMES, FEATURES, SCORED, SCORED_NAMES
from models.scaling import WARMUP_TICKS, WINDOW_TICKS, Z_MAX, Prior, Scaler, transform
from schemas.events import TickStatus
from schemas.ticks import Ticks

COUNT = len(SCORED)
Make = Callable[..., Ticks]


def calm(count: int, seed: int, instruments: int = 1) -> npt.NDArray[np.float64]:
    """Values whose transform is normal with location 2 and scale 0.5."""
    moved = np.random.Generator(np.random.PCG64(seed)).normal(2.0, 0.5, (count, instruments, COUNT))
    values = moved.copy()
    for j, feature in enumerate(SCORED):
        if feature.transform == "log1p":
            values[..., j] = np.expm1(moved[..., j])
        elif feature.transform == "asinh":
            values[..., j] = np.sinh(moved[..., j])
    return values


def test_transform_undoes_what_the_spec_says_and_keeps_nulls() -> None:
    values = calm(50, 1)[:, 0]
    values[3, 4] = np.nan
    moved = transform(values)
    assert np.isnan(moved[3, 4])
    assert abs(float(np.nanmean(moved)) - 2.0) < 0.1
    assert np.isfinite(transform(np.full((1, COUNT), np.inf))).all()


def test_known_instrument_is_scored_once_its_windows_are_filled(priors: dict[int, Prior], make_ticks: Make) -> None:
    scored = Scaler(priors).step(make_ticks(calm(WINDOW_TICKS + 5, 2))).scored
    assert not scored[:WINDOW_TICKS].any()
    assert scored[WINDOW_TICKS:].all()


def test_unknown_instrument_is_scored_after_its_warm_up_on_its_own_scale(make_ticks: Make) -> None:
    scaled = Scaler({}).step(make_ticks(calm(4_000, 3)))
    assert not scaled.scored[:WARMUP_TICKS].any()
    assert scaled.scored[WARMUP_TICKS:].all()
    late = scaled.z[-1_000:]
    assert abs(float(late.mean())) < 0.15
    assert 0.8 < float(late.std()) < 1.25


def test_feature_that_comes_late_scores_zero_until_its_own_warm_up_is_over(make_ticks: Make) -> None:
    values = calm(3 * WARMUP_TICKS, 4)
    late = SCORED_NAMES.index("liquidity_decay_s")
    values[: WARMUP_TICKS + 50, 0, late] = np.nan
    z = Scaler({}).step(make_ticks(values)).z[:, late]
    assert not z[: 2 * WARMUP_TICKS + 50].any()
    assert z[2 * WARMUP_TICKS + 60 :].any()
    assert np.abs(z).max() < 6


def test_feature_that_training_never_saw_warms_up_although_the_instrument_is_known(make_ticks: Make) -> None:
    location, scale = np.full(COUNT, 2.0), np.full(COUNT, 0.5)
    location[5] = scale[5] = np.nan
    scaled = Scaler({1: Prior(location, scale)}).step(make_ticks(calm(WARMUP_TICKS, 5)))
    assert scaled.scored[-1]
    assert not scaled.z[:, 5].any()
    assert scaled.z[-1, 4] != 0


def test_null_scores_zero_and_does_not_move_the_ruler(priors: dict[int, Prior], make_ticks: Make) -> None:
    values = calm(WINDOW_TICKS + 10, 6)
    values[WINDOW_TICKS:, 0, 3] = np.nan
    with_null, without = Scaler(priors), Scaler(priors)
    z = with_null.step(make_ticks(values)).z
    without.step(make_ticks(values[:WINDOW_TICKS]))
    assert not z[WINDOW_TICKS:, 3].any()
    assert with_null.ruler(1).location[3] == without.ruler(1).location[3]


def test_stale_rows_are_neither_scored_nor_learned_from(priors: dict[int, Prior], make_ticks: Make) -> None:
    scaler = Scaler(priors)
    scaler.step(make_ticks(calm(200, 7)))
    before = scaler.ruler(1).location
    stale = scaler.step(make_ticks(calm(10, 8) * 50, first=201, status=int(TickStatus.STALE)))
    assert not stale.scored.any()
    assert not stale.z.any()
    assert (scaler.ruler(1).location == before).all()


def test_crisis_of_15_s_moves_the_ruler_by_less_than_a_fifth_of_a_scale(
    priors: dict[int, Prior], make_ticks: Make
) -> None:
    scaler = Scaler(priors)
    scaler.step(make_ticks(calm(200, 9)))
    before = scaler.ruler(1)
    z = scaler.step(make_ticks(np.full((150, 1, COUNT), 1e12), first=201)).z
    assert (z == Z_MAX).all()
    after = scaler.ruler(1)
    assert (np.abs(after.location - before.location) / before.scale < 0.2).all()
    assert (after.scale / before.scale < 1.05).all()


def test_ticks_seen_before_are_left_out_and_change_nothing(priors: dict[int, Prior], make_ticks: Make) -> None:
    message = make_ticks(calm(150, 10, 2), instrument_ids=(1, 2))
    scaler = Scaler(priors)
    scaler.step(message)
    before = scaler.to_bytes()
    assert len(scaler.step(message).tick_ns) == 0
    assert scaler.to_bytes() == before


@pytest.mark.parametrize("known", [True, False])
def test_restored_scaler_goes_on_bit_for_bit(priors: dict[int, Prior], make_ticks: Make, *, known: bool) -> None:
    priors = priors if known else {}
    scaler = Scaler(priors)
    scaler.step(make_ticks(calm(700, 11, 2), instrument_ids=(1, 2)))
    restored = Scaler.from_bytes(scaler.to_bytes(), priors)
    later = make_ticks(calm(50, 12, 2), instrument_ids=(1, 2), first=701)
    assert restored.step(later).z.tobytes() == scaler.step(later).z.tobytes()
    assert restored.to_bytes() == scaler.to_bytes()


@settings(max_examples=20, deadline=None)
@given(cuts=st.sets(st.integers(1, 149), max_size=6))
def test_law_many_messages_and_one_message_give_the_same(cuts: set[int]) -> None:
    whole = calm(150, 13)
    at_once, piecewise = Scaler({}), Scaler({})
    make = _maker()
    at_once.step(make(whole))
    edges = [0, *sorted(cuts), 150]
    for start, end in itertools.pairwise(edges):
        piecewise.step(make(whole[start:end], first=start + 1))
    assert at_once.to_bytes() == piecewise.to_bytes()


@pytest.mark.parametrize("damage", [lambda raw: raw[:-1], lambda raw: raw[:3], lambda raw: b"\xff\xff" + raw[2:]])
def test_damaged_state_is_refused(priors: dict[int, Prior], make_ticks: Make, damage: Callable[[bytes], bytes]) -> None:
    scaler = Scaler(priors)
    scaler.step(make_ticks(calm(5, 14)))
    with pytest.raises(ValueError, match="scaler state"):
        Scaler.from_bytes(damage(scaler.to_bytes()), priors)


def _maker() -> Make:
    def make(values: npt.NDArray[np.float64], *, first: int = 1) -> Ticks:
        rows = len(values)
        return Ticks(
            "TEST", 1, "", SCORED_NAMES, np.arange(first, first + rows, dtype=np.int64), np.ones(rows, np.uint32),
            np.zeros(rows, np.uint32), np.zeros(rows, np.int64), values.reshape(rows, -1),
        )  # fmt: skip

    return make


def test_features_that_models_do_not_read_change_nothing(priors: dict[int, Prior], make_ticks: Make) -> None:
    values = calm(120, 15)
    rest = np.random.Generator(np.random.PCG64(16)).normal(size=(120, 1, len(FEATURES) - COUNT)) * 1e6
    with_rest = Scaler(priors).step(make_ticks(np.concatenate([values, rest], axis=2)))
    without = Scaler(priors).step(make_ticks(values))
    assert with_rest.z.tobytes() == without.z.tobytes()
    assert with_rest.values.tobytes() == without.values.tobytes()
    assert FEATURE_NAMES[:COUNT] == SCORED_NAMES
