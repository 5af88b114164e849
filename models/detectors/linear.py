"""The measures that need no training loop: largest score, length, Mahalanobis, PCA residual, forecast residual.

They are baselines and a safety net at once: no network can reconstruct a gross outlier away from the first two. All read
the newest tick; the forecaster also the ticks before it. Moments come from scores clipped to ``LEARN_CLIP``, so that a
crisis hidden in the past bends them a little only. Pure numpy.
"""

import itertools
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from models.detectors.interface import Arrays
from models.detectors.views import F32, F64, VIEWED_NAMES, WINDOW, Ids, ViewedBlock, Views

LEARN_CLIP: Final = 6.0
"""Scores are clipped to this where a measure learns, never where it judges."""

HALF_LIFE_ROWS: Final = 234_000
"""Past rows of an instrument count half after a session of 6.5 h."""

SHRINK_ROWS: Final = 20_000
"""Rows (33 min) of its own at which an instrument's covariance counts as much as that of all."""

RIDGE: Final = 0.1
"""Part of the way to the identity that every covariance is shrunk, for features that move as one."""

VARIANCE_KEPT: Final = 0.9
RIDGE_PER_ROW: Final = 1e-3


class LargestScore:
    """Largest squared robust score: the part of one feature is the whole error."""

    name = "max_z"

    def fit(self, past: Sequence[ViewedBlock], seed: int) -> None:
        """Learn nothing."""

    def arrays(self) -> Arrays:
        """Return nothing."""
        return {}

    def load(self, arrays: Arrays) -> None:
        """Take nothing."""

    def parts(self, views: Views) -> F64:
        """Return ``(k, viewed features)`` parts."""
        squared = views.window[:, -1].astype(np.float64) ** 2
        largest = squared.argmax(axis=1)
        parts = np.zeros_like(squared)
        rows = np.arange(len(parts))
        parts[rows, largest] = squared[rows, largest]
        return widened(parts)


class Length:
    """Sum of squared robust scores."""

    name = "l2"

    def fit(self, past: Sequence[ViewedBlock], seed: int) -> None:
        """Learn nothing."""

    def arrays(self) -> Arrays:
        """Return nothing."""
        return {}

    def load(self, arrays: Arrays) -> None:
        """Take nothing."""

    def parts(self, views: Views) -> F64:
        """Return ``(k, viewed features)`` parts."""
        return widened(views.window[:, -1].astype(np.float64) ** 2)


class Mahalanobis:
    """Squared Mahalanobis distance by a covariance per instrument, exponentially weighted over past sessions and shrunk.

    An instrument's covariance is shrunk towards that of all by how little it was seen, and that towards the identity.
    The parts are squares of the symmetrically whitened scores (ZCA), which sum to the distance and stay next to their
    feature, unlike ``z_j (C^-1 z)_j``, which may be negative.
    """

    name = "mahalanobis"

    def __init__(self) -> None:
        self._known = np.zeros(0, dtype=np.int64)
        self._whiten = np.zeros((0, 0, 0))

    def fit(self, past: Sequence[ViewedBlock], seed: int) -> None:  # noqa: ARG002 - no chance in it
        """Learn the covariances."""
        width = past[0].z.shape[1]
        own: dict[int, tuple[float, F64]] = {}
        for block in past:
            z = _learned(block)
            weight = np.exp2(-np.arange(len(z))[::-1] / HALF_LIFE_ROWS)
            rows, second = own.get(block.instrument_id, (0.0, np.zeros((width, width))))
            faded = 0.5 ** (len(z) / HALF_LIFE_ROWS)
            own[block.instrument_id] = (
                rows * faded + float(weight.sum()),
                second * faded + (z * weight[:, None]).T @ z,
            )
        total = sum(rows for rows, _ in own.values())
        pooled = sum((second for _, second in own.values()), np.zeros((width, width))) / max(total, 1.0)
        whiten = [_whitening(pooled)]
        self._known = np.array(sorted(own), dtype=np.int64)
        for _, (rows, second) in sorted(own.items()):
            whiten.append(_whitening((second + SHRINK_ROWS * pooled) / (rows + SHRINK_ROWS)))
        self._whiten = np.array(whiten)

    def parts(self, views: Views) -> F64:
        """Return ``(k, viewed features)`` parts; an unknown instrument is judged by the covariance of all."""
        z = views.window[:, -1].astype(np.float64)
        row = self._places(views.instrument_id)
        if len(row) and (row == row[0]).all():  # a session of one instrument
            return widened(np.square(z @ self._whiten[row[0]]))
        return widened(np.square((z[:, None, :] @ self._whiten[row])[:, 0]))

    def arrays(self) -> Arrays:
        """Return all that was learned."""
        return {"instruments": self._known, "whiten": self._whiten}

    def load(self, arrays: Arrays) -> None:
        """Take what :meth:`arrays` returned."""
        self._known, self._whiten = arrays["instruments"], arrays["whiten"]

    def _places(self, instrument_id: Ids) -> npt.NDArray[np.intp]:
        """Return which covariance is whose; 0 = that of all."""
        if not len(self._known):
            return np.zeros(len(instrument_id), dtype=np.intp)
        place = np.minimum(np.searchsorted(self._known, instrument_id), len(self._known) - 1)
        return np.where(self._known[place] == instrument_id, place + 1, 0)


class PcaResidual:
    """Squared prediction error: what the leading components of past scores leave unexplained (Jackson, Mudholkar 1979)."""

    name = "pca"

    def __init__(self) -> None:
        self._residual = np.zeros((0, 0))

    def fit(self, past: Sequence[ViewedBlock], seed: int) -> None:  # noqa: ARG002 - no chance in it
        """Learn the components that hold ``VARIANCE_KEPT`` of the variance."""
        z = learned_rows(past)
        values, vectors = np.linalg.eigh(z.T @ z / max(len(z), 1))
        explained = np.cumsum(values[::-1]) / max(float(values.sum()), 1e-12)
        kept = int(np.searchsorted(explained, VARIANCE_KEPT)) + 1
        leading = vectors[:, ::-1][:, : min(kept, len(values) - 1)]
        self._residual = np.eye(len(values)) - leading @ leading.T

    def parts(self, views: Views) -> F64:
        """Return ``(k, viewed features)`` parts."""
        return widened(np.square(views.window[:, -1].astype(np.float64) @ self._residual))

    def arrays(self) -> Arrays:
        """Return all that was learned."""
        return {"residual": self._residual}

    def load(self, arrays: Arrays) -> None:
        """Take what :meth:`arrays` returned."""
        self._residual = arrays["residual"]


class ForecastResidual:
    """What a ridge forecast from the seven ticks before leaves of the newest, in squared standard deviations of its own.

    The forecast reads the last two ticks and the mean of all seven: level, change and drift.
    """

    name = "forecast"

    def __init__(self) -> None:
        self._weights = np.zeros((0, 0))
        self._scale = np.zeros(0)

    def fit(self, past: Sequence[ViewedBlock], seed: int) -> None:  # noqa: ARG002 - no chance in it
        """Learn the forecast and how far off it usually is."""
        width = past[0].z.shape[1]
        inner, cross, squared, rows = np.zeros((3 * width, 3 * width)), np.zeros((3 * width, width)), np.zeros(width), 0
        for piece in itertools.chain.from_iterable(block.pieces() for block in past):
            windows = np.clip(piece.window, -LEARN_CLIP, LEARN_CLIP)
            known, wanted = _history(windows), windows[:, -1].astype(np.float64)
            inner += known.T @ known
            cross += known.T @ wanted
            squared += (wanted**2).sum(axis=0)
            rows += len(wanted)
        self._weights = np.linalg.solve(inner + RIDGE_PER_ROW * (rows + 1) * np.eye(len(inner)), cross)
        explained = 2 * (self._weights * cross).sum(axis=0) - (self._weights * (inner @ self._weights)).sum(axis=0)
        self._scale = np.sqrt(np.maximum((squared - explained) / max(rows, 1), 1e-2))

    def parts(self, views: Views) -> F64:
        """Return ``(k, viewed features)`` parts."""
        windows = views.window
        return widened(np.square((windows[:, -1] - _history(windows) @ self._weights) / self._scale))

    def arrays(self) -> Arrays:
        """Return all that was learned."""
        return {"weights": self._weights, "scale": self._scale}

    def load(self, arrays: Arrays) -> None:
        """Take what :meth:`arrays` returned."""
        self._weights, self._scale = arrays["weights"], arrays["scale"]


def learned_rows(past: Sequence[ViewedBlock]) -> F64:
    """Return ``(n, features)`` clipped scores of all rows that have an opinion."""
    return np.concatenate([_learned(block) for block in past])


def widened(parts: F64) -> F64:
    """Return ``(k, viewed features)`` parts of ``(k, scored features)``: those that are only viewed slowly have none."""
    wide = np.zeros((len(parts), len(VIEWED_NAMES)))
    wide[:, : parts.shape[1]] = parts
    return wide


def _history(windows: F32) -> F64:
    mean = windows[:, : WINDOW - 1].mean(axis=1)
    return np.concatenate([windows[:, -2], windows[:, -3], mean], axis=1, dtype=np.float64)


def _learned(block: ViewedBlock) -> F64:
    return np.clip(block.z[block.opined], -LEARN_CLIP, LEARN_CLIP).astype(np.float64)


def _whitening(covariance: F64) -> F64:
    """Return the symmetric inverse root of a covariance that is shrunk towards its mean variance."""
    level = max(float(np.trace(covariance)) / len(covariance), 1e-6)
    values, vectors = np.linalg.eigh((1 - RIDGE) * covariance + RIDGE * level * np.eye(len(covariance)))
    root: F64 = (vectors / np.sqrt(values)) @ vectors.T
    return root
