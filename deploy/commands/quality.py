"""`tidegate quality`."""

from pathlib import Path

import click

from deploy.commands.shared_options import state_option
from quality import worker


@click.command()
@state_option
@click.option(
    "--settings", type=click.Path(path_type=Path, dir_okay=False), help="Settings file; default: the stack's."
)
def command(state: Path, settings: Path | None) -> None:
    """Judge the newest rows of every table each minute; where a stack is up, it does already (`tidegate status`)."""
    raise SystemExit(worker.main(["--settings", str(settings or state / "settings" / "quality.toml")]))
