"""What `tidegate stress-benchmark` and `tidegate backtest` share: progress, and the files that they leave."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from deploy.detectors import DUELS, lineup, shipped
from deploy.results import Started, keep
from models.evaluation import mechanisms, tables
from models.evaluation.benchmark import Comparison, Plan, judged_by
from models.evaluation.folds import Split
from models.evaluation.leaderboard import digest, summary, to_dict
from models.evaluation.protocol import DetectorError
from models.evaluation.scored import Canaries, Lineup, Scored, scored

detector_option = click.option(
    "--detector",
    "others",
    multiple=True,
    metavar="MODULE:CLASS",
    help="A detector that joins, also as FILE.py:CLASS; may be repeated.",
)
own_option = click.option(
    "--own/--no-own",
    default=True,
    show_default=True,
    help="With the detectors that come with Tidegate, which train first.",
)
keep_option = click.option(
    "--keep",
    "kept_in",
    type=click.Path(path_type=Path, file_okay=False),
    help="Also write the small files that are committed, with command, date and machine; `make results` reads them.",
)
cache_option = click.option(
    "--cache",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep the blocks here: the next run on the same data need not make them again.",
)


@dataclass(frozen=True, slots=True)
class Leaving:
    """Where a comparison's files go.

    Attributes:
        out: Folder of the whole report.
        name: Of its files.
        kept_in: Folder of what is committed, or None.
        kept_as: Name there.
        suite: What the shipped line calls the data.
        started: When the run began.
        seed: Of the run.
    """

    out: Path
    name: str
    kept_in: Path | None
    kept_as: str
    suite: str
    started: Started
    seed: int = 7


def run(plan: Plan, others: Sequence[str], *, own: bool) -> Comparison:
    """Return the comparison, saying on stderr who is done."""
    return judge(plan, ask(plan.splits, entered(others, own=own), Canaries(plan.settings, plan.seed)))


def typed(others: Sequence[str], *, own: bool) -> str:
    """Return the options of who takes part as they would be typed, files without their folders."""
    joined = "".join(f" --detector {place.rpartition('/')[2]}" for place in others)
    return f"{'' if own else ' --no-own'}{joined}"


def entered(others: Sequence[str], *, own: bool, tape: bool = False) -> Lineup:
    """Return who takes part, or tell who cannot."""
    try:
        return lineup(others, own=own, tape=tape)
    except DetectorError as error:
        raise click.ClickException(str(error)) from error


def ask(splits: Sequence[Split], takes_part: Lineup, canaries: Canaries) -> list[Scored]:
    """Return what everybody says of the splits, saying on stderr who is done."""
    started = time.monotonic()

    def done(what: str) -> None:
        click.echo(f"[tidegate] {time.monotonic() - started:4.0f} s  {what}", err=True)

    try:
        return scored(splits, takes_part, canaries, on_step=done)
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"{error.name} is not installed: `make train-setup` adds the training packages"
        ) from error
    except (DetectorError, ValueError) as error:
        raise click.ClickException(str(error)) from error


def judge(plan: Plan, runs: Sequence[Scored]) -> Comparison:
    """Return the comparison of what was said."""
    try:
        return judged_by(replace(plan, duels=DUELS), runs)
    except ValueError as error:
        raise click.ClickException(str(error)) from error


def leave(comparison: Comparison, to: Leaving) -> dict[str, Any]:
    """Write JSON, Markdown and, where matplotlib is, plots; show the tables; return the shipped line."""
    to.out.mkdir(parents=True, exist_ok=True)
    line = summary(comparison, shipped(comparison), suite=to.suite)
    table = mechanisms.by_mechanism(comparison)
    page = "\n".join(
        part
        for part in (
            tables.markdown(comparison),
            mechanisms.markdown(table) if table is not None else "",
            tables.rates(comparison),
            tables.details(comparison),
            tables.events(comparison),
        )
        if part
    )
    (to.out / f"{to.name}.json").write_text(json.dumps({"shipped": line, **to_dict(comparison)}, indent=2) + "\n")
    (to.out / f"{to.name}.md").write_text(page)
    if to.kept_in is not None:
        keep(to.kept_in, to.kept_as, to.started, found={"shipped": line, **digest(comparison)}, page=page)
    try:
        from models.evaluation.plot import plot, plot_mechanisms  # noqa: PLC0415 - matplotlib is in the training group

        drawn = {to.name: plot(comparison)}
        if table is not None:
            drawn[f"{to.name}-mechanisms"] = plot_mechanisms(table, comparison.plan.name)
        for name, forms in drawn.items():
            for form, content in forms.items():
                (to.out / f"{name}.{form}").write_bytes(content)
        if to.kept_in is not None:
            for name, suffix in ((to.name, ""), (f"{to.name}-mechanisms", "_mechanisms")):
                if name in drawn and table is not None:
                    (to.kept_in / f"{to.kept_as}{suffix}.png").write_bytes(drawn[name]["png"])
    except ModuleNotFoundError as error:
        click.echo(f"[tidegate] no plot: {error.name} is not installed, `make train-setup` adds it", err=True)
    click.echo(page)
    return line
