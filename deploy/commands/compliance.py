"""`tidegate compliance`."""

import json
import subprocess
from pathlib import Path

import click

from deploy.compliance import MATRIX, ComplianceError, Matrix, Requirement, find_tests, read_requirements, run_tests
from deploy.compliance_page import page

ROOT = Path(__file__).parents[2]
MARKS = {True: "covered", False: "NOT COVERED"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the numbers alone.")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write the matrix as a page, too.")
@click.option("--no-run", is_flag=True, help="Only check that the named tests exist.")
@click.option(
    "--matrix",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    default=MATRIX,
    show_default="the shipped one",
)
def command(as_json: bool, html: Path | None, no_run: bool, matrix: Path) -> None:  # noqa: FBT001 - click fills by name
    """Run the tests behind each requirement of regulators; exit 1 when one of them has no passing test."""
    if not (ROOT / "tests").is_dir():
        raise click.ClickException("the tests are in the source tree: run this in a checkout")
    try:
        requirements = read_requirements(matrix)
        outcomes = find_tests(requirements, ROOT) if no_run else run_tests(requirements, ROOT)
    except ComplianceError as error:
        raise click.ClickException(str(error)) from error
    result = Matrix(requirements, outcomes)
    if html is not None:
        html.parent.mkdir(parents=True, exist_ok=True)
        html.write_text(page(result, source=_source()))
    if as_json:
        click.echo(json.dumps(_numbers(result)))
    else:
        _print(result, ran=not no_run)
    if result.uncovered:
        raise SystemExit(1)


def _source() -> str:
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    commit = described.stdout.strip()
    return f"commit {commit}" if commit else "no version control here"


def _numbers(result: Matrix) -> dict[str, object]:
    return {
        "covered": len(result.covered),
        "uncovered": [one.id for one in result.uncovered],
        "organisational": [one.id for one in result.organisational],
        "tests": len(result.outcomes),
    }


def _print(result: Matrix, *, ran: bool) -> None:
    for one in result.requirements:
        if not one.organisational:
            _print_covered(one, result)
    click.echo("\nduties of people, which no test can show:")
    for one in result.organisational:
        click.echo(f"  {one.id:9} {one.title}\n            {one.organisational}")
    verb = "pass" if ran else "exist (none was run)"
    click.echo(
        f"\n{len(result.covered)} covered by {len(result.outcomes)} tests that {verb}, {len(result.organisational)} duties of "
        f"people, {len(result.uncovered)} not covered"
    )


def _print_covered(one: Requirement, result: Matrix) -> None:
    click.echo(f"{one.id:9} {MARKS[result.is_covered(one)]:12} {one.title}")
    click.echo(f"{'':22} {', '.join(one.rules) or 'no rule of the gate'}")
    for test in one.tests:
        if not result.outcomes[test].shows:
            click.echo(f"{'':22} {result.outcomes[test].value}: {test}")
