"""`tidegate demo`."""

from pathlib import Path

import click

from deploy.commands.shared_options import plain_errors
from deploy.demo.report import lines_of, write
from deploy.demo.run import run_demo


@click.command()
@click.option("--seed", type=int, default=7, show_default=True)
@click.option("--speed", type=float, default=4.0, show_default=True, help="Times real time.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path("build/demo"), show_default=True)
@plain_errors
def command(seed: int, speed: float, out: Path) -> None:
    """Run a flash crash through the whole loop on a stack of its own, and check that the loop kept its promises."""
    report = run_demo(out, seed=seed, speed=speed, tell=click.echo)
    path = out / "report.json"
    write(report, path)
    for line in lines_of(report, path):
        click.echo(line)
    if not report["held"]:
        raise SystemExit(1)
