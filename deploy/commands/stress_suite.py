"""`tidegate stress-suite`."""

import json
from pathlib import Path
from typing import Final

import click
import numpy as np

from deploy.stress_curves import Curves, curves_of
from deploy.stress_files import MANIFEST, write_suite
from feeds.stress.plan import sessions

SAID_EACH: Final = 25


@click.command()
@click.option("--seed", type=int, default=7, show_default=True)
@click.option("--quick", is_flag=True, help="40 crises, 20 hard negatives, 12 calm sessions; otherwise 214, 67 and 48.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("build/stress-suite"), show_default=True
)
def command(seed: int, *, quick: bool, out: Path) -> None:
    """Simulate the stress suite: labelled blocks of ticks as Parquet, a manifest with digests, a plot; JSON last."""
    planned = sessions(seed, quick=quick)
    shown: list[Curves] = []
    rows = 0
    written = write_suite(out, planned, seed=seed, quick=quick)
    for number, (session, block) in enumerate(zip(planned, written, strict=True), 1):
        shown.append(curves_of(session, block))
        rows += len(block)
        if number % SAID_EACH == 0:
            click.echo(f"[tidegate] {number} of {len(planned)} sessions", err=True)
    try:
        from deploy.stress_plot import plot  # noqa: PLC0415 - matplotlib is in the training group

        (out / "stress.png").write_bytes(plot(shown, title=f"Simulated stress suite, seed {seed}"))
    except ModuleNotFoundError as error:
        click.echo(f"[tidegate] no plot: {error.name} is not installed, `make train-setup` adds it", err=True)
    _show(shown)
    digest = json.loads((out / MANIFEST).read_text())["sha256"]
    click.echo(json.dumps({"out": str(out), "sessions": len(planned), "rows": rows, "sha256": digest}))


def _show(shown: list[Curves]) -> None:
    """Say of each mechanism how often the cost of trading rose as the truth has it, and how long after the onset."""
    click.echo(
        f"{'mechanism':18}{'kind':15}{'sessions':>9}{'stressed':>9}{'before onset':>13}   onset to stress, s: p10, p50, p90"
    )
    for name in sorted({one.mechanism for one in shown}, key=lambda name: _kind(shown, name)):
        of_it = [one for one in shown if one.mechanism == name]
        impacts = np.array([one.impact_s for one in of_it if one.impact_s >= 0])
        early = sum(one.impact_s < 0 for one in of_it)
        times = ", ".join(f"{at:.0f}" for at in np.quantile(impacts, (0.1, 0.5, 0.9))) if len(impacts) else "-"
        click.echo(f"{name:18}{of_it[0].kind:15}{len(of_it):>9}{len(impacts):>9}{early:>13}   {times}")


def _kind(shown: list[Curves], name: str) -> tuple[str, str]:
    return next(one.kind for one in shown if one.mechanism == name), name
