"""`tidegate query`."""

from pathlib import Path
from typing import Final

import click
import pyarrow as pa
import pyarrow.csv as pa_csv

from deploy.commands.shared_options import state_option
from history.client import History, QueryError, Result, Statement
from history.database import StoreError
from history.queries.analyst import QuestionError, question, questions
from history.statement import Value

SUFFIXES: Final = (".csv", ".arrow")


@click.command()
@click.argument("sql", required=False)
@click.option("--named", help="Ask an analyst's question (docs/analyst.md) by its name.")
@click.option("--param", "-p", "parameters", multiple=True, metavar="NAME=VALUE", help="Of the named question.")
@click.option("--list", "as_list", is_flag=True, help="List the named questions.")
@click.option("--out", type=click.Path(path_type=Path), help="Write .csv or .arrow instead of showing rows.")
@state_option
def command(
    *, sql: str | None, named: str | None, parameters: tuple[str, ...], as_list: bool, out: Path | None, state: Path
) -> None:
    """Ask the history; reads only.

    Tables: ticks, scores, risk_states, risk_alerts, requests, decisions, executions, commands, model_events, quality_results,
    dead_letters; each also as <table>_once, without repeats. Rollups: ticks_1s,
    ticks_1m, states_1m, tier_changes_once, tier_episodes.
    """
    if as_list:
        for name, one in questions().items():
            click.echo(f"{name:26} {one.asks}")
        return
    try:
        statement = _statement(sql, named, parameters)
        history = History(state)
        if out is None:
            _show(history.query(statement))
        else:
            _write(history.table(statement), out)
    except (QueryError, QuestionError, StoreError) as error:
        raise click.ClickException(str(error)) from error


def _statement(sql: str | None, named: str | None, parameters: tuple[str, ...]) -> Statement:
    if (sql is None) == (named is None):
        raise click.UsageError("give SQL, or --named and its parameters")
    if named is None:
        return Statement(sql or "")
    values: dict[str, Value] = {}
    for one in parameters:
        name, separator, value = one.partition("=")
        if not separator:
            raise click.UsageError(f"-p {one}: must be NAME=VALUE")
        values[name] = int(value) if name == "instrument" and value.isdecimal() else value
    return question(named).statement(**values)


def _show(result: Result) -> None:
    cells = [[str(value) for value in row] for row in [result.columns, *result.rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(result.columns))]
    for row in cells:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _write(table: pa.Table, out: Path) -> None:
    if out.suffix not in SUFFIXES:
        raise click.UsageError(f"--out {out}: must end with {' or '.join(SUFFIXES)}")
    if out.suffix == ".arrow":
        with pa.OSFile(str(out), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
    else:
        pa_csv.write_csv(_flat(table), out)
    click.echo(f"{table.num_rows} rows in {out}")


def _flat(table: pa.Table) -> pa.Table:
    """Return the table with lists as text, for CSV has none."""
    columns = [
        pa.array([" ".join(map(str, value)) for value in column.to_pylist()])
        if pa.types.is_list(column.type)
        else column
        for column in table.columns
    ]
    return pa.table(columns, names=table.column_names)
