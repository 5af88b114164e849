"""`tidegate drill`."""

import importlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

import click

from deploy.commands.shared_options import plain_errors
from deploy.drills.report import DrillError, Report, Tell
from deploy.drills.world import ENGINES, World

NAMES: Final = ("upgrade", "rescale", "kill", "bluegreen", "rollback", "overload")


@click.command()
@click.argument("name", type=click.Choice(NAMES))
@click.option("--json", "as_json", is_flag=True, help="The report as JSON, last line of the output.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("build/drills"), show_default=True
)
@plain_errors
def command(name: str, *, as_json: bool, out: Path) -> None:
    """Disturb a deployment of its own and compare all that it publishes with an undisturbed run; exit 1 where it differs.

    It brings its own broker and Flink cluster on free ports and leaves nothing running; what runs otherwise is not touched.
    """
    folder = out / name
    shutil.rmtree(folder, ignore_errors=True)
    module = importlib.import_module(f"deploy.drills.{name}")
    drill: Callable[[World, Tell], Report] = getattr(module, f"drill_{name}")
    try:
        with World(folder, getattr(module, "EXTENT", ENGINES), tell=_tell) as world:
            report = drill(world, _tell)
    except DrillError as error:
        raise click.ClickException(f"drill {name}: {error} (logs in {folder / 'logs'})") from error
    for line in report.lines():
        _tell(line)
    if as_json:
        click.echo(json.dumps(report.plain()))
    if not report.passed:
        raise SystemExit(1)


def _tell(line: str) -> None:
    click.echo(line, err=True)
