"""One loop for every engine: time each call by itself, round after round, as the driver asks for them.

Invariant: this file imports the standard library alone, so the same code, from the same file, runs in each interpreter.
The garbage collector runs between rounds and never within one, for every engine alike. What an engine is told
between two checks (an order it shall forget again) happens outside the timed span.
Rejected: a mean over a batch of calls, which hides the tail and lets a loop's warm caches flatter whoever comes last.
"""

import argparse
import gc
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

SAMPLES_BEFORE_FIRST: Final = 4_000


class Engine(NamedTuple):
    """What one engine offers to the loop.

    ``orders(count)`` returns as many argument tuples of ``check``, made before the clock starts; ``settle(arguments, answer)``
    runs after each check, untimed; ``passed()`` says how many checks let their order through since the start.
    """

    name: str
    orders: Callable[[int], Iterable[tuple[object, ...]]]
    check: Callable[..., object]
    settle: Callable[[tuple[object, ...], object], object]
    passed: Callable[[], int]


def time_checks(engine: Engine, count: int) -> Counter[int]:
    """Return how many of ``count`` checks took how many nanoseconds, two clock reads included.

    Raises:
        RuntimeError: the engine refused an order: then the figure would be that of a refusal.
    """
    clock, check, settle = time.perf_counter_ns, engine.check, engine.settle
    before = engine.passed()
    orders = list(engine.orders(count))
    lengths = [0] * count
    gc.collect()
    gc.disable()
    try:
        for number, order in enumerate(orders):
            start = clock()
            answer = check(*order)
            lengths[number] = clock() - start
            settle(order, answer)
    finally:
        gc.enable()
    passed = engine.passed() - before
    if passed != count:
        raise RuntimeError(f"{engine.name}: {passed} of {count} orders passed; all must, or other work is measured")
    return Counter(lengths)


def time_nothing(count: int) -> Counter[int]:
    """Return the same for two clock reads with nothing between them: the timer's floor."""
    clock = time.perf_counter_ns
    lengths = [0] * count
    for number in range(count):
        start = clock()
        lengths[number] = clock() - start
    return Counter(lengths)


def serve(prepare: Callable[[], Engine]) -> int:
    """Prepare an engine on the core that the command line names, then time a round for each count read from stdin.

    Prints ``ready`` once, then for each round one line of JSON: ``{"checks": {ns: how often}, "floor": {...}}``.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--core", type=int, required=True)
    os.sched_setaffinity(0, {parser.parse_args().core})
    engine = prepare()
    time_checks(engine, SAMPLES_BEFORE_FIRST)
    print("ready", flush=True)
    for line in sys.stdin:
        count = int(line)
        print(json.dumps({"checks": time_checks(engine, count), "floor": time_nothing(count)}), flush=True)
    return 0
