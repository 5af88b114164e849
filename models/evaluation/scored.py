"""Detectors fitted and asked, fold by fold: what they said, before any truth judges it.

Apart from the measures because fitting is what takes time, and one set of scores can be judged by several truths. Invariant:
a detector is fitted on a split's ``learn`` alone before it is asked about that split, and nobody tells it what is true.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from models.evaluation.blocks import TickBlock, Vector
from models.evaluation.canary import Future, Strain, causality_fault, cost_strain, trial_of
from models.evaluation.folds import Split
from models.evaluation.protocol import Detector, scores_of
from models.evaluation.truth import TruthSettings

Role = Literal["detector", "baseline", "canary"]


@dataclass(frozen=True, slots=True)
class Entry:
    """A detector that takes part.

    Attributes:
        detector: New, not fitted yet.
        role: What the table shows it as.
    """

    detector: Detector
    role: Role = "detector"


Lineup = Callable[[], Sequence[Entry]]
"""Makes all who take part, anew for each fold, always in the same order; some may share what they learn."""


@dataclass(frozen=True, slots=True)
class Foreknown:
    """What the canaries of one truth know ahead.

    Attributes:
        kind: Of the truth, as in its plan.
        strain: How far a row is into what the truth calls stress.
        held: Stress must last.
    """

    kind: str
    strain: Strain = field(repr=False)
    held: bool = True


@dataclass(slots=True)
class Scored:
    """One detector on all splits.

    Attributes:
        name: Of the detector.
        role: Of the entry.
        tried: Configurations that its maker says were tried to arrive at it.
        kind: Of a canary: the truth that it belongs to; other truths leave it out.
        fault: Why it is out of the running: it looks ahead. None otherwise.
        past: Of each split, the scores of each block of ``calibrate``.
        judged: Of each split, the scores of each block of ``judge``.
    """

    name: str
    role: Role
    tried: int
    kind: str = ""
    fault: str | None = None
    past: list[list[Vector]] = field(default_factory=list, repr=False)
    judged: list[list[Vector]] = field(default_factory=list, repr=False)


@dataclass(frozen=True, slots=True)
class Canaries:
    """Who is added to every lineup: for each truth one that knows its future, and one that knows it shuffled.

    Attributes:
        settings: Of the truths.
        seed: Of the shuffling, and of the trial of causality.
        foreknown: What they know; nothing given: the cost.
    """

    settings: TruthSettings
    seed: int
    foreknown: tuple[Foreknown, ...] = ()

    def made(self) -> list[tuple[str, Entry]]:
        """Return them new, each with the kind of its truth."""
        known = self.foreknown or (Foreknown("cost", cost_strain(self.settings)),)
        return [
            (
                one.kind,
                Entry(Future(one.strain, self.settings, shuffled=order, held=one.held, seed=self.seed), "canary"),
            )
            for one in known
            for order in (True, False)
        ]


def scored(
    splits: Sequence[Split], lineup: Lineup, canaries: Canaries, *, on_step: Callable[[str], None] | None = None
) -> list[Scored]:
    """Return what everybody said.

    Args:
        splits: Folds, in time order.
        lineup: Makes those who take part.
        canaries: Who is added.
        on_step: Told what was done.

    Raises:
        DetectorError: A detector that does not answer as the protocol has it.
    """
    runs: list[Scored] = []
    for number, split in enumerate(splits):
        taking_part = [*(("", one) for one in lineup()), *canaries.made()]
        present = [one for _, one in taking_part]
        if number == 0:
            runs = [
                Scored(one.detector.name, one.role, int(getattr(one.detector, "tried", 1)), kind)
                for kind, one in taking_part
            ]
            trial = trial_of(_longest_crisis(split), canaries.seed)
        for run, entry in zip(runs, present, strict=True):
            entry.detector.fit(split.learn)
            run.past.append([scores_of(entry.detector, one.block) for one in split.calibrate])
            run.judged.append([scores_of(entry.detector, one.block) for one in split.judge])
            if number == 0 and entry.role != "canary":
                run.fault = causality_fault(entry.detector, trial)
            if on_step is not None:
                on_step(f"fold {number + 1} of {len(splits)}: {run.name}")
    return runs


def _longest_crisis(split: Split) -> TickBlock:
    """Return the block to try causality on: a crisis where there is one, the longest of them."""
    blocks = [one.block for one in split.judge]
    return max(blocks, key=lambda block: (block.labels is not None and block.labels.kind == "crisis", len(block)))
