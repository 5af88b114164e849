"""`tidegate verify`."""

import importlib
import json
from pathlib import Path

import click

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
