"""Signals in the kernel: when they count, what they do to clock and numbers, and that no cut or restore shows."""

import random
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.channel import ChannelKernel, FrameResult
from features.reference.signals import PlainSignals
from features.signals import FEATURE_NAMES, SignalState
from features.spec import FEATURES
from feeds.binance.reader import open_session
from feeds.blocks import Row, block_of
from feeds.framing import frames_of
from feeds.merging import with_signals
from feeds.signals.reader import HeadlineFile
from feeds.simulator.session import simulate
from schemas.events import FrameFlag, Kind, TickStatus
from schemas.frames import Frame, SignalFrame, decode_frame, encode_frame
from schemas.signals import SCORE_SCALE, Signal, SignalKind
from schemas.units import NS_PER_MS, NS_PER_S, TICK_NS

START = 10_000 * TICK_NS
AnyFrame = Frame | SignalFrame
DEFAULTS = [None, 0.0, 0.5]
FIRST = len(FEATURES) - len(FEATURE_NAMES)


def headline(at_ms: int, score: float, instrument_id: int = 1) -> Signal:
    return Signal(START + at_ms * NS_PER_MS, instrument_id, SignalKind.HEADLINE, round(score * SCORE_SCALE))


def order(at_ms: int, instrument_id: int = 1) -> Signal:
    return Signal(START + at_ms * NS_PER_MS, instrument_id, SignalKind.ORDER, order_qty=10)


def channel(signals: list[Signal], *, ticks: int = 5) -> list[AnyFrame]:
    """Return two instruments with empty books, alive for some ticks, and the signals."""
    rows: list[Row] = [(START, number, Kind.CLEAR, 0, 0, 0, 0) for number in (1, 2)]
    market = frames_of([block_of(rows)], "T", start_ns=START, end_ns=START + ticks * TICK_NS)
    return list(with_signals(market, signals))


def features_of(results: list[FrameResult], instrument_id: int = 1) -> list[list[float | None]]:
    """Return the features of signals at each tick, ``None`` where null."""
    rows = [row for r in results for row in r.values[r.instrument_id == instrument_id, FIRST:].tolist()]
    return [[None if value != value else value for value in row] for row in rows]  # noqa: PLR0124 - NaN alone is unequal


def run(kernel: ChannelKernel, frames: list[AnyFrame]) -> list[FrameResult]:
    return [kernel.apply(frame) for frame in frames]


def joined(results: list[FrameResult]) -> bytes:
    return b"".join(
        getattr(r, name).tobytes()
        for name in ("tick_ns", "instrument_id", "status", "ref_price", "values")
        for r in results
    )


def test_rows_without_signals_say_so() -> None:
    assert features_of(run(ChannelKernel("T"), channel([]))) == [DEFAULTS] * 5


def test_a_signal_counts_from_the_first_tick_behind_it_for_its_instrument_alone() -> None:
    results = run(ChannelKernel("T"), channel([headline(150, 0.5), order(250, 2)]))
    assert features_of(results)[0] == DEFAULTS
    assert [row[0] for row in features_of(results)[1:]] == [0.5] * 4
    assert features_of(results, 2)[:2] == [DEFAULTS] * 2
    assert [row[2] for row in features_of(results, 2)[2:]] == pytest.approx([1 / 3] * 3, rel=1e-2)


def test_a_signal_on_a_boundary_counts_from_the_next_tick() -> None:
    results = run(ChannelKernel("T"), channel([headline(200, 0.5)]))
    assert [row[0] for row in features_of(results)] == [None, None, 0.5, 0.5, 0.5]


def test_a_late_signal_reopens_no_tick_moves_no_clock_and_weighs_by_its_age() -> None:
    frames = channel([order(210), headline(-3_600_000, 1.0), order(310)])
    kernel = ChannelKernel("T")
    results = run(kernel, frames)
    found = features_of(results)
    assert [row[0] for row in found] == [None, None, 1.0, 1.0, 1.0]
    assert found[2][1] == pytest.approx(np.log(2) / 2, rel=1e-3)  # an hour old: half
    assert kernel.counters()["clock_back"] == kernel.counters()["clock_jump"] == 0


def test_one_frame_of_signals_on_both_sides_of_a_boundary_is_as_good_as_two() -> None:
    whole = channel([headline(95, 0.5), headline(101, -0.5)])
    assert [f.event_count for f in whole if isinstance(f, SignalFrame)] == [1, 1]  # the heartbeat at 100 stands between
    at = START + 101 * NS_PER_MS
    both = SignalFrame("T", 3, 4, START + 95 * NS_PER_MS, at, FrameFlag(0), {
        name: np.concatenate([f.columns[name] for f in whole if isinstance(f, SignalFrame)])
        for name in SignalFrame.LAYOUT.empty()
    })  # fmt: skip
    parted = [*whole[:1], both, *(f for f in whole[1:] if f.ts_last_ns > at)]
    assert joined(run(ChannelKernel("T"), parted)) == joined(run(ChannelKernel("T"), whole))


def test_a_lost_signal_frame_is_a_gap_and_a_repeated_one_changes_nothing() -> None:
    frames = channel([headline(150, 0.5), order(250)])
    news = next(n for n, frame in enumerate(frames) if isinstance(frame, SignalFrame))
    lossy, again = ChannelKernel("T"), ChannelKernel("T")
    results = run(lossy, frames[:news] + frames[news + 1 :])
    assert lossy.counters()["gaps"] == 1
    assert [r.gap for r in results if r.gap] == [(3, 4)]
    assert (
        results[-1].status.tolist()
        == [TickStatus.STALE | TickStatus.GAP | TickStatus.BID_EMPTY | TickStatus.ASK_EMPTY] * 2
    )
    repeated = run(again, [*frames[: news + 1], frames[news], *frames[news + 1 :]])
    assert repeated[news + 1].duplicate
    assert again.counters()["signals"] == 2
    assert joined(repeated) == joined(run(ChannelKernel("T"), frames))


def test_silence_of_a_source_is_no_staleness_and_lets_the_rate_fade() -> None:
    results = run(ChannelKernel("T"), channel([headline(50, 0.5)], ticks=600))
    rates = [row[1] for row in features_of(results)]
    assert rates == sorted(rates, key=lambda rate: -(rate or 0))
    assert not any((r.status & TickStatus.STALE).any() for r in results)


def drawn(seed: int, count: int, *, late: bool) -> list[Signal]:
    chance = random.Random(seed)
    times = [chance.randint(-3_000, 4_000) for _ in range(count)]
    make = [lambda ms, id_: headline(ms, chance.uniform(-1, 1), id_), order]
    return [chance.choice(make)(ms, chance.randint(1, 5)) for ms in (times if late else sorted(times))]


@pytest.fixture(scope="module")
def market() -> list[Frame]:
    """Four seconds of a market, moved to ``START``."""
    session = simulate("flash_crash", 5, duration_s=4)
    plan = session.scenario
    times = np.asarray(session.block.columns["ts_event_ns"], np.int64)
    session.block.columns["ts_event_ns"] = times + (START - plan.start_ns)
    return list(frames_of([session.block], "T", start_ns=START, end_ns=START + plan.end_ns - plan.start_ns))


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32), count=st.integers(1, 80), cut=st.integers(0, 450), late=st.booleans())
def test_restore_among_signals_continues_bit_for_bit(
    market: list[Frame], seed: int, count: int, cut: int, *, late: bool
) -> None:
    frames = list(with_signals(market, drawn(seed, count, late=late)))
    whole = ChannelKernel("T")
    run(whole, frames[:cut])
    raw = whole.snapshot()
    restored = ChannelKernel.restore("T", raw)
    assert restored.snapshot() == raw
    assert restored.counters() == whole.counters()
    assert joined(run(restored, frames[cut:])) == joined(run(whole, frames[cut:]))
    assert restored.snapshot() == whole.snapshot()


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32), count=st.integers(1, 80), per_frame=st.integers(1, 12))
def test_ticks_do_not_depend_on_how_signals_are_cut(market: list[Frame], seed: int, count: int, per_frame: int) -> None:
    frames = list(with_signals(market, drawn(seed, count, late=True)))
    singles = [
        part for frame in frames for part in (pieces(frame, per_frame) if isinstance(frame, SignalFrame) else [frame])
    ]
    whole, cut = ChannelKernel("T"), ChannelKernel("T")
    assert joined(run(cut, singles)) == joined(run(whole, frames))
    assert cut.last_ts_ns == whole.last_ts_ns


def pieces(frame: SignalFrame, size: int) -> list[SignalFrame]:
    """Cut a frame; each piece stands where the channel is by its last signal."""
    found, place = [], frame.ts_last_ns - max(0, frame.ts_last_ns - int(frame.columns["ts_event_ns"][0]))
    for at in range(0, frame.event_count, size):
        columns = {name: column[at : at + size] for name, column in frame.columns.items()}
        times = columns["ts_event_ns"].tolist()
        place = frame.ts_last_ns if at + size >= frame.event_count else max(place, *times)
        seq = frame.seq_first + at
        found.append(SignalFrame("T", seq, seq + len(times) - 1, min(times), place, FrameFlag(0), columns))
    return found


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32), count=st.integers(1, 60))
def test_the_market_s_own_features_do_not_feel_signals(market: list[Frame], seed: int, count: int) -> None:
    alone = run(ChannelKernel("T"), list(market))
    among = run(ChannelKernel("T"), list(with_signals(market, drawn(seed, count, late=True))))
    for name in ("tick_ns", "instrument_id", "status", "ref_price"):
        assert np.array_equal(*(np.concatenate([getattr(r, name) for r in results]) for results in (alone, among)))
    own = [np.concatenate([r.values[:, :FIRST] for r in results]) for results in (alone, among)]
    assert np.array_equal(own[0], own[1], equal_nan=True)


def test_replay_through_bytes_gives_the_same_ticks(market: list[Frame]) -> None:
    frames = list(with_signals(market, drawn(7, 60, late=True)))
    through: list[AnyFrame] = [decode_frame(encode_frame(frame)) for frame in frames]
    assert joined(run(ChannelKernel("T"), through)) == joined(run(ChannelKernel("T"), frames))


def test_without_signals_the_snapshot_is_the_kernels_own_and_damage_is_refused() -> None:
    kernel = ChannelKernel("T")
    run(kernel, channel([])[:3])
    assert kernel.snapshot() == kernel._kernel.snapshot()
    run(kernel, channel([headline(350, 1.0)])[3:])
    raw = kernel.snapshot()
    held = len(SignalState.restore(raw[16 : 16 + int.from_bytes(raw[12:16], "little")]).snapshot())
    for bad, why in (
        (raw[:10], "cut short"),
        (raw[: 16 + held - 1], "damaged"),
        (raw[:30] + b"\xff" + raw[31:], "damaged"),
        (raw[:-8], "cut short"),
    ):
        with pytest.raises(ValueError, match=why):
            ChannelKernel.restore("T", bad)


@pytest.mark.marketdata
def test_real_headlines_before_a_recorded_session_reach_its_ticks(marketdata: Path) -> None:
    session = open_session(marketdata / "binance" / "usdm_btcusdt_20240718.gz")
    (instrument_id,) = session.symbols
    news = HeadlineFile(marketdata / "news_crypto" / "cryptonews.csv.zst", {"bitcoin": (instrument_id,)})
    frames = frames_of(session.blocks(), session.channel_id, start_ns=session.start_ns, end_ns=session.end_ns)
    market = list(islice(frames, 3_000))
    kernel, plain = ChannelKernel(session.channel_id), PlainSignals()
    results = run(kernel, list(with_signals(market, news.signals())))
    for signal in news.signals():
        plain.apply(signal)
    ticks = [tick for r in results for tick in r.tick_ns.tolist()]
    wanted = plain.features(instrument_id, ticks[-1])
    assert len(ticks) > 100
    assert kernel.counters()["signals"] > 1_000
    assert kernel.counters()["clock_jump"] == kernel.counters()["gaps"] == 0
    assert features_of(results, instrument_id)[-1] == pytest.approx(list(wanted.values()), rel=1e-9)
    alone = run(ChannelKernel(session.channel_id), list(market))
    own = [np.concatenate([r.values[:, :FIRST] for r in found]) for found in (alone, results)]
    assert np.array_equal(own[0], own[1], equal_nan=True)


@pytest.mark.marketdata
def test_an_hour_of_a_busy_day_of_real_headlines_gives_the_features_by_definition(marketdata: Path) -> None:
    subjects = {"bitcoin": (1,), "ethereum": (2,), "altcoin": (1, 2), "defi": (2,)}
    news = HeadlineFile(marketdata / "news_crypto" / "cryptonews.csv.zst", subjects)
    signals = list(news.signals())
    times = np.array([signal.ts_event_ns for signal in signals])
    per_hour = np.searchsorted(times, times + 3600 * NS_PER_S) - np.arange(len(times))
    start_ns = int(times[np.argmax(per_hour)]) // TICK_NS * TICK_NS - NS_PER_S
    rows: list[Row] = [(start_ns, number, Kind.CLEAR, 0, 0, 0, 0) for number in (1, 2)]
    quiet = frames_of([block_of(rows)], "T", start_ns=start_ns, end_ns=start_ns + 3600 * NS_PER_S)
    kernel, plain, waiting = ChannelKernel("T"), PlainSignals(), iter(signals)
    signal = next(waiting)
    seen: set[float] = set()
    for frame in with_signals(quiet, signals):
        result = kernel.apply(frame)
        for tick_ns in result.tick_ns.tolist()[:1]:
            while signal.ts_event_ns < tick_ns:
                plain.apply(signal)
                signal = next(waiting)
            if tick_ns % (60 * NS_PER_S) == 0:
                for number in (1, 2):
                    wanted = list(plain.features(number, tick_ns).values())
                    found = features_of([result], number)[0]
                    assert found == pytest.approx(wanted, rel=1e-9, abs=1e-12)
                    seen.add(found[0] or 0.0)
    assert len(seen) >= 4
