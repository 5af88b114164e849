"""What a detector is worth at a threshold: events warned of, how early, and at what cost in false alarms and good volume.

An event is found when an alarm is *raised* within its window, at the latest when the truth is complete; an alarm is false when
raised in negative time. Nothing is adjusted afterwards: one early tick does not make the rest of an event found.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from models.evaluation.blocks import TICKS_PER_S, Vector
from models.evaluation.episodes import DAY_S, Judged, alarmed, alarms_of, calm_part, hard_part, is_hard
from models.evaluation.intervals import CHUNK_TICKS, NOTHING, Estimate, bootstrap, rate, share
from models.evaluation.truth import ticks
from models.evaluation.vus import vus_pr

RATES_PER_DAY = (0.1, 1.0, 5.0)


@dataclass(frozen=True, slots=True)
class Found:
    """Events of one mechanism.

    Attributes:
        events: How many.
        found: Of them warned of.
        median_lead_s: Over those found.
    """

    events: int
    found: int
    median_lead_s: float


@dataclass(frozen=True, slots=True)
class AtThreshold:
    """A detector at one threshold.

    Attributes:
        per_day: False alarms per instrument-day that were allowed.
        recall: Share of events found; by event.
        lead_p10_s: Quantile of the lead of those found.
        lead_p50_s: Median lead of those found; by event.
        lead_p90_s: Quantile of the lead of those found.
        lead_all_p50_s: Median lead when an event that was missed counts as 0.
        false_per_day: False alarms per instrument-day of calm time, that before hard negatives too; by block.
        false_per_day_all: The same with hard negatives counted as they come.
        hard_negatives: Share of hard negatives in which an alarm was raised; by session.
        precision: Alarms raised in event windows over those and the false ones.
        coverage: Share of stressed ticks during which an alarm was on.
        fpr: Share of negative ticks during which an alarm was on.
        fnr: Share of ticks ahead of cost stress during which none was.
        good_volume_blocked: Trades of negative time that fell into alarms, over all of negative time.
        by_mechanism: What acted → events found.
        hard_by_mechanism: What looked bad and was not → (sessions, alarmed).
        leads_s: Lead of each event in order, NaN = missed; not part of a report.
    """

    per_day: float
    recall: Estimate
    lead_p10_s: float
    lead_p50_s: Estimate
    lead_p90_s: float
    lead_all_p50_s: float
    false_per_day: Estimate
    false_per_day_all: Estimate
    hard_negatives: Estimate
    precision: float
    coverage: float
    fpr: float
    fnr: float
    good_volume_blocked: float
    by_mechanism: dict[str, Found]
    hard_by_mechanism: dict[str, tuple[int, int]]
    leads_s: Vector = field(repr=False)


@dataclass(slots=True)
class _Tally:
    """One block at a threshold."""

    mechanism: str
    leads_s: list[float]
    false: Vector
    exposed: Vector
    right: int
    raised: bool
    negative: int
    on_negative: int
    stressed: int
    on_stressed: int
    ahead: int
    on_ahead: int
    volume: float
    on_volume: float


def at_thresholds(judged: Sequence[Judged], thresholds: Sequence[float], *, per_day: float, seed: int) -> AtThreshold:
    """Return the measures of ``judged``, each block at its own threshold (folds are calibrated one by one)."""
    pairs = list(zip(judged, thresholds, strict=True))
    calm = [_tally(calm_part(one), level) for one, level in pairs]
    hard = [_tally(hard_part(one), level) for one, level in pairs if is_hard(one.block)]
    tallies = [*calm, *hard]
    leads = np.array([lead for tally in calm for lead in tally.leads_s])
    hit = leads[~np.isnan(leads)]
    p10, p90 = (float(np.quantile(hit, q)) if len(hit) else float("nan") for q in (0.1, 0.9))
    false, right = sum(float(t.false.sum()) for t in tallies), sum(t.right for t in tallies)
    return AtThreshold(
        per_day=per_day,
        recall=share(~np.isnan(leads), seed),
        lead_p10_s=p10,
        lead_p50_s=bootstrap(lambda drawn: _medians(leads[drawn]), len(leads), seed) if len(hit) else NOTHING,
        lead_p90_s=p90,
        lead_all_p50_s=float(np.median(np.nan_to_num(leads, nan=0.0))) if len(leads) else float("nan"),
        false_per_day=_false_rate(calm, seed),
        false_per_day_all=_false_rate(tallies, seed),
        hard_negatives=share(np.array([t.raised for t in hard], dtype=np.bool_), seed),
        precision=right / (right + false) if right + false else float("nan"),
        coverage=_over(sum(t.on_stressed for t in tallies), sum(t.stressed for t in tallies)),
        fpr=_over(sum(t.on_negative for t in tallies), sum(t.negative for t in tallies)),
        fnr=1.0 - _over(sum(t.on_ahead for t in tallies), sum(t.ahead for t in tallies)),
        good_volume_blocked=_over(sum(t.on_volume for t in tallies), sum(t.volume for t in tallies)),
        by_mechanism=_by_mechanism(calm),
        hard_by_mechanism={
            name: (len(own), sum(t.raised for t in own))
            for name in sorted({t.mechanism for t in hard})
            if (own := [t for t in hard if t.mechanism == name])
        },
        leads_s=leads,
    )


def gain(own: AtThreshold, other: AtThreshold, seed: int) -> tuple[Estimate, Estimate]:
    """Return by how much recall and mean lead (missed = 0, seconds) differ on the same events, paired, events drawn anew."""
    mine, theirs = own.leads_s, other.leads_s
    if len(mine) != len(theirs):
        raise ValueError(f"{len(mine)} events against {len(theirs)}: not the same blocks")
    found = (~np.isnan(mine)).astype(np.float64) - (~np.isnan(theirs)).astype(np.float64)
    earlier = np.nan_to_num(mine, nan=0.0) - np.nan_to_num(theirs, nan=0.0)

    def mean_of(differences: Vector) -> Estimate:
        return bootstrap(lambda drawn: differences[drawn].mean(axis=1), len(differences), seed)

    return mean_of(found), mean_of(earlier)


def mean_vus_pr(judged: Sequence[Judged], buffer_s: float, seed: int) -> Estimate:
    """Return the mean VUS-PR over blocks with an event; by block. Rows before judging begins are left out."""
    found = []
    for one in judged:
        begins = np.flatnonzero(one.truth.negative)
        first = int(begins[0]) if len(begins) else 0
        ranges = np.array(
            [[event.start - first, event.end - first] for event in one.truth.events if event.start >= first]
        )
        if len(ranges):
            found.append(vus_pr(one.support[first:], ranges, ticks(buffer_s)))
    values = np.array(found)
    return bootstrap(lambda drawn: values[drawn].mean(axis=1), len(values), seed)


def _tally(one: Judged, threshold: float) -> _Tally:
    truth, block, rows = one.truth, one.block, len(one.block)
    alarms = alarms_of(one.support, threshold)
    raised = alarms[:, 0]
    on = alarmed(alarms, rows)
    leads = []
    for event in truth.events:
        inside = raised[(raised >= event.start) & (raised <= event.known)]
        leads.append((event.impact - int(inside[0])) / TICKS_PER_S if len(inside) else float("nan"))
    stressed = np.zeros(rows, dtype=np.bool_)
    window = np.zeros(rows, dtype=np.bool_)
    for event in truth.events:
        stressed[event.impact : event.end + 1] = True
        window[event.start : event.known + 1] = True
    volume = np.nan_to_num(block.column("trade_rate"), nan=0.0)
    ahead = truth.ahead == 1.0
    chunks = rows // CHUNK_TICKS + 1
    false = np.bincount(raised[truth.negative[raised]] // CHUNK_TICKS, minlength=chunks).astype(np.float64)
    exposed = np.bincount(np.flatnonzero(truth.negative) // CHUNK_TICKS, minlength=chunks).astype(np.float64)
    labels = block.labels
    return _Tally(
        mechanism=labels.mechanism if labels is not None else "recorded",
        leads_s=leads,
        false=false,
        exposed=exposed,
        right=int(window[raised].sum()),
        raised=bool(false.any()),
        negative=int(truth.negative.sum()),
        on_negative=int((on & truth.negative).sum()),
        stressed=int(stressed.sum()),
        on_stressed=int((on & stressed).sum()),
        ahead=int(ahead.sum()),
        on_ahead=int((on & ahead).sum()),
        volume=float(volume[truth.negative].sum()),
        on_volume=float(volume[truth.negative & on].sum()),
    )


def _false_rate(tallies: Sequence[_Tally], seed: int) -> Estimate:
    nothing = np.empty(0)
    counts = np.concatenate([tally.false for tally in tallies] or [nothing])
    exposure = np.concatenate([tally.exposed for tally in tallies] or [nothing]) / (DAY_S * TICKS_PER_S)
    used = exposure > 0
    return rate(counts[used], exposure[used], seed)


def _by_mechanism(tallies: Sequence[_Tally]) -> dict[str, Found]:
    made = {}
    for name in sorted({tally.mechanism for tally in tallies if tally.leads_s}):
        leads = np.array([lead for tally in tallies if tally.mechanism == name for lead in tally.leads_s])
        made[name] = Found(len(leads), int((~np.isnan(leads)).sum()), _median(leads))
    return made


def _median(leads: Vector) -> float:
    return float(_medians(leads[None, :])[0])


def _medians(leads: Vector) -> Vector:
    """Return the median of each row's known values, NaN without any."""
    ordered = np.sort(leads, axis=1)  # NaN last
    known = (~np.isnan(leads)).sum(axis=1)
    rows = np.arange(len(leads))
    middle = (
        ordered[rows, np.maximum(known - 1, 0) // 2] + ordered[rows, np.minimum(known // 2, leads.shape[1] - 1)]
    ) / 2
    found: Vector = np.where(known > 0, middle, np.nan)
    return found


def _over(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")
