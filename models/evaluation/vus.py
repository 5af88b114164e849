"""Volume under the precision-recall surface (Paparrizos et al. 2022), without point-adjust.

Ranges of anomaly get shoulders whose label falls off with the square root; recall is what is caught of the labels times the share
of ranges caught at all; the area under precision and recall is averaged over shoulder lengths. Hand-computed cases hold it.
Difference to the common code: every distinct score is a threshold, not 250 quantiles of them.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from models.evaluation.blocks import Vector

BUFFERS: Final = 9
"""Shoulder lengths from 0 to the longest, evenly spaced."""

Ranges = npt.NDArray[np.int64]


def vus_pr(scores: Vector, ranges: Ranges, buffer_max: int) -> float:
    """Return the volume in [0, 1].

    Args:
        scores: ``(n,)``; NaN ranks lowest.
        ranges: ``(k, 2)`` first and last row of each anomaly, k at least 1.
        buffer_max: Longest buffer in rows; half of it lies on either side.
    """
    buffers: Sequence[int] = sorted({round(float(b)) for b in np.linspace(0, buffer_max, BUFFERS)})
    return float(np.mean([range_auc_pr(scores, ranges, buffer) for buffer in buffers]))


def range_auc_pr(scores: Vector, ranges: Ranges, buffer: int) -> float:
    """Return the area under range precision and recall at one buffer length."""
    plain, soft, wide = _labels(len(scores), ranges, buffer)
    known = np.where(np.isnan(scores), -np.inf, scores)
    order = np.argsort(-known, kind="stable")
    ranked = known[order]
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))  # last row of each distinct score
    caught = np.cumsum(soft[order])[ends]
    precision = caught / (ends + 1)
    weight = (plain.sum() + soft.sum()) / 2
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    first = np.sort([rank[start : stop + 1].min() for start, stop in wide])
    existence = np.searchsorted(first, ends, side="right") / len(first)
    recall = np.minimum(caught / weight, 1.0) * existence
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


def _labels(rows: int, ranges: Ranges, buffer: int) -> tuple[Vector, Vector, list[tuple[int, int]]]:
    """Return labels, labels with shoulders, and the ranges with theirs, joined where they meet."""
    plain = np.zeros(rows)
    for start, stop in ranges.tolist():
        plain[start : stop + 1] = 1.0
    soft, half = plain.copy(), buffer // 2
    for start, stop in ranges.tolist():
        away = np.arange(1, half + 1)
        shoulder = np.sqrt(1.0 - away / buffer) if half else np.empty(0)
        for places in (start - away, stop + away):
            inside = (places >= 0) & (places < rows)
            soft[places[inside]] = np.maximum(soft[places[inside]], shoulder[inside])
    edges = np.flatnonzero(np.diff(np.concatenate([[0.0], (soft > 0).astype(np.float64), [0.0]])))
    return plain, soft, [(int(a), int(b) - 1) for a, b in edges.reshape(-1, 2)]
