"""Training data that break expectations are refused with their rows; what somebody accepts is recorded."""

from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from deploy import training
from deploy.commands.train import command
from deploy.training import BadDataError, guarded, simulated_ticks
from quality.guarding import counts_of, faults_of
from schemas.ticks import Ticks


@pytest.fixture(scope="module")
def sessions() -> list[list[Ticks]]:
    whole = simulated_ticks("calm", 7, duration_s=40.0)
    return [whole[:200], whole[200:]]


def damaged(session: list[Ticks], message: int) -> list[Ticks]:
    values = session[message].values.copy()
    values[1, session[message].feature_names.index("bid_qty_top")] *= 1e3
    return [*session[:message], replace(session[message], values=values), *session[message + 1 :]]


def test_clean_sessions_pass_and_the_card_says_so(sessions: list[list[Ticks]]) -> None:
    assert guarded(sessions) == "Every expectation on ticks held in every row."


def test_refusal_names_session_law_instrument_and_tick(sessions: list[list[Ticks]]) -> None:
    bad = [sessions[0], damaged(sessions[1], 7)]
    with pytest.raises(BadDataError) as refused:
        guarded(bad)
    row = bad[1][7]
    assert "imbalance_l1_law 1" in str(refused.value)
    assert "session 1: imbalance_l1_law" in str(refused.value)
    assert f"instrument_id={row.instrument_id[1]} tick_ns={row.tick_ns[1]}" in str(refused.value)


def test_counts_are_by_law_over_all_sessions(sessions: list[list[Ticks]]) -> None:
    faults = faults_of([damaged(sessions[0], 3), damaged(sessions[1], 7)])
    assert counts_of(faults)["imbalance_l1_law"] == 2
    assert [fault.is_critical for fault in faults] == sorted((fault.is_critical for fault in faults), reverse=True)


def test_accepted_faults_are_recorded_with_their_reason(sessions: list[list[Ticks]]) -> None:
    said = guarded([damaged(sessions[0], 3)], accepted="known bad tick of the venue")
    assert "`imbalance_l1_law` in 1 rows" in said
    assert "Accepted on purpose: known bad tick of the venue." in said


def test_two_sessions_joined_show_the_hole_between_them(sessions: list[list[Ticks]]) -> None:
    assert counts_of(faults_of([sessions[0][:50] + sessions[1][50:]])).keys() >= {"tick_grid_whole"}


def test_the_command_refuses_and_writes_nothing(
    sessions: list[list[Ticks]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    monkeypatch.setattr(training, "lobster_sessions", lambda _path, parts: [damaged(sessions[0], 3)] * parts)
    source, out = tmp_path / "day.zip", tmp_path / "model"
    source.write_bytes(b"")
    answer = CliRunner().invoke(command, ["--from", str(source), "--out", str(out)])
    assert answer.exit_code == 1
    assert "imbalance_l1_law" in answer.output
    assert not out.exists()
