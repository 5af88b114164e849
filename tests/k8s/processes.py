"""The processes that manifests may start: their settings, and how their command line is read without running them."""

import argparse
import importlib
import importlib.util
from collections.abc import Callable
from typing import Any, NamedTuple

import click
import pytest

from api.settings import PREFIX as API_PREFIX
from api.settings import ApiSettings
from deploy.cli import main as tidegate
from deploy.topics import PREFIX as TOPICS_PREFIX
from deploy.topics import TopicsSettings
from gate.sidecar import SidecarSettings
from history.settings import PREFIX as HISTORY_PREFIX
from history.settings import HistorySettings
from jobs.settings import JobSettings
from quality.settings import PREFIX as QUALITY_PREFIX
from quality.settings import QualitySettings


class Process(NamedTuple):
    """Settings of a process: their class, and the prefix of the variables that override them."""

    settings: type[Any]
    prefix: str


HISTORY = Process(HistorySettings, HISTORY_PREFIX)
JOB = Process(JobSettings, "TIDEGATE_JOB")
PROCESSES = {
    "python -m gate.sidecar": Process(SidecarSettings, "TIDEGATE_SIDECAR"),
    "python -m history.writer": HISTORY,
    "python -m history.migrate": HISTORY,
    "tidegate api --settings": Process(ApiSettings, API_PREFIX),
    "tidegate quality --settings": Process(QualitySettings, QUALITY_PREFIX),
    "tidegate topics apply": Process(TopicsSettings, TOPICS_PREFIX),
    "python -m jobs.compute_features": JOB,
    "python -m jobs.score_risk": JOB,
    "python -m jobs.enforce_orders": JOB,
}
"""By the words that start it. A probe and a program in C have no settings."""


class ReadError(Exception):
    """Carries the parsed command line out of a ``main`` before it does anything."""

    def __init__(self, found: argparse.Namespace) -> None:
        super().__init__("read")
        self.found = found


def read_module(module: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> argparse.Namespace:
    """Return what the parser of ``python -m module`` makes of its arguments; a wrong one ends the test."""
    assert importlib.util.find_spec(module), f"there is no module {module}"
    main: Callable[[list[str]], Any] = importlib.import_module(module).main
    parse = argparse.ArgumentParser.parse_args

    def stop(parser: argparse.ArgumentParser, args: Any = None, namespace: Any = None) -> Any:
        raise ReadError(parse(parser, args, namespace))

    with monkeypatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "parse_args", stop)
        try:
            main(arguments)
        except ReadError as read:
            return read.found
        except SystemExit as error:
            pytest.fail(f"python -m {module} {' '.join(arguments)}: exit {error.code}")
    pytest.fail(f"{module}.main reads no arguments")


def read_tidegate(arguments: list[str]) -> dict[str, Any]:
    """Return the options of a ``tidegate`` command; a wrong one raises."""
    command: click.Command = tidegate
    context = click.Context(command, info_name="tidegate")
    rest = arguments
    while isinstance(command, click.Group):
        name, found, rest = command.resolve_command(context, rest)
        assert found is not None, f"there is no command tidegate {' '.join(arguments)}"
        command, context = found, click.Context(found, info_name=name, parent=context)
    return dict(command.make_context(context.info_name, list(rest)).params)
