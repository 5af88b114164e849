"""From scores to alarms: an alarm needs two of three ticks, and lasts until the score has been below for 30 s.

The same rule for every detector, so that what is compared is the score. Invariant: whether an alarm is on at a row depends on
rows up to it, except that its *end* is only known later, and nothing is judged by that.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from models.evaluation.blocks import TICKS_PER_S, TickBlock, Vector
from models.evaluation.truth import BlockTruth, Mask

DAY_S: Final = 23_400.0
"""An instrument-day: 6.5 hours, wherever the market never closes too, so that rates compare."""

GAP_TICKS: Final = 30 * TICKS_PER_S
BUCKET_TICKS: Final = 30 * TICKS_PER_S


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """One block with its truth and what a detector said.

    Attributes:
        block: The block.
        truth: Its truth.
        support: ``(n,)`` the level that two of the last three scores reach; -inf = none.
    """

    block: TickBlock
    truth: BlockTruth
    support: Vector = field(repr=False)


def is_hard(block: TickBlock) -> bool:
    """Return whether a block is labelled as a hard negative."""
    return block.labels is not None and block.labels.kind == "hard_negative"


def calm_part(one: Judged) -> Judged:
    """Return the block judged without what looks bad in a hard negative: before it began, its session is calm."""
    return _from_onset(one, after=False) if is_hard(one.block) else one


def hard_part(one: Judged) -> Judged:
    """Return a hard negative judged from where it looks bad."""
    return _from_onset(one, after=True)


def _from_onset(one: Judged, *, after: bool) -> Judged:
    onset = one.block.labels.onset_tick if one.block.labels is not None else len(one.block)
    began = np.arange(len(one.block)) >= onset
    return replace(one, truth=replace(one.truth, negative=one.truth.negative & (began == after)))


def support_of(scores: Vector) -> Vector:
    """Return ``(n,)`` the second largest of the last three scores; NaN counts as no evidence."""
    known = np.where(np.isnan(scores), -np.inf, scores)
    padded = np.concatenate([[-np.inf, -np.inf], known])
    second: Vector = np.sort(np.lib.stride_tricks.sliding_window_view(padded, 3), axis=1)[:, 1]
    return second


def alarms_of(support: Vector, threshold: float) -> npt.NDArray[np.int64]:
    """Return ``(k, 2)`` first and last row of each alarm."""
    rows = np.flatnonzero(support >= threshold)
    if not len(rows):
        return np.empty((0, 2), dtype=np.int64)
    new = np.flatnonzero(np.diff(rows) > GAP_TICKS)
    return np.stack([rows[np.concatenate([[0], new + 1])], rows[np.concatenate([new, [len(rows) - 1]])]], axis=1)


def alarmed(alarms: npt.NDArray[np.int64], rows: int, *, dwell: int = GAP_TICKS) -> Mask:
    """Return ``(rows,)``: an alarm is on, its dwell included."""
    steps = np.zeros(rows + 1, dtype=np.int64)
    np.add.at(steps, alarms[:, 0], 1)
    np.add.at(steps, np.minimum(alarms[:, 1] + dwell, rows), -1)
    on: Mask = np.cumsum(steps)[:rows] > 0
    return on


def days(truths: Iterable[BlockTruth]) -> float:
    """Return the instrument-days during which an alarm would be false."""
    return sum(int(truth.negative.sum()) for truth in truths) / (DAY_S * TICKS_PER_S)


def false_alarms(one: Judged, threshold: float) -> int:
    """Return how many alarms were raised where none was due."""
    return int(one.truth.negative[alarms_of(one.support, threshold)[:, 0]].sum())


def bucket_peaks(one: Judged) -> Vector:
    """Return the largest support of each 30 s of negative time."""
    masked = np.where(one.truth.negative, one.support, -np.inf)
    short = -len(masked) % BUCKET_TICKS
    whole = np.concatenate([masked, np.full(short, -np.inf)]).reshape(-1, BUCKET_TICKS)
    used = np.concatenate([one.truth.negative, np.zeros(short, dtype=np.bool_)]).reshape(-1, BUCKET_TICKS).any(axis=1)
    peaks: Vector = whole.max(axis=1)[used]
    return peaks


def threshold_at(judged: Sequence[Judged], per_day: float) -> float:
    """Return the lowest threshold at and above which at most ``per_day`` false alarms a day were raised on ``judged`` itself.

    The comparison at an equal rate. It has seen what it is judged on; ``threshold_from_past`` has not.
    "At and above": alarms that merge into one must not make a low threshold look quiet.
    """
    allowed = per_day * days(one.truth for one in judged)
    peaks = np.unique(np.concatenate([bucket_peaks(one) for one in judged] or [np.empty(0)]))
    levels = np.nextafter(peaks[np.isfinite(peaks)], np.inf)
    best = np.inf if not len(levels) else float(levels[-1])
    for level in levels[::-1]:
        if sum(false_alarms(one, float(level)) for one in judged) > allowed:
            break
        best = float(level)
    return best


def threshold_from_past(past: Sequence[Judged], per_day: float) -> float:
    """Return the threshold that calm time of the past says is passed ``per_day`` times a day.

    Peaks of 30 s are taken as independent; above their 90 % quantile an exponential tail carries on, for no past is long enough
    to count one a day. Where a score is -log10 p the tail is exponential by construction; where it is heavier, the budget will be
    overrun, which ``budget_ratio`` shows.

    Raises:
        ValueError: Fewer than 20 peaks.
    """
    peaks = np.concatenate([bucket_peaks(one) for one in past] or [np.empty(0)])
    peaks = peaks[np.isfinite(peaks)]
    if len(peaks) < 20:
        raise ValueError(f"a threshold needs 10 minutes of calm past, was given {len(peaks)} half minutes")
    share = per_day * BUCKET_TICKS / (DAY_S * TICKS_PER_S)
    body, tail_share = float(np.quantile(peaks, 0.9)), 0.1
    if share >= tail_share:
        return float(np.nextafter(np.quantile(peaks, 1 - share), np.inf))
    over = peaks[peaks > body] - body
    spread = float(over.mean()) if len(over) else 0.0
    return float(np.nextafter(body + spread * np.log(tail_share / share), np.inf))
