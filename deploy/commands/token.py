"""`tidegate token`."""

from pathlib import Path

import click

from api.identity import Role, TokenFileError, issue
from deploy.commands.shared_options import state_option


@click.command()
@click.argument("name")
@click.option("--role", "roles", type=click.Choice([role.value for role in Role]), multiple=True, default=["viewer"])
@click.option(
    "--file", "path", type=click.Path(path_type=Path, dir_okay=False), help="Token file; default: the stack's."
)
@state_option
def command(name: str, roles: tuple[str, ...], path: Path | None, state: Path) -> None:
    """Make a token for NAME and print it: the file keeps its hash alone. Two people need two names."""
    try:
        click.echo(issue(path or state / "tokens.toml", name, [Role(role) for role in roles]))
    except TokenFileError as error:
        raise click.ClickException(str(error)) from error
