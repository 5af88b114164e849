"""Migrations: order, checksums, and what happens when a file was touched."""

from pathlib import Path
from typing import Any

import pytest

from history.migrate import MigrationError, migrate, pending, read_migrations


class FakeStore:
    """Keeps the notes that a store would."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.notes: dict[str, str] = {}

    def command(self, sql: str) -> None:
        if sql.startswith("INSERT INTO migrations"):
            name, checksum = sql.split("'")[1::2]
            self.notes[name] = checksum
        elif "migrations" not in sql:
            self.ran.append(sql)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return [(len(self.notes),)] if "system.tables" in sql else list(self.notes.items())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "0001_a.sql").write_text("-- why; because\nCREATE TABLE a (x Int8);\nCREATE TABLE b (x Int8);\n")
    (tmp_path / "0002_b.sql").write_text("CREATE VIEW v AS SELECT ';' FROM a;")
    return tmp_path


def test_fresh_store_gets_every_statement_in_order(folder: Path) -> None:
    store = FakeStore()
    assert migrate(store, folder=folder) == ["0001_a.sql", "0002_b.sql"]
    assert store.ran == ["CREATE TABLE a (x Int8)", "CREATE TABLE b (x Int8)", "CREATE VIEW v AS SELECT ';' FROM a"]


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


def test_committed_migrations_bear_a_second_run() -> None:
    for migration in read_migrations():
        for statement in migration.statements:
            bears = ("CREATE TABLE IF NOT EXISTS", "CREATE OR REPLACE VIEW", "ALTER TABLE")
            assert statement.startswith(bears), migration.name
            bearing = statement.count("ADD COLUMN IF NOT EXISTS ") + statement.count(" MODIFY ORDER BY (")
            assert not statement.startswith("ALTER") or bearing == statement.count(",\n") + 1, migration.name
