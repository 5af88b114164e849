"""README's table of the evaluation, from what was kept in ``benchmarks/results``. Pure: equal files, equal table.

Of several sizes of the suite the largest is shown, of its detectors the one that ships, whom it is compared with, and the
baselines. Recorded days without an event are not among the days (there was nothing to find), but among the calm ones.
"""

from typing import Any, Final

from deploy.results import ran

_HEAD: Final = (
    "detector", "recall", "median lead, s", "hard negatives alarmed", "past: recall", "past: false/day", "flaps/day",
)  # fmt: skip
_DAYS_HEAD: Final = (
    "recorded days", "instrument-days", "events", "shipped: found", "false/day (budget 1)", "flaps/day", "best baseline: found",
)  # fmt: skip
_CALM_HEAD: Final = (
    "calm days, through the tier machine", "instrument-days", "Elevated/day (budget 5)", "High Alert/day (budget 1)",
    "Critical/day (budget 0.1)", "flaps/day", "time above Normal",
)  # fmt: skip


def section(stress: list[dict[str, Any]], recorded: list[dict[str, Any]], calm: list[dict[str, Any]]) -> str:
    """Return the section; a part of which nothing was kept is left out."""
    largest = max(stress, key=lambda one: one["counts"]["sessions"], default=None)
    parts = [] if largest is None else _stress(largest)
    if eventful := [one for one in recorded if one["counts"]["events"] and not _told_apart(one)]:
        parts += [_table(_DAYS_HEAD, [_day(one) for one in eventful])]
    if scored := [one for one in calm if one["role"] == "detector"]:
        parts += [_table(_CALM_HEAD, [_calm(one) for one in scored])]
    if parts:
        parts.append(
            "Every detector, mechanism, rate and event, with command, date and load: [benchmarks/results](benchmarks/results)."
        )
    return "\n\n".join(parts)


def _told_apart(one: dict[str, Any]) -> bool:
    """Of a tape the flash moves are shown: what was extreme in its morning is every minute of its afternoon."""
    return bool(one["data"].startswith("tape") and "price truth" in one["data"])


def _stress(one: dict[str, Any]) -> list[str]:
    shipped = one["shipped"]["name"]
    running = [row for row in one["detectors"] if row["role"] != "canary" and not row["fault"]]
    named = {shipped, *(name for duel in one["duels"] for name in (duel["name"], duel["other"]))}
    rows = []
    for row in [row for row in running if row["role"] == "baseline" or row["name"] in named]:
        head, past = row["equal_rate"], row["from_past"]
        name = f"**{row['name']}** (shipped)" if row["name"] == shipped else row["name"]
        rows.append(
            [
                f"{name} (baseline)" if row["role"] == "baseline" else name,
                _estimate(head["recall"], ".2f"),
                _estimate(head["lead_p50_s"], ".1f"),
                _estimate(head["hard_negatives"], ".2f"),
                _number(past["recall"]["value"], ".2f"),
                _estimate(past["false_per_day"], ".1f"),
                _number(row["tiers"]["flaps_per_day"]["value"], ".1f"),
            ]
        )
    counts = one["counts"]
    crises, negatives = counts.get("sessions_crisis", 0), counts.get("sessions_hard_negative", 0)
    calm = f"{counts['instrument_days_of_calm_time']:.1f} calm instrument-days"
    title = f"Simulated: {crises} crises, {negatives} hard negatives, {calm}"
    return [f"{title}. {one['verdict'][:1].upper()}{one['verdict'][1:]}.", _table(_HEAD, rows), ran(one["run"])]


def _day(one: dict[str, Any]) -> list[str]:
    shipped = next(
        (row for row in one["detectors"] if row["name"] == one["shipped"]["name"] and row["role"] == "detector"), None
    )
    baseline = next(row for row in one["detectors"] if row["role"] == "baseline")
    events = one["counts"]["events"]
    return [
        one["data"],
        _number(one["counts"]["instrument_days_of_negative_time"], ".2f"),
        str(events),
        _found(shipped, events) if shipped else "no book: stale, no score",
        _estimate(shipped["from_past"]["false_per_day"], ".1f") if shipped else "-",
        _number(shipped["tiers"]["flaps_per_day"]["value"], ".1f") if shipped else "-",
        f"{_found(baseline, events)} ({baseline['name']})",
    ]


def _found(row: dict[str, Any], events: int) -> str:
    head = row["from_past"]
    lead = head["lead_p50_s"]["value"]
    count = round((head["recall"]["value"] or 0.0) * events)
    return f"{count} of {events}" + (f", {lead:.1f} s ahead" if lead is not None else "")


def _calm(one: dict[str, Any]) -> list[str]:
    whole = one["whole"]
    tiers = [_estimate(whole["episodes_per_day"][tier], ".2f") for tier in ("ELEVATED", "HIGH_ALERT", "CRITICAL")]
    return [f"{one['data']}: {one['name']}", _number(whole["days"], ".2f"), *tiers,
            _estimate(whole["flaps_per_day"], ".2f"), f"{100 * whole['above']['value']:.2f} %"]  # fmt: skip


def _table(head: tuple[str, ...], rows: list[list[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *(f"| {' | '.join(row)} |" for row in rows)]
    return "\n".join(lines)


def _estimate(one: dict[str, Any], form: str) -> str:
    if one["value"] is None:
        return "-"
    return f"{one['value']:{form}} [{_number(one['low'], form)}, {_number(one['high'], form)}]"


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else f"{value:{form}}"
