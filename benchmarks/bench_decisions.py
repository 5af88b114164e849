"""What the trail of decisions costs: a push into the ring, and the way from the ring to an encoded message.

Invariant: a push is measured inside C in batches of 64 between two readings of the clock, once alone, once with a second
producer, and with the consumer on a thread of its own. A push that finds no room
would be cheaper: none of these does, and the count of losses is printed to show it. Excluded: Kafka.
Run as ``python -m benchmarks.bench_decisions``; the last line is JSON.
"""

import argparse
import json
import os
import platform
import threading
import time
from typing import Final

import numpy as np
import numpy.typing as npt

from gate._native import RECORD_BYTES, DecisionRing
from gate.trail.decision_record import entries_of, to_decision
from schemas import codec, topics

BATCH: Final = 64
CAPACITIES: Final = (1024, 65_536)
ROUND: Final = 65_536
ENTRIES: Final = 50_000


def main(argv: list[str] | None = None) -> int:
    """Measure and print; return the exit status."""
    parser = argparse.ArgumentParser(prog="benchmarks.bench_decisions", description="Cost of recording decisions.")
    parser.add_argument("--quick", action="store_true", help="a few samples, to see that it runs")
    batches = 200 if parser.parse_args(argv).quick else 50_000
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} processors, entry of {RECORD_BYTES} bytes")
    figures: dict[str, float | int] = {"batch": BATCH, "batches": batches}
    for capacity in CAPACITIES:
        with DecisionRing.create(None, capacity) as ring:
            ring.measure_pushes(np.zeros(max(batches // 10, 1), np.uint32), BATCH, True)
            samples = np.zeros(batches, np.uint32)
            ring.measure_pushes(samples, BATCH, True)
            figures |= _told(f"push_{capacity}", samples, 0)
    figures |= (
        _with_consumer(1, batches // 200)
        | _with_consumer(2, batches // 200)
        | _to_message(ENTRIES // (100 if batches < 1000 else 1))
    )
    print(f"load at the end: {os.getloadavg()[0]:.2f}")
    print(json.dumps(figures))
    return 0


def _with_consumer(producers: int, rounds: int) -> dict[str, float | int]:
    """Measure pushes of some threads while another takes the entries out; a round fits the ring, so none is lost."""
    per_round = ROUND // producers // BATCH
    samples = [np.zeros(rounds * per_round, np.uint32) for _ in range(producers)]
    lost: list[int] = []
    with DecisionRing.create(None, ROUND) as ring:

        def produce(part: npt.NDArray[np.uint32]) -> None:
            lost.append(ring.measure_pushes(part, BATCH, False))

        for begin in range(0, rounds * per_round, per_round):
            parts = [part[begin : begin + per_round] for part in samples]
            threads = [threading.Thread(target=produce, args=(part,)) for part in parts]
            for thread in threads:
                thread.start()
            while any(thread.is_alive() for thread in threads) or ring.counters()["pending"]:
                ring.release(len(ring.read(4096)) // RECORD_BYTES)
            for thread in threads:
                thread.join()
    return _told(f"push_{producers}_producers", np.concatenate(samples), sum(lost))


def _told(name: str, samples: npt.NDArray[np.uint32], lost: int) -> dict[str, float | int]:
    p50, p99, p999 = (round(float(value), 1) for value in np.percentile(samples / BATCH, [50, 99, 99.9]))
    print(
        f"{name}: p50 {p50} p99 {p99} p99.9 {p999} ns per push (means of {BATCH}), {lost} of {samples.size * BATCH} lost"
    )
    return {f"{name}_p50_ns": p50, f"{name}_p99_ns": p99, f"{name}_p999_ns": p999, f"{name}_lost": lost}


def _to_message(count: int) -> dict[str, float | int]:
    """Measure what the shipper does to an entry before Kafka's library has it."""
    with DecisionRing.create(None, 65_536) as ring:
        ring.measure_pushes(np.zeros(count // BATCH + 1, np.uint32), BATCH, False)
        begin_ns = time.perf_counter_ns()
        found = 0
        while raw := ring.read(256):
            for entry in entries_of(raw):
                codec.encode(topics.ORDERS_DECISIONS, to_decision(entry, {}, instance="bench"))
                found += 1
        each_us = (time.perf_counter_ns() - begin_ns) / found / 1e3
    print(f"entry to message: {each_us:.1f} us, {1e6 / each_us:,.0f} a second on one thread")
    return {"entry_to_message_us": round(each_us, 1)}


if __name__ == "__main__":
    raise SystemExit(main())
