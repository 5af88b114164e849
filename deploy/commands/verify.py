"""`tidegate verify`."""

import importlib
import json
from pathlib import Path

import click

from deploy.commands.shared_options import plain_errors
from deploy.recovery import verify_recovery
from feeds.blocks import FeedError
from feeds.formats import FORMATS


@click.group()
def command() -> None:
    """Prove a property of the running system."""


@command.command()
@click.argument("form", metavar="FORMAT", type=click.Choice(sorted(FORMATS)))
@click.argument("path", type=click.Path(path_type=Path, exists=True))
def book(form: str, path: Path) -> None:
    """Compare the kernel's books with the venue's own, state by state; exit 1 at a mismatch."""
    oracle = importlib.import_module(f"deploy.book_oracles.{form}")
    try:
        report = oracle.check(path)
    except FeedError as error:
        raise click.ClickException(str(error)) from error
    click.echo(json.dumps(report.to_dict()))
    if not report.states:
        click.echo("[tidegate] the recording holds no word of the venue's to compare with: counts only", err=True)
    if report.first_mismatch is not None:
        raise SystemExit(1)


@command.command()
@click.option("--seed", type=int, default=7, show_default=True)
@click.option(
    "--seconds", type=float, default=60.0, show_default=True, help="Length of the replayed slice, event time."
)
@click.option("--speed", type=float, default=2.0, show_default=True, help="Times real time.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("build/recovery"), show_default=True
)
@plain_errors
def recovery(seed: int, seconds: float, speed: float, out: Path) -> None:
    """Kill a TaskManager, restart the broker: ticks and risk states must be byte-equal to the undisturbed run."""
    report = verify_recovery(out, seed=seed, seconds=seconds, speed=speed, tell=lambda line: click.echo(line, err=True))
    click.echo(json.dumps(report))
    if not report["equal"]:
        raise SystemExit(1)
