"""The comparison as plain values, as a command's last line and in words; ``tables`` shows it. Equal comparisons, equal bytes."""

import math
from dataclasses import asdict
from typing import Any, Final

from models.evaluation.benchmark import HEADLINE_PER_DAY, Comparison, Duel, Result
from models.evaluation.intervals import Estimate
from models.evaluation.measures import RATES_PER_DAY

EVENTS_SHOWN: Final = 40
"""More recorded events than this are told in the report's JSON alone."""

CHANCE_SLACK: Final = 0.01
"""An interval that misses 0.5 by less says nothing: twenty such intervals miss it once by right."""

_MECHANISMS: Final = ("by_mechanism", "hard_by_mechanism")


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
        "events": _events(comparison),
    }
    values: dict[str, Any] = plain(whole)
    return values


def summary(comparison: Comparison, one: Result, *, suite: str) -> dict[str, Any]:
    """Return the shipped detector's line: thresholds from the past, one false alarm a day allowed, calm time.

    ``budget_ratio`` is false alarms of calm time over those allowed, ``flaps_per_day`` comes from the tier machine.
    """
    head = one.headline(past=True)
    values: dict[str, Any] = plain(
        {
            "name": one.name,
            "suite": suite,
            "seed": comparison.plan.seed,
            "recall": head.recall.value,
            "median_lead_s": head.lead_p50_s.value,
            "false_episodes_per_day": head.false_per_day.value,
            "budget_ratio": head.false_per_day.value / HEADLINE_PER_DAY,
            "flaps_per_day": one.tiers.flaps_per_day.value,
        }
    )
    return values


def digest(comparison: Comparison) -> dict[str, Any]:
    """Return what is worth keeping of a comparison: each detector at one false alarm a day, both ways, and by mechanism."""
    whole = to_dict(comparison)
    place = RATES_PER_DAY.index(HEADLINE_PER_DAY)
    rows = []
    for row in whole["detectors"]:
        ways = {way: row[way][place] for way in ("equal_rate", "from_past")}
        ways["from_past"] = {name: value for name, value in ways["from_past"].items() if name not in _MECHANISMS}
        kept = {name: value for name, value in row.items() if name not in ways}
        rows.append({**kept, **ways})
    recorded = [event for event in whole["events"] if event["mechanism"] == "recorded"]
    return {**whole, "detectors": rows, "events": recorded if len(recorded) <= EVENTS_SHOWN else []}


def _events(comparison: Comparison) -> list[dict[str, Any]]:
    """Return each event with what each detector made of it at one false alarm a day: its lead, or null."""
    made = []
    for place, note in enumerate(comparison.events):
        leads = {
            way: {one.name: float(one.headline(past=past).leads_s[place]) for one in comparison.results}
            for way, past in (("equal_rate", False), ("from_past", True))
        }
        on = {one.name: float(one.headline(past=True).on_s[place]) for one in comparison.results}
        made.append({**asdict(note), "lead_s": leads, "on_at_impact_s": on})
    return made


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
    recall, lead = estimate(one.recall, "+.2f"), estimate(one.lead_s, "+.1f")
    return f"{one.name} {word} {one.other} at an equal rate: recall {recall}, mean lead {lead} s"


def _chance(auc: Estimate) -> str:
    if math.isnan(auc.value):
        return "shuffled future: no tick before stress to be judged on"
    quiet = auc.low - CHANCE_SLACK <= 0.5 <= auc.high + CHANCE_SLACK
    return f"shuffled future: AUC {auc.value:.3f}, {'at chance' if quiet else 'NOT at chance'}"


def _row(one: Result) -> dict[str, Any]:
    row = asdict(one)
    for point in (*row["equal_rate"], *row["from_past"]):
        del point["leads_s"], point["on_s"]
    del row["tiers"]["by_day"]
    return row


def plain(value: Any) -> Any:
    """Return a value as JSON knows it: what could not be measured is null, six decimals."""
    if isinstance(value, dict):
        return {str(name): plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, float):
        return round(float(value), 6) if math.isfinite(value) else None
    return value


def estimate(one: Estimate, form: str) -> str:
    """Return a value with its interval as text."""
    if math.isnan(one.value):
        return "-"
    return f"{one.value:{form}} [{number(one.low, form)}, {number(one.high, form)}]"


def number(value: float, form: str) -> str:
    """Return a value as text, ``-`` where it could not be measured."""
    return "-" if math.isnan(value) else f"{value:{form}}"
