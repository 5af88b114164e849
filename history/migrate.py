"""Numbered SQL files applied in order, each noted with its checksum.

Invariant: what was applied is never changed: a file that was edited, renamed or removed afterwards stops the process,
for the store would no longer be what the files say. Every statement is noted when it is done, so a crash repeats at most one, and
each is written to bear that (``IF NOT EXISTS``, ``OR REPLACE``, a copy whose keys replace). What only a server can do lies
apart (``server/``) and is applied by its administrator. Rejected: a migration library, for SQL files and two tables suffice.
"""

import argparse
import hashlib
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from history.database import Store
from history.settings import PREFIX, HistorySettings
from schemas.process import start_logging
from schemas.settings import load_settings

log = logging.getLogger("tidegate.history")

FOLDER: Final = Path(__file__).parent / "migrations"
_NAME: Final = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
_NOTES: Final = """
CREATE TABLE IF NOT EXISTS migrations
(name String, checksum String, applied_ns DateTime64(9, 'UTC') DEFAULT now64(9))
ENGINE = ReplacingMergeTree ORDER BY name
"""
_STEPS: Final = """
CREATE TABLE IF NOT EXISTS migration_steps
(name String, checksum String, step UInt32, done_ns DateTime64(9, 'UTC') DEFAULT now64(9))
ENGINE = ReplacingMergeTree ORDER BY (name, step)
"""


class MigrationError(RuntimeError):
    """The files and what was applied disagree; the message names the file."""


class Target(Protocol):
    """What migrations need of a store."""

    def command(self, sql: str) -> None:
        """Run a statement."""

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: its name, the SHA-256 of its text, and the text."""

    name: str
    checksum: str
    sql: str

    def statements_on(self, *, replicated: bool) -> list[str]:
        """The statements for a store whose tables are replicated, or not: the engines alone differ."""
        return [_on(statement, replicated=replicated) for statement in self.statements]

    @property
    def statements(self) -> list[str]:
        """The statements, without comment lines; each ends with a semicolon at the end of a line."""
        code = "\n".join(line for line in self.sql.splitlines() if not line.lstrip().startswith("--"))
        return [part.strip() for part in re.split(r";[ \t]*(?:\n|$)", code) if part.strip()]


def read_migrations(folder: Path = FOLDER) -> list[Migration]:
    """Return the migrations of a folder in order.

    Raises:
        MigrationError: A name that does not fit, or numbers that do not run 1, 2, 3, ...
    """
    found = []
    for expected, path in enumerate(sorted(folder.glob("*.sql")), start=1):
        match = _NAME.fullmatch(path.name)
        if match is None or int(match[1]) != expected:
            raise MigrationError(f"{path.name}: expected {expected:04d}_<words>.sql")
        sql = path.read_text()
        found.append(Migration(path.name, hashlib.sha256(sql.encode()).hexdigest(), sql))
    return found


def pending(migrations: Sequence[Migration], applied: dict[str, str]) -> list[Migration]:
    """Return the migrations still to be applied, given name → checksum of what was.

    Raises:
        MigrationError: An applied file was changed or is missing, or an older number was never applied.
    """
    by_name = {migration.name: migration for migration in migrations}
    for name, checksum in sorted(applied.items()):
        if name not in by_name:
            raise MigrationError(f"{name} was applied and its file is missing")
        if by_name[name].checksum != checksum:
            raise MigrationError(f"{name} was applied and its file was changed since: write a new migration instead")
    waiting = [migration for migration in migrations if migration.name not in applied]
    if waiting and applied and waiting[0].name < max(applied):
        raise MigrationError(f"{waiting[0].name} was not applied, but {max(applied)} was")
    return waiting


def migrate(store: Target, *, folder: Path = FOLDER, dry_run: bool = False, replicated: bool = False) -> list[str]:
    """Apply what is pending, or only list it; return the names.

    Args:
        store: Where; a dry run only reads.
        folder: Migrations.
        dry_run: Only list.
        replicated: Make replicated tables: of a server whose configuration has the default replica path.

    Raises:
        MigrationError: The files and what was applied disagree.
        StoreError: The store refused a statement.
    """
    if dry_run:
        exists = store.rows(
            "SELECT count() FROM system.tables WHERE database = currentDatabase() AND name = 'migrations'"
        )
        if not exists[0][0]:
            return [migration.name for migration in read_migrations(folder)]
    else:
        store.command(_on(_NOTES, replicated=replicated))
    noted = store.rows("SELECT name, checksum FROM migrations FINAL")
    waiting = pending(read_migrations(folder), {str(name): str(checksum) for name, checksum in noted})
    if not dry_run:
        for migration in waiting:
            _apply(store, migration, replicated=replicated)
    return [migration.name for migration in waiting]


def _on(statement: str, *, replicated: bool) -> str:
    return re.sub(r"(?m)^ENGINE = (\w*MergeTree)", r"ENGINE = Replicated\1", statement) if replicated else statement


def _apply(store: Target, migration: Migration, *, replicated: bool) -> None:
    """Run the statements that were not done yet, then note the whole."""
    store.command(_on(_STEPS, replicated=replicated))
    done = store.rows(f"SELECT step, checksum FROM migration_steps FINAL WHERE name = '{migration.name}'")  # noqa: S608 (fits a fixed pattern)
    if any(checksum != migration.checksum for _, checksum in done):
        raise MigrationError(f"{migration.name} was applied in part and its file was changed since")
    steps = {int(step) for step, _ in done}
    values = f"('{migration.name}', '{migration.checksum}'"  # both fit fixed patterns
    for step, statement in enumerate(migration.statements_on(replicated=replicated)):
        if step not in steps:
            store.command(statement)
            store.command(f"INSERT INTO migration_steps (name, checksum, step) VALUES {values}, {step})")  # noqa: S608
    store.command(f"INSERT INTO migrations (name, checksum) VALUES {values})")  # noqa: S608
    log.info("migrated name=%s", migration.name)


def main(argv: list[str] | None = None) -> int:
    """Apply or list pending migrations; return the exit status."""
    parser = argparse.ArgumentParser(prog="history.migrate", description="Bring the history store up to date.")
    parser.add_argument("--settings", type=Path, required=True, help=f"TOML file; {PREFIX}_<KEY> overrides")
    parser.add_argument("--dry-run", action="store_true", help="list what would be applied")
    arguments = parser.parse_args(argv)
    start_logging()
    settings = load_settings(HistorySettings, arguments.settings, prefix=PREFIX)
    store = Store(settings)
    try:
        names = migrate(store, dry_run=arguments.dry_run, replicated=settings.replicated)
    finally:
        store.close()
    log.info("%s %s", "pending" if arguments.dry_run else "applied", " ".join(names) or "nothing")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
