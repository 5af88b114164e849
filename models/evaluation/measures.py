"""What a detector is worth at a threshold: events warned of, how early, and at what cost in false alarms and good volume.

An event is found when an alarm is *raised* within its window, at the latest when the truth is complete; an alarm is false when
raised in negative time. Nothing is adjusted afterwards: one early tick does not make the rest of an event found.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from models.evaluation.blocks import TICKS_PER_S, Vector
from models.evaluation.episodes import DAY_S, GAP_TICKS, Judged, alarmed, alarms_of, calm_part, hard_part, is_hard
from models.evaluation.intervals import CHUNK_TICKS, NOTHING, Estimate, bootstrap, quantile, rate, ratio, share
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
        lead_p10_s: Quantile of the lead of those found; by event.
        lead_p50_s: Median lead of those found; by event.
        lead_p90_s: Quantile of the lead of those found; by event.
        lead_all_p50_s: Median lead when an event that was missed counts as 0.
        false_per_day: False alarms per instrument-day of calm time, that before hard negatives too; by block.
        false_per_day_all: The same with hard negatives counted as they come.
        hard_negatives: Share of hard negatives in which an alarm was raised; by session.
        precision: Alarms raised in event windows over those and the false ones; by block, as all that follow.
        coverage: Share of stressed ticks during which an alarm was on.
        fpr: Share of negative ticks during which an alarm was on.
        fnr: Share of ticks ahead of cost stress during which none was.
        good_volume_blocked: Trades of negative time that fell into alarms, over all of negative time.
        by_mechanism: What acted → events found.
        hard_by_mechanism: What looked bad and was not → (sessions, alarmed).
        leads_s: Lead of each event in order, NaN = missed; not part of a report.
        on_s: Of each event, for how long an alarm had been on at its impact, whenever it was raised, NaN = none was; an alarm that
            was raised too early to be a warning finds nothing, and is told here.
    """

    per_day: float
    recall: Estimate
    lead_p10_s: Estimate
    lead_p50_s: Estimate
    lead_p90_s: Estimate
    lead_all_p50_s: float
    false_per_day: Estimate
    false_per_day_all: Estimate
    hard_negatives: Estimate
    precision: Estimate
    coverage: Estimate
    fpr: Estimate
    fnr: Estimate
    good_volume_blocked: Estimate
    by_mechanism: dict[str, Found]
    hard_by_mechanism: dict[str, tuple[int, int]]
    leads_s: Vector = field(repr=False)
    on_s: Vector = field(repr=False)


@dataclass(slots=True)
class _Tally:
    """One block at a threshold; arrays hold a number for each ten minutes of it."""

    mechanism: str
    leads_s: list[float]
    on_s: list[float]
    raised: bool
    counts: dict[str, Vector]


def at_thresholds(judged: Sequence[Judged], thresholds: Sequence[float], *, per_day: float, seed: int) -> AtThreshold:
    """Return the measures of ``judged``, each block at its own threshold (folds are calibrated one by one)."""
    pairs = list(zip(judged, thresholds, strict=True))
    calm = [_tally(calm_part(one), level) for one, level in pairs]
    hard = [_tally(hard_part(one), level) for one, level in pairs if is_hard(one.block)]
    tallies = [*calm, *hard]
    leads = np.array([lead for tally in calm for lead in tally.leads_s])
    found = len(leads) and not np.isnan(leads).all()

    def over(part: str, whole: str) -> Estimate:
        return ratio(_joined(tallies, part), _joined(tallies, whole), seed)

    ahead = over("on_ahead", "ahead")
    return AtThreshold(
        per_day=per_day,
        recall=share(~np.isnan(leads), seed),
        lead_p10_s=quantile(leads, 0.1, seed) if found else NOTHING,
        lead_p50_s=quantile(leads, 0.5, seed) if found else NOTHING,
        lead_p90_s=quantile(leads, 0.9, seed) if found else NOTHING,
        lead_all_p50_s=float(np.median(np.nan_to_num(leads, nan=0.0))) if len(leads) else float("nan"),
        false_per_day=_false_rate(calm, seed),
        false_per_day_all=_false_rate(tallies, seed),
        hard_negatives=share(np.array([t.raised for t in hard], dtype=np.bool_), seed),
        precision=over("right", "judged"),
        coverage=over("on_stressed", "stressed"),
        fpr=over("on_negative", "negative"),
        fnr=Estimate(1.0 - ahead.value, 1.0 - ahead.high, 1.0 - ahead.low),
        good_volume_blocked=over("on_volume", "volume"),
        by_mechanism=_by_mechanism(calm),
        hard_by_mechanism={
            name: (len(own), sum(t.raised for t in own))
            for name in sorted({t.mechanism for t in hard})
            if (own := [t for t in hard if t.mechanism == name])
        },
        leads_s=leads,
        on_s=np.array([on for tally in calm for on in tally.on_s]),
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
    leads, stood = [], []
    for event in truth.events:
        inside = raised[(raised >= event.start) & (raised <= event.known)]
        leads.append((event.impact - int(inside[0])) / TICKS_PER_S if len(inside) else float("nan"))
        stood.append(_standing_s(alarms, event.impact))
    stressed = np.zeros(rows, dtype=np.bool_)
    window = np.zeros(rows, dtype=np.bool_)
    for event in truth.events:
        stressed[event.impact : event.end + 1] = True
        window[event.start : event.known + 1] = True
    volume = np.nan_to_num(block.column("trade_rate"), nan=0.0)
    negative, ahead = truth.negative, truth.ahead == 1.0
    chunk = np.arange(rows) // CHUNK_TICKS

    def counted(weights: Vector | npt.NDArray[np.bool_]) -> Vector:
        held: Vector = np.bincount(chunk, weights.astype(np.float64), minlength=rows // CHUNK_TICKS + 1).astype(
            np.float64
        )
        return held

    begins = np.zeros(rows)
    begins[raised] = 1.0
    labels = block.labels
    return _Tally(
        mechanism=labels.mechanism if labels is not None else "recorded",
        leads_s=leads,
        on_s=stood,
        raised=bool(negative[raised].any()),
        counts={
            "false": counted(begins * negative),
            "right": counted(begins * window),
            "judged": counted(begins * (negative | window)),
            "negative": counted(negative),
            "on_negative": counted(on & negative),
            "stressed": counted(stressed),
            "on_stressed": counted(on & stressed),
            "ahead": counted(ahead),
            "on_ahead": counted(on & ahead),
            "volume": counted(volume * negative),
            "on_volume": counted(volume * (negative & on)),
        },
    )


def _joined(tallies: Sequence[_Tally], name: str) -> Vector:
    return np.concatenate([tally.counts[name] for tally in tallies] or [np.empty(0)])


def _standing_s(alarms: npt.NDArray[np.int64], row: int) -> float:
    """Return for how long an alarm has been on at a row, its dwell included; NaN = none is."""
    on = alarms[(alarms[:, 0] <= row) & (alarms[:, 1] + GAP_TICKS > row)]
    return (row - int(on[0, 0])) / TICKS_PER_S if len(on) else float("nan")


def _false_rate(tallies: Sequence[_Tally], seed: int) -> Estimate:
    counts, exposure = _joined(tallies, "false"), _joined(tallies, "negative") / (DAY_S * TICKS_PER_S)
    used = exposure > 0
    return rate(counts[used], exposure[used], seed)


def _by_mechanism(tallies: Sequence[_Tally]) -> dict[str, Found]:
    made = {}
    for name in sorted({tally.mechanism for tally in tallies if tally.leads_s}):
        leads = np.array([lead for tally in tallies if tally.mechanism == name for lead in tally.leads_s])
        made[name] = Found(len(leads), int((~np.isnan(leads)).sum()), _median(leads))
    return made


def _median(leads: Vector) -> float:
    return float("nan") if np.isnan(leads).all() else float(np.nanmedian(leads))
