"""The stress suite's market: reproducible, always possible, never crossed; no two sessions of a mechanism are alike."""

import csv
import heapq
from datetime import datetime
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feeds.blocks import EventBlock
from feeds.stress.plan import FULL, MECHANISMS, QUICK, StressSession, sessions
from feeds.stress.script import STEPS_PER_S, Script
from feeds.stress.session import feed_frames, script_of, simulate
from feeds.stress.story import FLASH_DURATIONS_S, FLASH_MOVES, FLASH_QUANTILES, ONSET_S
from feeds.stress.streams import _arrivals
from feeds.stress.universe import universe
from schemas.events import Kind, Side
from schemas.frames import encode_frame
from schemas.units import NS_PER_S

SUITE = sessions(7, quick=True)
CRISES = [name for name, mechanism in MECHANISMS.items() if mechanism.kind == "crisis"]


def first_of(mechanism: str) -> StressSession:
    return next(session for session in SUITE if session.mechanism == mechanism)


@pytest.fixture(scope="module")
def simulated() -> dict[str, EventBlock]:
    return {mechanism: simulate(first_of(mechanism)) for mechanism in MECHANISMS}


def test_counts_are_those_promised() -> None:
    assert sum(QUICK[name] for name in CRISES) == 40
    assert sum(FULL[name] for name in CRISES) >= 200
    assert sum(count for name, count in FULL.items() if MECHANISMS[name].kind == "hard_negative") >= 60
    assert sorted(session.mechanism for session in SUITE) == sorted(
        n for n, count in QUICK.items() for _ in range(count)
    )


def test_equal_seeds_plan_and_simulate_the_same_and_others_do_not() -> None:
    again, other = sessions(7, quick=True), sessions(8, quick=True)
    stories = [[(s.name, s.seed, s.start_ns, s.traits, s.story) for s in suite] for suite in (SUITE, again, other)]
    assert stories[0] == stories[1] != stories[2]
    first, repeated = simulate(first_of("layering")), simulate(next(s for s in again if s.mechanism == "layering"))
    assert all(np.array_equal(first.columns[name], repeated.columns[name]) for name in first.columns)


def test_quick_and_full_share_their_instruments_and_every_name_is_once() -> None:
    full = sessions(7, quick=False)
    assert {s.traits for s in SUITE} <= {s.traits for s in full}
    assert len({s.name for s in full}) == len(full) == sum(FULL.values())
    assert len({s.seed for s in full}) == len(full)
    starts = [s.start_ns for s in full]
    assert starts == sorted(starts)


def test_each_instrument_has_a_calm_session_before_anything_else() -> None:
    calm = [session for session in SUITE if session.mechanism == "calm"]
    assert [s.traits for s in SUITE[: len(calm)]] == [s.traits for s in calm] == list(universe(7, 12))


@pytest.mark.parametrize("mechanism", sorted(set(MECHANISMS) - {"calm"}))
def test_five_minutes_are_calm_before_the_onset_and_parameters_differ(mechanism: str) -> None:
    drawn = [s for s in sessions(7, quick=False) if s.mechanism == mechanism]
    assert all(ONSET_S[0] <= s.story["onset_s"] <= ONSET_S[1] for s in drawn)
    assert ONSET_S[0] > 300
    assert all(s.story["onset_s"] < s.story["end_s"] < s.duration_s for s in drawn)
    for name in set(drawn[0].story) - {"feed_fault", "precursor_s", "recovered"}:
        assert len({s.story[name] for s in drawn}) > 1, name


def test_only_a_fat_finger_has_no_precursor_and_a_stale_feed_says_that_it_is_one() -> None:
    for session in SUITE:
        if session.kind == "crisis":
            assert (session.story["precursor_s"] == 0) == (session.mechanism == "fat_finger")
            assert ("feed_fault" in session.story) == (session.mechanism == "stale_feed")
    assert all(20 <= s.story["precursor_s"] <= 90 for s in SUITE if s.mechanism == "large_seller")


def test_nothing_differs_from_calm_before_the_onset() -> None:
    for mechanism in set(MECHANISMS) - {"calm", "opening"}:  # the market before an opening is thin by nature
        session = first_of(mechanism)
        calm = Script(session.traits, round(session.duration_s * STEPS_PER_S))
        MECHANISMS[mechanism].bend(calm, session.story, np.random.default_rng(1))
        before = slice(0, session.onset_tick)
        for name in ("limit", "cancel", "size", "spread", "width", "market", "market_size", "volatility"):
            assert np.all(getattr(calm, name)[..., before] == 1.0), (mechanism, name)
        assert np.all(calm.drift[before] == 0)
        times = [
            *(a.at_s for a in calm.aggressions),
            *(q.at_s for q in calm.quotes),
            *(a.leave_s for a in calm.absences),
        ]
        assert min(times, default=np.inf) >= session.story["onset_s"]


@pytest.mark.parametrize("mechanism", sorted(set(MECHANISMS) - {"stale_feed"}))
def test_every_event_was_possible_and_the_book_is_never_crossed(
    mechanism: str, simulated: dict[str, EventBlock]
) -> None:
    columns = simulated[mechanism].columns
    live: dict[int, list[int]] = {}
    tops: dict[int, list[tuple[int, int]]] = {int(Side.BID): [], int(Side.ASK): []}  # heaps, best first
    assert np.all(np.diff(columns["ts_event_ns"].astype(np.int64)) >= 0)
    rows = zip(*(columns[name].tolist() for name in ("kind", "side", "order_id", "price", "qty")), strict=True)
    for kind, side, order_id, price, qty in rows:
        if kind == Kind.ADD:
            assert order_id not in live
            assert qty > 0
            opposite = tops[-side]
            while opposite and opposite[0][1] not in live:
                heapq.heappop(opposite)
            assert not opposite or side * price < opposite[0][0]  # the heap of the other side holds side * price
            live[order_id] = [side, price, qty]
            heapq.heappush(tops[side], (-side * price, order_id))
        elif kind in (Kind.DELETE, Kind.EXECUTE):
            assert live[order_id][:2] == [side, price]
            live[order_id][2] -= qty
            assert live[order_id][2] >= 0
            assert kind == Kind.EXECUTE or live[order_id][2] == 0
            if live[order_id][2] == 0:
                del live[order_id]
    assert live


def test_a_stale_feed_shows_nothing_until_it_is_back(simulated: dict[str, EventBlock]) -> None:
    session = first_of("stale_feed")
    seconds = (simulated["stale_feed"].columns["ts_event_ns"].astype(np.int64) - session.start_ns) / NS_PER_S
    silent = (seconds > session.story["onset_s"]) & (seconds < session.story["break_s"] - 1e-6)
    assert not silent.any()
    assert seconds[-1] > session.story["break_s"] + 30


def test_frames_of_a_feed_are_equal_bytes_twice() -> None:
    session = first_of("fat_finger")
    block = simulate(session)
    first, again = ([encode_frame(f) for f in islice(feed_frames(session, block), 500)] for _ in range(2))
    assert first == again


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0.0, 8.0), min_size=20, max_size=60), st.integers(0, 2**32))
def test_arrivals_follow_the_rate_and_none_come_where_it_is_zero(rates: list[float], seed: int) -> None:
    rate = np.repeat(np.array(rates), STEPS_PER_S)
    times = _arrivals(rate, np.random.default_rng(seed))
    expected = rate.sum() / STEPS_PER_S
    assert abs(len(times) - expected) < 6 * np.sqrt(expected) + 6
    assert np.all(np.diff(times) >= 0)
    inside = (times * STEPS_PER_S % 1 > 1e-6) & (times * STEPS_PER_S % 1 < 1 - 1e-6)
    assert np.all(rate[(times[inside] * STEPS_PER_S).astype(int)] > 0)


def test_script_is_the_same_each_time() -> None:
    session = first_of("large_seller")
    first, again = script_of(session), script_of(session)
    assert np.array_equal(first.market, again.market)
    assert first.aggressions == again.aggressions
    assert first.absences == again.absences


def recorded_crashes(folder: Path) -> tuple[list[float], list[float]]:
    moves, durations = [], []
    for path in sorted((folder / "miniflash_2014").glob("*_miniflash_crashes.csv")):
        for row in csv.DictReader(path.open()):
            moves.append(abs(float(row["price_change"])))
            start, end = (datetime.fromisoformat(row[name]) for name in ("start_time", "end_time"))
            durations.append((end - start).total_seconds())
    return moves, durations


@pytest.mark.marketdata
def test_sizes_and_durations_are_those_of_the_recorded_mini_flash_crashes(marketdata: Path) -> None:
    moves, durations = recorded_crashes(marketdata)
    assert len(moves) == 424
    assert np.allclose(np.quantile(moves, FLASH_QUANTILES), FLASH_MOVES, rtol=2e-3)
    assert np.allclose(np.quantile(durations, FLASH_QUANTILES), FLASH_DURATIONS_S, atol=1e-3)


@pytest.mark.marketdata
def test_simulated_prints_move_as_far_and_as_fast_as_recorded_ones(marketdata: Path) -> None:
    moves, durations = recorded_crashes(marketdata)
    found = [print_move(session) for session in sessions(7, quick=False) if session.mechanism == "fat_finger"]
    sizes, lasting, ticks = (np.array(values) for values in zip(*found, strict=True))
    low, high = np.quantile(moves, [0.0, 0.99])
    assert np.all(sizes > 0.8 * low)
    assert np.all(sizes < 1.2 * high)
    assert 0.6 < np.median(sizes) / np.median(moves) < 1.6
    assert np.all(lasting <= 1.5)
    assert 0.3 < np.mean(lasting <= np.median(durations)) < 0.8
    assert np.all(ticks >= 10)  # as the recorded ones are defined: ten prints in one direction


def print_move(session: StressSession) -> tuple[float, float, int]:
    """Return move, duration in s and number of distinct prices of the sweep's executions."""
    columns = simulate(session).columns
    side = Side.ASK if session.story["side"] else Side.BID
    start = session.start_ns + round(session.story["break_s"] * NS_PER_S)
    end = start + round(session.story["fall_s"] * NS_PER_S)
    at = columns["ts_event_ns"].astype(np.int64)
    swept = (at >= start - 1_000) & (at <= end + 1_000) & (columns["kind"] == Kind.EXECUTE) & (columns["side"] == side)
    prices = columns["price"][swept].astype(np.float64)
    move = abs(prices.max() / prices.min() - 1)
    return float(move), float(np.ptp(at[swept]) / NS_PER_S), len(np.unique(prices))
