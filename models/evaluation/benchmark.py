"""Detectors side by side on the same splits: fitted, calibrated and judged by the same rules, and every trial counted.

At each rate a detector stands twice. *Equal rate*: the threshold at which the judged data itself saw that many false alarms, so
that detectors compare. *From the past*: the threshold that the calibration part gave, which is what a desk would have had;
``budget_ratio`` says what became of its promise. Only the second knows nothing of what it is judged on.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from models.evaluation.blocks import TickBlock, Vector
from models.evaluation.calm import CalmUse, calm_use
from models.evaluation.episodes import Judged, calm_part, days, support_of, threshold_at, threshold_from_past
from models.evaluation.folds import Judgeable, Split
from models.evaluation.increment import Increment, increment
from models.evaluation.intervals import Estimate
from models.evaluation.measures import RATES_PER_DAY, AtThreshold, at_thresholds, gain, mean_vus_pr
from models.evaluation.scored import Canaries, Lineup, Role, Scored, scored
from models.evaluation.tier_time import levels_from_past
from models.evaluation.truth import TRIED, BlockTruth, TruthSettings

Truth = Callable[[TickBlock], BlockTruth]

HEADLINE_PER_DAY: Final = 1.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What is judged, and how.

    Attributes:
        name: Of the data.
        splits: Folds, in time order.
        truth: Of a block.
        sequential: The folds follow one another in time, so the logit may learn from earlier ones alone.
        settings: Of the truth, for the report and the buffer of VUS-PR.
        seed: Of everything drawn.
        duels: Names of detectors to compare in pairs, beyond each with the reference.
        kind: Of the truth: the canaries of another are left out.
    """

    name: str
    splits: Sequence[Split] = field(repr=False)
    truth: Truth = field(repr=False)
    sequential: bool
    settings: TruthSettings
    seed: int = 7
    duels: tuple[tuple[str, str], ...] = ()
    kind: str = "cost"


@dataclass(frozen=True, slots=True)
class Duel:
    """One detector against another at one false alarm a day, equal rate, paired on events.

    Attributes:
        name: The one.
        other: The other.
        recall: By how much more it found.
        lead_s: By how much earlier, missed = 0.
    """

    name: str
    other: str
    recall: Estimate
    lead_s: Estimate


@dataclass(frozen=True, slots=True)
class Result:
    """One detector's row.

    Attributes:
        name: Of the detector.
        role: Of the entry.
        fault: Why it is out of the running: it looks ahead. None otherwise.
        equal_rate: At each of ``RATES_PER_DAY``, thresholds chosen on what is judged.
        from_past: The same rates with thresholds from the past.
        budget_ratio: False alarms of calm time over what was allowed, thresholds from the past.
        vus_pr: Mean over sessions with an event.
        increment: Beyond volume, volatility and spread.
        tiers: Calm time through the tier machine, levels from the past.
        gain_recall: Over the reference at one false alarm a day, equal rate.
        gain_lead_s: The same of the mean lead.
        tried: Configurations that its maker says were tried to arrive at it.
    """

    name: str
    role: Role
    fault: str | None
    equal_rate: tuple[AtThreshold, ...]
    from_past: tuple[AtThreshold, ...]
    budget_ratio: tuple[float, ...]
    vus_pr: Estimate
    increment: Increment
    tiers: CalmUse
    gain_recall: Estimate | None = None
    gain_lead_s: Estimate | None = None
    tried: int = 1

    def headline(self, *, past: bool) -> AtThreshold:
        """Return the measures at one false alarm a day."""
        return (self.from_past if past else self.equal_rate)[RATES_PER_DAY.index(HEADLINE_PER_DAY)]


@dataclass(frozen=True, slots=True)
class EventNote:
    """One event that was judged, in the order of ``AtThreshold.leads_s``.

    Attributes:
        session: Name of its block.
        mechanism: What acted; ``recorded`` where nothing is labelled.
        impact_ns: Tick at which stress began.
    """

    session: str
    mechanism: str
    impact_ns: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """All rows, and what was judged.

    Attributes:
        plan: What was judged.
        results: Best first; canaries last.
        reference: Whom gains are over: the best baseline, chosen after the fact, to its favour.
        counts: Sessions, events and days judged.
        tried: What was tried → how often.
        events: What there was to find.
        duels: As the plan asked, of those who took part.
    """

    plan: Plan
    results: tuple[Result, ...]
    reference: str | None
    counts: dict[str, float]
    tried: dict[str, int]
    events: tuple[EventNote, ...] = field(default=(), repr=False)
    duels: tuple[Duel, ...] = ()


def compare(plan: Plan, lineup: Lineup, *, on_step: Callable[[str], None] | None = None) -> Comparison:
    """Return every row; the two canaries are added.

    Args:
        plan: What is judged.
        lineup: Makes those who take part.
        on_step: Told what was done.

    Raises:
        ValueError: A split too small to calibrate on.
        DetectorError: A detector that does not answer as the protocol has it.
    """
    return judged_by(plan, scored(plan.splits, lineup, Canaries(plan.settings, plan.seed), on_step=on_step))


def judged_by(plan: Plan, runs: Sequence[Scored]) -> Comparison:
    """Return every row of what ``scored`` gave for ``plan.splits``.

    Raises:
        ValueError: A split too small to calibrate on.
    """
    truths = {
        id(one.block): plan.truth(one.block).from_row(one.first_row)
        for s in plan.splits
        for one in (*s.judge, *s.calibrate)
    }
    ranked = _ranked([_measure(plan, run, truths) for run in runs if run.kind in ("", plan.kind)])
    reference = next((one for one in ranked if one.role == "baseline"), None)
    with_gain = tuple(one if reference is None else _against(one, reference, plan.seed) for one in ranked)
    return Comparison(
        plan=plan,
        results=with_gain,
        reference=reference.name if reference else None,
        counts=_counts(plan, truths),
        tried=_tried(plan, ranked),
        events=_events(plan, truths),
        duels=_duels(plan, ranked),
    )


def _judged(blocks: Sequence[Judgeable], scores: Sequence[Vector], truths: dict[int, BlockTruth]) -> list[Judged]:
    return [Judged(one.block, truths[id(one.block)], support_of(own)) for one, own in zip(blocks, scores, strict=True)]


def _measure(plan: Plan, run: Scored, truths: dict[int, BlockTruth]) -> Result:
    pasts = [_judged(s.calibrate, own, truths) for s, own in zip(plan.splits, run.past, strict=True)]
    by_split = [_judged(s.judge, own, truths) for s, own in zip(plan.splits, run.judged, strict=True)]
    judged = [one for part in by_split for one in part]
    split_of = [number for number, part in enumerate(by_split) for _ in part]
    calm = [calm_part(one) for one in judged]
    equal, past, ratios = [], [], []
    for per_day in RATES_PER_DAY:
        level = threshold_at(calm, per_day)
        equal.append(at_thresholds(judged, [level] * len(judged), per_day=per_day, seed=plan.seed))
        of_split = [threshold_from_past(one, per_day) for one in pasts]
        past.append(at_thresholds(judged, [of_split[s] for s in split_of], per_day=per_day, seed=plan.seed))
        ratios.append(past[-1].false_per_day.value / per_day)
    levels = [levels_from_past(one, own) for one, own in zip(pasts, run.past, strict=True)]
    scores = [own for part in run.judged for own in part]
    return Result(
        name=run.name,
        role=run.role,
        fault=run.fault,
        equal_rate=tuple(equal),
        from_past=tuple(past),
        budget_ratio=tuple(ratios),
        vus_pr=mean_vus_pr(judged, plan.settings.horizon_s, plan.seed),
        increment=increment(judged, groups=split_of if plan.sequential else None, seed=plan.seed),
        tiers=calm_use(run.name, calm, scores, levels=[levels[number] for number in split_of], seed=plan.seed),
        tried=run.tried,
    )


def _ranked(results: Sequence[Result]) -> list[Result]:
    """Return the rows best first: who looks ahead comes after those who do not, canaries last."""

    def key(one: Result) -> tuple[bool, bool, float, float, str]:
        head = one.headline(past=False)
        return (
            one.role == "canary",
            one.fault is not None,
            -_known(head.recall.value),
            -_known(head.lead_all_p50_s),
            one.name,
        )

    return sorted(results, key=key)


def _duels(plan: Plan, results: Sequence[Result]) -> tuple[Duel, ...]:
    named = {one.name: one.headline(past=False) for one in results}
    pairs = [(one, other) for one, other in plan.duels if one in named and other in named]
    return tuple(Duel(one, other, *gain(named[one], named[other], plan.seed)) for one, other in pairs)


def _known(value: float) -> float:
    return value if value == value else float("-inf")  # noqa: PLR0124 - only NaN differs from itself


def _against(one: Result, reference: Result, seed: int) -> Result:
    recall, lead = gain(one.headline(past=False), reference.headline(past=False), seed)
    return replace(one, gain_recall=recall, gain_lead_s=lead)


def _counts(plan: Plan, truths: dict[int, BlockTruth]) -> dict[str, float]:
    judged = [(one.block, truths[id(one.block)]) for split in plan.splits for one in split.judge]
    kinds = [block.labels.kind if block.labels else "recorded" for block, _ in judged]
    calm = [calm_part(Judged(block, truth, np.empty(0))) for block, truth in judged]
    return {
        "sessions": len(judged),
        **{f"sessions_{kind}": kinds.count(kind) for kind in ("crisis", "hard_negative", "calm") if kind in kinds},
        "events": sum(len(truth.events) for _, truth in judged),
        "crises_without_impact": sum(truth.without_impact for _, truth in judged),
        "stress_in_sessions_labelled_harmless": sum(truth.unlabelled for _, truth in judged),
        "instrument_days_of_calm_time": round(days(part.truth for part in calm), 4),
        "instrument_days_of_negative_time": round(days(truth for _, truth in judged), 4),
    }


def _events(plan: Plan, truths: dict[int, BlockTruth]) -> tuple[EventNote, ...]:
    blocks = [one.block for split in plan.splits for one in split.judge]
    return tuple(
        EventNote(block.name, block.labels.mechanism if block.labels else "recorded", int(block.tick_ns[event.impact]))
        for block in blocks
        for event in truths[id(block)].events
    )


def _tried(plan: Plan, results: Sequence[Result]) -> dict[str, int]:
    return {
        "detectors": len(results),
        "configurations_of_detectors_by_their_makers_word": sum(one.tried for one in results),
        "folds": len(plan.splits),
        "fits": len(results) * len(plan.splits),
        "operating_points": 2 * len(RATES_PER_DAY) * len(results),
        "settings_of_truth": TRIED,
    }
