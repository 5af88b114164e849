"""Measures: parts that sum to the error, values computed by hand, and what each is blind to."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import MiniBatchKMeans  # type: ignore[import-untyped]

from features.spec import SCORED_NAMES
from models.detectors.clusters import fit_patterns, mini_batch_k_means, squared_distances
from models.detectors.interface import Measure
from models.detectors.linear import ForecastResidual, LargestScore, Length, Mahalanobis, PcaResidual
from models.detectors.suite import simple_measures
from models.detectors.views import HORIZONS, WINDOW
from tests.models.detectors.made import COUNT, WIDE, viewed, views

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]


def correlated(seed: int, rows: int) -> F64:
    """Three factors in all features, with a little noise."""
    rng = np.random.Generator(np.random.PCG64(seed))
    mixing = np.random.Generator(np.random.PCG64(0)).normal(size=(3, COUNT))
    return np.asarray(rng.normal(size=(rows, 3)) @ mixing / 1.7 + 0.2 * rng.normal(size=(rows, COUNT)))


def slow_like(seed: int, rows: int) -> F64:
    rng = np.random.Generator(np.random.PCG64(seed))
    return np.asarray(0.1 * rng.normal(size=(rows, HORIZONS, WIDE)))


def window(newest: F64, before: F64 | None = None) -> F32:
    made = np.zeros((1, WINDOW, COUNT), dtype=np.float32)
    made[0, :-1] = 0.0 if before is None else before
    made[0, -1] = newest
    return made


def error(measure: Measure, newest: F64, instrument: int = 1) -> float:
    return float(measure.parts(views(window(newest), instrument)).sum())


@pytest.fixture(scope="module")
def fitted() -> list[Measure]:
    measures = simple_measures()
    for measure in measures:
        measure.fit([viewed(correlated(n, 3_000), n, slow_like(n, 3_000)) for n in (1, 2)], 7)
    return measures


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.floats(0, 20), st.integers(1, 6))
def test_law_parts_are_finite_never_negative_and_row_by_row(
    fitted: Sequence[Measure], seed: int, size: float, rows: int
) -> None:
    rng = np.random.Generator(np.random.PCG64(seed))
    windows = np.clip(size * rng.normal(size=(rows, WINDOW, COUNT)), -20, 20).astype(np.float32)
    who = rng.integers(1, 4, rows).astype(np.uint32)
    seen = views(windows, who, size * slow_like(seed, rows))
    for measure in fitted:
        parts = measure.parts(seen)
        assert parts.shape == (rows, WIDE)
        assert np.isfinite(parts).all()
        assert (parts >= 0).all()
        for row in range(rows):
            alone = measure.parts(seen.of(slice(row, row + 1)))[0]
            assert parts[row] == pytest.approx(alone, rel=1e-6, abs=1e-9)


def test_what_was_learned_goes_through_arrays_bit_for_bit(fitted: Sequence[Measure]) -> None:
    rng = np.random.Generator(np.random.PCG64(12))
    seen = views(rng.normal(size=(40, WINDOW, COUNT)).astype(np.float32), 2, slow_like(13, 40))
    for measure, new in zip(fitted, simple_measures(), strict=True):
        new.load(measure.arrays())
        assert new.parts(seen).tobytes() == measure.parts(seen).tobytes(), measure.name


def test_largest_score_names_one_feature_and_length_all() -> None:
    newest = np.zeros(COUNT)
    newest[2], newest[5] = -4.0, 3.0
    assert LargestScore().parts(views(window(newest)))[0].tolist() == [16.0 if j == 2 else 0.0 for j in range(WIDE)]
    assert error(Length(), newest) == 25.0


def test_mahalanobis_of_its_own_past_is_about_the_number_of_features_and_finds_a_broken_correlation() -> None:
    measure = Mahalanobis()
    measure.fit([viewed(correlated(1, 6_000))], 7)
    rows = correlated(3, 2_000)
    windows = np.zeros((len(rows), WINDOW, COUNT), dtype=np.float32)
    windows[:, -1] = rows
    usual = measure.parts(views(windows)).sum(axis=1)
    # Shrinking widens the noise's variance from 0.04 to about 0.13, so its 18 directions count for less than one each.
    assert 5 < usual.mean() < COUNT
    flipped = rows[0].copy()
    flipped[np.abs(flipped).argmax()] *= -1
    assert error(measure, flipped) > np.quantile(usual, 0.99)
    assert error(Length(), flipped) == pytest.approx(float((rows[0] ** 2).sum()), rel=1e-5)


def test_recent_past_counts_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.detectors.linear.HALF_LIFE_ROWS", 500)
    monkeypatch.setattr("models.detectors.linear.SHRINK_ROWS", 1)
    rng = np.random.Generator(np.random.PCG64(4))
    calm, wild = rng.normal(size=(2_000, COUNT)), 3 * rng.normal(size=(2_000, COUNT))
    newest = np.full(COUNT, 2.0)
    found = []
    for order in ((wild, calm), (calm, wild)):
        measure = Mahalanobis()
        measure.fit([viewed(z) for z in order], 7)
        found.append(error(measure, newest))
    assert found[0] > 3 * found[1]


def test_unknown_instrument_is_judged_by_the_covariance_of_all(fitted: Sequence[Measure]) -> None:
    measure = next(one for one in fitted if one.name == "mahalanobis")
    newest = correlated(5, 1)[0]
    assert error(measure, newest, 77) == pytest.approx(error(measure, newest, 78))
    assert error(measure, newest, 77) == pytest.approx(error(measure, newest, 1), rel=0.2)


def test_pca_residual_lets_the_leading_components_pass_and_nothing_else() -> None:
    measure = PcaResidual()
    measure.fit([viewed(correlated(1, 6_000))], 7)
    mixing = np.random.Generator(np.random.PCG64(0)).normal(size=(3, COUNT))
    along = 8 * mixing[0] / np.linalg.norm(mixing[0])
    across = np.zeros(COUNT)
    across[4] = 8.0
    assert error(measure, along) < 0.05 * 64
    assert error(measure, across) > 0.5 * 64


def test_forecast_residual_is_small_for_what_goes_on_and_large_for_what_jumps() -> None:
    rng = np.random.Generator(np.random.PCG64(6))
    z = np.zeros((6_000, COUNT))
    for row in range(1, len(z)):
        z[row] = 0.98 * z[row - 1] + 0.2 * rng.normal(size=COUNT)
    measure = ForecastResidual()
    measure.fit([viewed(z)], 7)
    level = np.full(COUNT, 1.5)
    stays = measure.parts(views(window(level, level))).sum()
    jumps = measure.parts(views(window(level, np.zeros(COUNT)))).sum()
    assert stays < COUNT
    assert jumps > 20 * stays


def test_k_means_is_as_good_as_a_librarys() -> None:
    rng = np.random.Generator(np.random.PCG64(8))
    middles = rng.normal(0, 4, (6, COUNT))
    rows = middles[rng.integers(6, size=4_000)] + rng.normal(size=(4_000, COUNT))
    ours = squared_distances(rows, mini_batch_k_means(rows, 6, 7)).min(axis=1).sum()
    library = MiniBatchKMeans(6, random_state=7, n_init=3).fit(rows)
    assert ours < 1.1 * squared_distances(rows, library.cluster_centers_).min(axis=1).sum()


def test_k_means_is_the_same_for_the_same_seed_and_copes_with_few_distinct_rows() -> None:
    rows = correlated(9, 500)
    assert (mini_batch_k_means(rows, 5, 7) == mini_batch_k_means(rows, 5, 7)).all()
    assert len(mini_batch_k_means(np.repeat(rows[:2], 50, axis=0), 5, 7)) == 2
    with pytest.raises(ValueError, match="rows"):
        mini_batch_k_means(rows[:0], 5, 7)


def test_patterns_are_named_by_their_features_and_the_like_of_none_is_novel() -> None:
    rng = np.random.Generator(np.random.PCG64(10))
    z = 0.5 * rng.normal(size=(20_000, COUNT))
    spread, depth, volatility = (SCORED_NAMES.index(name) for name in ("spread_bps", "depth_bid_5", "realised_vol_60s"))
    thin, wild = np.zeros(COUNT), np.zeros(COUNT)
    thin[spread], thin[depth], wild[volatility] = 5.0, -5.0, 6.0
    z[::100] += thin
    z[50::100] += wild
    patterns = fit_patterns([viewed(z)], 7)
    like_thin, like_wild, unlike = patterns.match(np.array([2 * thin, wild, np.eye(COUNT)[13] * 6]))
    assert set(like_thin.name.split(", ")) == {"spread_bps up", "depth_bid_5 down"}
    assert like_wild.name == "realised_vol_60s up"
    assert not like_thin.novel
    assert not like_wild.novel
    assert unlike.novel


def test_patterns_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="two unusual rows"):
        fit_patterns([viewed(np.zeros((4, COUNT)))], 7)
