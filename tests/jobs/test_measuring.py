"""What operators tell Flink: buckets that add up, gathered for a second, rare things at once."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.measuring import FLUSH_NS, WAITING_MAX, Handover, OperatorMetrics
from schemas import metrics
from schemas.units import NS_PER_MS, NS_PER_S

NOW_NS = 1_768_487_428_000_000_000


class Counter:
    """As Flink's."""

    def __init__(self) -> None:
        self.count = 0

    def inc(self, by: int = 1) -> None:
        self.count += by

    def get_count(self) -> int:
        return self.count


@dataclass
class Group:
    """As Flink's: groups by key and value, counters by name."""

    scope: tuple[tuple[str, str], ...] = ()
    counters: dict[tuple[str, tuple[tuple[str, str], ...]], Counter] = field(default_factory=dict)

    def add_group(self, name: str, extra: str) -> "Group":
        return Group((*self.scope, (name, extra)), self.counters)

    def counter(self, name: str) -> Counter:
        assert (name, self.scope) not in self.counters, "Flink drops a name that is registered twice"
        return self.counters.setdefault((name, self.scope), Counter())

    def shown(self, name: str) -> dict[tuple[str, ...], int]:
        return {tuple(v for _, v in scope): counter.count for (n, scope), counter in self.counters.items() if n == name}


class Clock:
    now_ns = 0

    def __call__(self) -> int:
        return self.now_ns


def made() -> tuple[OperatorMetrics, Group, Clock]:
    group, clock = Group(), Clock()
    return OperatorMetrics(group, monotonic_ns=clock, wall_ns=lambda: NOW_NS), group, clock


def test_frequent_things_are_shown_after_a_second_and_rare_ones_at_once() -> None:
    told, group, clock = made()
    told.count(metrics.JOBS_FRAMES, 3, "SIM")
    told.now(metrics.JOBS_DEAD_LETTERS, 1, "track")
    told.flush_if_due()
    assert group.shown("tidegate_jobs_frames_total") == {}
    assert group.shown("tidegate_jobs_dead_letters_total") == {("track",): 1}
    clock.now_ns = FLUSH_NS
    told.flush_if_due()
    told.count(metrics.JOBS_FRAMES, 2, "SIM")
    told.flush_if_due()
    assert group.shown("tidegate_jobs_frames_total") == {("SIM",): 3}
    told.flush()
    assert group.shown("tidegate_jobs_frames_total") == {("SIM",): 5}


def test_gauge_shows_its_newest_value_also_when_it_falls() -> None:
    told, group, _ = made()
    for value in (4, 9, 2):
        told.hold(metrics.JOBS_STALE, value, "SIM")
        told.flush()
        assert group.shown("tidegate_jobs_stale_instruments") == {("SIM",): value}
    told.set(metrics.JOBS_STALE, 7, "SIM")
    assert group.shown("tidegate_jobs_stale_instruments") == {("SIM",): 7}


@pytest.mark.parametrize(("age_ms", "first"), [(0, "0.005"), (5, "0.005"), (6, "0.01"), (30_001, "+Inf")])
def test_age_of_a_tick_is_in_every_bucket_from_its_own_on(age_ms: int, first: str) -> None:
    told, group, _ = made()
    told.declare(metrics.JOBS_TICK_AGE, "score")
    assert told.age(metrics.JOBS_TICK_AGE, NOW_NS - age_ms * NS_PER_MS, "score")
    told.flush()
    shown = group.shown("tidegate_jobs_tick_age_seconds_bucket")
    bounds = [str(bound) for bound in metrics.AGE_BUCKETS_S] + ["+Inf"]
    at = bounds.index(first)
    assert shown == {("score", bound): int(place >= at) for place, bound in enumerate(bounds)}
    assert group.shown("tidegate_jobs_tick_age_seconds_count") == {("score",): 1}


def test_tick_of_a_replay_has_no_age() -> None:
    told, group, _ = made()
    assert not told.age(metrics.JOBS_TICK_AGE, NOW_NS - 7 * 86_400 * NS_PER_S, "score")
    told.flush()
    assert group.counters == {}


@given(st.lists(st.floats(0, 100), max_size=30))
def test_buckets_never_fall_and_the_last_holds_every_value(values: list[float]) -> None:
    told, group, _ = made()
    told.declare(metrics.JOBS_SCORE)
    for value in values:
        told.observe(metrics.JOBS_SCORE, value)
    told.flush()
    shown = group.shown("tidegate_jobs_score_seconds_bucket")
    counts = [shown[str(bound),] for bound in metrics.JOBS_SCORE.buckets]
    assert counts == [sum(value <= bound for value in values) for bound in metrics.JOBS_SCORE.buckets]
    assert shown["+Inf",] == group.shown("tidegate_jobs_score_seconds_count")[()] == len(values)


def test_labels_that_a_metric_does_not_have_are_a_bug() -> None:
    told, _, _ = made()
    with pytest.raises(ValueError, match="zip"):
        told.count(metrics.JOBS_FRAMES, 1)


def test_what_a_function_measured_is_counted_once_by_the_operator_behind_it() -> None:
    told, group, _ = made()
    handed = Handover()
    handed.put(metrics.JOBS_SCORE, 0.004)
    handed.put(metrics.JOBS_NETWORK, 3, "answers")
    for _ in range(2):
        told.take(handed)
    told.flush()
    assert group.shown("tidegate_jobs_score_seconds_count") == {(): 1}
    assert group.shown("tidegate_jobs_score_seconds_bucket")["0.005",] == 1
    assert group.shown("tidegate_jobs_network_ticks_total") == {("answers",): 3}


def test_what_nobody_takes_is_bounded() -> None:
    handed = Handover()
    for _ in range(WAITING_MAX + 5):
        handed.put(metrics.JOBS_SCORE, 0.1)
    assert len(handed.taken()) == WAITING_MAX
    assert handed.taken() == []
