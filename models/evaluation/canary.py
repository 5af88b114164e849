"""Is anybody looking ahead? A detector that changes its mind about the past is found; a shuffled future must score at chance.

``causality_fault`` tries a detector's promise on real blocks. ``Future`` knows the future: whole, it must be nearly perfect,
or the harness cannot see skill; shuffled in time within each session it must be at chance, or the harness makes skill up. Ranks
within the session are shuffled, not values: which session is worse as a whole would be knowledge of its own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from zlib import crc32

import numpy as np

from models.evaluation.blocks import TickBlock, Vector
from models.evaluation.protocol import Detector, scores_of
from models.evaluation.truth import FLASH_MOVE, FLASH_S, MOVE_S, TruthSettings, cost_bps, cost_ratio, moves, ticks

TOLERANCE: Final = 1e-3
"""Relative and absolute: a network's sums differ in the last bits with the size of its batch."""

SHUFFLED: Final = "canary: shuffled future"
FORESEEN: Final = "canary: the future itself"

CUTS: Final = (0.35, 0.6, 0.85)
ROWS_MAX: Final = 3_000


@dataclass(frozen=True, slots=True)
class Trial:
    """A block, and the same block with its future changed; one trial serves every detector.

    Attributes:
        whole: The block.
        changed: Row at which the future begins, what was done to it, and the block with it.
    """

    whole: TickBlock
    changed: tuple[tuple[int, str, TickBlock], ...]


def trial_of(block: TickBlock, seed: int) -> Trial:
    """Return the trial: at some rows the future is cut off, or replaced by its own rows in an order of chance, magnified."""
    whole = block.part(0, min(len(block), ROWS_MAX))
    rng = np.random.default_rng(seed)
    cuts = [int(len(whole) * share) for share in CUTS]
    cut_off = [(cut, "cut off", whole.part(0, cut)) for cut in cuts[:1]]
    return Trial(whole, (*cut_off, *((cut, "altered", _altered(whole, cut, rng)) for cut in cuts[1:])))


def causality_fault(detector: Detector, trial: Trial) -> str | None:
    """Return what is wrong when scores of rows change with the rows after them, or None.

    Raises:
        DetectorError: The detector does not answer with a score a row.
    """
    said = scores_of(detector, trial.whole)
    for cut, what, changed in trial.changed:
        again = scores_of(detector, changed)[:cut]
        differs = ~np.isclose(again, said[:cut], rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)
        if differs.any():
            row = int(np.flatnonzero(differs)[0])
            return f"row {row} scored {said[row]:g}, and {again[row]:g} with the rows from {cut} on {what}"
    return None


Strain = Callable[[TickBlock], Vector]
"""How far each row is into what a truth calls stress, ``(n,)``: the truth's ratio or more is stress; NaN = unknown."""


class Future:
    """The strain of the next minute as a score: what no detector may know.

    Args:
        strain: Of the truth that judges.
        settings: Of that truth.
        shuffled: In an order of chance within each session.
        held: The strain must last ``settings.hold_s``, as a cost must; an extreme move need not.
        seed: Of the order.
    """

    def __init__(
        self, strain: Strain, settings: TruthSettings, *, shuffled: bool, held: bool = True, seed: int = 0
    ) -> None:
        self.name = SHUFFLED if shuffled else FORESEEN
        self._strain = strain
        self._settings = settings
        self._shuffled = shuffled
        self._held = held
        self._seed = seed

    def fit(self, past: Sequence[TickBlock]) -> None:
        """Learn nothing."""

    def score(self, block: TickBlock) -> Vector:
        """Return the future's strain, in logs, or its rank within the block, shuffled."""
        settings = self._settings
        strain = np.nan_to_num(self._strain(block), nan=0.0, posinf=1e9)
        hold, horizon = ticks(settings.hold_s) if self._held else 1, ticks(settings.horizon_s)
        padded = np.concatenate([strain[1:], np.zeros(horizon + hold)])
        held = np.lib.stride_tricks.sliding_window_view(padded, hold).min(axis=1)
        worst = _largest_ahead(held, horizon)[: len(block)]
        if not self._shuffled:
            if block.labels is not None and block.labels.kind == "crisis":
                # What nobody has caused yet nobody may be warned of: known, but not worth an alarm.
                onset = max(block.labels.onset_tick, 0)
                worst[:onset] = np.minimum(worst[:onset], settings.ratio)
            logged: Vector = np.log1p(np.maximum(worst, 0.0))
            return logged
        rank = np.argsort(np.argsort(worst, kind="stable")) + 1.0
        rng = np.random.default_rng([self._seed, crc32(block.name.encode())])
        shuffled: Vector = rng.permutation(rank) / len(rank)
        return shuffled


def cost_strain(settings: TruthSettings) -> Strain:
    """Return the strain of the cost truth: cost over its trailing median."""
    return lambda block: cost_ratio(cost_bps(block, settings), settings)


def price_strain(settings: TruthSettings, move_bps: float) -> Strain:
    """Return the strain of the price truth: the larger of both moves over what makes it extreme, times the ratio."""

    def strain(block: TickBlock) -> Vector:
        share = np.maximum(moves(block, FLASH_S) / FLASH_MOVE, moves(block, MOVE_S) * 1e4 / move_bps)
        return share * (settings.ratio * (1 + 1e-9))

    return strain


def _largest_ahead(x: Vector, width: int) -> Vector:
    """Return the largest of each ``width`` rows from a row on, for all rows that have so many; in a few passes, not ``width``."""
    largest, covered = x, 1
    while covered < width:
        step = min(covered, width - covered)
        largest = np.maximum(largest[:-step], largest[step:])
        covered += step
    return largest


def _altered(block: TickBlock, cut: int, rng: np.random.Generator) -> TickBlock:
    order = np.concatenate([np.arange(cut), cut + rng.permutation(len(block) - cut)])
    values, prices = block.values[order], block.ref_price[order]
    values[cut:] *= 7.0
    return TickBlock(block.name, block.instrument_id, block.tick_ns, values, block.status[order], prices, block.labels)
