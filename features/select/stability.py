"""The choice of one fold, made again and again on resampled blocks of its past: what stays is stable.

Invariant: a ``Study`` holds the rows that a fold may learn from and nothing else. Canaries choose along: columns that know
nothing. A feature that stays no more often than they do says nothing that chance does not.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from features.select.clusters import PastRanks, clusters_of, spearman
from features.select.folds import Fold, Walk, blocks_of, resample, walk_forward
from features.select.importance import (
    Draw,
    Features,
    Ids,
    Moments,
    Vector,
    design,
    eliminate,
    mutual_information,
    smallest_good,
)

Places = npt.NDArray[np.int64]

CANARIES: Final = ("canary_noise", "canary_slow_noise", "canary_shuffled_future")
"""White noise, noise that decays as slowly as the slowest features, and the target itself in an order of chance."""

QUIET_CANARIES: Final = ("canary_noise", "canary_shuffled_future")

CANARY_HALF_LIFE_S: Final = 60.0
INNER_FOLDS: Final = 2
FREQUENCY_MIN: Final = 0.6
"""A feature is stable when it stays in at least this part of the runs (Meinshausen and Bühlmann 2010: 0.6 to 0.9)."""

CHANCE_FREQUENCY_MAX: Final = 0.2
"""White noise and the shuffled future stay in at most this part of the runs, or the selection is not to be believed. Slow
noise may stay more often: a short past holds only a few of its turns, and they fit something. It raises the bar instead."""

BOOTSTRAP_MI_ROWS_MAX: Final = 1_000
CHANCE_DRAWS: Final = 3
"""Chance levels averaged on the fold's own rows; a resampled run takes one."""


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows that have a target, in time order.

    Attributes:
        values: ``(n, features)``, NaN = null.
        y: ``(n,)`` target.
        instrument_id: ``(n,)``.
        tick_ns: ``(n,)``.
    """

    values: Vector = field(repr=False)
    y: Vector = field(repr=False)
    instrument_id: Ids = field(repr=False)
    tick_ns: Places = field(repr=False)

    def take(self, rows: Places) -> "Rows":
        """Return some of the rows."""
        return Rows(self.values[rows], self.y[rows], self.instrument_id[rows], self.tick_ns[rows])


@dataclass(frozen=True, slots=True)
class Plan:
    """How to choose.

    Attributes:
        walk: Horizon and embargo; the number of folds is that of the outer walk.
        bootstraps: Resampled runs a fold.
        block_ns: Length of the blocks that are resampled.
        mi_rows_max: Most rows for mutual information.
        overlap: Rows of an instrument in one horizon, at least 1.
        seed: Of everything drawn.
    """

    walk: Walk
    bootstraps: int
    block_ns: int
    mi_rows_max: int
    overlap: float
    seed: int


@dataclass(frozen=True, slots=True)
class Choice:
    """What one run chose.

    Attributes:
        clusters: Cluster of each feature.
        kept: Features that stayed, canaries among them.
        subsets: Sets of features that were scored.
    """

    clusters: tuple[int, ...]
    kept: Features
    subsets: int


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """Ranks and centres learnt from some rows, and what they make of others."""

    ranks: PastRanks
    centre: dict[int, float]

    @classmethod
    def on(cls, rows: Rows) -> "Fitted":
        """Return what ``rows`` teach."""
        ids = rows.instrument_id
        centre = {int(one): float(rows.y[ids == one].mean()) for one in np.unique(ids)}
        return cls(PastRanks.fit(rows.values, ids), centre)

    def columns(self, rows: Rows) -> tuple[Vector, Vector]:
        """Return the design and the target less its instrument's past mean; NaN for an instrument never seen."""
        centre = np.array([self.centre.get(int(one), np.nan) for one in rows.instrument_id])
        return design(self.ranks.ranks(rows.values, rows.instrument_id)), rows.y - centre


@dataclass(frozen=True, slots=True, eq=False)
class _Inner:
    """One fold within the fold: learn from ``train``, be judged on ``test``; places in the study's rows."""

    train: Places
    test: Places
    x_train: Vector
    y_train: Vector
    x_test: Vector
    y_test: Vector


class Study:
    """One fold's past, ready to be chosen from any number of times.

    Clusters and their representatives are picked on the whole past, so a score within it flatters a little; it decides how
    many stay, and only test rows say how good they are.

    Raises:
        ValueError: Too little data for folds within the fold.
    """

    def __init__(self, past: Rows, plan: Plan, number: int) -> None:
        self._plan = plan
        canary_seed, self._draw_seed, bootstrap_seed = np.random.SeedSequence([plan.seed, number]).spawn(3)
        self._bootstrap_seeds = bootstrap_seed.spawn(plan.bootstraps)
        with_canaries = np.concatenate([past.values, canaries(past, np.random.default_rng(canary_seed))], axis=1)
        self.rows = Rows(with_canaries, past.y, past.instrument_id, past.tick_ns)
        fitted = Fitted.on(self.rows)
        self._x, self._y = fitted.columns(self.rows)
        self._ranks = fitted.ranks.ranks(with_canaries, past.instrument_id)
        walk = Walk(INNER_FOLDS, plan.walk.horizon_ns, plan.walk.embargo_ns)
        folds = walk_forward(past.tick_ns, np.ones(len(past.y), dtype=np.bool_), walk)
        self._inner = [self._fold_within(fold) for fold in folds]
        # The first fold's past, the gap after it, and each test: a resampled run has something of each.
        edges = [int(past.tick_ns[folds[0].train].max()) + 1, *(fold.test_from_ns for fold in folds)]
        self._strata = np.searchsorted(edges, past.tick_ns, "right").astype(np.int64)
        self._blocks = blocks_of(past.tick_ns, self._strata, plan.block_ns)

    def own(self) -> tuple[Choice, Vector, Vector]:
        """Return the choice on the rows as they are, and the mutual information and its chance level of each feature."""
        seeds = [int(seed) for seed in self._draw_seed.generate_state(CHANCE_DRAWS)]
        every = (np.arange(len(self._y)), np.arange(self._ranks.shape[1]))
        found = [self._information(Draw(self._plan.mi_rows_max, seed), *every) for seed in seeds]
        information = np.mean([mi for mi, _ in found], axis=0)
        chance = np.mean([level for _, level in found], axis=0)
        weights = np.ones(len(self._y))
        clusters = clusters_of(spearman(self._ranks, weights))
        return self._choose(weights, clusters, information - chance), information, chance

    def resampled(self) -> list[Choice]:
        """Return the choices on resampled blocks."""
        choices = []
        for seed in self._bootstrap_seeds:
            rng = np.random.default_rng(seed)
            weights = resample(self._blocks, self._strata, rng)
            clusters = clusters_of(spearman(self._ranks, weights))
            # Only members of a larger cluster compete for it. Each drawn row once: a repeated row would be its own neighbour.
            sizes = np.bincount(clusters)[list(clusters)]
            draw = Draw(min(BOOTSTRAP_MI_ROWS_MAX, self._plan.mi_rows_max), int(rng.integers(2**31)))
            information, chance = self._information(draw, np.flatnonzero(weights), np.flatnonzero(sizes > 1))
            above = np.zeros(len(clusters))
            above[sizes > 1] = information - chance
            choices.append(self._choose(weights, clusters, above))
        return choices

    def _choose(self, weights: Vector, clusters: tuple[int, ...], information: Vector) -> Choice:
        representatives = tuple(
            max((j for j, label in enumerate(clusters) if label == cluster), key=lambda j: (information[j], -j))
            for cluster in range(max(clusters) + 1)
        )
        losses, draws = [], []
        for inner in self._inner:
            moments = Moments.of(inner.x_train, inner.y_train, weights[inner.train], overlap=self._plan.overlap)
            path = eliminate(moments, representatives)
            said = inner.x_test @ np.stack([model.dense() for model in path], axis=1)
            errors = (inner.y_test[:, None] - said - [model.constant for model in path]) ** 2
            # Rows are in time order, so each block's rows stand together.
            _, first = np.unique(self._blocks[inner.test], return_index=True)
            losses.append(np.add.reduceat(errors, first, axis=0).T)
            draws.append(weights[inner.test][first])
        size = smallest_good(np.concatenate(losses, axis=1), np.concatenate(draws))
        moments = Moments.of(self._x, self._y, weights, overlap=self._plan.overlap)
        kept = eliminate(moments, representatives)[size].features
        return Choice(clusters, kept, len(self._inner) * (len(representatives) + 1))

    def _information(self, draw: Draw, rows: Places, columns: Places) -> tuple[Vector, Vector]:
        return mutual_information(
            self._ranks[np.ix_(rows, columns)], self._y[rows], self.rows.instrument_id[rows], draw=draw
        )

    def _fold_within(self, fold: Fold) -> _Inner:
        learnt = self.rows.take(fold.train)
        fitted = Fitted.on(learnt)
        test = fold.test[np.isin(self.rows.instrument_id[fold.test], list(fitted.centre))]
        if not len(test):
            raise ValueError("no instrument is in two successive parts of a fold's past: give more data")
        return _Inner(fold.train, test, *fitted.columns(learnt), *fitted.columns(self.rows.take(test)))


def canaries(rows: Rows, rng: np.random.Generator) -> Vector:
    """Return the columns of ``CANARIES``, ``(n, 3)``: none knows anything, the last is made of the rows' own targets."""
    from scipy.signal import lfilter  # noqa: PLC0415 - scipy is not in the runtime group

    made = rng.normal(size=(len(rows.y), len(CANARIES)))
    for instrument in np.unique(rows.instrument_id):
        own = np.flatnonzero(rows.instrument_id == instrument)
        step_s = float(np.median(np.diff(rows.tick_ns[own]))) / 1e9 if len(own) > 1 else 1.0
        keep = 2.0 ** (-step_s / CANARY_HALF_LIFE_S)
        made[own, 1] = lfilter([1.0], [1.0, -keep], made[own, 1])
        made[own, 2] = rng.permutation(rows.y[own])
    return made
