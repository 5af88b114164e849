"""Numbered SQL files applied in order, each noted with its checksum.

Invariant: what was applied is never changed: a file that was edited, renamed or removed afterwards stops the process,
for the store would no longer be what the files say. A statement may run twice (a crash between it and its note), so
each is written to bear that (``IF NOT EXISTS``, ``OR REPLACE``). Rejected: a migration library, for SQL files
and one table suffice.
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
from schemas.settings import load_settings

log = logging.getLogger("tidegate.history")

FOLDER: Final = Path(__file__).parent / "migrations"
_NAME: Final = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
_NOTES: Final = """
CREATE TABLE IF NOT EXISTS migrations
(name String, checksum String, applied_ns DateTime64(9, 'UTC') DEFAULT now64(9))
ENGINE = ReplacingMergeTree ORDER BY name
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


def migrate(store: Target, *, folder: Path = FOLDER, dry_run: bool = False) -> list[str]:
    """Apply what is pending, or only list it; return the names."""
    if dry_run:
        exists = store.rows(
            "SELECT count() FROM system.tables WHERE database = currentDatabase() AND name = 'migrations'"
        )
        if not exists[0][0]:
            return [migration.name for migration in read_migrations(folder)]
    else:
        store.command(_NOTES)
    noted = store.rows("SELECT name, checksum FROM migrations FINAL")
    waiting = pending(read_migrations(folder), {str(name): str(checksum) for name, checksum in noted})
    if not dry_run:
        for migration in waiting:
            for statement in migration.statements:
                store.command(statement)
            store.command(
                f"INSERT INTO migrations (name, checksum) VALUES ('{migration.name}', '{migration.checksum}')"  # noqa: S608 (both fit fixed patterns)
            )
            log.info("migrated name=%s", migration.name)
    return [migration.name for migration in waiting]


def main(argv: list[str] | None = None) -> int:
    """Apply or list pending migrations; return the exit status."""
    parser = argparse.ArgumentParser(prog="history.migrate", description="Bring the history store up to date.")
    parser.add_argument("--settings", type=Path, required=True, help=f"TOML file; {PREFIX}_<KEY> overrides")
    parser.add_argument("--dry-run", action="store_true", help="list what would be applied")
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    store = Store(load_settings(HistorySettings, arguments.settings, prefix=PREFIX))
    try:
        names = migrate(store, dry_run=arguments.dry_run)
    finally:
        store.close()
    log.info("%s %s", "pending" if arguments.dry_run else "applied", " ".join(names) or "nothing")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
