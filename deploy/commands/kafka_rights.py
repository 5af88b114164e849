"""`tidegate kafka-rights`."""

import json
from pathlib import Path

import click
import yaml

from deploy.commands.shared_options import plain_errors
from deploy.kafka_rights import PAGE, RIGHTS, RightsError, apply_rights, commands, rules_of, strimzi_users, with_table
from deploy.local.flink import repository
from deploy.rights_settings import PREFIX, RightsSettings, passwords_in
from schemas.settings import load_settings


@click.group()
def command() -> None:
    """Show and set who may do what on Kafka."""


@command.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(*, as_json: bool) -> None:
    """Print the table: user, operation, resource."""
    rows = [(rights.user, *rule) for rights in RIGHTS for rule in rules_of(rights)]
    if as_json:
        click.echo(json.dumps([dict(zip(("user", "kind", "name", "operation"), row, strict=True)) for row in rows]))
        return
    for user, kind, name, operation in rows:
        click.echo(f"{user:<18} {operation:<17} {kind:<8} {name}")


@command.command()
@click.option(
    "--settings",
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"TOML file of a user who may change ACLs; {PREFIX}_<KEY> overrides.",
)
@plain_errors
def apply(settings: Path | None) -> None:
    """Make the broker's ACLs of our users those of the table; JSON last. Users that are not in the table are left alone."""
    found = load_settings(RightsSettings, settings, prefix=PREFIX)
    try:
        done = apply_rights(found.bootstrap_servers, found, passwords_in(found.passwords_dir))
    except RightsError as error:
        raise click.ClickException(str(error)) from error
    click.echo(json.dumps(done))


@command.command(name="commands")
def write_commands() -> None:
    """Print the table as commands of Kafka's own kafka-acls tool."""
    for line in commands():
        click.echo(line)


@command.command(name="page")
def write_page() -> None:
    """Rewrite the table in docs/operations.md."""
    path = repository() / PAGE
    path.write_text(with_table(path.read_text()))
    click.echo(f"wrote {path}")


@command.command()
@click.option("--cluster", default="kafka", show_default=True, help="Name of the Kafka resource.")
@click.option("--namespace", default="kafka", show_default=True, help="Its namespace.")
def strimzi(cluster: str, namespace: str) -> None:
    """Print the table as KafkaUser resources of Strimzi."""
    click.echo(yaml.safe_dump_all(strimzi_users(cluster, namespace), sort_keys=False), nl=False)
