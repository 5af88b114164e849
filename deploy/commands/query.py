"""`tidegate query`."""

from pathlib import Path

import click

from deploy.commands.shared_options import state_option
from history.client import QueryError, query
from history.database import StoreError


@click.command()
@click.argument("sql")
@state_option
def command(sql: str, state: Path) -> None:
    """Ask the history; reads only.

    Tables: ticks, risk_states, risk_alerts, decisions, commands, dead_letters; each also as <table>_once, without repeats.
    """
    try:
        result = query(sql, status_dir=state)
    except (QueryError, StoreError) as error:
        raise click.ClickException(str(error)) from error
    cells = [[str(value) for value in row] for row in [result.columns, *result.rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(result.columns))]
    for row in cells:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
