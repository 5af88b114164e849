"""`tidegate features`."""

import importlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import numpy as np

from deploy.training import CALM_SESSION_S, simulated_ticks, ticks_of
from features.spec import FEATURE_NAMES
from feeds.blocks import FeedError
from feeds.framing import frames_of
from feeds.lobster.reader import open_session
from schemas.events import TickStatus
from schemas.ticks import Ticks
from schemas.units import NS_PER_S

if TYPE_CHECKING:
    from features.select.report import SelectionReport
    from features.select.targets import TickTable

SIMULATED_DAYS: Final = 4
DAY_NS: Final = 24 * 3600 * NS_PER_S
TRAINING_LIBRARIES: Final = ("scipy", "sklearn", "matplotlib")


@click.group()
def command() -> None:
    """Ask which features say anything about what comes."""


@command.command()
@click.option(
    "--from", "source", type=click.Path(path_type=Path, exists=True), help="LOBSTER zip or folder; simulator if absent."
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=1.0),
    help=f"First seconds of the recording [all]; calm seconds of each simulated day [{CALM_SESSION_S:.0f}].",
)
@click.option("--seed", type=int, default=7, show_default=True)
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("build/features"), show_default=True
)
def select(source: Path | None, seconds: float | None, seed: int, out: Path) -> None:
    """Select features against the move of the mid over the next 10 s; table and plots, JSON last.

    Every fold is learnt from its past alone. Without --from: four simulated days, each calm and then a flash crash.
    """
    try:
        for library in TRAINING_LIBRARIES:
            importlib.import_module(library)
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"{error.name} is not installed: `make train-setup` adds the training packages"
        ) from error
    from features.select.plot import plot  # noqa: PLC0415 - after the check above
    from features.select.report import SelectionSettings  # noqa: PLC0415
    from features.select.targets import TARGETS  # noqa: PLC0415
    from features.select.walk import select_features  # noqa: PLC0415

    try:
        messages = _simulated(seed, seconds) if source is None else _recorded(source, seconds)
        table, stale_rows = _table(messages)
        reports = {target: select_features(table, SelectionSettings(target=target, seed=seed)) for target in TARGETS}
    except (FeedError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    name = "simulator" if source is None else source.stem
    out.mkdir(parents=True, exist_ok=True)
    whole = {
        "source": name,
        "seconds": seconds,
        "stale_rows_left_out": stale_rows,
        "targets": {target: report.to_dict() for target, report in reports.items()},
    }
    (out / "report.json").write_text(json.dumps(whole, indent=2) + "\n")
    for target, report in reports.items():
        for form, drawn in plot(report, title=f"{name}: {target.replace('_', ' ')} over the next 10 s").items():
            (out / f"{target}.{form}").write_bytes(drawn)
        _show(report)
    summary = {target: {"chosen": report.chosen, "verdict": report.verdict()} for target, report in reports.items()}
    click.echo(json.dumps({"out": str(out), **summary}))


def _show(report: "SelectionReport") -> None:
    click.echo(f"{report.settings.target}: {report.rows} rows; left out {report.left_out}; tried {report.tried}")
    click.echo(
        f"{'rank':>4}  {'feature':24}{'cluster':>7}{'stays':>7}{'its cluster':>13}{'MI nats':>16}{'chance':>8}{'null':>7}"
    )
    for one in (*report.features, *report.canaries):
        name = f"{'*' if one.chosen else ' '} {one.name}"
        stays = f"{one.frequency:>7.2f}{one.cluster_frequency:>13.2f}"
        knows = f"{one.mi_nats:>9.3f} ± {one.mi_spread_nats:.2f}{one.mi_chance_nats:>8.3f}"
        click.echo(f"{one.rank:>4}{name:26}{one.cluster:>7}{stays}{knows}{one.null_share:>7.2f}")
    for label, score in (("chosen", report.score), ("all", report.score_all), ("shuffled future", report.score_canary)):
        click.echo(
            f"out of fold, {label}: R2 {score.r2:.4f} ± {score.r2_error:.4f}, rank correlation {score.rank_correlation:.3f}"
        )
    click.echo(f"{report.verdict()}\n")


def _recorded(source: Path, seconds: float | None) -> Iterator[Ticks]:
    session = open_session(source)
    until_ns = session.end_ns if seconds is None else session.start_ns + int(seconds * NS_PER_S)
    frames = frames_of(session.blocks(), session.channel_id, start_ns=session.start_ns, end_ns=session.end_ns)
    for message in ticks_of(frames, session.channel_id):
        if int(message.tick_ns[-1]) > until_ns:
            return
        yield message


def _simulated(seed: int, seconds: float | None) -> Iterator[Ticks]:
    """Yield calm and crash, day after day; each scenario is dated the same day, so a day is added to each next."""
    for day in range(SIMULATED_DAYS):
        for scenario, duration_s in (("calm", seconds or CALM_SESSION_S), ("flash_crash", None)):
            for message in simulated_ticks(scenario, seed * 1_000 + day, duration_s=duration_s):
                yield _later(message, day * DAY_NS)


def _later(message: Ticks, by_ns: int) -> Ticks:
    return Ticks(
        channel_id=message.channel_id,
        epoch=message.epoch,
        spec_hash=message.spec_hash,
        feature_names=message.feature_names,
        tick_ns=message.tick_ns + by_ns,
        instrument_id=message.instrument_id,
        status=message.status,
        ref_price=message.ref_price,
        values=message.values,
    )


def _table(messages: Iterable[Ticks]) -> tuple["TickTable", int]:
    """Return the rows whose book may be trusted, and how many may not."""
    from features.select.targets import TickTable  # noqa: PLC0415 - with the rest of the selection

    held = list(messages)
    if not held:
        raise ValueError("no tick was closed: the recording is empty or shorter than one tick")
    columns = {
        name: np.concatenate([getattr(message, name) for message in held])
        for name in ("values", "instrument_id", "tick_ns", "ref_price")
    }
    fresh = (np.concatenate([message.status for message in held]) & TickStatus.STALE) == 0
    table = TickTable(FEATURE_NAMES, **{name: column[fresh] for name, column in columns.items()})
    return table, int((~fresh).sum())
