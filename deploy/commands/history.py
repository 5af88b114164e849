"""`tidegate history`: migrate, rebuild, serve."""

import json
from pathlib import Path
from typing import Any

import click

from deploy.commands.shared_options import state_option
from deploy.rehearsal.into_history import fill, recorded, simulated, told, write_settings
from feeds.blocks import FeedError
from feeds.simulator.scenario import ScenarioError
from history import serve as service
from history.client import History, QueryError
from history.database import Store, StoreError
from history.migrate import MigrationError, migrate
from history.rebuild import rebuild
from history.settings import PREFIX, HistorySettings
from models.model_files import ModelError
from schemas.settings import SettingsError, load_settings

settings_option = click.option(
    "--settings",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    default=None,
    help="Settings of the history writer; those of the stack in --state if absent.",
)


@click.group(name="history")
def command() -> None:
    """Look after the store of the history. While its writer runs, the embedded store is the writer's alone."""


@command.command(name="migrate")
@click.option("--dry-run", is_flag=True, help="Only list what would be applied; also while the writer runs.")
@settings_option
@state_option
def migrate_command(*, dry_run: bool, settings: Path | None, state: Path) -> None:
    """Apply what is pending; refuses when an applied migration was changed, removed or left out."""
    try:
        loaded = _load(settings, state)
        names = _pending(loaded) if dry_run else _apply(loaded)
    except (MigrationError, StoreError, QueryError) as error:
        raise click.ClickException(str(error)) from error
    for name in names:
        click.echo(f"{'pending' if dry_run else 'applied'} {name}")
    if not names:
        click.echo("nothing is pending")


@command.command(name="rebuild")
@settings_option
@state_option
def rebuild_command(settings: Path | None, state: Path) -> None:
    """Fill the rollups anew from what is stored."""
    try:
        store = Store(_load(settings, state))
        try:
            rebuild(store, click.echo)
        finally:
            store.close()
    except StoreError as error:
        raise click.ClickException(str(error)) from error


@command.command(name="serve")
@settings_option
@state_option
def serve_command(settings: Path | None, state: Path) -> None:
    """Answer questions of local processes where no writer runs, until interrupted."""
    path = settings or _path(state)
    click.echo(f"serving {_load(settings, state).data_dir}; Ctrl-C ends")
    try:
        service.main(["--settings", str(path)])
    except (MigrationError, StoreError) as error:
        raise click.ClickException(str(error)) from error


@command.command(name="rehearse")
@click.option(
    "--into", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder of the new store."
)
@click.option("--scenario", default="flash_crash", show_default=True, help="Simulated scenario.")
@click.option("--recording", nargs=2, metavar="FORMAT PATH", default=None, help="A recording instead of a scenario.")
@click.option("--seconds", type=float, default=600.0, show_default=True, help="So much of the recording.")
@click.option("--seed", type=int, default=7, show_default=True, help="Of the market and of the simulated desks.")
@click.option(
    "--model", type=click.Path(path_type=Path, exists=True), default=Path("models/default"), show_default=True
)
def rehearse_command(
    *, into: Path, scenario: str, recording: tuple[str, str] | None, seconds: float, seed: int, model: Path
) -> None:
    """Run a session through the loop in this process, into a store of its own, then say what it holds.

    Ask it with `tidegate query --state INTO`. Own orders and their fills are simulated, also at recorded prices.
    """
    settings = HistorySettings(
        bootstrap_servers="", data_dir=into / "data", status_dir=into, socket_path=into / "history.sock"
    )
    if settings.data_dir.exists():
        raise click.ClickException(f"{settings.data_dir} exists already")
    try:
        session = (
            simulated(scenario, seed, model)
            if recording is None
            else recorded(recording[0], Path(recording[1]), seconds=seconds, model_dir=model, seed=seed)
        )
        loaded = fill(settings, told(session))
    except (FeedError, ScenarioError, ModelError, StoreError) as error:
        raise click.ClickException(str(error)) from error
    write_settings(settings, _path(into))
    click.echo(json.dumps({"rows": loaded.rows, "refused": loaded.refused}))


class _Owned:
    """The store as its owner shows it: enough for a dry run."""

    def __init__(self, history: History) -> None:
        self._history = history

    def command(self, sql: str) -> None:
        """Refuse: a dry run writes nothing."""
        raise StoreError(f"a dry run does not run {sql!r}")

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        return self._history.query(sql).rows


def _pending(settings: HistorySettings) -> list[str]:
    try:
        return migrate(_Owned(History(settings.status_dir)), dry_run=True)
    except StoreError:  # no owner has ever run here, or none can be asked: look at the store itself
        store = Store(settings)
        try:
            return migrate(store, dry_run=True)
        finally:
            store.close()


def _apply(settings: HistorySettings) -> list[str]:
    store = Store(settings)
    try:
        return migrate(store, replicated=settings.replicated)
    finally:
        store.close()


def _path(state: Path) -> Path:
    return state / "settings" / "history.toml"


def _load(path: Path | None, state: Path) -> HistorySettings:
    try:
        return load_settings(HistorySettings, path or _path(state), prefix=PREFIX)
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
