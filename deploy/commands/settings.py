"""`tidegate settings`."""

import json
from pathlib import Path

import click

from deploy.commands.shared_options import state_option
from deploy.local.flink import repository
from deploy.process_settings import PAGE, PROCESSES, example, page, shown
from schemas.settings import SettingsError

process_argument = click.argument("process", type=click.Choice(sorted(PROCESSES)))


@click.group()
def command() -> None:
    """Show, explain and check the settings of a process."""


@command.command()
@process_argument
@click.option(
    "--settings", type=click.Path(path_type=Path, dir_okay=False), help="Settings file; default: the stack's."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@state_option
def show(process: str, settings: Path | None, *, as_json: bool, state: Path) -> None:
    """Print what PROCESS would run with here, each value with its source, secrets masked; exit 1 when it would not start."""
    chosen = PROCESSES[process]
    stacks = state / "settings" / chosen.file
    path = settings or (stacks if stacks.exists() else None)
    try:
        rows = list(shown(chosen, path))
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        click.echo(f"{row['key']} = {json.dumps(row['value'])}  # {row['source']}")


@command.command(name="example")
@process_argument
def write_example(process: str) -> None:
    """Print the documented settings file of PROCESS."""
    click.echo(example(PROCESSES[process]), nl=False)


@command.command(name="page")
def write_page() -> None:
    """Rewrite docs/settings.md from the definitions."""
    path = repository() / PAGE
    path.write_text(page())
    click.echo(f"wrote {path}")
