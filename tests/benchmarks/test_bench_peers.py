"""The loop that times every engine alike, and the driver that runs them in turns."""

import os
import sys
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.bench_peers import Contender, Histograms, PeerError, measure, percentile_ns, report
from benchmarks.peers.rounds import Engine, time_checks

CORE = max(os.sched_getaffinity(0))


def engine(*, passing: int) -> Engine:
    answers: list[object] = []
    return Engine(
        name="fake",
        orders=lambda count: [(number,) for number in range(count)],
        check=lambda number: number < passing,
        settle=lambda _order, answer: answers.append(answer),
        passed=lambda: answers.count(True),
    )


def test_every_check_is_timed_when_every_order_passes() -> None:
    lengths = time_checks(engine(passing=100), 100)
    assert lengths.total() == 100
    assert min(lengths) > 0


def test_round_is_void_when_the_engine_refuses_one_order() -> None:
    with pytest.raises(RuntimeError, match="fake: 99 of 100 orders passed"):
        time_checks(engine(passing=99), 100)


def test_missing_engine_ends_the_run_with_its_last_words() -> None:
    absent = Contender("absent", sys.executable, "benchmarks.peers.absent")
    with pytest.raises(PeerError, match=r"absent ended: .*No module named benchmarks\.peers\.absent"):
        measure((absent,), core=CORE, rounds=1, checks=1)


def test_our_gate_checks_and_books_from_python_in_turns() -> None:
    ours = tuple(
        Contender(key, sys.executable, "benchmarks.peers.tidegate", words)
        for key, words in (("tidegate", ()), ("tidegate_submit", ("--books",)))
    )
    measured = measure(ours, core=CORE, rounds=2, checks=500)
    assert [one.checks.total() for one in measured.values()] == [1_000, 1_000]


def test_ratios_are_of_medians_with_and_without_the_timer() -> None:
    floor = Counter({40: 3})
    figures = report(
        {
            "nautilus": Histograms(Counter({4_000: 3}), floor),
            "vnpy": Histograms(Counter({2_000: 2, 9_000: 1}), floor),
            "tidegate": Histograms(Counter({200: 3}), floor),
            "tidegate_submit": Histograms(Counter({400: 3}), floor),
        }
    )
    assert (figures["nautilus_ratio"], figures["vnpy_ratio"]) == (20.0, 10.0)
    assert figures["vnpy_net_ratio"] == round(1_960 / 160, 2)
    assert figures["vnpy_submit_ratio"] == 5.0
    assert figures["vnpy_p999_ns"] == 9_000


@given(st.lists(st.integers(0, 10_000), min_size=1), st.floats(0.001, 1.0))
def test_percentile_is_the_smallest_length_that_covers_the_share(lengths: list[int], share: float) -> None:
    found = percentile_ns(Counter(lengths), share)
    below = sum(length < found for length in lengths)
    upto = sum(length <= found for length in lengths)
    assert below < share * len(lengths) <= upto
