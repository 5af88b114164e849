"""`tidegate stress-benchmark`."""

import json
import time
from functools import partial
from pathlib import Path

import click

from deploy.commands.comparing import detector_option, leave, own_option, run
from deploy.stress_blocks import stress_blocks
from models.evaluation.benchmark import Plan
from models.evaluation.folds import split_sessions
from models.evaluation.truth import TruthSettings, cost_truth


@click.command()
@click.option("--seed", type=int, default=7, show_default=True)
@click.option("--quick", is_flag=True, help="Some 40 crises instead of over 200.")
@detector_option
@own_option
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("build/stress"), show_default=True
)
def command(*, seed: int, quick: bool, others: tuple[str, ...], own: bool, out: Path) -> None:
    """Put detectors side by side on simulated crises and what only looks like one; table, and JSON of the shipped one last.

    All is simulated and says so. How another detector joins: docs/benchmark.md.
    """
    started = time.monotonic()
    blocks = stress_blocks(seed, quick=quick)
    click.echo(f"[tidegate] {time.monotonic() - started:4.0f} s  {len(blocks)} sessions simulated", err=True)
    settings = TruthSettings()
    name = f"stress suite{', quick' if quick else ''} (simulated)"
    plan = Plan(name, [split_sessions(blocks)], partial(cost_truth, settings=settings), False, settings, seed)
    click.echo(json.dumps(leave(run(plan, others, own=own), out, "leaderboard-quick" if quick else "leaderboard")))
