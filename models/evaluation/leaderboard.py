"""The comparison as plain values, as a Markdown table and as the last line of a command. Equal comparisons, equal bytes."""

import math
from dataclasses import asdict
from typing import Any, Final

from models.evaluation.benchmark import HEADLINE_PER_DAY, Comparison, Duel, Result
from models.evaluation.intervals import Estimate
from models.evaluation.measures import RATES_PER_DAY

_HEAD: Final = (
    "detector", "recall", "lead p50 s", "lead, missed = 0", "hard neg. alarmed", "VUS-PR", "AUC", "ΔAUC", "past: recall",
    "past: false/day", "past: budget x", "flaps/day", "good volume blocked",
)  # fmt: skip

CHANCE_SLACK: Final = 0.01
"""An interval that misses 0.5 by less says nothing: twenty such intervals miss it once by right."""

_EXPLAINED: Final = (
    f"Recall and lead at {HEADLINE_PER_DAY:g} false alarm per instrument-day (6.5 h) of calm time, the same for all; `past:` with "
    "thresholds that had not seen what is judged. 95 % intervals by event, session or block."
)


def to_dict(comparison: Comparison) -> dict[str, Any]:
    """Return everything as values that JSON knows; what could not be measured is null."""
    plan = comparison.plan
    whole = {
        "data": plan.name,
        "seed": plan.seed,
        "truth": asdict(plan.settings),
        "counts": comparison.counts,
        "tried": comparison.tried,
        "reference": comparison.reference,
        "verdict": verdict(comparison),
        "duels": [asdict(one) for one in comparison.duels],
        "detectors": [_row(one) for one in comparison.results],
    }
    plain: dict[str, Any] = _plain(whole)
    return plain


def summary(one: Result) -> dict[str, Any]:
    """Return the shipped detector's line: thresholds from the past, one false alarm a day allowed, calm time.

    ``false_episodes_per_day_all`` counts hard negatives in the share that they have in the suite, far above that of any day.
    """
    head = one.headline(past=True)
    values: dict[str, Any] = _plain(
        {
            "detector": one.name,
            "recall": head.recall.value,
            "median_lead_s": head.lead_p50_s.value,
            "false_episodes_per_day": head.false_per_day.value,
            "false_episodes_per_day_all": head.false_per_day_all.value,
            "budget_ratio": head.false_per_day.value / HEADLINE_PER_DAY,
            "flaps_per_day": one.tiers.flaps_per_day,
        }
    )
    return values


def verdict(comparison: Comparison) -> str:
    """Return in words whether anything beats the best baseline by more than chance, and whether the harness is sound."""
    said = []
    running = [one for one in comparison.results if one.role != "canary" and one.fault is None]
    better = [
        one.name
        for one in running
        if one.role == "detector" and any(g is not None and g.low > 0 for g in (one.gain_recall, one.gain_lead_s))
    ]
    if not comparison.counts["events"]:
        said.append("no event: false alarms alone can be compared")
    elif comparison.reference is None:
        said.append("no baseline took part: nothing to beat")
    elif better:
        said.append(f"better than {comparison.reference} at an equal rate, interval above zero: {', '.join(better)}")
    else:
        said.append(f"no detector beats {comparison.reference} at an equal rate with an interval above zero")
    said += [_duel(one) for one in comparison.duels]
    said += [f"{one.name} looks ahead and is out: {one.fault}" for one in comparison.results if one.fault]
    for one in comparison.results:
        if one.role == "canary" and "shuffled" in one.name:
            said.append(_chance(one.increment.auc))
    calm_days = comparison.counts["instrument_days_of_calm_time"]
    if none := [f"{per_day:g}" for per_day in RATES_PER_DAY if calm_days * per_day < 1]:
        said.append(
            f"{calm_days:.2f} instrument-days of calm time: at {' and '.join(none)} a day none may be seen at all"
        )
    return "; ".join(said)


def _duel(one: Duel) -> str:
    better = one.recall.low > 0 or one.lead_s.low > 0
    worse = one.recall.high < 0 or one.lead_s.high < 0
    word = "beats in one and loses in the other" if better and worse else "beats" if better else "does not beat"
    recall, lead = _estimate(one.recall, "+.2f"), _estimate(one.lead_s, "+.1f")
    return f"{one.name} {word} {one.other} at an equal rate: recall {recall}, mean lead {lead} s"


def _chance(auc: Estimate) -> str:
    if math.isnan(auc.value):
        return "shuffled future: no tick before stress to be judged on"
    quiet = auc.low - CHANCE_SLACK <= 0.5 <= auc.high + CHANCE_SLACK
    return f"shuffled future: AUC {auc.value:.3f}, {'at chance' if quiet else 'NOT at chance'}"


def markdown(comparison: Comparison) -> str:
    """Return the table at one false alarm per instrument-day, and what was counted."""
    lines = [f"| {' | '.join(_HEAD)} |", f"|{'---|' * len(_HEAD)}"]
    lines += [f"| {' | '.join(_cells(one))} |" for one in comparison.results]
    counts = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in comparison.counts.items())
    tried = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in comparison.tried.items())
    lines += [
        "",
        f"{comparison.plan.name}, seed {comparison.plan.seed}. {_EXPLAINED}",
        "",
        f"Judged: {counts}. Tried: {tried}.",
        "",
        f"Verdict: {verdict(comparison)}.",
    ]
    return "\n".join(lines) + "\n"


def mechanisms(one: Result) -> str:
    """Return what a detector found of each mechanism, and which harmless ones alarmed it, as a Markdown table."""
    head = one.headline(past=False)
    lines = [f"| {one.name}: what acted | sessions | found or alarmed | median lead s |", "|---|---|---|---|"]
    lines += [
        f"| {name} | {own.events} | {own.found} | {_number(own.median_lead_s, '.1f')} |"
        for name, own in head.by_mechanism.items()
    ]
    lines += [
        f"| {name} (harmless) | {count} | {alarmed} | |" for name, (count, alarmed) in head.hard_by_mechanism.items()
    ]
    return "\n".join(lines) + "\n"


def _cells(one: Result) -> list[str]:
    head, past = one.headline(past=False), one.headline(past=True)
    name = f"*{one.name}*" if one.role == "canary" else f"{one.name} (looks ahead: out)" if one.fault else one.name
    ratio = one.budget_ratio[RATES_PER_DAY.index(HEADLINE_PER_DAY)]
    return [
        f"{name}{' (baseline)' if one.role == 'baseline' else ''}",
        _estimate(head.recall, ".2f"),
        _estimate(head.lead_p50_s, ".1f"),
        _number(head.lead_all_p50_s, ".1f"),
        _estimate(head.hard_negatives, ".2f"),
        _estimate(one.vus_pr, ".2f"),
        _estimate(one.increment.auc, ".2f"),
        _estimate(one.increment.delta_auc, "+.3f"),
        _number(past.recall.value, ".2f"),
        _estimate(past.false_per_day, ".1f"),
        _number(ratio, ".1f"),
        _number(one.tiers.flaps_per_day, ".1f"),
        _number(head.good_volume_blocked, ".3f"),
    ]


def _estimate(one: Estimate, form: str) -> str:
    if math.isnan(one.value):
        return "-"
    return f"{one.value:{form}} [{_number(one.low, form)}, {_number(one.high, form)}]"


def _number(value: float, form: str) -> str:
    return "-" if math.isnan(value) else f"{value:{form}}"


def _row(one: Result) -> dict[str, Any]:
    row = asdict(one)
    for point in (*row["equal_rate"], *row["from_past"]):
        del point["leads_s"]
    return row


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, float):
        return round(float(value), 6) if math.isfinite(value) else None
    return value
