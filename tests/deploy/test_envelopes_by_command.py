"""Limits change by commands of two people alone: a file that is edited changes nothing, in no process."""

import ast
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.instruments import FOLDER, load_instruments, reference_commands
from gate._native import LimitTable
from gate.policy.limit_book import LimitBook
from gate.rows import InstrumentRow
from gate.table_keeper import Arrival, Now, TableKeeper
from schemas import codec, topics
from schemas.errors import Place
from schemas.records import RiskCommand
from schemas.units import NS_PER_MS

ROOT = Path(__file__).parents[2]
TTL_NS = 3_000 * NS_PER_MS
CAP = "max_order_qty = 500\n"
INSTRUMENT = next(number for number, one in load_instruments().items() if one.envelope.limits.max_order_qty == 500)


class Gate:
    """The sidecar's keeper of the table, fed with commands as they come from the topic."""

    def __init__(self) -> None:
        self.book = LimitBook(LimitTable.private(64, 64), ttl_ns=TTL_NS)
        self._keeper = TableKeeper(self.book, ttl_ns=TTL_NS, live=False, registry=None)
        self._keeper.start_listening(Now(0, 0))
        self._offset = 0

    def hear(self, command: RiskCommand) -> None:
        raw = codec.encode(topics.RISK_COMMANDS, command)
        place = Place(topics.RISK_COMMANDS, 0, self._offset)
        self._offset += 1
        self._keeper.take(Arrival(place, raw, 0, is_history=False, was_told=False), Now(1, 1))

    def largest_order(self) -> int | None:
        self._keeper.scan(Now(2, 2))
        raw = self.book.table.read(INSTRUMENT)
        assert raw is not None
        return InstrumentRow.unpack(raw).envelope.order_qty


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FOLDER, tmp_path / "reference"))


def edit(folder: Path) -> RiskCommand:
    """Make the envelope ten times larger in the file, and return the command that says so."""
    path = folder / "envelopes.toml"
    text = path.read_text()
    assert CAP in text
    path.write_text(text.replace(CAP, "max_order_qty = 5000\n", 1))
    return next(command for command in reference_commands(5, folder) if command.scope == f"instrument:{INSTRUMENT}")


def test_edited_file_changes_nothing_until_a_command_of_two_people_does(folder: Path) -> None:
    gate = Gate()
    for command in reference_commands(0, folder):
        gate.hear(command)
    assert gate.largest_order() == 500
    edited = edit(folder)
    assert gate.largest_order() == 500
    gate.hear(replace(edited, checker=None, command_id="alone"))
    gate.hear(replace(edited, checker=edited.maker, command_id="himself"))
    gate.hear(replace(edited, expires_ns=None, command_id="for-ever"))
    assert gate.largest_order() == 500
    gate.hear(edited)
    assert gate.largest_order() == 5_000


def test_gate_that_starts_anew_learns_from_the_topic_and_not_from_the_file(folder: Path) -> None:
    topic = reference_commands(0, folder)
    edit(folder)
    gate = Gate()
    for command in topic:
        gate.hear(command)
    assert gate.largest_order() == 500


@pytest.mark.parametrize("room", ["gate", "jobs", "history", "api"])
def test_no_process_reads_limits_from_a_file(room: str) -> None:
    files = {"envelopes.toml", "accounts.toml"}
    for path in (ROOT / room).rglob("*.py"):
        tree = ast.parse(path.read_text())
        words = {
            node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        assert not {word for word in words if any(word.endswith(file) for file in files)}, path
        assert "deploy.instruments" not in {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}, path
