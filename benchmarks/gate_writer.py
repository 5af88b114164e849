"""The other process of the gate's benchmark: it rewrites every row ten times a second, or one row again and again."""

import os
import sys
import time
from pathlib import Path
from typing import Final

from benchmarks import gate_load
from gate._native import LimitTable

WRITES_HZ: Final = 10
ROW_EVERY_S: Final = 0.0005


def main(argv: list[str]) -> int:
    """Write to the table at ``argv[0]``, ``argv[1]`` instruments, until killed; ``argv[2]``: ``all`` or ``one``."""
    path, instruments, which = Path(argv[0]), int(argv[1]), argv[2]
    with LimitTable.create(path, instruments) as table:
        gate_load.fill(table, instruments)
        print("ready", flush=True)
        return _write_all(table, instruments) if which == "all" else _write_one(table)


def _write_all(table: LimitTable, instruments: int) -> int:
    planned_s, started_by = time.monotonic(), os.getppid()
    rows = [gate_load.row(number) for number in range(1, instruments + 1)]
    while os.getppid() == started_by:
        now_ns = time.monotonic_ns()
        for row in rows:
            table.put(gate_load.row(row.instrument_id, now_ns).pack())
        table.heartbeat(now_ns, 1)
        planned_s += 1 / WRITES_HZ
        time.sleep(max(0.0, planned_s - time.monotonic()))
    return 0


def _write_one(table: LimitTable) -> int:
    started_by = os.getppid()
    while os.getppid() == started_by:
        table.put(gate_load.row(1, time.monotonic_ns()).pack())
        table.heartbeat(time.monotonic_ns(), 1)
        time.sleep(ROW_EVERY_S)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
