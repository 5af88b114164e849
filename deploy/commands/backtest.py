"""`tidegate backtest`."""

import json
import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click

from deploy.block_cache import cached, key_of
from deploy.commands.calm_days import CalmPool, leave_calm
from deploy.commands.comparing import (
    Leaving,
    ask,
    cache_option,
    detector_option,
    entered,
    judge,
    keep_option,
    leave,
    own_option,
    typed,
)
from deploy.detectors import shipped
from deploy.recorded_blocks import TAPES, recorded_blocks, settings_for
from deploy.results import Started
from features.select.folds import Walk
from feeds.blocks import FeedError
from feeds.formats import FORMATS
from models.evaluation.benchmark import Plan, Truth
from models.evaluation.blocks import TickBlock
from models.evaluation.canary import cost_strain, price_strain
from models.evaluation.folds import Split, walk_blocks
from models.evaluation.scored import Canaries, Foreknown
from models.evaluation.truth import FLASH_MOVE, FLASH_S, TruthSettings, cost_truth, extreme_move_bps, price_truth
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
@cache_option
@keep_option
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
    cache: Path | None,
    kept_in: Path | None,
    out: Path,
) -> None:
    """Put detectors side by side on recorded days: learnt from the past alone, judged fold by fold; JSON last.

    Each recording walks by itself: instruments of one recording share its clock. Nothing of a recording is labelled, so its
    events are those that the truths find in it. Two truths judge the same scores, each in a report of its own.
    """
    walk, pooled = Walk(folds, int(TruthSettings().horizon_s * NS_PER_S), int(embargo_s * NS_PER_S)), CalmPool()
    last = {}
    asked = f"--folds {folds} --embargo-s {embargo_s:g} --seed {seed}{typed(others, own=own)}"
    asked += "" if seconds is None else f" --seconds {seconds:g}"
    names = " ".join(f"{form}={path.name}" for form, path in map(_parted, recordings))
    begun = Started.now(f"tidegate backtest {names} {asked}")
    for recording in recordings:
        form, path = _parted(recording)
        name = f"{form}-{path.name.partition('.')[0]}"
        started = Started.now(f"tidegate backtest {form}={path.name} {asked}")
        try:
            blocks = _blocks(form, path, seconds, cache=cache)
            settings = settings_for(form, blocks)
            splits = walk_blocks(blocks, walk)
        except (FeedError, ValueError, OSError) as error:
            raise click.ClickException(f"{recording}: {error}") from error
        tape = form in TAPES
        truths = _truths(splits, settings, tape=tape)
        canaries = Canaries(settings, seed, tuple(one.foreknown for one in truths))
        runs = ask(splits, entered(others, own=own, tape=tape), canaries)
        for one in truths:
            kind = one.foreknown.kind
            plan = Plan(f"{name}, {one.told}", splits, one.truth, True, settings, seed, kind=kind)
            leaving = Leaving(out, f"{name}-{kind}", kept_in, f"backtest_{name}-{kind}", f"{name}-{kind}", started)
            compared = judge(plan, runs)
            last[plan.name] = leave(compared, leaving)
        best = shipped(compared)
        calm = Leaving(out, f"{name}-calm", kept_in, f"calm_{name}", name, started, seed)
        leave_calm(pooled.add(splits, runs, [one.truth for one in truths]), calm, best)
    if len(recordings) > 1:
        leave_calm(pooled, Leaving(out, "all-calm", kept_in, "calm_all", "all of these", begun, seed), best)
    click.echo(json.dumps({"out": str(out), "recordings": last}))


@dataclass(frozen=True, slots=True)
class _Truth:
    """One of the truths that judge a recording."""

    told: str
    truth: Truth
    foreknown: Foreknown


def _truths(splits: list[Split], settings: TruthSettings, *, tape: bool) -> list[_Truth]:
    """Return the truths: by cost, where the recording shows one, and by price, whose level the first past sets.

    Of a tape also by price moves that are extreme anywhere: on a day that goes from calm to a crash, what was the top 0.1 % of
    the morning is every minute of the afternoon.
    """
    move_bps = extreme_move_bps(list(splits[0].learn))
    by_cost = _Truth(
        f"cost truth ({settings.cost})",
        partial(cost_truth, settings=settings),
        Foreknown("cost", cost_strain(settings)),
    )
    by_price = _Truth(
        f"price truth ({move_bps:.1f} bp in 10 s)",
        partial(price_truth, settings=settings, move_bps=move_bps),
        Foreknown("price", price_strain(settings, move_bps), held=False),
    )
    by_flash = _Truth(
        f"flash truth ({1e4 * FLASH_MOVE:.0f} bp in {FLASH_S:g} s)",
        partial(price_truth, settings=settings, move_bps=math.inf),
        Foreknown("flash", price_strain(settings, math.inf), held=False),
    )
    return [by_price, by_flash] if tape else [by_cost, by_price]


def _parted(recording: str) -> tuple[str, Path]:
    form, equals, path = recording.partition("=")
    if not equals or form not in FORMATS:
        raise click.ClickException(f"{recording!r} is not FORMAT=PATH with a format of {', '.join(sorted(FORMATS))}")
    return form, Path(path)


def _blocks(form: str, path: Path, seconds: float | None, *, cache: Path | None) -> list[TickBlock]:
    """Return the blocks; a reader may look at what lies beside its file, so the key holds the whole folder."""
    make = partial(recorded_blocks, form, path, seconds=seconds)
    if cache is None:
        return make()
    folder = path if path.is_dir() else path.parent
    beside = [file for file in folder.iterdir() if file.is_file()]
    return cached(cache, key_of(form, path.name, seconds, files=beside), make)
