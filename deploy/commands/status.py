"""`tidegate status`."""

import json
from pathlib import Path

import click

from deploy.commands.shared_options import plain_errors, state_option
from deploy.local.stack import Stack


@click.command()
@state_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@plain_errors
def command(state: Path, as_json: bool) -> None:  # noqa: FBT001 - click fills it by name
    """Show parts, pids and jobs; exit 1 when a part is missing."""
    found = Stack(state).status()
    if as_json:
        click.echo(json.dumps(found))
    else:
        for name, part in found["parts"].items():
            click.echo(f"{name:<16} {'up' if part['alive'] else 'DOWN':<6} pid {part['pid']:<8} {part['log']}")
        for name, job in found["jobs"].items():
            click.echo(f"job {name:<16} {job}")
        for name, port in found["metrics"].items():
            click.echo(f"metrics {name:<16} http://127.0.0.1:{port}/metrics")
        click.echo(f"Kafka {found['layout']['bootstrap_servers']}   Flink {found['layout']['rest_url']}")
    parts = [part["alive"] for part in found["parts"].values()]
    if not parts or not all(parts):
        raise SystemExit(1)
