"""The comparison as Markdown: at one false alarm a day, what else there is at that rate, at other rates, and event by event."""

import math
from typing import Final

import numpy as np

from models.evaluation.benchmark import HEADLINE_PER_DAY, Comparison, Result
from models.evaluation.leaderboard import EVENTS_SHOWN, estimate, number, verdict
from models.evaluation.measures import RATES_PER_DAY

_HEAD: Final = (
    "detector", "recall", "lead p50 s", "lead, missed = 0", "hard neg. alarmed", "VUS-PR", "AUC", "ΔAUC", "past: recall",
    "past: false/day", "past: budget x", "flaps/day", "good volume blocked",
)  # fmt: skip

_EXPLAINED: Final = (
    f"Recall and lead at {HEADLINE_PER_DAY:g} false alarm per instrument-day (6.5 h) of calm time, the same for all; `past:` with "
    "thresholds that had not seen what is judged. 95 % intervals by event, session or block."
)


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


def _cells(one: Result) -> list[str]:
    head, past = one.headline(past=False), one.headline(past=True)
    ratio = one.budget_ratio[RATES_PER_DAY.index(HEADLINE_PER_DAY)]
    return [
        _named(one),
        estimate(head.recall, ".2f"),
        estimate(head.lead_p50_s, ".1f"),
        number(head.lead_all_p50_s, ".1f"),
        estimate(head.hard_negatives, ".2f"),
        estimate(one.vus_pr, ".2f"),
        estimate(one.increment.auc, ".2f"),
        estimate(one.increment.delta_auc, "+.3f"),
        number(past.recall.value, ".2f"),
        estimate(past.false_per_day, ".1f"),
        number(ratio, ".1f"),
        number(one.tiers.flaps_per_day.value, ".1f"),
        number(head.good_volume_blocked.value, ".3f"),
    ]


def details(comparison: Comparison) -> str:
    """Return what else there is to say of each detector at one false alarm a day, thresholds from the past."""
    head = ["from the past, 1 a day", "precision", "coverage", "FPR", "FNR", "good volume blocked", "above Normal", "Elevated/day",
            "High Alert/day", "Critical/day", "flaps/day", "log loss gained"]  # fmt: skip
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for one in comparison.results:
        past, tiers = one.headline(past=True), one.tiers
        shares = (past.precision, past.coverage, past.fpr, past.fnr, past.good_volume_blocked, tiers.above)
        rates = (*tiers.episodes_per_day.values(), tiers.flaps_per_day)
        cells = [*(estimate(value, ".3f") for value in shares), *(estimate(value, ".2f") for value in rates)]
        lines.append(f"| {' | '.join([_named(one), *cells, estimate(one.increment.delta_log_loss, '+.4f')])} |")
    return "\n".join(lines) + "\n"


def rates(comparison: Comparison) -> str:
    """Return recall and the quantiles of the lead at each rate of false alarms, equal for all."""
    head = [
        "equal rate",
        *(f"{what} at {per_day:g}/day" for per_day in RATES_PER_DAY for what in ("recall", "lead p10, p50, p90 s")),
    ]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for one in comparison.results:
        cells = []
        for point in one.equal_rate:
            leads = (point.lead_p10_s, point.lead_p50_s, point.lead_p90_s)
            cells += [estimate(point.recall, ".2f"), "; ".join(estimate(lead, ".1f") for lead in leads)]
        lines.append(f"| {' | '.join([_named(one), *cells])} |")
    return "\n".join(lines) + "\n"


def _named(one: Result) -> str:
    name = f"*{one.name}*" if one.role == "canary" else f"{one.name} (looks ahead: out)" if one.fault else one.name
    return f"{name}{' (baseline)' if one.role == 'baseline' else ''}"


def events(comparison: Comparison) -> str:
    """Return each recorded event and what each detector made of it, thresholds from the past, as a Markdown table.

    A number is the lead in seconds; ``on 312`` an alarm that was raised 312 s before the impact, too early to be its warning.
    """
    notes = [(place, note) for place, note in enumerate(comparison.events) if note.mechanism == "recorded"]
    if not notes:
        return ""
    if len(notes) > EVENTS_SHOWN:
        return f"{len(notes)} recorded events: too many to tell one by one; the report's JSON holds them.\n"
    shown = [one for one in comparison.results if one.role != "canary"]
    head = ["impact, UTC: lead in s", "session", *(one.name for one in shown)]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for place, note in notes:
        leads = [_lead(one, place) for one in shown]
        lines.append(f"| {' | '.join([_clock(note.impact_ns), note.session.partition('@')[0], *leads])} |")
    return "\n".join(lines) + "\n"


def _lead(one: Result, place: int) -> str:
    head = one.headline(past=True)
    lead, on = float(head.leads_s[place]), float(head.on_s[place])
    return f"on {on:.0f}" if math.isnan(lead) and not math.isnan(on) else number(lead, ".1f")


def _clock(ns: int) -> str:
    return f"{np.datetime64(ns, 'ns').astype('datetime64[ms]')!s}".replace("T", " ")
