"""Rows per second that the history writer's path sustains into chDB: parse, join, insert, in batches of its size.

Messages are those of a channel (one per closed tick of all its instruments) with values that move like features; the broker is
left out, so this is the share of the store, rollups and merges with it. `rows_per_cpu_s` says what a second of one processor does,
whoever else uses the machine. `final_ms` is a count over the view that shows every row once.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

import numpy as np

from history.database import Reader, Store
from history.migrate import migrate
from history.rows import FEATURES, TICKS, TickRows, parse, ticks_table
from history.settings import HistorySettings
from schemas import topics
from schemas.ticks import Ticks, encode_ticks
from schemas.units import TICK_NS

T0_NS = 1_768_487_428_000_000_000
INSTRUMENTS = 4


def messages(count: int, first: int, rng: np.random.Generator, *, instruments: int = INSTRUMENTS) -> list[bytes]:
    """Return tick messages ``first ... first + count`` of one channel."""
    walk = rng.normal(size=(count, instruments, len(FEATURES))).cumsum(axis=0).round(3)
    return [
        encode_ticks(
            Ticks(
                channel_id="SIM",
                epoch=1,
                spec_hash="0123456789abcdef",
                feature_names=FEATURES,
                tick_ns=np.full(instruments, T0_NS + (first + step) * TICK_NS),
                instrument_id=np.arange(1, instruments + 1, dtype=np.uint32),
                status=np.zeros(instruments, np.uint32),
                ref_price=np.full(instruments, 50_000_000_000 + step),
                values=walk[step],
            )
        )
        for step in range(count)
    ]


def measure(folder: Path, *, seconds: float, batch_rows: int, instruments: int) -> dict[str, float]:
    """Return the figures of a run of ``seconds`` into a fresh store."""
    settings = HistorySettings(bootstrap_servers="", data_dir=folder)
    store = Store(settings)
    migrate(store)
    rng = np.random.default_rng(7)
    per_batch = max(1, batch_rows // instruments)
    spent = {"parse_s": 0.0, "join_s": 0.0, "insert_s": 0.0}
    slowest_s, sent, batches, cpu_s = 0.0, 0, 0, 0.0
    while sum(spent.values()) < seconds:
        raw = messages(per_batch, sent, rng, instruments=instruments)
        cpu_before_s = time.process_time()
        marks = [time.perf_counter()]
        parts = [part for value in raw if isinstance(part := parse(topics.FEATURES_TICKS, value, 0), TickRows)]
        marks.append(time.perf_counter())
        table = ticks_table(parts)
        marks.append(time.perf_counter())
        store.insert(TICKS, table)
        marks.append(time.perf_counter())
        for name, before, after in zip(spent, marks, marks[1:], strict=False):
            spent[name] += after - before
        cpu_s += time.process_time() - cpu_before_s
        slowest_s = max(slowest_s, marks[3] - marks[2])
        sent += per_batch
        batches += 1
    reader = Reader(settings)
    began = time.perf_counter()
    ((rows,),) = reader.query("SELECT count() FROM ticks_once").rows
    final_s = time.perf_counter() - began
    assert rows == sent * instruments, "every row once"
    stored = reader.query("SELECT sum(data_compressed_bytes) FROM system.parts WHERE active AND table = 'ticks'").rows
    reader.close()
    store.close()
    total_s = sum(spent.values())
    return {
        "rows": rows,
        "batches": batches,
        "rows_per_s": round(rows / total_s),
        "rows_per_cpu_s": round(rows / cpu_s),
        "messages_per_s": round(sent / total_s),
        "insert_rows_per_s": round(rows / spent["insert_s"]),
        **{name: round(value, 3) for name, value in spent.items()},
        "slowest_insert_ms": round(slowest_s * 1e3, 1),
        "final_ms": round(final_s * 1e3, 1),
        "bytes_per_row": round(float(stored[0][0]) / rows, 1),
    }


def main(argv: list[str] | None = None) -> int:
    """Print the figures as JSON on the last line."""
    parser = argparse.ArgumentParser(prog="benchmarks.bench_history", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="time spent in the path")
    parser.add_argument("--batch-rows", type=int, default=100_000, help="rows per insert")
    parser.add_argument("--instruments", type=int, default=INSTRUMENTS, help="of the channel: rows per message")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        figures = measure(
            Path(folder) / "data",
            seconds=arguments.seconds,
            batch_rows=arguments.batch_rows,
            instruments=arguments.instruments,
        )
    about = {"cores": os.cpu_count(), "load_1min": os.getloadavg()[0], "instruments": arguments.instruments}
    print(json.dumps({"bench": "history", **about, **figures}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
