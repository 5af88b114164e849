"""The analysts' questions on a session that went through the whole loop: each is asked, and its answer must mean something.

The store is filled and served by processes of their own: chDB holds its folder for the life of a process and must not be forked.
"""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from deploy.analyst_plots import Asked, pictures
from deploy.observability.panels import SQL
from deploy.rehearsal.scoring import SHADOW
from history import queries
from history.client import History, QueryError, Statement
from history.queries.analyst import QuestionError, question, questions
from history.statement import Value
from schemas.units import NS_PER_S

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
DOC = ROOT / "docs" / "analyst.md"
CRASH_S, RELEASE_S = 105, 160
START_NS = 1_768_487_310 * NS_PER_S
"""14:28:30 on 2026-01-15."""
ALWAYS = queries.Span()


def cli(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "deploy.cli", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def serve(folder: Path) -> subprocess.Popen[bytes]:
    served = subprocess.Popen(
        [sys.executable, "-m", "deploy.cli", "history", "serve", "--state", str(folder)], cwd=ROOT
    )
    deadline = time.monotonic() + 60
    while not (folder / "history.sock").exists():
        assert served.poll() is None
        assert time.monotonic() < deadline, "the history is served"
        time.sleep(0.1)
    return served


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("s") / "r"
    said = json.loads(cli("history", "rehearse", "--into", str(folder), "--seed", "7").splitlines()[-1])
    assert said["refused"] == []
    assert said["rows"]["ticks"] == 4 * 1800
    served = serve(folder)
    yield folder
    served.terminate()
    assert served.wait(30) == 0


@pytest.fixture(scope="module")
def history(state: Path) -> History:
    return History(state)


def ask(history: History, name: str, **given: Value) -> list[dict[str, Any]]:
    return history.query(question(name).statement(**given)).dicts()


def second(text: str) -> float:
    """Return the seconds since the start of the session of a time such as ``2026-01-15 14:30:21.700000000``."""
    hours, minutes, seconds = text.split()[1].split(":")
    return (int(hours) - 14) * 3600 + (int(minutes) - 28) * 60 + float(seconds) - 30


def test_timeline_climbs_after_the_crash_starts_falls_after_the_release_and_says_why(history: History) -> None:
    rows = ask(history, "tier_timeline", instrument=1)
    assert rows[0]["tier_before"] == "NORMAL"
    assert all(before["tier"] == after["tier_before"] for before, after in pairwise(rows))
    assert all(second(row["at"]) > CRASH_S for row in rows)
    assert all(re.search(r"\w+( [+-]?\d+(\.\d+)? sd)? \(\d+ %\)", row["causes"]) for row in rows)
    (worst,) = [row for row in rows if row["tier"] == "CRITICAL"]
    assert worst["latched"] is True
    (left,) = [row for row in rows if row["tier_before"] == "CRITICAL"]
    assert second(left["at"]) >= RELEASE_S
    assert ask(history, "tier_timeline", instrument=2) == []


def test_episode_is_the_one_of_the_crash_with_the_fall_in_it(history: History) -> None:
    (row,) = ask(history, "episodes")
    assert (row["instrument_id"], row["tier_peak"]) == (1, "CRITICAL")
    assert -250 < row["lowest_bps"] < -150  # the scenario falls by 2 %
    assert ask(history, "episodes", until="2026-01-15 14:30:00") == []


def test_dwell_adds_up_to_the_time_from_the_first_change_to_the_last(history: History) -> None:
    changes, rows = ask(history, "tier_timeline", instrument=1), ask(history, "dwell_and_flaps")
    assert sum(row["entries"] for row in rows) == len(changes)
    stayed = sum(row["total_stay_s"] or 0 for row in rows)
    assert stayed == pytest.approx(second(changes[-1]["at"]) - second(changes[0]["at"]), abs=0.3)


def test_static_limits_would_have_let_through_only_what_tiers_refused(history: History) -> None:
    rows = ask(history, "static_limits")
    assert rows
    assert {row["instrument_id"] for row in rows} == {1}
    assert all(row["qty"] <= row["static_limit"] == 500 for row in rows)
    assert all(row["limit_then"] is None or row["limit_then"] < row["qty"] for row in rows)
    assert "market-200" in {row["order_id"] for row in rows}
    falling = [row for row in rows if second(row["at"]) < 125]
    assert all((row["would_have_gained_bps"] > 0) == (row["side"] == "SELL") for row in falling)


def test_fills_are_told_apart_by_episode_and_cost_what_the_market_took(history: History) -> None:
    rows = {row["when"]: row for row in ask(history, "slippage_around_episodes")}
    assert sum(row["fills"] for row in rows.values()) == filled(history)
    assert all(row["mean_bps"] >= 0 for row in rows.values())
    assert min(row["fills"] for row in rows.values()) > 0


def filled(history: History) -> int:
    (row,) = history.query("SELECT count() FROM executions_once WHERE kind = 'FILLED'").rows
    return int(row[0])


def test_probabilities_of_calm_ticks_are_about_what_they_say(history: History) -> None:
    rows = ask(history, "calibration")
    assert len({row["model_id"] for row in rows}) == 2
    assert all(row["seen"] <= row["ticks"] for row in rows)
    assert all(row["ratio"] < 3 for row in rows if row["expected"] >= 50)
    # What ships combines measures that are deaf in calm: its p errs to calm. The network's is what it says.
    assert all(row["ratio"] > 0.3 for row in rows if row["expected"] >= 50 and row["model_id"] == SHADOW)


def test_larger_moves_come_after_larger_scores(history: History) -> None:
    rows = [row for row in ask(history, "score_and_what_came") if row["model_id"] != SHADOW]
    moves = {row["score"]: row["mean_move_bps"] for row in rows}
    assert moves["4 and more"] > 3 * moves["0 to 1"]


def test_refusals_by_desk_count_every_refusal_once(history: History) -> None:
    rows = ask(history, "reject_reasons_by_desk")
    (wanted,) = history.query("SELECT count() FROM decisions_once WHERE verdict = 'REJECT'").rows
    assert sum(row["orders"] for row in rows) == wanted[0]
    assert {row["desk"] for row in rows} == {"cash", "market-making"}
    assert all(row["tier"] == "CRITICAL" for row in rows if row["reason"] == "halted")
    for desk in ("cash", "market-making"):
        assert sum(row["percent_of_desk"] for row in rows if row["desk"] == desk) == pytest.approx(100, abs=1)


def test_as_of_join_takes_the_last_tick_before_each_order_and_none_from_later(history: History) -> None:
    rows = ask(history, "decisions_with_features", instrument=1)
    assert len(rows) > 100
    assert all(row["tick_age_ms"] is None or 0 <= row["tick_age_ms"] <= 100 for row in rows)
    calm = [row["spread_bps"] for row in rows if row["tick_age_ms"] is not None and second(row["at"]) < CRASH_S]
    crash = [row["spread_bps"] for row in rows if 120 < second(row["at"]) < 150]
    assert sum(crash) / len(crash) > 1.5 * sum(calm) / len(calm)


def test_orders_were_judged_by_states_at_most_a_heartbeat_old(history: History) -> None:
    rows = ask(history, "tick_state_decision")
    (wanted,) = history.query("SELECT count() FROM decisions_once").rows
    assert sum(row["decisions"] for row in rows) == wanted[0]
    assert all(0 <= row["p50_ms"] <= row["p99_ms"] <= row["largest_ms"] <= 1_100 for row in rows)


def test_audit_shows_both_people_and_the_time_between(history: History) -> None:
    rows = {row["command_id"]: row for row in ask(history, "maker_checker")}
    release = rows["release"]
    assert (release["asked_by"], release["agreed_by"], release["waited_s"]) == ("risk-desk", "risk-head", 5)
    assert release["verdict"] == "two people"
    assert rows["kill-vwap"]["verdict"] == "one person may"
    assert {row["verdict"] for row in rows.values()} <= {"two people", "one person may"}


def test_models_are_compared_tick_by_tick(history: History) -> None:
    rows = ask(history, "model_comparison")
    assert [row["score_above"] for row in rows] == [2, 3, 4, 5]
    for row in rows:
        assert row["by_both"] <= min(row["by_serving"], row["by_shadow"])
        assert row["rank_correlation"] > 0
    assert [row["by_serving"] for row in rows] == sorted((row["by_serving"] for row in rows), reverse=True)


def test_we_trade_less_and_the_market_more_in_stress(history: History) -> None:
    rows = {row["tier"]: row for row in ask(history, "volume_in_stress") if row["instrument_id"] == 1}
    assert sum(row["seconds"] for row in rows.values()) == 180
    assert rows["CRITICAL"]["own_accepted_lots"] == 0
    assert rows["CRITICAL"]["own_refused_lots"] > 0
    assert rows["CRITICAL"]["market_trades_per_s"] > rows["NORMAL"]["market_trades_per_s"]


def test_book_before_the_episode_is_compared_with_its_own_past(history: History) -> None:
    rows = ask(history, "lead_up")
    assert [row["seconds_before"] for row in rows] == [30, 25, 20, 15, 10, 5, 0]
    assert all(0.5 < row["spread_ratio"] < 2 for row in rows[:4])
    assert rows[-1]["depth_ratio"] < 1 < rows[-1]["cancel_ratio"]


def test_quality_by_day_counts_runs_and_shows_an_example_of_a_failure(history: History) -> None:
    rows = {row["column"]: row for row in ask(history, "quality_by_day")}
    assert rows["spread_bps"]["failed"] == 0
    assert rows["add_rate"]["failed"] == 1  # not known in the first ten seconds
    assert "are not known" in rows["add_rate"]["example"]
    assert all(row["rows"] == 7_200 for row in rows.values())


def test_no_tick_of_the_session_is_missing(history: History) -> None:
    rows = ask(history, "missing_ticks")
    assert [(row["instrument_id"], row["stored"], row["missing"], row["longest_hole_s"]) for row in rows] == [
        (number, 1_800, 0, 0) for number in (1, 2, 3, 4)
    ]


def test_every_question_is_in_the_document_as_it_is_run(history: History) -> None:
    text = DOC.read_text()
    shown = dict(re.findall(r"^### `(\w+)`\n.*?```sql\n(.*?)```", text, re.DOTALL | re.MULTILINE))
    assert shown == {name: one.sql + "\n" for name, one in questions().items()}
    for name, one in questions().items():
        assert one.asks.endswith(("?", ".", ")"))
        assert one.asks in text
        assert history.query(one.statement(**({"instrument": 1} if "instrument" in one.parameters else {}))).columns, (
            name
        )


def test_question_that_is_none_or_lacks_a_parameter_is_refused() -> None:
    with pytest.raises(QuestionError, match="no question tiers"):
        question("tiers")
    with pytest.raises(QuestionError, match="needs instrument"):
        question("tier_timeline").statement()
    with pytest.raises(QuestionError, match="has no account"):
        question("episodes").statement(account="x")


def test_rollups_say_what_the_ticks_say(history: History) -> None:
    by_second = queries.market_timeline(history, 1, ALWAYS).to_pylist()
    ticks = queries.market_timeline(history, 1, ALWAYS, step="tick").to_pylist()
    assert len(by_second) == 180
    assert len(ticks) == 1_800
    for number, row in enumerate(by_second):
        part = ticks[10 * number : 10 * number + 10]
        assert row["ticks"] == 10
        assert (row["price_first"], row["price_last"]) == (part[0]["price_last"], part[-1]["price_last"])
        assert row["price_low"] == min(one["price_last"] for one in part)
        assert row["spread_bps_max"] == max(one["spread_bps"] for one in part)
        assert row["depth_total_10_min"] == min(one["depth_total_10"] for one in part)
    minutes = queries.market_timeline(history, 1, ALWAYS, step="1m").to_pylist()
    assert [row["ticks"] for row in minutes] == [300, 600, 600, 300]
    assert min(row["price_low"] for row in minutes) == min(one["price_last"] for one in ticks)


def test_last_states_are_those_of_the_timeline(history: History) -> None:
    for row in queries.instruments(history).to_pylist():
        timeline = queries.risk_timeline(history, row["instrument_id"], ALWAYS).to_pylist()
        assert repr({name: timeline[-1][name] for name in row}) == repr(row)
        at_ns = START_NS + 60 * NS_PER_S
        (then,) = queries.state_at(history, row["instrument_id"], at_ns).to_pylist()
        assert repr(then) == repr([one for one in timeline if one["tick_ns"].value <= at_ns][-1])


def test_timeline_of_changes_starts_with_the_first_state_and_keeps_every_change(history: History) -> None:
    every = queries.risk_timeline(history, 1, ALWAYS).to_pylist()
    shown = queries.risk_timeline(history, 1, ALWAYS, changes_only=True).to_pylist()
    flags = ("tier", "latched", "stale", "degraded")
    wanted = [
        one
        for before, one in pairwise([None, *every])
        if one is not None and (before is None or any(before[flag] != one[flag] for flag in flags))
    ]
    assert repr(shown) == repr(wanted)  # NaN is like itself: features that are not scored have no z
    changes = queries.tier_changes(history, 1, ALWAYS).to_pylist()
    assert [one["tick_ns"] for one in changes] == [one["tick_ns"] for one in every if one["tier"] != one["tier_before"]]
    worst = queries.states_by_minute(history, ALWAYS, 1).to_pylist()
    assert [row["tier_max"] for row in worst] == ["NORMAL", "NORMAL", "CRITICAL", "CRITICAL"]


def test_pages_put_together_are_the_whole_list_newest_first(history: History) -> None:
    which = queries.DecisionFilter(verdicts=["REJECT"], instrument_id=1)
    whole = queries.decisions(history, which, queries.Page(10_000)).rows.to_pylist()
    pages: list[dict[str, Any]] = []
    cursor = None
    while True:
        page = queries.decisions(history, which, queries.Page(17, cursor))
        pages += page.rows.to_pylist()
        cursor = page.next
        if cursor is None:
            break
    assert pages == whole
    assert len(whole) > 50
    assert all(one["verdict"] == "REJECT" and one["instrument_id"] == 1 for one in whole)
    times = [one["ts_event_ns"] for one in whole]
    assert times == sorted(times, reverse=True)
    with pytest.raises(ValueError, match="another list"):
        queries.alerts(history, ALWAYS, page=queries.Page(5, queries.decisions(history, which, queries.Page(5)).next))
    with pytest.raises(ValueError, match="cursor"):
        queries.decisions(history, which, queries.Page(5, "nonsense"))


def test_values_from_outside_cannot_become_sql(history: History) -> None:
    evil = "x' OR 1 = 1 --"
    assert queries.decisions(history, queries.DecisionFilter(account_id=evil)).rows.num_rows == 0
    assert queries.commands(history, ALWAYS, scope=evil).rows.num_rows == 0
    with pytest.raises(QueryError):
        history.query(Statement("SELECT {number:UInt32}", {"number": evil}))


def test_every_panel_of_grafana_answers(history: History) -> None:
    given = {
        "$instrument": "1",
        "$__fromTime": f"toDateTime64({START_NS // NS_PER_S}, 3)",
        "$__toTime": f"toDateTime64({START_NS // NS_PER_S + 180}, 3)",
    }
    found = {}
    for path in sorted(SQL.glob("*.sql")):
        text = path.read_text()
        for macro, value in given.items():
            text = text.replace(macro, value)
        assert "$" not in text, path.name
        found[path.stem] = history.query(text).dicts()
    assert max(row["tier"] for row in found["tier"]) == 3
    assert max(float(row["own"]) for row in found["score"]) > 5
    assert len(found["price"]) > 150
    assert len(found["spread"]) == len(found["price"])
    assert {row["tier"] for row in found["tier_changes"]} >= {"ELEVATED", "HIGH_ALERT", "CRITICAL"}
    assert {row["verdict"] for row in found["decisions"]} >= {"ACCEPT", "REJECT"}
    assert [row["instrument_id"] for row in found["instrument"]] == [1, 2, 3, 4]
    assert all(found[name] for name in ("alerts", "commands", "quality"))
    assert found["dead_letters"] == []


def test_other_lists_answer(history: History) -> None:
    assert queries.alerts(history, ALWAYS, instrument_id=1, kinds=["TIER_CHANGED"]).rows.num_rows >= 3
    assert queries.model_events(history, ALWAYS).rows["kind"].to_pylist() == ["PROMOTED", "SHADOWED"]
    assert queries.quality_results(history, ALWAYS, failed_only=True).rows.num_rows == 1
    assert queries.executions(history, ALWAYS, account_id="DESK-1", instrument_id=1).rows.num_rows > 0
    (episode,) = queries.tier_episodes(history, 1, ALWAYS).to_pylist()
    assert episode["changes"] == len(queries.tier_changes(history, 1, ALWAYS))
    by_reason = queries.decisions_by_reason(history, queries.DecisionFilter(instrument_id=1)).to_pylist()
    on_axis = queries.orders_on_timeline(history, 1, ALWAYS)["what"].to_pylist()
    assert sum(row["decisions"] for row in by_reason) == sum(what != "FILLED" for what in on_axis)
    trail = history.table(queries.order_trail("DESK-1", "market-200"))
    assert trail["what"].to_pylist() == ["request", "decision"]


def test_command_line_asks_and_draws(state: Path, history: History, tmp_path: Path) -> None:
    shown = cli("query", "--state", str(state), "--named", "tier_timeline", "-p", "instrument=1")
    assert "HIGH_ALERT" in shown
    said = cli(
        "query",
        "--state",
        str(state),
        "SELECT tier, causes.name FROM risk_states_once",
        "--out",
        str(tmp_path / "x.csv"),
    )
    assert "rows in" in said
    assert (tmp_path / "x.csv").read_text().startswith('"tier","causes.name"')
    assert "nothing is pending" in cli("history", "migrate", "--dry-run", "--state", str(state))
    assert "score_and_what_came" in cli("query", "--list")
    pytest.importorskip("matplotlib")
    asked = Asked(
        history, 1, "2026-01-15 14:28:30", "2026-01-15 14:31:30", queries.Span(START_NS, START_NS + 180 * NS_PER_S)
    )
    drawn = pictures(asked)
    assert drawn == pictures(asked)
    assert set(drawn) == {"session", "calibration", "refusals", "slippage", "what_came"}
    assert all(raw.startswith(b"\x89PNG") and len(raw) > 10_000 for raw in drawn.values())
    empty = Asked(history, 9, "2001-01-01 00:00:00", "2001-01-02 00:00:00", queries.Span(0, 1))
    assert set(pictures(empty)) == set(drawn)


def test_recorded_day_answers_every_question(marketdata: Path, tmp_path: Path) -> None:
    recording = marketdata / "lobster" / "LOBSTER_SampleFile_GOOG_2012-06-21_10.zip"
    folder = tmp_path / "r"
    cli("history", "rehearse", "--into", str(folder), "--recording", "lobster", str(recording), "--seconds", "60")
    served = serve(folder)
    try:
        history = History(folder)
        for one in questions().values():
            assert history.query(
                one.statement(**({"instrument": 1001} if "instrument" in one.parameters else {}))
            ).columns
        (row,) = ask(history, "missing_ticks")
        assert (row["instrument_id"], row["stored"], row["missing"]) == (1001, 600, 0)
    finally:
        served.terminate()
        served.wait(30)
