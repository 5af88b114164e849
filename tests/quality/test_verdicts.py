"""Verdicts, episodes, and what is said of tables that could not be looked at."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from history.client import StoreError
from history.statement import Statement
from quality.definitions import Column
from quality.inspection import Inspector
from quality.rows import findings
from quality.settings import QualitySettings
from quality.tables import SUITES
from quality.verdicts import Episodes, Looked, asked
from schemas import codec, topics
from schemas.quality import QualityResult
from schemas.records import AlertKind
from schemas.settings import SettingsError
from schemas.units import NS_PER_S
from tests.quality.sessions import copied, session

TICKS = SUITES["ticks"]
WINDOW_NS = 120 * NS_PER_S


class Rows:
    """A history of one table in memory, and of verdicts that an earlier life left."""

    def __init__(self, batch: dict[str, Column], before: Sequence[dict[str, Any]] = ()) -> None:
        self.batch, self.before, self.lost = batch, list(before), False

    def table(self, question: str | Statement, /) -> pa.Table:
        if self.lost:
            raise StoreError("nobody answers")
        sql = question if isinstance(question, str) else question.sql
        bound: dict[str, Any] = {} if isinstance(question, str) else dict(question.parameters)
        if "quality_results" in sql:
            return pa.table(
                {
                    name: [one[name] for one in self.before]
                    for name in ("table", "expectation", "passed", "failing_since_ns")
                }
            )
        times = self.batch["tick_ns"]
        if "max(" in sql:
            newest = [int(times.max()) if len(times) else 0]
            return pa.table({"rows": [len(times)], "newest": pa.array(newest, pa.timestamp("ns", "UTC"))})
        within = np.flatnonzero((times >= bound["since_ns"]) & (times < bound["until_ns"]))
        if "count()" in sql:
            return pa.table({"rows": [len(within)]})
        newest_first = within[np.argsort(times[within], kind="stable")][::-1][: bound["rows_max"]]
        return pa.table({name: column[newest_first] for name, column in self.batch.items()})


def until(batch: dict[str, Column], seconds: float) -> dict[str, Column]:
    kept = batch["tick_ns"] <= batch["tick_ns"].min() + int(seconds * NS_PER_S)
    return {name: column[kept] for name, column in batch.items()}


def inspector(rows: Rows, *, rows_max: int = 10_000) -> Inspector:
    return Inspector(rows, findings, [TICKS], WINDOW_NS, rows_max)


def broken(results: Sequence[QualityResult]) -> list[str]:
    return [one.expectation for one in results if not one.passed]


def test_a_clean_table_passes_everything_and_is_not_judged_twice() -> None:
    rows = Rows(session("calm"))
    looking = inspector(rows)
    first, second = looking.look(1), looking.look(2)
    assert not broken(first.results)
    assert {one.expectation for one in first.results} >= {
        "table_asked",
        "rows_present",
        "rows_on_time",
        "imbalance_l1_law",
    }
    assert len({one.result_id for one in first.results}) == len(first.results)
    assert not second.results
    assert not first.alerts
    assert looking.counts["unchanged"] == 1
    assert looking.counts["batches"] == 1


def test_one_alert_when_it_fails_and_one_when_it_holds_again() -> None:
    whole, faulty = session("calm"), copied(session("calm"))
    faulty["bid_qty_top"] *= 100.0
    rows = Rows(until(whole, 20))
    looking = inspector(rows)
    looking.look(1)
    kinds = []
    for batch, seconds in ((faulty, 30), (faulty, 40), (whole, 50), (whole, 55)):
        rows.batch = until(batch, seconds)
        kinds.append([(a.kind, a.message.split(" ")[1].rstrip(":")) for a in looking.look(2).alerts])
    failed = {name for kind, name in kinds[0] if kind is AlertKind.DATA_QUALITY_FAILED}
    assert "imbalance_l1_law" in failed
    assert not kinds[1]
    assert {name for kind, name in kinds[2] if kind is AlertKind.DATA_QUALITY_RECOVERED} == failed
    assert not kinds[3]


def test_a_failure_names_its_first_row() -> None:
    batch = copied(session("calm"))
    row = int(np.flatnonzero(batch["instrument_id"] == 3)[50])
    batch["bid_qty_top"][row] *= 100.0
    (found,) = [one for one in inspector(Rows(batch)).look(5).results if one.expectation == "imbalance_l1_law"]
    assert (found.unexpected, found.rows) == (1, len(batch["tick_ns"]))
    assert f"instrument_id=3 tick_ns={batch['tick_ns'][row]}" in found.detail
    assert codec.decode(topics.QUALITY_RESULTS, codec.encode(topics.QUALITY_RESULTS, found)) == found


def test_an_episode_of_an_earlier_life_is_not_told_again() -> None:
    batch = copied(session("calm"))
    batch["bid_qty_top"] *= 100.0
    first = inspector(Rows(batch)).look(1)
    left = [
        {"table": "ticks", "expectation": one.expectation, "passed": one.passed, "failing_since_ns": one.since_ns}
        for one in first.results
    ]
    assert first.alerts
    assert not inspector(Rows(batch, left)).look(2).alerts


def test_an_owner_that_does_not_answer_is_said_and_ends_no_episode() -> None:
    batch = copied(session("calm"))
    batch["bid_qty_top"] *= 100.0
    rows = Rows(batch)
    looking = inspector(rows)
    failing = len(looking.look(1).alerts)
    rows.lost = True
    lost = looking.look(2)
    assert [(one.expectation, one.passed, one.rows, one.detail) for one in lost.results] == [
        ("table_asked", False, 0, "not asked: nobody answers")
    ]
    assert [alert.kind for alert in lost.alerts] == [AlertKind.DATA_QUALITY_FAILED]
    assert not looking.look(3).alerts
    assert looking.counts["not_asked"] == 2
    rows.lost = False
    back = looking.look(4)
    assert [alert.kind for alert in back.alerts] == [AlertKind.DATA_QUALITY_RECOVERED]
    assert failing > 0


def test_a_table_without_rows_says_so() -> None:
    rows = Rows(until(session("calm"), -1))
    looking = inspector(rows)
    (told,) = [one for one in looking.look(1).results if one.expectation == "rows_present"]
    assert (told.passed, told.rows, told.detail) == (False, 0, "no rows")
    assert not looking.look(2).results
    assert looking.counts["without_rows"] == 2


def test_late_rows_are_counted_and_looked_at() -> None:
    whole = session("calm")
    late = (whole["instrument_id"] == 4) & (whole["tick_ns"] < np.median(whole["tick_ns"]))
    rows = Rows({name: column[~late] for name, column in whole.items()})
    looking = inspector(rows)
    looking.look(1)
    rows.batch = whole
    (told,) = [one for one in looking.look(2).results if one.expectation == "rows_on_time"]
    assert (told.passed, told.unexpected) == (False, int(late.sum()))
    assert looking.counts["late_rows"] == late.sum()


def test_rows_beyond_a_batch_are_counted() -> None:
    whole = session("calm")
    rows = Rows(until(whole, 10))
    looking = inspector(rows, rows_max=400)
    looking.look(1)
    rows.batch = whole
    batch = looking.look(2).results[0].rows
    assert batch == 400
    assert looking.counts["unseen_rows"] > 0
    assert looking.counts["unseen_rows"] + batch <= len(whole["tick_ns"])


def test_without_a_clock_the_newest_row_is_now() -> None:
    found = inspector(Rows(session("calm"))).look(None)
    assert {one.ts_ns for one in found.results} == {int(session("calm")["tick_ns"].max())}


def test_an_alert_told_twice_has_one_id() -> None:
    fault = asked(Looked(TICKS, 3, 1, 2, 0), "gone")
    assert [a.alert_id for a in Episodes().take([fault])] == [a.alert_id for a in Episodes().take([fault])]


@pytest.mark.parametrize("wrong", [{"clock": "moon"}, {"interval_s": 0.0}, {"batch_rows": -1}])
def test_a_setting_that_cannot_work_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        QualitySettings(bootstrap_servers="", **wrong)
