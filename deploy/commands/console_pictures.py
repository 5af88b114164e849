"""`tidegate console-pictures`."""

from pathlib import Path

import click

from deploy.commands.shared_options import plain_errors, state_option


@click.command()
@state_option
@click.option("--instrument", "instrument_id", type=int, default=1, show_default=True)
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("docs/pictures"), show_default=True
)
@plain_errors
def command(state: Path, instrument_id: int, out: Path) -> None:
    """Take pictures of the console of a stack that is up (`tidegate demo --keep`), for the documents."""
    from deploy.console_pictures import take_pictures  # noqa: PLC0415 - the browser's driver is a development package

    for path in take_pictures(state, out, instrument_id):
        click.echo(str(path))
