"""`tidegate backtest`."""

import json
from functools import partial
from pathlib import Path

import click

from deploy.commands.comparing import detector_option, leave, own_option, run
from deploy.recorded_blocks import recorded_blocks, settings_for
from features.select.folds import Walk
from feeds.blocks import FeedError
from feeds.formats import FORMATS
from models.evaluation.benchmark import Plan
from models.evaluation.folds import walk_blocks
from models.evaluation.truth import TruthSettings, cost_truth, extreme_move_bps, price_truth
from schemas.units import NS_PER_S


@click.command()
@click.argument("recordings", metavar="FORMAT=PATH...", nargs=-1, required=True)
@click.option("--folds", type=click.IntRange(min=1), default=4, show_default=True)
@click.option(
    "--embargo-s", type=click.FloatRange(min=0.0), default=60.0, show_default=True, help="Beyond the horizon."
)
@click.option("--seconds", type=click.FloatRange(min=1.0), help="First seconds of each recording [all].")
@click.option("--seed", type=int, default=7, show_default=True)
@detector_option
@own_option
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("build/backtest"), show_default=True
)
def command(
    recordings: tuple[str, ...],
    *,
    folds: int,
    embargo_s: float,
    seconds: float | None,
    seed: int,
    others: tuple[str, ...],
    own: bool,
    out: Path,
) -> None:
    """Put detectors side by side on recorded days: learnt from the past alone, judged fold by fold; JSON last.

    Each recording walks by itself: instruments of one recording share its clock. Nothing of a recording is labelled, so its
    events are those that the truths find in it.
    """
    walk = Walk(folds, int(TruthSettings().horizon_s * NS_PER_S), int(embargo_s * NS_PER_S))
    last = {}
    for recording in recordings:
        form, equals, path = recording.partition("=")
        if not equals or form not in FORMATS:
            raise click.ClickException(
                f"{recording!r} is not FORMAT=PATH with a format of {', '.join(sorted(FORMATS))}"
            )
        try:
            blocks = recorded_blocks(form, Path(path), seconds=seconds)
            settings = settings_for(form, blocks)
            splits = walk_blocks(blocks, walk)
        except (FeedError, ValueError, OSError) as error:
            raise click.ClickException(f"{recording}: {error}") from error
        move_bps = extreme_move_bps(list(splits[0].learn))
        name = f"{form}-{Path(path).name.partition('.')[0]}"
        truths = {
            f"cost truth ({settings.cost})": partial(cost_truth, settings=settings),
            f"price truth ({move_bps:.1f} bp in 10 s)": partial(price_truth, settings=settings, move_bps=move_bps),
        }
        for kind, truth in truths.items():
            plan = Plan(f"{name}, {kind}", splits, truth, True, settings, seed)
            last[plan.name] = leave(run(plan, others, own=own), out, f"{name}-{kind.partition(' ')[0]}")
    click.echo(json.dumps({"out": str(out), "recordings": last}))
