"""`tidegate plan`."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from deploy.commands.shared_options import plain_errors
from deploy.local.flink import repository
from deploy.planning.capacity import FILE, Capacity, CapacityError, read_capacity
from deploy.planning.check import check
from deploy.planning.plan import PlanError, Question, as_plain, plan
from deploy.planning.settings import PREFIX, PlanSettings
from schemas.settings import load_settings


@click.command()
@click.option("--instruments", type=click.IntRange(1), required=True, help="Instruments of all channels.")
@click.option("--events-per-s", type=click.IntRange(1), required=True, help="Events of all of them, at the busiest.")
@click.option(
    "--history-days", type=click.IntRange(1), default=30, show_default=True, help="How long history keeps ticks."
)
@click.option(
    "--hours-per-day", type=click.FloatRange(0.1, 24), default=24.0, show_default=True, help="Hours of trading."
)
@click.option(
    "--settings",
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"Room and prices; {PREFIX}_<KEY> overrides.",
)
@click.option(
    "--capacity", "file", type=click.Path(path_type=Path, dir_okay=False), help=f"Measured figures; default: {FILE}."
)
@click.option(
    "--check", "is_checked", is_flag=True, help="Run a smaller load here first and compare it with the prediction."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@plain_errors
def command(
    instruments: int,
    events_per_s: int,
    *,
    history_days: int,
    hours_per_day: float,
    settings: Path | None,
    file: Path | None,
    is_checked: bool,
    as_json: bool,
) -> None:
    """Say what a deployment needs for so many instruments and events, from measured figures; exit 1 where a check does not hold."""
    chosen = load_settings(PlanSettings, settings, prefix=PREFIX)
    question = Question(instruments, events_per_s, history_days, hours_per_day)
    try:
        capacity = read_capacity(file or repository() / FILE)
        found = as_plain(plan(question, capacity, chosen), question, capacity, settings=chosen)
    except (CapacityError, PlanError) as error:
        raise click.ClickException(str(error)) from error
    failed = _checked(capacity, found) if is_checked else []
    if as_json:
        click.echo(json.dumps(found))
    else:
        _print(found)
    if failed:
        raise SystemExit(1)


def _checked(capacity: Capacity, found: dict[str, Any]) -> list[str]:
    rows = check(capacity, repository() / "models" / "default")
    found["check"] = [{**asdict(row), "error": round(row.error, 3), "holds": row.holds} for row in rows]
    return [row.quantity for row in rows if not row.holds]


def _print(found: dict[str, Any]) -> None:
    asked = found["question"]
    click.echo(
        f"{asked['instruments']} instruments, {asked['events_per_s']} events/s, {asked['hours_per_day']:g} h a day"
    )
    click.echo(f"channels        {found['channels']}")
    click.echo(f"partitions      {found['partitions']} of every topic (they never change)")
    for job, count in found["taskmanagers"].items():
        click.echo(
            f"TaskManagers    {count} for {job}, {found['cpu'][job]:.2f} processors, {found['memory_gib'][job]:.1f} GiB"
        )
    for name in ("jobmanager", "history", "sidecar", "api"):
        click.echo(f"{name:<15} {found['cpu'][name]:.2f} processors, {found['memory_gib'][name]:.2f} GiB")
    kafka = found["kafka_gib"]
    parts = ", ".join(f"{name} {size:.0f}" for name, size in kafka.items())
    click.echo(f"Kafka           {sum(kafka.values()):.0f} GiB with all copies ({parts})")
    click.echo(f"history         {found['history_gib']:.1f} GiB for {asked['history_days']} days")
    if found["cpu"]["history"] > 1:
        click.echo(
            '                more than one embedded writer stores: `interface = "http"`, writers to a ClickHouse server'
        )
    click.echo(f"checkpoints     {found['checkpoint_gib']:.2f} GiB")
    click.echo(
        f"cost            {found['cost_per_month']:.0f} {found['currency']} a month (prices: tidegate settings example plan)"
    )
    for row in found.get("check", ()):
        verdict = "holds" if row["holds"] else "DOES NOT HOLD"
        click.echo(f"check           {row['quantity']}: {row['error']:+.1%} (within {row['tolerance']:.0%}) {verdict}")
    about = found["measured"]
    click.echo(f"measured        {about.get('date')} on {about.get('machine')}: {about.get('command')}")
