"""`tidegate api`."""

from pathlib import Path

import click

from api.server import serve
from api.settings import PREFIX, ApiSettings
from deploy.commands.shared_options import state_option
from schemas.settings import SettingsError, load_settings


@click.command()
@state_option
@click.option(
    "--settings", type=click.Path(path_type=Path, dir_okay=False), help="Settings file; default: the stack's."
)
def command(state: Path, settings: Path | None) -> None:
    """Serve REST, events and the console; where a stack is up, it serves already (`tidegate status`)."""
    path = settings or state / "settings" / "api.toml"
    try:
        loaded = load_settings(ApiSettings, path, prefix=PREFIX)
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"[tidegate] serving on {loaded.host}:{loaded.port}")
    raise SystemExit(serve(loaded))
