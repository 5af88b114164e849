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
def command(seed: int, out: Path, source: Path | None) -> None:
    """Train on calm ticks of the simulator, or on a recorded day taken as calm."""
    try:
        from deploy import build_default_model  # noqa: PLC0415 - torch is not in the runtime group
        from deploy.training import lobster_sessions  # noqa: PLC0415
        from models.card import write_card  # noqa: PLC0415
        from models.train import train_from_ticks  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"{error.name} is not installed: `make train-setup` adds the training packages"
        ) from error
    if source is None:
        build_default_model.build(out, seed)
        return
    try:
        sessions = lobster_sessions(source, parts=6)
    except FeedError as error:
        raise click.ClickException(str(error)) from error
    model, report = train_from_ticks(sessions, out, seed=seed, model_id=f"{source.stem[:16]}-{seed}"[:24])
    write_card(model, report, source=f"Recorded session {source.name}, taken as calm", evaluation=None)
    click.echo(f"{out}: {report.parameters} parameters, {report.rows} rows, loss {report.loss:.3f}")
