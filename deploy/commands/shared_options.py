"""The option that every command of the stack takes, its producer of frames, and errors as one line."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from deploy.instruments import ReferenceDataError
from deploy.local.flink import FlinkError
from deploy.local.stack import Stack, StackError
from deploy.topics import TopicsError
from feeds.producer import FrameProducer
from feeds.settings import PREFIX, ProducerSettings
from schemas.exposition import ProcessMetrics
from schemas.settings import SettingsError, load_settings

state_option = click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".tidegate"),
    envvar="TIDEGATE_STATE",
    show_default=True,
    help="State folder of the stack.",
)


def frame_producer(stack: Stack, told: ProcessMetrics | None = None) -> FrameProducer:
    """Return a producer into ``stack``, as the settings of producers say; ``told`` are the metrics of this process.

    Raises:
        SettingsError: The settings cannot be used.
    """
    settings = load_settings(ProducerSettings, stack.settings_path("producer"), prefix=PREFIX)
    return FrameProducer(settings.bootstrap_servers, settings, told=told)


def plain_errors(function: Callable[..., Any]) -> Callable[..., Any]:
    """Show the errors that a user can mend as one line, without a trace."""

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except (StackError, FlinkError, TopicsError, ReferenceDataError, SettingsError) as error:
            raise click.ClickException(str(error)) from error

    return wrapped
