"""What `tidegate stress-benchmark` and `tidegate backtest` share: progress, and the files that they leave."""

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from deploy.detectors import DUELS, lineup, shipped
from models.evaluation.benchmark import Comparison, Plan, compare
from models.evaluation.leaderboard import markdown, mechanisms, summary, to_dict
from models.evaluation.protocol import DetectorError

detector_option = click.option(
    "--detector", "others", multiple=True, metavar="MODULE:CLASS", help="A detector that joins; may be repeated."
)
own_option = click.option(
    "--own/--no-own",
    default=True,
    show_default=True,
    help="With the detectors that come with Tidegate, which train first.",
)


def run(plan: Plan, others: Sequence[str], *, own: bool) -> Comparison:
    """Return the comparison, saying on stderr who is done."""
    started = time.monotonic()

    def done(what: str) -> None:
        click.echo(f"[tidegate] {time.monotonic() - started:4.0f} s  {what}", err=True)

    try:
        return compare(replace(plan, duels=DUELS), lineup(others, own=own), on_step=done)
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"{error.name} is not installed: `make train-setup` adds the training packages"
        ) from error
    except (DetectorError, ValueError) as error:
        raise click.ClickException(str(error)) from error


def leave(comparison: Comparison, out: Path, name: str) -> dict[str, Any]:
    """Write ``name`` as JSON, Markdown and, where matplotlib is, as a plot; show the table; return the shipped line."""
    out.mkdir(parents=True, exist_ok=True)
    best = shipped(comparison)
    page = f"{markdown(comparison)}\n{mechanisms(best)}"
    (out / f"{name}.json").write_text(json.dumps(to_dict(comparison), indent=2) + "\n")
    (out / f"{name}.md").write_text(page)
    try:
        from models.evaluation.plot import plot  # noqa: PLC0415 - matplotlib is in the training group

        for form, drawn in plot(comparison).items():
            (out / f"{name}.{form}").write_bytes(drawn)
    except ModuleNotFoundError as error:
        click.echo(f"[tidegate] no plot: {error.name} is not installed, `make train-setup` adds it", err=True)
    click.echo(page)
    return summary(best)
