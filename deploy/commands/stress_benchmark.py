"""`tidegate stress-benchmark`."""

import json
import time
from functools import partial
from pathlib import Path

import click

import feeds
from deploy.block_cache import cached, key_of
from deploy.commands.comparing import Leaving, cache_option, detector_option, keep_option, leave, own_option, run, typed
from deploy.results import Started
from deploy.stress_blocks import stress_blocks
from models.evaluation.benchmark import Plan
from models.evaluation.folds import split_sessions
from models.evaluation.truth import TruthSettings, cost_truth

SIMULATOR = tuple(Path(feeds.__file__).parent.joinpath("stress").glob("*.py"))
"""What the sessions follow from, beside the kernel."""


@click.command()
@click.option("--seed", type=int, default=7, show_default=True)
@click.option("--quick", is_flag=True, help="Some 40 crises instead of over 200.")
@detector_option
@own_option
@cache_option
@keep_option
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("build/stress"), show_default=True
)
def command(
    *, seed: int, quick: bool, others: tuple[str, ...], own: bool, cache: Path | None, kept_in: Path | None, out: Path
) -> None:
    """Put detectors side by side on simulated crises and what only looks like one; table, and JSON of the shipped one last.

    All is simulated and says so. How another detector joins: docs/benchmark.md.
    """
    size = "quick" if quick else "full"
    started = Started.now(
        f"tidegate stress-benchmark --seed {seed}{' --quick' if quick else ''}{typed(others, own=own)}"
    )
    begun = time.monotonic()
    blocks = cached(cache, key_of("stress", seed, size, files=SIMULATOR), partial(stress_blocks, seed, quick=quick))
    click.echo(f"[tidegate] {time.monotonic() - begun:4.0f} s  {len(blocks)} sessions simulated", err=True)
    settings = TruthSettings()
    name = f"stress suite{', quick' if quick else ''} (simulated)"
    plan = Plan(name, [split_sessions(blocks)], partial(cost_truth, settings=settings), False, settings, seed)
    report = "leaderboard-quick" if quick else "leaderboard"
    leaving = Leaving(out, report, kept_in, f"stress_{size}", f"stress-{size}", started)
    click.echo(json.dumps(leave(run(plan, others, own=own), leaving)))
