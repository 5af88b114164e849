"""Clusters: how far a tick is from every calm pattern, and the names of the anomalies that come again.

Two uses of one mini-batch k-means (Sculley 2010): centres of calm rows, whose nearest one's distance is a measure; and
centres of the directions of unusual rows, each named by the features that make it, so that people read "depth_bid_5 down,
spread_bps up" and not a number, and see when an anomaly is like none before. Written here in numpy: a library would be a
runtime dependency for thirty lines. Rejected: HDBSCAN (quadratic, and no rule for a new row).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from features.spec import SCORED_NAMES
from models.detectors.interface import Arrays
from models.detectors.linear import learned_rows, widened
from models.detectors.views import F32, F64, ViewedBlock, Views

CALM_CENTRES: Final = 32
PATTERNS: Final = 8
BATCH: Final = 1_024
STEPS: Final = 120

UNUSUAL_PART: Final = 0.02
"""Longest part of past rows, whose directions patterns are made of."""

NOVEL_PART: Final = 0.01
"""Part of past unusual rows, not fitted on, that would have been called novel."""

NAMED_FEATURES: Final = 3
NAMED_PART: Final = 0.4
"""A pattern is named by its largest features, those of at least this part of the largest."""


def mini_batch_k_means(rows: F64, count: int, seed: int) -> F64:
    """Return ``(count, d)`` centres of ``(n, d)`` rows, fewer where there are fewer distinct rows.

    k-means++ on a first sample, then batches: a centre moves to the mean of all that it was ever given.

    Raises:
        ValueError: No rows.
    """
    if not len(rows):
        raise ValueError("k-means needs rows")
    rng = np.random.Generator(np.random.PCG64(seed))
    centres = _spread_out(rows[rng.integers(len(rows), size=min(len(rows), 8 * BATCH))], count, rng)
    given = np.zeros(len(centres))
    for _ in range(STEPS):
        batch = rows[rng.integers(len(rows), size=BATCH)]
        nearest = squared_distances(batch, centres).argmin(axis=1)
        members = np.bincount(nearest, minlength=len(centres)).astype(np.float64)
        sums = np.zeros_like(centres)
        np.add.at(sums, nearest, batch)
        given += members
        hit = members > 0
        centres[hit] += (sums[hit] - members[hit, None] * centres[hit]) / given[hit, None]
    return centres


def squared_distances(rows: F64, centres: F64) -> F64:
    """Return ``(n, count)`` squared distances, not negative."""
    squared = (rows**2).sum(axis=1)[:, None] - 2.0 * rows @ centres.T + (centres**2).sum(axis=1)
    return np.asarray(np.maximum(squared, 0.0))


class ClusterNovelty:
    """Squared distance to the nearest centre of calm rows."""

    name = "clusters"

    def __init__(self) -> None:
        self._centres = np.zeros((0, 0))

    def fit(self, past: Sequence[ViewedBlock], seed: int) -> None:
        """Learn the centres."""
        self._centres = mini_batch_k_means(learned_rows(past), CALM_CENTRES, seed)

    def parts(self, views: Views) -> F64:
        """Return ``(k, viewed features)`` parts."""
        z = views.window[:, -1].astype(np.float64)
        nearest = squared_distances(z, self._centres).argmin(axis=1)
        return widened(np.square(z - self._centres[nearest]))

    def arrays(self) -> Arrays:
        """Return all that was learned."""
        return {"centres": self._centres}

    def load(self, arrays: Arrays) -> None:
        """Take what :meth:`arrays` returned."""
        self._centres = arrays["centres"]


@dataclass(frozen=True, slots=True)
class Match:
    """What an unusual row is like.

    Attributes:
        pattern: Number of the nearest pattern.
        name: Its name: features and which way they point, the strongest first.
        distance: 1 - cosine to it.
        novel: Farther than past unusual rows are.
    """

    pattern: int
    name: str
    distance: float
    novel: bool


@dataclass(frozen=True, slots=True, eq=False)
class Patterns:
    """Anomalies that came again.

    Attributes:
        centres: ``(count, features)`` unit directions.
        names: Name of each.
        novel_from: Distance from which a row is like none of them.
    """

    centres: F64 = field(repr=False)
    names: tuple[str, ...]
    novel_from: float

    def match(self, z: F32 | F64) -> list[Match]:
        """Return what each of ``(k, features)`` robust scores is like."""
        away = 1.0 - _directions(z.astype(np.float64)) @ self.centres.T
        nearest = away.argmin(axis=1)
        return [
            Match(int(one), self.names[one], float(row[one]), bool(row[one] > self.novel_from))
            for one, row in zip(nearest, away, strict=True)
        ]


def fit_patterns(past: Sequence[ViewedBlock], seed: int) -> Patterns:
    """Return the patterns among the unusual rows of past sessions; every second row judges what is novel.

    Raises:
        ValueError: Fewer than two unusual rows.
    """
    rows = learned_rows(past)
    length = (rows**2).sum(axis=1)
    unusual = _directions(rows[length >= np.quantile(length, 1.0 - UNUSUAL_PART)]) if len(rows) else rows
    if len(unusual) < 2:
        raise ValueError(f"patterns need two unusual rows, were given {len(unusual)}")
    centres = _directions(mini_batch_k_means(unusual[::2], PATTERNS, seed))
    away = (1.0 - unusual[1::2] @ centres.T).min(axis=1)
    return Patterns(centres, tuple(_name(centre) for centre in centres), float(np.quantile(away, 1.0 - NOVEL_PART)))


def _spread_out(rows: F64, count: int, rng: np.random.Generator) -> F64:
    """Return starting centres, each drawn by its squared distance from those before it (Arthur, Vassilvitskii 2007)."""
    chosen = [rows[rng.integers(len(rows))]]
    away = ((rows - chosen[0]) ** 2).sum(axis=1)
    while len(chosen) < count and away.sum() > 0:
        chosen.append(rows[rng.choice(len(rows), p=away / away.sum())])
        away = np.minimum(away, ((rows - chosen[-1]) ** 2).sum(axis=1))
    return np.array(chosen)


def _directions(rows: F64) -> F64:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12))


def _name(centre: F64) -> str:
    strongest = np.argsort(-np.abs(centre), kind="stable")[:NAMED_FEATURES]
    named = strongest[np.abs(centre[strongest]) >= NAMED_PART * np.abs(centre).max()]
    return ", ".join(f"{SCORED_NAMES[one]} {'up' if centre[one] > 0 else 'down'}" for one in named)
