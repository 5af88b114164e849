"""Rollups in chDB, in a process of its own: rows that come twice, in other batches, and rebuilt."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
CODE = """
import json, sys
from dataclasses import replace
from pathlib import Path
import numpy as np
from benchmarks.bench_history import messages
from history import rows
from history.database import Store
from history.migrate import migrate
from history.rebuild import rebuild
from history.settings import HistorySettings
from schemas import codec, topics
from schemas.tiers import Tier

store = Store(HistorySettings("", data_dir=Path(sys.argv[1])))
migrate(store)
TABLES = {
    "ticks_1s": "second, instrument_id, groupBitmapMerge(seen), argMinMerge(price_first), argMaxMerge(last), min(price_low), "
                "max(price_high), max(spread_bps_max), min(depth_total_10_min), groupBitOr(status)",
    "states_1m": "minute, instrument_id, max(tier_max), max(score_max), min(p_min), argMaxMerge(tier_last), max(latched)",
    "states_last": "instrument_id, argMaxMerge(state)",
}
TABLES["ticks_1m"] = TABLES["ticks_1s"]

def seen():
    found = {}
    for table, columns in TABLES.items():
        by = columns.split(", ")[: 1 if table == "states_last" else 2]
        found[table] = sorted(map(str, store.rows(f"SELECT {columns} FROM {table} GROUP BY {', '.join(by)}")))
    for table in ("tier_changes_once", "tier_episodes"):
        found[table] = sorted(map(str, store.rows(f"SELECT * FROM {table}")))
    return found

ticks = [rows.parse(topics.FEATURES_TICKS, raw, 0) for raw in messages(1_300, 0, np.random.default_rng(3))]
base = codec.decode(topics.RISK_STATES, Path("tests/golden/schemas/risk.states.v1.high_alert.bin").read_bytes())
climb = [0, 1, 2, 2, 3, 2, 1, 0, 0, 1, 0]
states = [
    rows.to_row(replace(base, tick_ns=base.tick_ns + step * 10**10, tier=Tier(now), tier_before=Tier(then), score=float(now)), 0)
    for step, (then, now) in enumerate(zip([0, *climb], climb))
]

def keep(part_of_ticks, part_of_states):
    store.insert("ticks", rows.ticks_table(part_of_ticks))
    store.insert("risk_states", rows.rows_table("risk_states", part_of_states))

keep(ticks[:700], states[:6])
keep(ticks[700:], states[6:])
once = seen()
for first in range(0, 1_300, 433):  # again, cut otherwise, and the last part a third time
    keep(ticks[first : first + 433], states[first // 100 :])
twice = seen()
store.command("OPTIMIZE TABLE ticks_1s FINAL")
merged = seen()
rebuild(store)
rebuilt = seen()
plain = store.rows(
    "SELECT count(), uniqExact(instrument_id, toStartOfSecond(tick_ns - INTERVAL 1 NANOSECOND)) FROM ticks_once"
)
by_second = "SELECT groupBitmapMerge(seen) AS n FROM ticks_1s GROUP BY instrument_id, second"
counted = store.rows(f"SELECT sum(n), count() FROM ({by_second})")
episodes = store.rows("SELECT toString(tier_peak), changes, lasted_ms FROM tier_episodes ORDER BY started_ns")
print(json.dumps({"same": [once == other for other in (twice, merged, rebuilt)], "plain": plain, "counted": counted,
                  "episodes": episodes, "seconds": len(once["ticks_1s"]), "minutes": len(once["ticks_1m"])}))
store.close()
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(tmp_path_factory.mktemp("s") / "data")],
        cwd=ROOT, capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    answered: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answered


def test_rows_that_come_twice_or_in_other_batches_or_are_rebuilt_change_no_rollup(found: dict[str, Any]) -> None:
    assert found["same"] == [True, True, True]


def test_seconds_count_every_tick_once(found: dict[str, Any]) -> None:
    assert found["plain"] == found["counted"] == [[1_300 * 4, found["seconds"]]]
    assert found["minutes"] == 4 * 3


def test_episodes_go_from_leaving_normal_to_normal_again(found: dict[str, Any]) -> None:
    assert found["episodes"] == [["CRITICAL", 6, 60_000], ["ELEVATED", 2, 10_000]]
