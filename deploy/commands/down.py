"""`tidegate down`."""

from pathlib import Path

import click

from deploy.commands.shared_options import state_option
from deploy.local.stack import Stack


@click.command()
@state_option
def command(state: Path) -> None:
    """End exactly what `up` started, also after a crash."""
    ended = Stack(state).down()
    click.echo(f"[tidegate] ended: {', '.join(ended)}" if ended else "[tidegate] nothing was running")
