"""`tidegate demo`."""

from pathlib import Path

import click

from deploy.commands.shared_options import plain_errors
from deploy.demo.report import lines_of, write
from deploy.demo.run import run_demo
from deploy.local.console import links
from deploy.local.stack import Stack


@click.command()
@click.option("--seed", type=int, default=7, show_default=True)
@click.option("--speed", type=float, default=4.0, show_default=True, help="Times real time.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path("build/demo"), show_default=True)
@click.option("--keep", is_flag=True, help="Leave the stack and its console up afterwards.")
@plain_errors
def command(seed: int, speed: float, out: Path, keep: bool) -> None:  # noqa: FBT001 - click fills it by name
    """Run a flash crash through the whole loop on a stack of its own, and check that the loop kept its promises."""
    report = run_demo(out, seed=seed, speed=speed, tell=click.echo, keep=keep)
    path = out / "report.json"
    write(report, path)
    for line in lines_of(report, path):
        click.echo(line)
    if keep:
        state = out / "state"
        for name, link in links(state, Stack(state).layout.ports["api"]).items():
            click.echo(f"[tidegate] console as {name:<8} {link}")
        click.echo(f"[tidegate] the stack is left up: tidegate down --state {state}")
    if not report["held"]:
        raise SystemExit(1)
