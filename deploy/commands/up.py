"""`tidegate up`."""

from pathlib import Path

import click

from deploy.commands.shared_options import plain_errors, state_option
from deploy.local.stack import Stack


@click.command()
@state_option
@plain_errors
def command(state: Path) -> None:
    """Start broker, Flink cluster, jobs, gate sidecar and history writer; free ports are chosen."""
    layout = Stack(state, tell=lambda line: click.echo(f"[tidegate] {line}")).up()
    click.echo(f"Kafka {layout.bootstrap_servers}   Flink {layout.rest_url}   limit table {layout.table_path}")
