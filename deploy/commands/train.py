"""`tidegate train`."""

from pathlib import Path

import click

from feeds.blocks import FeedError


@click.command()
@click.option("--seed", type=int, default=7, show_default=True)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Model folder to write.")
@click.option(
    "--from", "source", type=click.Path(path_type=Path, exists=True), help="LOBSTER zip or folder; simulator if absent."
)
@click.option(
    "--accept-quality",
    "accepted",
    metavar="REASON",
    default="",
    help="Learn from rows that break expectations; the reason goes into the model's card.",
)
def command(seed: int, out: Path, source: Path | None, accepted: str) -> None:
    """Train on calm ticks of the simulator, or on a recorded day taken as calm; data that fail expectations are refused."""
    try:
        from deploy import build_default_model  # noqa: PLC0415 - torch is not in the runtime group
        from deploy.training import BadDataError, guarded, lobster_sessions  # noqa: PLC0415
        from models.card import write_card  # noqa: PLC0415
        from models.fitting import fit_folder  # noqa: PLC0415
        from models.shipping import shipped_stack  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"{error.name} is not installed: `make train-setup` adds the training packages"
        ) from error
    if source is None:
        build_default_model.build(out, seed)
        return
    try:
        sessions = lobster_sessions(source, parts=6)
        quality = guarded(sessions, accepted=accepted)
    except FeedError as error:
        raise click.ClickException(str(error)) from error
    except BadDataError as error:
        raise click.ClickException(f"{source}: {error}") from error
    try:
        model, report = fit_folder(
            sessions, out, make_stack=lambda: shipped_stack(seed), model_id=f"{source.stem[:16]}-{seed}"[:24]
        )
    except ValueError as error:
        raise click.ClickException(f"{source}: {error}") from error
    write_card(model, report, source=f"Recorded session {source.name}, taken as calm", evaluation=None, quality=quality)
    click.echo(f"{out}: {report.learned_rows} rows learned from, levels on {report.level_days:.2f} instrument-days")
