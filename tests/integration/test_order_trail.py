"""The trail of orders in chDB, without Kafka: migrated from an older store, repeated, asked."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]

# In a process of its own: chDB holds its folder for the life of a process, and must not be forked.
HEAD = """
import json, shutil, sys
from pathlib import Path
from history import queries, rows
from history.database import Reader, Store
from history.migrate import FOLDER, migrate, read_migrations
from history.settings import HistorySettings
from schemas import topics

folder, golden = Path(sys.argv[1]), Path("tests/golden/schemas")
settings = HistorySettings("nowhere:1", data_dir=folder / "data")
store = Store(settings)

def parsed(*patterns):
    paths = [path for pattern in patterns for path in sorted(golden.glob(pattern))]
    return [(topic := path.name.split(".v")[0], rows.parse(topic, path.read_bytes(), 1)) for path in paths]

def keep(found, columns=None):
    for topic, row in found:
        table = rows.rows_table(rows.TABLE_OF[topic], [row])
        store.insert(rows.TABLE_OF[topic], table.select(columns) if columns else table)

def ask(sql):
    return Reader(settings).query(sql).dicts()
"""

MIGRATED = (
    HEAD
    + """
older = folder / "older"
older.mkdir()
for migration in read_migrations():
    if int(migration.name[:4]) < 8:
        shutil.copy(FOLDER / migration.name, older)
migrate(store, folder=older)
first = parsed("orders.decisions.v1.*")
keep(first, rows.SCHEMAS["decisions"].names[:15])
class Crash(Exception):
    pass

class Crashing:
    # ends the process, once per statement, between a statement and its note
    ran = []
    rows = store.rows
    def command(self, sql):
        store.command(sql)
        if "migration" not in sql and sql not in self.ran:
            self.ran.append(sql)
            raise Crash

while True:
    try:
        migrate(Crashing())
        break
    except Crash:
        pass
assert len(Crashing.ran) > 40 and migrate(store) == []
keep(first)
for _ in range(2):
    keep(parsed("orders.*.v2.*", "orders.requests.v3.*", "orders.executions.v1.*", "orders.facts.v1.*"))
counts = {row["table"]: row for row in ask(queries.duplicates())}
print(json.dumps({
    "counts": counts,
    "old": ask("SELECT order_id, decision_id, seq, qty, position_before FROM decisions_once WHERE decision_id = ''"),
    "trail": ask(queries.order_trail("DESK-1", "o-3")),
    "answers": ask(queries.decision("o-6")),
    "unrecorded": ask(queries.UNRECORDED_DECISIONS),
    "disagree": ask(queries.ENFORCERS_DISAGREE),
    "once": ask(queries.DECISIONS_ONCE),
}))
"""
)

DISAGREE = (
    HEAD
    + """
migrate(store)
((topic, base),) = parsed("orders.decisions.v2.approved_later.bin")
def said(enforcer, seq, verdict, order_id):
    row = base | {"enforcer": enforcer, "seq": seq, "verdict": verdict, "order_id": order_id, "ts_event_ns": seq,
                  "decision_id": f"{order_id}:{enforcer}:{seq}"}
    keep([(topic, row)])
for enforcer in ("gate", "enforce_orders"):
    said(enforcer, 1, "PEND", "same")
    said(enforcer, 2, "ACCEPT", "same")
said("gate", 3, "PEND", "other")
said("gate", 4, "ACCEPT", "other")
said("enforce_orders", 9, "PEND", "other")
print(json.dumps({"disagree": ask(queries.ENFORCERS_DISAGREE), "unrecorded": ask(queries.UNRECORDED_DECISIONS)}))
"""
)


def ran(code: str, folder: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return ran(MIGRATED, tmp_path_factory.mktemp("migrated"))


def test_store_of_before_takes_the_trail_and_every_message_counts_once(found: dict[str, Any]) -> None:
    counts = {table: row["rows"] for table, row in found["counts"].items()}
    assert (counts["requests"], counts["decisions"], counts["executions"], counts["facts"]) == (3, 6, 4, 3)
    assert all(row["duplicates"] == 0 for row in found["counts"].values())
    assert found["old"] == [
        {"order_id": name, "decision_id": "", "seq": 0, "qty": None, "position_before": None} for name in ("o-1", "o-2")
    ]
    assert found["once"] == [{"decision_rows": 6, "decisions": 6, "orders": 5}]
    assert found["disagree"] == []


def test_trail_of_an_order_is_request_decision_and_reports_in_order_of_time(found: dict[str, Any]) -> None:
    trail = [(step["what"], step["source"], step["word"], step["qty"]) for step in found["trail"]]
    assert trail == [
        ("request", "", "NEW", 200),
        ("decision", "gate", "ACCEPT", 200),
        ("execution", "VENUE", "ACKED", 200),
        ("execution", "VENUE", "FILLED", 120),
        ("execution", "DROP_COPY", "FILLED", 120),
        ("execution", "VENUE", "EXPIRED", 80),
    ]
    assert [answer["verdict"] for answer in found["answers"]] == ["PEND", "ACCEPT"]
    (numbers,) = found["unrecorded"]
    assert (numbers["instance"], numbers["numbered"], numbers["recorded"], numbers["unrecorded"]) == ("desk-1", 4, 4, 0)


def test_enforcers_are_compared_by_all_that_they_said_and_holes_in_numbers_show(tmp_path: Path) -> None:
    answers = ran(DISAGREE, tmp_path)
    assert [row["order_id"] for row in answers["disagree"]] == ["other"]
    holes = {row["enforcer"]: row["unrecorded"] for row in answers["unrecorded"]}
    assert holes == {"gate": 0, "enforce_orders": 6}
