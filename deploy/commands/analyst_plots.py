"""`tidegate analyst-plots`."""

from datetime import UTC, datetime
from pathlib import Path

import click

from deploy.analyst_plots import Asked, pictures
from deploy.commands.shared_options import state_option
from history.client import History, QueryError
from history.database import StoreError
from history.queries import Span
from history.queries.analyst import DEFAULTS
from schemas.units import NS_PER_S


@click.command()
@click.option("--instrument", type=int, required=True, help="Whose session is drawn.")
@click.option("--since", default=DEFAULTS["since"], show_default=True, help="First time, UTC.")
@click.option("--until", default=DEFAULTS["until"], show_default=True, help="First time after, UTC.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("build/analyst"), show_default=True
)
@state_option
def command(*, instrument: int, since: str, until: str, out: Path, state: Path) -> None:
    """Draw what analysts look at first, from the history of a stack or of `tidegate history rehearse`."""
    try:
        asked = Asked(History(state), instrument, since, until, Span(_ns(since), _ns(until)))
        drawn = pictures(asked)
    except (QueryError, StoreError) as error:
        raise click.ClickException(str(error)) from error
    except ModuleNotFoundError as error:
        raise click.ClickException(f"{error.name} is not installed: `make train-setup` adds it") from error
    out.mkdir(parents=True, exist_ok=True)
    for name, raw in drawn.items():
        (out / f"{name}.png").write_bytes(raw)
        click.echo(out / f"{name}.png")


def _ns(text: str) -> int:
    try:
        return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * NS_PER_S
    except ValueError as error:
        raise click.UsageError(f"{text}: must be a time such as 2026-01-15 14:30:00") from error
