"""Decisions rebuilt from a chDB store, filled without Kafka: limits, positions and features bit by bit, or told what is missing."""

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
import json, random, sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from deploy.commands.replay_decision import lines_of
from deploy.replay_decision import NoDecisionError, plain_of, rebuild
from features.spec import FEATURE_NAMES
from history import rows
from history.database import Reader, Store
from history.migrate import migrate
from history.settings import HistorySettings
from jobs.machines.order_desk import OrderDesk
from schemas import codec, topics
from schemas.errors import Place
from schemas.records import FeatureCause
from schemas.ticks import Ticks, encode_ticks
from tests.gate.traffic import Oms, rules

settings = HistorySettings("nowhere:1", data_dir=Path(sys.argv[1]) / "data")
lose, is_shared, ticks = sys.argv[2], sys.argv[3] == "shared", sys.argv[4]
store = Store(settings)
migrate(store)
kept, offsets, dice = {}, {}, random.Random(9)

def keep(topic, raw):
    kept.setdefault(topic, []).append(rows.parse(topic, raw, 1))
    offsets[topic] = offsets.get(topic, -1) + 1
    return Place(topic, 0, offsets[topic])

desk, oms, ids = OrderDesk(ttl_ns=3_000_000_000, instance="epoch-1"), Oms(4, is_shared=is_shared), []

def learn(record):
    topic = topics.RISK_COMMANDS if hasattr(record, "maker") else topics.RISK_STATES
    raw = codec.encode(topic, record)
    desk.learn(raw, keep(topic, raw))

def tick_of(state):
    # The tick that a state followed from: any numbers, some not known; the state names three of them as its causes.
    values = np.array([dice.choice([np.nan, dice.gauss(0, 1), dice.gauss(0, 1) * 1e-300, 3.0]) for _ in FEATURE_NAMES])
    whole = np.array([state.instrument_id], np.uint32)
    tick = Ticks(
        channel_id=state.channel_id, epoch=state.epoch, spec_hash="0123456789abcdef", feature_names=FEATURE_NAMES,
        tick_ns=np.array([state.tick_ns]), instrument_id=whole, status=np.zeros(1, np.uint32),
        ref_price=np.array([state.ref_price]), values=values.reshape(1, -1),
    )
    if ticks != "none":
        keep(topics.FEATURES_TICKS, encode_ticks(tick))
    named = [float(np.nextafter(values[j], 9)) if ticks == "other" else float(values[j]) for j in (0, 5, 20)]
    names = [FEATURE_NAMES[j] for j in (0, 5, 20)]
    causes = tuple(FeatureCause(n, v, 0.0 if v != v else 2.5, 0.1, False) for n, v in zip(names, named))
    return replace(state, causes=causes)

def tell(happening):
    for fact in happening.facts:
        raw = codec.encode(topics.ORDERS_FACTS, fact)
        desk.apply(raw, keep(topics.ORDERS_FACTS, raw))

for rule in rules():
    learn(rule if hasattr(rule, "maker") else tick_of(rule))
for _ in range(260):
    state = oms.state()
    if state is not None:
        learn(tick_of(state))
    happening = oms.happening()
    if happening is not None:
        tell(happening)
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
    store.insert(table, rows.ticks_table(found) if table == rows.TICKS else rows.rows_table(table, found))
reader = Reader(settings)
ask = lambda sql: reader.query(sql).dicts()
wanted = [one for one in ids[200:] if one.account_id == "DESK-1"][: int(sys.argv[5])]
answers = [plain_of(rebuilt := rebuild(one.decision_id, ask)) for one in wanted]
try:
    rebuild("nobody", ask)
except NoDecisionError as error:
    refused = str(error)
print(json.dumps({"answers": answers, "refused": refused, "lines": lines_of(rebuilt),
                  "reasons": sorted({one.reason for one in wanted}), "facts": len(kept[topics.ORDERS_FACTS])}))
"""


def ran(folder: Path, lose: str = "", *, session: str = "own", ticks: str = "stored", count: int = 8) -> dict[str, Any]:
    command = [sys.executable, "-c", CODE, str(folder), lose, session, ticks, str(count)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_decision_is_rebuilt_bit_by_bit_with_limits_positions_and_features(tmp_path: Path) -> None:
    found = ran(tmp_path, count=30)
    assert len(found["reasons"]) > 2
    assert found["facts"] > 10, "days began, sessions were lost and positions set meanwhile"
    for answer in found["answers"]:
        assert (answer["differs"], answer["incomplete"]) == ({}, [])
        assert answer["equal"]
        assert answer["limits"]["envelope"]["order_qty"] == 500
        assert len(answer["features"]) > 60
    assert any(answer["positions"] for answer in found["answers"])
    assert found["refused"] == "history holds no decision nobody"
    assert any(line.startswith("  dynamic: order_qty") for line in found["lines"])
    assert found["lines"][-1] == "  rebuilt bit by bit"


def test_features_that_the_state_did_not_follow_from_differ(tmp_path: Path) -> None:
    for answer in ran(tmp_path, ticks="other")["answers"]:
        assert not answer["equal"]
        assert answer["differs"]
        assert all(name.startswith("feature ") for name in answer["differs"])


def test_decision_without_stored_ticks_is_called_incomplete_for_its_features_alone(tmp_path: Path) -> None:
    for answer in ran(tmp_path, ticks="none")["answers"]:
        assert not answer["equal"]
        assert answer["differs"] == {}
        assert [what.split(" of tick")[0] for what in answer["incomplete"]] == ["the features"]


def test_decision_by_a_session_that_accounts_share_is_rebuilt_from_the_orders_of_all_of_them(tmp_path: Path) -> None:
    found = ran(tmp_path, session="shared")
    assert "session_rate" in found["reasons"]
    for answer in found["answers"]:
        assert answer["equal"], (answer["differs"], answer["incomplete"])


@pytest.mark.parametrize(
    "lose",
    ["orders.decisions", "orders.executions", "orders.requests", "orders.facts", "risk.states", "features.ticks"],
)
def test_history_that_lacks_something_is_called_incomplete(tmp_path: Path, lose: str) -> None:
    answers = ran(tmp_path, lose)["answers"]
    told = [[what for what in answer["incomplete"] if "features" not in what] for answer in answers]
    if lose == "features.ticks":  # of the newer half: those that are asked about are there
        assert all(answer["equal"] for answer in answers)
    else:
        assert all(told)
        assert not any(answer["equal"] for answer in answers)
