"""Walk-forward folds with purge and embargo, and blocks of time to resample.

Invariant: whatever a fold learns from, targets included, ended at least an embargo before what it is judged on began. The
edges depend on tick times alone, so no value, price or target of the future can move them.

Rejected: k folds around a held-out middle (they learn from the future), and folds of equal clock time (a night between two
sessions would be most of a fold).
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]

FIRST_TRAIN_PARTS: Final = 2
"""The first fold learns from as much as two others are judged on: it must itself be cut into folds."""


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """One step of the walk.

    Attributes:
        train: Rows to learn from.
        test: Rows to be judged on.
        test_from_ns: Tick time at which ``test`` begins.
        learnt_until_ns: Last tick that a target of ``train`` may see.
    """

    train: Rows = field(repr=False)
    test: Rows = field(repr=False)
    test_from_ns: int
    learnt_until_ns: int


@dataclass(frozen=True, slots=True)
class Walk:
    """How to walk.

    Attributes:
        folds: How many.
        horizon_ns: Purge: how far a target looks ahead.
        embargo_ns: Further gap, for what lives on in features.
    """

    folds: int
    horizon_ns: int
    embargo_ns: int


def walk_forward(tick_ns: npt.NDArray[np.int64], usable: npt.NDArray[np.bool_], walk: Walk) -> list[Fold]:
    """Return the folds: equal numbers of distinct ticks, each learnt from all that came before less the gap.

    Args:
        tick_ns: ``(n,)`` tick times of all rows, in any order.
        usable: ``(n,)``: rows that may be learnt from and judged on.
        walk: How to walk.

    Raises:
        ValueError: A fold would have nothing to learn from or to be judged on.
    """
    ticks = np.unique(tick_ns)
    parts = walk.folds + FIRST_TRAIN_PARTS
    if walk.folds < 1 or len(ticks) < parts:
        raise ValueError(f"{len(ticks)} ticks cannot be cut into {walk.folds} folds")
    # Half-open: the last edge lies past the last tick.
    edges = [int(ticks[len(ticks) * part // parts]) for part in range(parts)] + [int(ticks[-1]) + 1]
    made: list[Fold] = []
    for start, stop in zip(edges[FIRST_TRAIN_PARTS:-1], edges[FIRST_TRAIN_PARTS + 1 :], strict=True):
        learnt_until_ns = start - walk.embargo_ns
        train = np.flatnonzero(usable & (tick_ns + walk.horizon_ns <= learnt_until_ns))
        test = np.flatnonzero(usable & (tick_ns >= start) & (tick_ns < stop))
        if not len(train) or not len(test):
            raise ValueError(
                f"fold {len(made) + 1} of {walk.folds} has {len(train)} rows to learn from and {len(test)} to be judged "
                f"on: give more data, or a shorter horizon or embargo"
            )
        made.append(Fold(train, test, start, learnt_until_ns))
    return made


def blocks_of(tick_ns: npt.NDArray[np.int64], strata: npt.NDArray[np.int64], block_ns: int) -> Rows:
    """Return the number of each row's block, from 0: rows of one stratum whose ticks share ``tick_ns // block_ns``."""
    keys = np.stack([strata, tick_ns // block_ns])
    numbers: Rows = np.unique(keys, axis=1, return_inverse=True)[1].reshape(-1).astype(np.int64)
    return numbers


def resample(blocks: Rows, strata: npt.NDArray[np.int64], rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Return how often each row is drawn when whole blocks are drawn with replacement, as many per stratum as it has.

    The strata are the folds within a fold: none of them may end up empty. Künsch 1989, with fixed blocks.
    """
    drawn = np.zeros(int(blocks.max()) + 1)
    for stratum in np.unique(strata):
        members = np.unique(blocks[strata == stratum])
        drawn += np.bincount(rng.choice(members, len(members)), minlength=len(drawn))
    times: npt.NDArray[np.float64] = drawn[blocks]
    return times
