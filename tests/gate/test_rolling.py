"""The rolling maximum against all values that were ever seen."""

from hypothesis import given
from hypothesis import strategies as st

from gate.policy.rolling import RollingMax

steps = st.lists(st.tuples(st.integers(0, 6), st.integers(-20, 20)), min_size=1, max_size=60)


def test_largest_value_leaves_after_its_period_and_not_before() -> None:
    rolling = RollingMax()
    assert rolling.largest(keep_ns=10) is None
    for ts_ns, value, expected in ((0, 5, 5), (9, 3, 5), (10, 2, 3), (18, 1, 3), (19, 1, 2), (40, 0, 0)):
        rolling.add(ts_ns, value, keep_ns=10)
        assert rolling.largest(keep_ns=10) == expected


def test_time_that_goes_back_forgets_nothing() -> None:
    rolling = RollingMax()
    rolling.add(100, 7, keep_ns=10)
    rolling.add(5, 1, keep_ns=10)
    rolling.add(14, 1, keep_ns=10)
    assert rolling.largest(keep_ns=10) == 7
    rolling.add(15, 1, keep_ns=10)
    assert rolling.largest(keep_ns=10) == 1


@given(steps, st.integers(1, 12), st.integers(1, 12))
def test_equals_the_maximum_over_the_period_and_moves_with_its_memory(
    moves: list[tuple[int, int]], keep_ns: int, shorter: int
) -> None:
    rolling, history, now_ns = RollingMax(), list[tuple[int, int]](), 0
    for step, value in moves:
        now_ns += step
        history.append((now_ns, value))
        rolling.add(now_ns, value, keep_ns=keep_ns)
        rolling = RollingMax(rolling.seen())
        for period in {keep_ns, min(shorter, keep_ns)}:
            assert rolling.largest(keep_ns=period) == max(v for ts, v in history if now_ns - ts < period)


@given(st.lists(st.integers(0, 10**6), min_size=200, max_size=200))
def test_memory_is_bounded_by_the_period(values: list[int]) -> None:
    rolling = RollingMax()
    for ts_ns, value in enumerate(sorted(values, reverse=True)):
        rolling.add(ts_ns, value, keep_ns=20)
    assert len(rolling.seen()) <= 20
