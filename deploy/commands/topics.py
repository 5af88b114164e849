"""`tidegate topics`."""

import json
from pathlib import Path

import click

from deploy.commands.shared_options import plain_errors
from deploy.topics import PREFIX, TopicsSettings, apply_topics
from schemas.settings import SettingsError, load_settings


@click.group()
def command() -> None:
    """Create the topics of a deployment and keep their configs."""


@command.command()
@click.option(
    "--settings",
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"TOML file; {PREFIX}_<KEY> overrides, for example {PREFIX}_BOOTSTRAP_SERVERS.",
)
@plain_errors
def apply(settings: Path | None) -> None:
    """Create the topics that are missing and set the configs that differ; JSON last.

    Nothing is deleted, and a topic with another number of partitions is refused.
    """
    try:
        found = load_settings(TopicsSettings, settings, prefix=PREFIX)
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
    applied = apply_topics(found)
    click.echo(json.dumps({"created": applied.created, "changed": applied.changed}))
