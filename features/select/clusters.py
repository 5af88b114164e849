"""Ranks of features against their own past, and clusters of features that rank alike."""

from dataclasses import dataclass, field
from typing import Final, Self

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]
Ids = npt.NDArray[np.uint32]

CUT: Final = 0.3
"""Features closer than this, 1 - |Spearman|, on average over their clusters, say the same thing."""


@dataclass(frozen=True, slots=True)
class PastRanks:
    """Each feature of each instrument ranked within the rows it was fitted on.

    Ranks need no transform per feature and no defence against outliers; per instrument, because which instrument moves
    most is not news. A value beyond the past gets the past's extreme rank.
    """

    _sorted: dict[int, list[Vector]] = field(repr=False)

    @classmethod
    def fit(cls, values: Vector, instrument_id: Ids) -> Self:
        """Return the ranks of ``values``, ``(n, features)``, NaN = null."""
        made = {}
        for instrument in np.unique(instrument_id):
            columns = values[instrument_id == instrument].T
            made[int(instrument)] = [np.sort(column[~np.isnan(column)]) for column in columns]
        return cls(made)

    def ranks(self, values: Vector, instrument_id: Ids) -> Vector:
        """Return ``(n, features)`` in (-0.5, 0.5), 0 = median, ties share the middle; NaN = null or never seen before."""
        out = np.full(values.shape, np.nan)
        for instrument, past in self._sorted.items():
            rows = np.flatnonzero(instrument_id == instrument)
            for column, known in enumerate(past):
                now = values[rows, column]
                if len(known):
                    middle = np.searchsorted(known, now, "left") + np.searchsorted(known, now, "right")
                    share = np.clip(middle / (2 * len(known)), 0.5 / len(known), 1 - 0.5 / len(known))
                    out[rows, column] = np.where(np.isnan(now), np.nan, share - 0.5)
        return out


def spearman(ranks: Vector, weights: Vector) -> Vector:
    """Return ``(features, features)`` rank correlations, weighted, over the rows where both are known.

    A feature that never changes, or is never known together with another, correlates 0 with it; the diagonal is 1.
    """
    known = (~np.isnan(ranks)).astype(np.float64)
    at = np.nan_to_num(ranks, nan=0.0)
    weighted, weights_known = at * weights[:, None], known * weights[:, None]
    both = weights_known.T @ known
    with np.errstate(invalid="ignore", divide="ignore"):
        # Row i, column j: feature i over the rows where j is known too.
        mean = (weighted.T @ known) / both
        variance = ((weighted * at).T @ known) / both - mean**2
        rho = ((weighted.T @ at) / both - mean * mean.T) / np.sqrt(variance * variance.T)
    rho = np.where((both > 0) & (variance > 1e-12) & (variance.T > 1e-12), rho, 0.0)
    symmetric: Vector = np.clip((rho + rho.T) / 2, -1.0, 1.0)
    np.fill_diagonal(symmetric, 1.0)
    return symmetric


def clusters_of(rho: Vector) -> tuple[int, ...]:
    """Return the cluster of each feature, numbered from 0 by first member: average linkage of 1 - |rho|, cut at ``CUT``."""
    from scipy.cluster.hierarchy import fcluster, linkage  # noqa: PLC0415 - scipy is not in the runtime group
    from scipy.spatial.distance import squareform  # noqa: PLC0415

    if len(rho) == 1:
        return (0,)
    distance = 1.0 - np.abs(rho)
    labels = fcluster(linkage(squareform(distance, checks=False), "average"), CUT, "distance")
    order: dict[int, int] = {}
    return tuple(order.setdefault(int(label), len(order)) for label in labels)
