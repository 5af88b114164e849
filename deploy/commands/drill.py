"""`tidegate drill`."""

import importlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from deploy.commands.shared_options import plain_errors
from deploy.drills.report import DrillError, Report, Tell
from deploy.drills.soak import run_soak
from deploy.drills.world import ENGINES, World
from deploy.local.stack import Stack

NAMES: Final = ("upgrade", "rescale", "kill", "bluegreen", "rollback", "overload", "soak")


@click.command()
@click.argument("name", type=click.Choice(NAMES))
@click.option("--minutes", type=float, default=30.0, show_default=True, help="Of load, for `soak`.")
@click.option("--json", "as_json", is_flag=True, help="The report as JSON, last line of the output.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("build/drills"), show_default=True
)
@plain_errors
def command(name: str, *, minutes: float, as_json: bool, out: Path) -> None:
    """Disturb a deployment of its own and compare all that it publishes with an undisturbed run; exit 1 where it differs.

    It brings its own broker and Flink cluster on free ports and leaves nothing running; what runs otherwise is not touched.
    """
    folder = out / name
    Stack(folder).down()  # what a drill that was killed left running is known by this folder alone
    shutil.rmtree(folder, ignore_errors=True)
    if name == "soak":
        soak = run_soak(folder, minutes, _tell)
        for process, measure, gained, allowed in soak.grown:
            _tell(f"{process}: {measure} grew by {gained}, {allowed} allowed")
        for process in soak.died:
            _tell(f"{process} ended before its time")
        _tell(f"drill soak: {'passed' if soak.passed else 'FAILED'}")
        _end(soak.plain(), passed=soak.passed, as_json=as_json)
        return
    module = importlib.import_module(f"deploy.drills.{name}")
    drill: Callable[[World, Tell], Report] = getattr(module, f"drill_{name}")
    try:
        with World(folder, getattr(module, "EXTENT", ENGINES), tell=_tell) as world:
            report = drill(world, _tell)
    except DrillError as error:
        raise click.ClickException(f"drill {name}: {error} (logs in {folder / 'logs'})") from error
    for line in report.lines():
        _tell(line)
    _end(report.plain(), passed=report.passed, as_json=as_json)


def _end(plain: dict[str, Any], *, passed: bool, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(plain))
    if not passed:
        raise SystemExit(1)


def _tell(line: str) -> None:
    click.echo(line, err=True)
