"""What an event, a frame, a row and a tick cost in the loop's machines: the figures that `tidegate plan` calculates with.

Each load runs in this process, CPU time counted (``deploy.planning.measure``); costs are fitted over all of them. What Kafka and
Flink add is the largest rate through the whole path, as README's table has it (``bench_path --throughput``) or as given; history is
``bench_history``; memory of the JVMs is what the manifests give them. ``--write`` keeps the file in ``benchmarks/results``; the
last line is JSON.
"""

import argparse
import datetime as dt
import json
import os
import re
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Final

from benchmarks.bench_history import measure as measure_history
from benchmarks.machine import machine
from deploy.local.flink import repository
from deploy.planning.capacity import FILE, Around, as_json, fit
from deploy.planning.load import Load
from deploy.planning.measure import WARM_UP_S, measure

SIZES: Final = ((5, 500), (25, 25_000), (50, 1_000), (100, 10_000), (100, 50_000), (300, 5_000))
"""Instruments and events a second: few and many of each, apart from each other."""


def main(argv: list[str] | None = None) -> int:
    """Measure and print; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.bench_capacity", description="Costs that `tidegate plan` calculates with."
    )
    parser.add_argument(
        "--seconds", type=float, default=6.0, help="measured event time of each load, after the warm-up"
    )
    parser.add_argument("--history-seconds", type=float, default=5.0, help="time spent in the history writer's path")
    parser.add_argument(
        "--path-events-per-s", type=float, default=800_000, help="of bench_path --throughput, one TaskManager per job"
    )
    parser.add_argument("--path-cores", type=float, default=2, help="processors that it ran on, all parts together")
    parser.add_argument("--taskmanager-gib", type=float, default=1.5, help="memory of a TaskManager")
    parser.add_argument("--jobmanager-gib", type=float, default=1.0, help="memory of the JobManager")
    parser.add_argument("--write", action="store_true", help=f"keep {FILE}")
    arguments = parser.parse_args(argv)
    said = machine()
    print(said)
    runs = []
    for instruments, events_per_s in SIZES:
        load = Load(instruments, events_per_s, WARM_UP_S + arguments.seconds)
        runs.append((load, measure(load, repository() / "models" / "default")))
        print(f"{instruments} instruments, {events_per_s} events/s: {asdict(runs[-1][1])}")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        history = measure_history(
            Path(folder) / "data", seconds=arguments.history_seconds, batch_rows=100_000, instruments=50
        )
    around = Around(
        arguments.path_events_per_s or _rate_of_the_path((repository() / "README.md").read_text()),
        arguments.path_cores,
        arguments.taskmanager_gib,
        arguments.jobmanager_gib,
        history["rows_per_cpu_s"],
        history["bytes_per_row"],
    )
    about = {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "machine": said,
        "load_after": round(os.getloadavg()[0], 2),
        "command": "python -m benchmarks.bench_capacity --write",
        "path": "python -m benchmarks.bench_path --throughput: four channels, one TaskManager per job, all on these cores",
    }
    if arguments.write:
        (repository() / FILE).write_text(as_json(runs, around, about))
    print(json.dumps({"costs": fit(runs), "path": asdict(around), "about": about}))
    return 0


def _rate_of_the_path(readme: str) -> float:
    """Return events a second of README's row of four channels."""
    found = re.search(r"^\| the same on four channels,.*?\| ([0-9.]+) M events/s", readme, re.MULTILINE)
    if found is None:
        raise SystemExit("README has no row of the path's largest rate: give --path-events-per-s")
    return float(found[1]) * 1e6


if __name__ == "__main__":
    raise SystemExit(main())
