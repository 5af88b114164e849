"""Is the harness sane? Detectors on series whose anomalies are known: who must see which kind, who cannot, and chance at chance.

VUS-PR over five anomalies each, no point-adjust. What is asked follows from what a detector is: one that looks at each feature by
itself cannot see a correlation break, one without memory cannot see a season that jumps.
"""

import numpy as np
import pytest

from models.detectors.stack import Stack
from models.detectors.suite import SEED, SharedStack, StackView, simple_measures
from models.evaluation.blocks import Vector
from models.evaluation.protocol import Detector
from tests.models.evaluation.known_series import KINDS, ROWS, Kind, Known, calm_series, judged, known_series

pytestmark = pytest.mark.slow

SEES, BLIND = 0.55, 0.05
"""VUS-PR from which on an anomaly is seen, and how far from chance one may be that is not."""

Table = dict[tuple[str, str], float]


@pytest.fixture(scope="module")
def series() -> dict[Kind, Known]:
    return {kind: known_series(kind, 11) for kind in KINDS}


@pytest.fixture(scope="module")
def table(series: dict[Kind, Known]) -> Table:
    """Kind and detector → VUS-PR."""
    measures = simple_measures()
    shared = SharedStack(Stack(measures, SEED))
    detectors: list[Detector] = [StackView(one.name, shared, [n]) for n, one in enumerate(measures)]
    past = [calm_series(number) for number in range(6)]
    for detector in detectors:
        detector.fit(past)
    return {
        (kind, one.name): judged(one.score(known.block), known) for kind, known in series.items() for one in detectors
    }


def chance(known: Known) -> float:
    """Return the mean VUS-PR of scores that know nothing."""
    rng = np.random.default_rng(5)
    return float(np.mean([judged(rng.random(ROWS), known) for _ in range(5)]))


@pytest.mark.parametrize("kind", KINDS)
def test_random_scores_are_at_chance_and_the_labels_are_perfect(series: dict[Kind, Known], kind: Kind) -> None:
    known = series[kind]
    labels: Vector = np.zeros(ROWS)
    for first, last in known.ranges:
        labels[first : last + 1] = 1.0
    judged_rows = ROWS - known.ranges[0, 0] + 500
    assert chance(known) == pytest.approx(labels.sum() / judged_rows, abs=0.03)
    assert judged(labels, known) > 0.6  # the shoulders of the surface take their part of short spikes
    assert judged(-labels, known) < chance(known)


@pytest.mark.parametrize(
    ("kind", "detector"),
    [
        ("spikes", "max_z"),
        ("spikes", "mahalanobis"),
        ("level", "max_z"),
        ("level", "mahalanobis"),
        ("level", "pca"),
        ("variance", "l2"),
        ("variance", "max_z"),
        ("variance", "clusters"),
        ("season", "forecast"),
        ("correlation", "pca"),
        ("correlation", "mahalanobis"),
        ("correlation", "forecast"),
    ],
)
def test_is_seen_by(table: Table, kind: Kind, detector: str) -> None:
    assert table[kind, detector] > SEES, table


@pytest.mark.parametrize(
    ("kind", "detector"),
    [
        ("season", "max_z"),
        ("season", "l2"),
        ("season", "pca"),
        ("season", "mahalanobis"),
        ("correlation", "l2"),
        *((kind, "silence") for kind in KINDS),
        ("spikes", "erosion_20s"),
    ],
)
def test_cannot_be_seen_by(table: Table, series: dict[Kind, Known], kind: Kind, detector: str) -> None:
    assert table[kind, detector] < chance(series[kind]) + BLIND, table


@pytest.mark.parametrize(
    ("kind", "better", "worse"),
    [
        ("spikes", "max_z", "l2"),  # one wild feature drowns in the length of all
        ("correlation", "pca", "max_z"),  # no feature by itself is strange
        ("correlation", "mahalanobis", "l2"),
        ("season", "forecast", "pca"),  # only memory knows what should have come
        ("level", "mahalanobis", "l2"),
    ],
)
def test_known_ordering(table: Table, kind: Kind, better: str, worse: str) -> None:
    assert table[kind, better] > 1.3 * table[kind, worse], table


def test_a_lucky_tick_inside_every_anomaly_does_not_make_them_found(series: dict[Kind, Known]) -> None:
    # With point-adjust this score would be perfect.
    known = series["level"]
    lucky: Vector = np.zeros(ROWS)
    lucky[known.ranges[:, 0] + 70] = 1.0
    assert judged(lucky, known) < 0.3
