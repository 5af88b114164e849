"""`tidegate doctor`."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import click

from deploy.commands.shared_options import plain_errors, state_option
from deploy.doctor.finding import Level
from deploy.doctor.machine import jar_lock
from deploy.doctor.settings import PREFIX, DoctorSettings
from deploy.doctor.survey import JARS_LOCK, survey
from deploy.local.flink import repository
from deploy.local.stack import Stack, StackError
from schemas.settings import load_settings


@click.command()
@click.option(
    "--settings",
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"TOML file: whom to ask; {PREFIX}_<KEY> overrides. Default: the local stack, where one is up.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--lock-jars", is_flag=True, help="Write the hashes of the jars that are here to locks/jars.sha256, and end."
)
@state_option
@plain_errors
def command(settings: Path | None, *, as_json: bool, lock_jars: bool, state: Path) -> None:
    """Look at this machine and at what runs: a line for each check, with what mends it; exit 1 when one fails."""
    if lock_jars:
        (repository() / JARS_LOCK).write_text(jar_lock(repository() / "jars"))
        return
    asked = load_settings(DoctorSettings, settings, prefix=PREFIX)
    if settings is None:
        asked = _of_stack(asked, state)
    found = list(survey(asked, state))
    if as_json:
        click.echo(json.dumps([asdict(each) for each in found]))
    else:
        for each in found:
            mend = f"  -> {each.mend}" if each.mend else ""
            click.echo(f"{each.level:<5} {each.check:<19} {each.says}{mend}")
    if any(each.level is Level.FAIL for each in found):
        raise SystemExit(1)


def _of_stack(asked: DoctorSettings, state: Path) -> DoctorSettings:
    """Return ``asked`` with what a local stack that is up says in place of what nobody said."""
    try:
        layout = Stack(state).require_up()
    except StackError:
        return asked
    jobs = Stack(state).settings_path("jobs")
    return replace(
        asked,
        bootstrap_servers=asked.bootstrap_servers or layout.bootstrap_servers,
        rest_url=asked.rest_url or layout.rest_url,
        job_settings=asked.job_settings or str(jobs),
        disk_paths=str(state) if asked.disk_paths == "." else asked.disk_paths,
    )
