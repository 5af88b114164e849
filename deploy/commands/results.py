"""`tidegate results`."""

from pathlib import Path

import click

from deploy.results import FOLDER, ResultsError, kept, rewritten
from deploy.results_table import section


@click.command()
@click.option(
    "--from", "folder", type=click.Path(path_type=Path, file_okay=False, exists=True), default=FOLDER, show_default=True
)
@click.option(
    "--readme",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    default=Path("README.md"),
    show_default=True,
)
@click.option("--check", is_flag=True, help="Change nothing; fail where the page is not what it would become.")
def command(folder: Path, readme: Path, *, check: bool) -> None:
    """Rewrite README's table of the evaluation from the results that were kept."""
    page = readme.read_text()
    try:
        found = section(*(kept(folder, f"{kind}_*.json") for kind in ("stress", "backtest", "calm")))
        made = rewritten(page, found, path=readme)
    except ResultsError as error:
        raise click.ClickException(str(error)) from error
    if check and made != page:
        raise click.ClickException(f"{readme} is not what {folder} gives: run `make results`")
    if made != page:
        readme.write_text(made)
    click.echo(f"{readme}: {'as it was' if made == page else 'rewritten'}")
