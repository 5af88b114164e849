"""Decisions rebuilt from a chDB store, filled without Kafka: bit by bit, or told what is missing."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]

# In a process of its own: chDB holds its folder for the life of a process, and must not be forked.
CODE = """
import json, sys
from pathlib import Path

from deploy.commands.replay_decision import lines_of
from deploy.replay_decision import NoDecisionError, plain_of, rebuild
from history import rows
from history.database import Reader, Store
from history.migrate import migrate
from history.settings import HistorySettings
from jobs.machines.order_desk import OrderDesk
from schemas import codec, topics
from schemas.errors import Place
from tests.gate.traffic import Oms, rules

settings = HistorySettings("nowhere:1", data_dir=Path(sys.argv[1]) / "data")
lose, is_shared = sys.argv[2], sys.argv[3] == "shared"
store = Store(settings)
migrate(store)
kept, offsets = {}, {}

def keep(topic, raw):
    kept.setdefault(topic, []).append(rows.parse(topic, raw, 1))
    offsets[topic] = offsets.get(topic, -1) + 1
    return Place(topic, 0, offsets[topic])

desk, oms, ids = OrderDesk(ttl_ns=3_000_000_000, instance="epoch-1"), Oms(4, is_shared=is_shared), []

def learn(record):
    topic = topics.RISK_COMMANDS if hasattr(record, "maker") else topics.RISK_STATES
    raw = codec.encode(topic, record)
    desk.learn(raw, keep(topic, raw))

for rule in rules():
    learn(rule)
for _ in range(260):
    state = oms.state()
    if state is not None:
        learn(state)
    order = oms.order()
    raw = codec.encode(topics.ORDERS_REQUESTS, order)
    outcome = desk.apply(raw, keep(topics.ORDERS_REQUESTS, raw))
    (message,) = outcome.decisions
    keep(topics.ORDERS_DECISIONS, message[1])
    decision = codec.decode(topics.ORDERS_DECISIONS, message[1])
    ids.append(decision)
    for execution in oms.hear(order, decision):
        raw = codec.encode(topics.ORDERS_EXECUTIONS, execution)
        desk.apply(raw, keep(topics.ORDERS_EXECUTIONS, raw))
for topic, found in kept.items():
    if topic == lose:
        found = found[len(found) // 2 :]
    table = rows.TABLE_OF[topic]
    store.insert(table, rows.rows_table(table, found))
reader = Reader(settings)
ask = lambda sql: reader.query(sql).dicts()
wanted = [one for one in ids[200:] if one.account_id == "DESK-1"]
answers = [plain_of(rebuilt := rebuild(one.decision_id, ask)) for one in wanted[:8]]
try:
    rebuild("nobody", ask)
except NoDecisionError as error:
    refused = str(error)
print(json.dumps({"answers": answers, "refused": refused, "lines": lines_of(rebuilt),
                  "reasons": sorted({one.reason for one in wanted[:8]})}))
"""


def ran(folder: Path, lose: str = "", session: str = "own") -> dict[str, Any]:
    command = [sys.executable, "-c", CODE, str(folder), lose, session]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_decision_is_rebuilt_bit_by_bit_from_what_history_holds(tmp_path: Path) -> None:
    found = ran(tmp_path)
    assert len(found["reasons"]) > 1
    for answer in found["answers"]:
        assert answer["differs"] == {}
        assert all("features of tick" in what for what in answer["incomplete"]), "no ticks were stored"
        assert answer["limits"]["envelope"]["order_qty"] == 500
    assert any(answer["positions"] for answer in found["answers"])
    assert found["refused"] == "history holds no decision nobody"
    assert any(line.startswith("  dynamic: order_qty") for line in found["lines"])


def test_decision_by_a_session_that_accounts_share_is_rebuilt_from_the_orders_of_all_of_them(tmp_path: Path) -> None:
    found = ran(tmp_path, session="shared")
    assert "session_rate" in found["reasons"]
    for answer in found["answers"]:
        assert answer["differs"] == {}
        assert all("features of tick" in what for what in answer["incomplete"]), "no ticks were stored"


@pytest.mark.parametrize("lose", ["orders.decisions", "orders.executions", "orders.requests", "risk.states"])
def test_history_that_lacks_something_is_called_incomplete(tmp_path: Path, lose: str) -> None:
    for answer in ran(tmp_path, lose)["answers"]:
        assert not answer["equal"]
        if lose != "orders.executions":
            assert [what for what in answer["incomplete"] if "features" not in what], lose
