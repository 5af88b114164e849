"""What every entry does: read settings, check the surroundings, build, submit."""

import argparse
import logging
from collections.abc import Callable
from pathlib import Path

from pyflink.datastream import StreamExecutionEnvironment
from pyflink.table import StreamTableEnvironment

from jobs.environment import environment
from jobs.preflight import check_surroundings
from jobs.settings import JobSettings
from schemas.settings import describe, load_settings

Build = Callable[[StreamExecutionEnvironment, StreamTableEnvironment, JobSettings], None]

LOG = logging.getLogger(__name__)


def run_job(name: str, build: Build, argv: list[str]) -> None:
    """Submit one job.

    Args:
        name: Of the job.
        build: Adds its operators.
        argv: ``--settings FILE``, and ``--savepoint JOB=PATH`` for each job that starts from one; those of others are passed over,
            so that one list serves several jobs.

    Raises:
        SettingsError: The settings file has a mistake.
        PreflightError: The surroundings would not work; the message says what to mend.
    """
    parser = argparse.ArgumentParser(prog=name)
    parser.add_argument("--settings", type=Path, required=True)
    parser.add_argument("--savepoint", action="append", default=[], metavar="JOB=PATH")
    options = parser.parse_args(argv)
    settings = load_settings(JobSettings, options.settings, prefix="TIDEGATE_JOB")
    savepoints = dict(one.split("=", 1) for one in options.savepoint)
    LOG.info("%s: %s", name, describe(settings))
    check_surroundings(settings)
    env, tables = environment(settings, savepoint=savepoints.get(name))
    build(env, tables, settings)
    env.execute(name)
