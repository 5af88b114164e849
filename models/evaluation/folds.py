"""Splits: what a detector learns from, what its thresholds are set on, and what it is judged on, in that order of time.

The walk itself is ``features.select.folds``: purge and embargo are decided there, once. Of each fold's past the last part is kept
from the detector and sets its thresholds, again an embargo later. A test part brings a lead-in that detectors may warm up on and
truth may take its trailing median from; it is not judged.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from features.select.folds import Walk, walk_forward
from models.evaluation.blocks import TickBlock
from schemas.units import NS_PER_S, TICK_NS

CALIBRATION_PART: Final = 0.3
SESSION_CALIBRATION_PART: Final = 0.5
LEAD_IN_NS: Final = 330 * NS_PER_S
"""The trailing median of the cost truth, and its calm."""

SHORTEST_NS: Final = 60 * NS_PER_S
"""A part of a block below this is left out: nothing in it would be judged."""


@dataclass(frozen=True, slots=True)
class Judgeable:
    """A block of which rows from ``first_row`` on are judged."""

    block: TickBlock
    first_row: int = 0


@dataclass(frozen=True, slots=True)
class Split:
    """One step of the walk.

    Attributes:
        learn: What detectors are fitted on.
        calibrate: What thresholds are set on.
        judge: What they are judged on.
    """

    learn: tuple[TickBlock, ...] = field(repr=False)
    calibrate: tuple[Judgeable, ...] = field(repr=False)
    judge: tuple[Judgeable, ...] = field(repr=False)


def walk_blocks(blocks: Sequence[TickBlock], walk: Walk) -> list[Split]:
    """Return the splits of recorded blocks, walking forward over the time of all of them.

    Raises:
        ValueError: Too little data for so many folds, horizon and embargo.
    """
    tick_ns = np.concatenate([block.tick_ns for block in blocks] or [np.empty(0, np.int64)])
    folds = walk_forward(tick_ns, np.ones(len(tick_ns), dtype=np.bool_), walk)
    made = []
    for number, fold in enumerate(folds):
        past_ns = np.unique(tick_ns[fold.train])
        until_ns = int(folds[number + 1].test_from_ns) if number + 1 < len(folds) else int(tick_ns.max()) + 1
        calibrate_from_ns = int(past_ns[round(len(past_ns) * (1 - CALIBRATION_PART))])
        gap_ns = walk.horizon_ns + walk.embargo_ns
        past_until_ns = int(past_ns[-1]) + 1
        split = Split(
            learn=_between(blocks, 0, calibrate_from_ns - gap_ns),
            calibrate=_judgeable(blocks, calibrate_from_ns, past_until_ns),
            judge=_judgeable(blocks, fold.test_from_ns, until_ns),
        )
        if not (split.learn and split.calibrate and split.judge):
            raise ValueError(f"fold {number + 1}: a part of it would be empty; give more data, or a shorter embargo")
        made.append(split)
    return made


def split_sessions(sessions: Sequence[TickBlock]) -> Split:
    """Return one split of labelled sessions in time order: the calm ones that come first are the past, all others are judged.

    Of each calm session the earlier part is learnt from and, a minute after it, the later part sets thresholds, so that both know
    every instrument; the earlier part is there to warm up on.

    Raises:
        ValueError: A session without labels, no calm at the beginning, or nothing after it.
    """
    if nameless := [block.name for block in sessions if block.labels is None]:
        raise ValueError(f"{nameless[0]} has no labels")
    kinds = [block.labels.kind for block in sessions if block.labels is not None]
    count = next((place for place, kind in enumerate(kinds) if kind != "calm"), len(kinds))
    past = [block for block in sessions[:count] if len(block) * TICK_NS >= 4 * SHORTEST_NS]
    if not past or count == len(kinds):
        raise ValueError(f"{count} calm sessions before {len(kinds) - count} others: both are needed")
    cuts = [round(len(block) * (1 - SESSION_CALIBRATION_PART)) for block in past]
    return Split(
        learn=tuple(block.part(0, cut) for block, cut in zip(past, cuts, strict=True)),
        calibrate=tuple(Judgeable(block, cut + SHORTEST_NS // TICK_NS) for block, cut in zip(past, cuts, strict=True)),
        judge=tuple(Judgeable(block) for block in sessions[count:]),
    )


def _between(blocks: Sequence[TickBlock], from_ns: int, until_ns: int) -> tuple[TickBlock, ...]:
    parts = []
    for block in blocks:
        first, last = (int(row) for row in np.searchsorted(block.tick_ns, [from_ns, until_ns]))
        if (last - first) * TICK_NS >= SHORTEST_NS:
            parts.append(block.part(first, last))
    return tuple(parts)


def _judgeable(blocks: Sequence[TickBlock], from_ns: int, until_ns: int) -> tuple[Judgeable, ...]:
    parts = []
    for block in blocks:
        lead, first, last = np.searchsorted(block.tick_ns, [from_ns - LEAD_IN_NS, from_ns, until_ns]).tolist()
        if (last - first) * TICK_NS >= SHORTEST_NS:
            named = replace(block.part(lead, last), name=f"{block.name}@{from_ns}")
            parts.append(Judgeable(named, first - lead))
    return tuple(parts)
