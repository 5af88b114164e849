"""The local stack's parts: processes known by identity, ports, reference data, commands."""

import json
import subprocess
import sys
import tomllib
from dataclasses import astuple
from pathlib import Path

import pytest
from click.testing import CliRunner

from deploy.cli import COMMANDS, main
from deploy.instruments import ReferenceDataError, load_accounts, load_instruments, reference_commands
from deploy.local.broker import cluster_id
from deploy.local.ports import answers, free_ports
from deploy.local.processes import ProcessBook, Started, alive, end, start_ticks
from deploy.local.stack import OUR_PROCESSES, Stack
from deploy.observe import TickClock, percentiles
from gate._native import LimitTable, scope_hash
from gate.policy.limit_book import LimitBook
from gate.rows import AccountRow, InstrumentRow

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


def test_process_is_written_down_and_ended(tmp_path: Path) -> None:
    book = ProcessBook(tmp_path)
    started = book.start("sleeper", SLEEP)
    assert alive(started)
    assert ProcessBook(tmp_path).all() == [started]
    assert book.stop_all() == ["sleeper"]
    assert not alive(started)
    assert book.stop_all() == []


def test_pid_that_belongs_to_someone_else_now_is_never_signalled(tmp_path: Path) -> None:
    child = subprocess.Popen(SLEEP, start_new_session=True)
    try:
        stranger = Started("broker", child.pid, (start_ticks(child.pid) or 0) - 1, "")
        assert not alive(stranger)
        end([stranger])
        assert child.poll() is None
    finally:
        child.kill()
        child.wait()


def test_every_process_of_a_stack_that_stays_has_the_port_that_prometheus_asks_in_its_settings(tmp_path: Path) -> None:
    stack = Stack(tmp_path)
    stack._write_settings(stack._lay_out(taskmanagers=1), {})
    ports = stack.metrics_ports()
    assert set(OUR_PROCESSES) <= ports.keys()
    for name in ("gate", "history", "api", "quality"):
        assert tomllib.loads(stack.settings_path(name).read_text())["metrics_port"] == ports[name]
        assert f"127.0.0.1:{ports[name]}" in (tmp_path / "prometheus.yml").read_text()


def test_cluster_id_never_reads_as_an_option() -> None:
    made = [cluster_id() for _ in range(500)]
    assert not [name for name in made if name.startswith("-") or len(name) != 22]


def test_free_ports_are_different_and_silent() -> None:
    ports = free_ports(5)
    assert len(set(ports)) == 5
    assert not any(answers(port) for port in ports)


def test_reference_data_is_granted_whole_by_two_people_and_the_same_each_time() -> None:
    assert {"ALFA", "GOOG"} <= {i.symbol for i in load_instruments().values()}
    assert {"account:DESK-1", "account:DESK-2", "firm"} <= {account.scope for account in load_accounts()}
    commands = reference_commands(ts_ns=0)
    assert commands == reference_commands(ts_ns=0)
    assert len({c.command_id for c in commands}) == len(load_instruments()) + len(load_accounts())
    book = LimitBook(LimitTable.private(16, 16), ttl_ns=1)
    assert {book.apply_command(command).cause for command in commands} == {"applied"}
    for instrument_id in load_instruments():
        raw = book.table.read(instrument_id)
        assert raw is not None
        row = InstrumentRow.unpack(raw)
        assert None not in (*row.envelope.values(), *row.stale_limits.values())
        assert min(row.tick_size, row.lot_nano, row.qty_min, row.qty_step) > 0
    for account in load_accounts():
        raw = book.table.read_account(scope_hash(account.scope))
        assert raw is not None
        assert account.scope == "firm" or None not in astuple(AccountRow.unpack(raw))


TIME = "valid_until = 2100-01-01T00:00:00Z\n"


@pytest.mark.parametrize(
    ("instruments", "envelopes", "message"),
    [
        ('[[instruments]]\nid = 1\nsymbol = "A"\nchannel = "C"\nclass = "x"\n', TIME, "no 'x'"),
        ("[[instruments]\n", TIME, "instruments.toml"),
        ("instruments = []\n", TIME + "[x]\nqty_min = 1\n", "envelopes.toml: x: no"),
        ("instruments = []\n", TIME + "[x]\nqty_mim = 1\n", "envelopes.toml: x: unknown qty_mim"),
        ("instruments = []\n", "", "envelopes.toml: valid_until"),
    ],
)
def test_mistake_in_reference_data_is_named(tmp_path: Path, instruments: str, envelopes: str, message: str) -> None:
    (tmp_path / "instruments.toml").write_text(instruments)
    (tmp_path / "envelopes.toml").write_text(envelopes)
    with pytest.raises(ReferenceDataError, match=message):
        load_instruments(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TIME + "[desk]\n", "accounts.toml: desk: must be account"),
        (TIME + '["account:A"]\ncredits = 1\n', "accounts.toml: account:A: unknown credits"),
        (TIME + '["session:S"]\ncredit = 1\n', "accounts.toml: session:S: messages_per_s is not said"),
        (
            TIME + '["session:S"]\nmessages_per_s = 1\nmessage_burst = 1\ncredit = 1\n',
            "session:S: credit is not judged",
        ),
        ("valid_until = 2100-01-01\n", "valid_until must be a time with a zone"),
    ],
)
def test_mistake_in_the_accounts_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "accounts.toml").write_text(text)
    with pytest.raises(ReferenceDataError, match=message):
        load_accounts(tmp_path)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str) -> None:
    result = CliRunner().invoke(main, [name, "--help"])
    assert result.exit_code == 0, result.output
    assert "Usage" in result.output


@pytest.mark.parametrize("arguments", [["status"], ["simulate", "calm"], ["watch", "--seconds", "1"]])
def test_command_without_a_stack_says_so_in_one_line(tmp_path: Path, arguments: list[str]) -> None:
    result = CliRunner().invoke(main, [*arguments, "--state", str(tmp_path / "none")])
    assert result.exit_code == 1
    assert "run `tidegate up`" in result.output


def test_down_without_a_stack_is_quiet(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["down", "--state", str(tmp_path / "none")])
    assert (result.exit_code, result.output) == (0, "[tidegate] nothing was running\n")


def test_tick_clock_finds_the_frame_that_closed_a_tick() -> None:
    clock = TickClock()
    for ts, due in ((90, 1), (100, 2), (130, 3)):
        clock.record(ts, due)
    assert [clock.closed_at(t) for t in (50, 100, 110, 140)] == [1, 2, 3, None]


def test_percentiles_of_nothing_are_a_count_alone() -> None:
    assert percentiles([]) == {"count": 0}
    assert json.loads(json.dumps(percentiles([3.0, 1.0, 2.0])))["p50"] == 2.0
