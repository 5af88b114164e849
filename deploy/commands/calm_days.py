"""What calm days cost, as `tidegate backtest` tells it: every detector through the tier machine, pooled over recordings."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Self

import click
import numpy as np

from deploy.commands.comparing import Leaving
from deploy.results import keep
from models.evaluation.benchmark import Result
from models.evaluation.blocks import TickBlock, Vector
from models.evaluation.calm import CalmUse, calm_use, markdown
from models.evaluation.episodes import Judged, support_of
from models.evaluation.folds import Judgeable, Split
from models.evaluation.leaderboard import plain
from models.evaluation.scored import Scored
from models.evaluation.tier_time import levels_from_past
from models.evaluation.truth import BlockTruth
from models.tiers import TierLevels

Truth = Callable[[TickBlock], BlockTruth]


@dataclass(slots=True)
class _Through:
    """One detector's blocks with their levels."""

    judged: list[Judged] = field(default_factory=list)
    scores: list[Vector] = field(default_factory=list)
    levels: list[TierLevels] = field(default_factory=list)

    def use(self, name: str, seed: int) -> CalmUse:
        return calm_use(name, self.judged, self.scores, levels=self.levels, seed=seed)


@dataclass(slots=True)
class CalmPool:
    """What detectors said of calm time, recording after recording.

    Attributes:
        detectors: Name → its blocks with their levels.
    """

    detectors: dict[str, _Through] = field(default_factory=dict)

    def add(self, splits: Sequence[Split], runs: Sequence[Scored], truths: Sequence[Truth]) -> Self:
        """Take a recording in; return a pool of it alone. Calm is what no truth objects to."""
        one = type(self)()
        for run in runs:
            if run.role != "canary":
                one.detectors[run.name] = _through(splits, run, truths)
        for name, through in one.detectors.items():
            held = self.detectors.setdefault(name, _Through())
            held.judged += through.judged
            held.scores += through.scores
            held.levels += through.levels
        return one


def leave_calm(pool: CalmPool, to: Leaving, shown: Result) -> None:
    """Write and show what calm days cost; ``shown`` is told day by day, and is what README shows where it is no baseline.

    A detector that did not take part in every recording is told with those that it did.
    """
    uses = [through.use(name, to.seed) for name, through in pool.detectors.items()]
    best = next(one for one in uses if one.name == shown.name)
    page = markdown(uses, by_day=best)
    found = {
        "data": to.suite,
        "name": shown.name,
        "role": shown.role,
        "whole": asdict(best),
        "detectors": [asdict(one) for one in uses],
    }
    told = plain(found)
    to.out.mkdir(parents=True, exist_ok=True)
    (to.out / f"{to.name}.json").write_text(json.dumps(told, indent=2) + "\n")
    (to.out / f"{to.name}.md").write_text(page)
    if to.kept_in is not None:
        keep(to.kept_in, to.kept_as, to.started, found=told, page=page)
    click.echo(page)


def _through(splits: Sequence[Split], run: Scored, truths: Sequence[Truth]) -> _Through:
    made = _Through()
    for split, past, said in zip(splits, run.past, run.judged, strict=True):
        levels = levels_from_past(_judged(split.calibrate, past, truths), past)
        judged = _judged(split.judge, said, truths)
        made.judged += judged
        made.scores += said
        made.levels += [levels] * len(judged)
    return made


def _judged(blocks: Sequence[Judgeable], scores: Sequence[Vector], truths: Sequence[Truth]) -> list[Judged]:
    made = []
    for one, own in zip(blocks, scores, strict=True):
        found = [truth(one.block).from_row(one.first_row) for truth in truths]
        negative = np.logical_and.reduce([truth.negative for truth in found])
        made.append(Judged(one.block, replace(found[0], negative=negative), support_of(own)))
    return made
