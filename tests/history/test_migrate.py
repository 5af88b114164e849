"""Migrations: order, checksums, and what happens when a file was touched."""

import re
from pathlib import Path
from typing import Any

import pytest

from history.migrate import MigrationError, migrate, pending, read_migrations


class CrashError(Exception):
    """The process ended here."""


class FakeStore:
    """Keeps the notes that a store would; ``crash_at`` ends the process once so many statements have run."""

    def __init__(self, crash_at: int | None = None) -> None:
        self.ran: list[str] = []
        self.notes: dict[str, str] = {}
        self.steps: dict[tuple[str, int], str] = {}
        self.crash_at = crash_at

    def command(self, sql: str) -> None:
        if sql.startswith("INSERT INTO migrations "):
            name, checksum = sql.split("'")[1::2]
            self.notes[name] = checksum
        elif sql.startswith("INSERT INTO migration_steps "):
            name, checksum = sql.split("'")[1::2]
            self.steps[name, int(sql.rpartition(",")[2].strip(" )"))] = checksum
        elif "migration" not in sql:
            self.ran.append(sql)
            if len(self.ran) == self.crash_at:
                raise CrashError

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        if "system.tables" in sql:
            return [(len(self.notes),)]
        if "migration_steps" in sql:
            wanted = sql.split("'")[1]
            return [(step, checksum) for (name, step), checksum in self.steps.items() if name == wanted]
        return list(self.notes.items())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "0001_a.sql").write_text("-- why; because\nCREATE TABLE a (x Int8);\nCREATE TABLE b (x Int8);\n")
    (tmp_path / "0002_b.sql").write_text("CREATE VIEW v AS SELECT ';' FROM a;")
    return tmp_path


def test_fresh_store_gets_every_statement_in_order(folder: Path) -> None:
    store = FakeStore()
    assert migrate(store, folder=folder) == ["0001_a.sql", "0002_b.sql"]
    assert store.ran == ["CREATE TABLE a (x Int8)", "CREATE TABLE b (x Int8)", "CREATE VIEW v AS SELECT ';' FROM a"]


def test_crash_in_mid_file_repeats_the_one_statement_that_was_not_noted(folder: Path) -> None:
    store = FakeStore(crash_at=2)
    with pytest.raises(CrashError):
        migrate(store, folder=folder)
    assert store.notes == {}
    assert migrate(store, folder=folder) == ["0001_a.sql", "0002_b.sql"]
    assert store.ran == [
        "CREATE TABLE a (x Int8)",
        "CREATE TABLE b (x Int8)",
        "CREATE TABLE b (x Int8)",
        "CREATE VIEW v AS SELECT ';' FROM a",
    ]


def test_file_changed_after_it_was_applied_in_part_is_named(folder: Path) -> None:
    store = FakeStore(crash_at=2)
    with pytest.raises(CrashError):
        migrate(store, folder=folder)
    with (folder / "0001_a.sql").open("a") as file:
        file.write("CREATE TABLE c (x Int8);")
    with pytest.raises(MigrationError, match=r"0001_a\.sql was applied in part and its file was changed"):
        migrate(store, folder=folder)


def test_server_with_replicas_gets_replicated_engines_and_nothing_else_changes() -> None:
    for migration in read_migrations():
        replicated = migration.statements_on(replicated=True)
        assert all("MergeTree" not in one or "ENGINE = Replicated" in one for one in replicated)
        assert [one.replace("ENGINE = Replicated", "ENGINE = ") for one in replicated] == migration.statements


def test_second_run_applies_nothing(folder: Path) -> None:
    store = FakeStore()
    migrate(store, folder=folder)
    store.ran.clear()
    assert migrate(store, folder=folder) == []
    assert store.ran == []


def test_dry_run_lists_and_changes_nothing(folder: Path) -> None:
    store = FakeStore()
    assert migrate(store, folder=folder, dry_run=True) == ["0001_a.sql", "0002_b.sql"]
    assert store.ran == []
    assert store.notes == {}


def test_new_file_is_applied_alone(folder: Path) -> None:
    store = FakeStore()
    migrate(store, folder=folder)
    (folder / "0003_c.sql").write_text("CREATE TABLE c (x Int8);")
    assert migrate(store, folder=folder, dry_run=True) == ["0003_c.sql"]
    store.ran.clear()
    migrate(store, folder=folder)
    assert store.ran == ["CREATE TABLE c (x Int8)"]


def test_changed_file_is_named(folder: Path) -> None:
    store = FakeStore()
    migrate(store, folder=folder)
    with (folder / "0001_a.sql").open("a") as file:
        file.write(" ")
    with pytest.raises(MigrationError, match=r"0001_a\.sql was applied and its file was changed"):
        migrate(store, folder=folder)


def test_missing_file_is_named(folder: Path) -> None:
    store = FakeStore()
    migrate(store, folder=folder)
    (folder / "0002_b.sql").unlink()
    with pytest.raises(MigrationError, match=r"0002_b\.sql was applied and its file is missing"):
        migrate(store, folder=folder)


def test_number_before_an_applied_one_is_refused(folder: Path) -> None:
    first, second = read_migrations(folder)
    with pytest.raises(MigrationError, match=r"0001_a\.sql was not applied"):
        pending([first, second], {second.name: second.checksum})


@pytest.mark.parametrize("name", ["0004_gap.sql", "3_short.sql", "0003-dash.sql", "0002_twice.sql"])
def test_name_that_does_not_fit_is_refused(folder: Path, name: str) -> None:
    (folder / name).write_text("SELECT 1;")
    with pytest.raises(MigrationError, match=r"expected 000\d_"):
        read_migrations(folder)


BEARS = (
    "CREATE TABLE IF NOT EXISTS",
    "CREATE MATERIALIZED VIEW IF NOT EXISTS",
    "CREATE OR REPLACE VIEW",
    "RENAME TABLE IF EXISTS",
    "DROP TABLE IF EXISTS",
)
BEARING_CHANGES = (
    "ADD COLUMN IF NOT EXISTS ",
    "ADD INDEX IF NOT EXISTS ",
    "MODIFY COLUMN ",
    "MODIFY ORDER BY ",
    "MODIFY TTL ",
    "MODIFY SETTING ",
)


def test_committed_migrations_bear_a_second_run_of_any_statement() -> None:
    for migration in read_migrations():
        for statement in migration.statements:
            if statement.startswith("ALTER TABLE"):
                changes = re.split(r",\n", statement.split(maxsplit=3)[3])
                assert all(change.strip().startswith(BEARING_CHANGES) for change in changes), statement
            elif statement.startswith("INSERT INTO"):
                copy = re.fullmatch(r"INSERT INTO (\w+)_ordered SELECT \* FROM (\w+) FINAL", statement)
                assert copy is not None, statement  # rows of equal keys replace one another
                assert copy[1] == copy[2]
            else:
                assert statement.startswith(BEARS), statement
