"""A probe's verdict by the status file that a process writes."""

import json
from pathlib import Path

import pytest

from deploy.probe import fault_of, main

NOW_NS = 1_000_000_000_000


def status(folder: Path, **values: object) -> Path:
    path = folder / "gate.json"
    path.write_text(json.dumps({"wall_ns": NOW_NS - 2_000_000_000, "ended": False, "caught_up": True, **values}))
    return path


def fault(path: Path, says: str | None = "caught_up", within_s: float = 10.0) -> str | None:
    return fault_of(path, says=says, within_s=within_s, now_ns=NOW_NS)


def test_a_fresh_file_that_says_so_is_well(tmp_path: Path) -> None:
    assert fault(status(tmp_path)) is None


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"caught_up": False}, "caught_up is False"),
        ({"ended": True}, "has ended"),
        ({"wall_ns": NOW_NS - 11_000_000_000}, "silent for 11.0 s"),
        ({"wall_ns": None}, "TypeError"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, values: dict[str, object], reason: str) -> None:
    found = fault(status(tmp_path, **values))
    assert found is not None
    assert reason in found


def test_a_missing_and_a_broken_file_are_faults(tmp_path: Path) -> None:
    assert "No such file" in str(fault(tmp_path / "none.json"))
    (tmp_path / "half.json").write_text('{"wall_ns": 1')
    assert "JSONDecodeError" in str(fault(tmp_path / "half.json"))


def test_without_a_key_freshness_is_enough(tmp_path: Path) -> None:
    assert fault(status(tmp_path, caught_up=False), says=None) is None


def test_exit_status_and_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(status(tmp_path))]) == 1, "long ago by the real clock"
    assert "silent for" in capsys.readouterr().err
    assert main([str(status(tmp_path, wall_ns=2**62))]) == 0
