"""`tidegate up`."""

from pathlib import Path

import click

from deploy.commands.shared_options import plain_errors, state_option
from deploy.local.console import links
from deploy.local.stack import Stack


@click.command()
@state_option
@plain_errors
def command(state: Path) -> None:
    """Start broker, Flink cluster, jobs, gate sidecar, history writer, console and data quality; free ports are chosen."""
    layout = Stack(state, tell=lambda line: click.echo(f"[tidegate] {line}")).up()
    click.echo(f"Kafka {layout.bootstrap_servers}   Flink {layout.rest_url}   limit table {layout.table_path}")
    for name, link in links(state, layout.ports["api"]).items():
        click.echo(f"console as {name:<8} {link}")
