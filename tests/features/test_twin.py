"""The C kernel against its twin in plain Python on hostile streams, and laws that hold for every stream."""

import dataclasses
import os
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.channel import ChannelKernel, FrameResult
from features.reference.channel import PlainChannel
from features.spec import FEATURE_NAMES, FEATURES
from feeds.blocks import Row, block_of
from feeds.framing import frames_of
from feeds.lobster.reader import open_session
from feeds.simulator.session import simulate
from schemas.events import FrameFlag, Kind, TickStatus
from schemas.frames import SIGNAL_COLUMNS, Columns, Frame, SignalFrame, empty_columns
from schemas.signals import SignalKind, fault_of
from schemas.units import NS_PER_MS, NS_PER_S, TICK_NS

START = 10_000 * TICK_NS + 3 * NS_PER_MS
TICK_SIZE = 10_000_000
ACROSS = ("lead_correlation", "first_factor_share")
OF_SIGNALS = ("sentiment_ew", "headline_rate", "own_fill_ratio")
SUMMED_IN_ANOTHER_ORDER = ("realised_vol_60s", *ACROSS, *OF_SIGNALS)
RETURNS = ("mid_return_1s_bps", "mid_return_10s_bps", "realised_vol_60s", "jump_share", "vol_ratio", *ACROSS)
PER_VALUE = ("kyle_lambda", "amihud")

BOOK_KINDS = (Kind.ADD, Kind.REDUCE, Kind.DELETE, Kind.EXECUTE, Kind.REPLACE, Kind.LEVEL_SET)
ALL_KINDS = (*range(16), *BOOK_KINDS * 4, *(Kind.ADD,) * 12)

Values = npt.NDArray[np.float64]
AnyFrame = Frame | SignalFrame


class Stream:
    """Events of a few instruments around 1000 ticks, drawn from one seed; ``hostile`` adds what no feed should send."""

    def __init__(self, seed: int, *, hostile: bool) -> None:
        self.chance = random.Random(seed)
        self.hostile = hostile
        self.instruments = self.chance.randint(1, 3)
        self.ids = self.chance.choice([6, 40])

    def rows(self, count: int) -> list[Row]:
        ts = START
        rows: list[Row] = []
        for number in range(1, self.instruments + 1):
            whole = self.chance.choice([Kind.CLEAR, Kind.SNAPSHOT_BEGIN, Kind.HALT]) if self.hostile else Kind.CLEAR
            rows += [(ts, number, Kind.DEFINE, 0, 0, TICK_SIZE, 1), (ts, number, whole, 0, 0, 0, 0)]
        for _ in range(count):
            ts += self.pause_ns()
            rows.append((ts, *self.event()))
        return rows[self.chance.choice([0, 0, 0, 1]) :] if self.hostile else rows

    def pause_ns(self) -> int:
        far = self.chance.random()
        if far < 0.002 and self.hostile:
            return self.chance.choice([59, 61, -1, 3]) * NS_PER_S
        return self.chance.choice([0, 0, 1, NS_PER_MS, 9 * NS_PER_MS, TICK_NS - 1 if far < 0.1 else 1])

    def event(self) -> tuple[int, int, int, int, int, int]:
        draw = self.chance
        kind = draw.choice(ALL_KINDS if self.hostile else BOOK_KINDS)
        side = draw.choice([1, -1, 0, 2] if self.hostile and draw.random() < 0.1 else [1, -1])
        crossing = -3 if self.hostile and draw.random() < 0.1 else 1
        price = 1000 - side * draw.randint(crossing, draw.choice([4, 20, 900 if draw.random() < 0.1 else 5]))
        qty = draw.randint(1, 60)
        if self.hostile and draw.random() < 0.05:
            price, qty = draw.choice([(price, 0), (0, qty), (price, -5), (price * 1_000_000, qty), (price, 2**40)])
        return draw.randint(1, self.instruments), kind, side, draw.randint(1, self.ids), price * TICK_SIZE, qty


def framed(rows: list[Row], *, per_frame: Callable[[], int], seq: int = 1) -> Iterator[Frame]:
    at = 0
    while at < len(rows):
        part = rows[at : at + per_frame()]
        count = len(part)
        columns = {**block_of(part).columns, "seq": np.arange(seq, seq + count)}
        yield Frame("T", seq, seq + count - 1, part[0][0], max(row[0] for row in part), FrameFlag(0), columns)
        at, seq = at + count, seq + count


def hostile_frames(stream: Stream, count: int) -> Iterator[AnyFrame]:
    frames = framed(stream.rows(count), per_frame=lambda: stream.chance.randint(1, 20))
    return with_noise(frames, stream.chance) if stream.chance.random() < 0.7 else frames


def with_noise(frames: Iterable[Frame], chance: random.Random) -> Iterator[AnyFrame]:
    """Put signals between the frames: late ones, ones that move the clock, and of instruments that have no book."""
    place_ns, sent = START, 0
    for frame in frames:
        seq = frame.seq_first + sent
        numbered = {**frame.columns, "seq": np.arange(seq, seq + frame.event_count)}
        yield dataclasses.replace(frame, seq_first=seq, seq_last=frame.seq_last + sent, columns=numbered)
        ahead_ns = 61 * NS_PER_S if chance.random() < 0.005 else chance.choice([0, 0, NS_PER_MS, TICK_NS])
        place_ns = max(place_ns, frame.ts_last_ns) + ahead_ns
        count = chance.choice([0, 0, 1, 3, 9])
        if count:
            yield signal_frame(frame.seq_last + sent + 1, place_ns, count, chance=chance)
            sent += count


def signal_frame(seq: int, place_ns: int, count: int, *, chance: random.Random) -> SignalFrame:
    kinds = [chance.randint(1, 3) for _ in range(count)]
    lots = [chance.randint(1, 50) for _ in range(count)]
    late_ns = (0, 1, TICK_NS, NS_PER_S, 3_600 * NS_PER_S)
    columns: dict[str, list[int]] = {
        "ts_event_ns": [max(0, place_ns - chance.choice(late_ns)) for _ in range(count)],
        "seq": list(range(seq, seq + count)),
        "instrument_id": [chance.randint(1, 4) for _ in range(count)],
        "kind": kinds,
        "score": [chance.randint(-(10**9), 10**9) if kind == SignalKind.HEADLINE else 0 for kind in kinds],
        "order_qty": [0 if kind == SignalKind.HEADLINE else qty for kind, qty in zip(kinds, lots, strict=True)],
        "fill_qty": [chance.randint(1, qty) if kind == SignalKind.EXECUTION else 0
                     for kind, qty in zip(kinds, lots, strict=True)],
    }  # fmt: skip
    arrays: Columns = {name: np.array(columns[name], kind.to_pandas_dtype()) for name, kind in SIGNAL_COLUMNS}
    assert fault_of(arrays, place_ns) is None
    return SignalFrame("T", seq, seq + count - 1, min(columns["ts_event_ns"]), place_ns, FrameFlag(0), arrays)


def beat(seq_last: int, ts_ns: int) -> Frame:
    return Frame("T", seq_last + 1, seq_last, ts_ns, ts_ns, FrameFlag.HEARTBEAT, empty_columns())


def damaged(frames: list[AnyFrame], chance: random.Random) -> Iterator[AnyFrame]:
    """Lose, repeat and overlap frames, put heartbeats between them, and flag gaps that the feed knows of."""
    for frame in frames:
        fate = chance.random()
        if fate < 0.04:
            continue
        yield dataclasses.replace(frame, flags=FrameFlag.GAP) if fate < 0.06 else frame
        if fate > 0.96:
            yield frame
        elif fate > 0.92 and frame.event_count > 1:
            cut = {name: column[1:] for name, column in frame.columns.items()}
            yield dataclasses.replace(frame, seq_first=frame.seq_first + 1, columns=cut)
        elif fate > 0.84:
            yield beat(frame.seq_last, frame.ts_last_ns + chance.choice([0, TICK_NS, 12 * NS_PER_S]))


def run(rows: list[Row], *, per_frame: int = 50, tail_ticks: int = 3) -> list[FrameResult]:
    kernel = ChannelKernel("T")
    end = max(row[0] for row in rows) // TICK_NS * TICK_NS + tail_ticks * TICK_NS
    frames = [*framed(rows, per_frame=lambda: per_frame), beat(len(rows), end)]
    return [kernel.apply(frame) for frame in frames]


def fixed(results: list[FrameResult]) -> npt.NDArray[np.int64]:
    return np.concatenate([np.stack([r.tick_ns, r.instrument_id, r.status, r.ref_price], axis=1) for r in results])


def values(results: list[FrameResult]) -> dict[str, Values]:
    joined = np.concatenate([r.values for r in results])
    return {name: joined[:, n] for n, name in enumerate(FEATURE_NAMES)}


def same(found: dict[str, Values], wanted: dict[str, Values], names: tuple[str, ...] = FEATURE_NAMES) -> None:
    for name in names:
        np.testing.assert_array_equal(found[name], wanted[name], err_msg=name)


def close(found: dict[str, Values], wanted: dict[str, Values], names: tuple[str, ...], rtol: float) -> None:
    for name in names:
        atol = 1e-8 if name in RETURNS and rtol > 1e-12 else 0  # bp; of logarithms near 30
        atol = 1e-9 if name in ACROSS else atol
        atol = 1e-12 if name == "sentiment_ew" else atol  # scores of both signs cancel
        np.testing.assert_allclose(found[name], wanted[name], rtol=rtol, atol=atol, err_msg=name)


def compare(frames: Sequence[AnyFrame]) -> tuple[ChannelKernel, int]:
    """Hold kernel and twin equal after every frame; return the kernel and the number of rows."""
    kernel, twin = ChannelKernel("T"), PlainChannel()
    pairs = [(kernel.apply(frame), twin.apply(frame)) for frame in frames]
    found, wanted = [c for c, _ in pairs], [plain for _, plain in pairs]
    assert [(r.gap, r.duplicate, len(r.tick_ns)) for r in found] == [
        (r.gap, r.duplicate, len(r.tick_ns)) for r in wanted
    ]
    np.testing.assert_array_equal(fixed(found), fixed(wanted))
    exact = tuple(name for name in FEATURE_NAMES if name not in SUMMED_IN_ANOTHER_ORDER)
    same(values(found), values(wanted), exact)
    close(values(found), values(wanted), SUMMED_IN_ANOTHER_ORDER, rtol=1e-12)
    assert kernel.counters() == twin.counters()
    assert (kernel.last_seq, kernel.last_ts_ns) == (twin.last_seq, twin.last_ts_ns)
    for instrument_id in twin.instruments:
        assert kernel.levels(instrument_id, 10_000) == twin.levels(instrument_id, 10_000)
    return kernel, len(fixed(found))


hostile_events = st.tuples(
    st.sampled_from([0, 1, 40 * NS_PER_MS, TICK_NS, 2 * NS_PER_S]),
    st.integers(1, 2),
    st.integers(0, 15),
    st.integers(-1, 1),
    st.integers(1, 4),
    st.integers(0, 6).map(lambda n: n * TICK_SIZE),
    st.integers(-1, 9),
)


@settings(max_examples=120, deadline=None)
@given(st.lists(hostile_events, min_size=1, max_size=40), st.integers(1, 7))
def test_kernel_and_twin_agree_on_any_short_stream(events: list[Row], per_frame: int) -> None:
    ts, rows = START, list[Row]()
    for pause_ns, *_ in events:
        ts += pause_ns
        rows.append((ts, *events[len(rows)][1:]))
    compare([*framed(rows, per_frame=lambda: per_frame), beat(len(rows), ts + TICK_NS)])


@pytest.mark.slow
@settings(max_examples=45, deadline=None)
@given(st.integers(0, 2**32))
def test_kernel_and_twin_agree_on_hostile_streams_with_gaps_repeats_and_silences(seed: int) -> None:
    stream = Stream(seed, hostile=True)
    frames = list(hostile_frames(stream, 300))
    compare(list(damaged(frames, stream.chance)))


def test_hostile_streams_reach_every_state_and_counter() -> None:
    seen: dict[str, int] = {}
    status = 0
    for seed in range(12):
        stream = Stream(seed, hostile=True)
        kernel = ChannelKernel("T")
        for frame in damaged(list(hostile_frames(stream, 400)), stream.chance):
            status |= int(np.bitwise_or.reduce(kernel.apply(frame).status))
        seen = {name: seen.get(name, 0) + count for name, count in kernel.counters().items()}
    assert status == sum(TickStatus) - TickStatus.BOUND_HIT
    assert [name for name, count in seen.items() if not count] == ["bound_hit", "signals_refused"]


@pytest.mark.slow
def test_kernel_and_twin_agree_on_a_minute_of_the_flash_crash() -> None:
    session = simulate("flash_crash", 11, duration_s=60)
    plan = session.scenario
    kernel, rows = compare(list(frames_of([session.block], "T", start_ns=plan.start_ns, end_ns=plan.end_ns)))
    assert rows == 600 * len(plan.instruments)
    assert kernel.counters()["unknown_order"] == 0


@pytest.mark.marketdata
def test_kernel_and_twin_agree_on_the_start_of_a_recorded_day() -> None:
    folder = Path(os.environ.get("TIDEGATE_MARKETDATA", Path(__file__).parents[3] / "shared" / "marketdata"))
    if not folder.exists():
        message = f"real recordings are not at {folder}: set TIDEGATE_MARKETDATA"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    session = open_session(folder / "lobster" / "LOBSTER_SampleFile_AAPL_2012-06-21_1.zip")
    frames = frames_of(session.blocks(), session.channel_id, start_ns=session.start_ns, end_ns=session.end_ns)
    kernel, rows = compare(list(islice(frames, 4_000)))
    assert rows > 600
    assert kernel.counters()["bad_event"] == 0


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 400))
def test_ticks_and_state_do_not_depend_on_how_events_are_cut(seed: int, per_frame: int) -> None:
    rows = Stream(seed, hostile=False).rows(400)
    whole, cut = run(rows, per_frame=len(rows)), run(rows, per_frame=per_frame)
    np.testing.assert_array_equal(fixed(cut), fixed(whole))
    same(values(cut), values(whole))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 60))
def test_restore_in_the_middle_of_a_hostile_stream_continues_byte_for_byte(seed: int, cut: int) -> None:
    stream = Stream(seed, hostile=True)
    frames = list(damaged(list(hostile_frames(stream, 300)), stream.chance))
    kernel = ChannelKernel("T")
    for frame in frames[:cut]:
        kernel.apply(frame)
    restored = ChannelKernel.restore("T", kernel.snapshot())
    for frame in frames[cut:]:
        found, wanted = restored.apply(frame), kernel.apply(frame)
        assert found.values.tobytes() == wanted.values.tobytes()
        assert found.status.tobytes() == wanted.status.tobytes()
    assert restored.snapshot() == kernel.snapshot()


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32))
def test_doubled_prices_and_tick_size_leave_every_feature_as_it_was(seed: int) -> None:
    rows = Stream(seed, hostile=False).rows(400)
    doubled = [(*row[:5], 2 * row[5], row[6]) for row in rows]
    found, wanted = values(run(doubled)), values(run(rows))
    same(found, wanted, tuple(name for name in FEATURE_NAMES if name not in RETURNS + PER_VALUE))
    close(found, wanted, RETURNS, rtol=1e-9)  # log(2 a) - log(2 b) rounds where log(a) - log(b) does not
    close(
        {name: 2 * found[name] for name in PER_VALUE}, wanted, PER_VALUE, rtol=1e-8
    )  # a slope: large over little flow


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32))
def test_doubled_lots_double_sizes_and_leave_ratios_as_they_were(seed: int) -> None:
    rows = Stream(seed, hostile=False).rows(400)
    doubled = [row if row[2] > Kind.LEVEL_SET else (*row[:6], 2 * row[6]) for row in rows]
    found, wanted = values(run(doubled)), values(run(rows))
    sizes = tuple(feature.name for feature in FEATURES if feature.unit.startswith("lots"))
    same(found, wanted, tuple(name for name in FEATURE_NAMES if name not in sizes + PER_VALUE))
    same(found, {name: 2 * wanted[name] for name in sizes}, sizes)
    same({name: 2 * found[name] for name in PER_VALUE}, wanted, PER_VALUE)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32))
def test_mirrored_book_swaps_sides_and_turns_signs(seed: int) -> None:
    rows = Stream(seed, hostile=False).rows(400)
    mirror = 2000 * TICK_SIZE
    mirrored = [
        row if row[2] > Kind.LEVEL_SET else (*row[:3], -row[3], row[4], mirror - row[5], row[6]) for row in rows
    ]
    found, wanted = values(run(mirrored)), values(run(rows))
    swapped = (
        ("bid_qty_top", "ask_qty_top"),
        ("depth_bid_5", "depth_ask_5"),
        ("book_slope_bid", "book_slope_ask"),
        ("queue_depletion_bid", "queue_depletion_ask"),
    )
    for name, other in (*swapped, *(pair[::-1] for pair in swapped)):
        np.testing.assert_array_equal(found[name], wanted[other], err_msg=name)
    turned = tuple(
        name
        for name in FEATURE_NAMES
        if name.startswith(("imbalance", "book_pressure", "ofi", "trade_imbalance"))
        or name in {"signed_trade_rate", "mid_run"}
    )
    same(found, {name: 0.0 - wanted[name] for name in turned}, turned)
    kept = (
        "spread_ticks",
        "depth_total_10",
        "trade_to_order",
        "add_rate",
        "cancel_rate",
        "trade_rate",
        "vpin",
        "burstiness",
    )
    same(
        found, wanted, (*kept, "liquidity_decay_s", "liquidity_decay_events", "quote_lifetime_s", "cancel_to_trade_1s")
    )


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32))
def test_an_instrument_does_not_feel_its_neighbours(seed: int) -> None:
    rows = Stream(seed, hostile=False).rows(400)
    own = [row if row[1] == 1 else (row[0], 1, Kind.RESUME, 0, 0, 0, 0) for row in rows]
    found, wanted = run(own), run(rows)
    of_first = fixed(wanted)[:, 1] == 1
    np.testing.assert_array_equal(fixed(found), fixed(wanted)[of_first])
    alone = tuple(name for name in FEATURE_NAMES if name not in ACROSS)
    same(values(found), {name: column[of_first] for name, column in values(wanted).items()}, alone)


def opened(*rows: tuple[int, ...]) -> list[Row]:
    """Return a defined, whole book of instrument 1, and rows of ``(ms, kind, side, order_id, price_ticks, qty)``."""
    head: list[Row] = [(START, 1, Kind.DEFINE, 0, 0, TICK_SIZE, 1), (START, 1, Kind.CLEAR, 0, 0, 0, 0)]
    return head + [(START + ms * NS_PER_MS, 1, kind, side, id_, p * TICK_SIZE, q) for ms, kind, side, id_, p, q in rows]


def test_very_wide_spread_still_has_a_book_pressure() -> None:
    found = values(run(opened((1, Kind.ADD, 1, 1, 100, 30), (1, Kind.ADD, -1, 2, 100_000, 10))))
    assert found["book_pressure"][-1] == pytest.approx(0.5)


def test_orders_that_a_snapshot_lists_are_no_order_flow() -> None:
    listed = [(5, Kind.ADD, 1, number, 900 - number, 10) for number in range(50)]
    rows = opened((1, Kind.ADD, 1, 999, 950, 1), (4, Kind.SNAPSHOT_BEGIN, 0, 0, 0, 0), *listed)
    rows += opened((6, Kind.SNAPSHOT_END, 0, 0, 0, 0), (7, Kind.ADD, 1, 998, 950, 1))[2:]
    assert values(run(rows))["trade_to_order"][0] == 1 / (2 + 10)


def test_no_window_reaches_over_a_silence_that_restarts_the_clock() -> None:
    rows = opened((1, Kind.ADD, 1, 1, 999, 5), (1, Kind.ADD, -1, 2, 1001, 5))
    kernel = ChannelKernel("T")
    for frame in [*framed(rows, per_frame=lambda: 9), beat(len(rows), START + 20 * NS_PER_S)]:
        kernel.apply(frame)
    late = START + 200 * NS_PER_S
    kernel.apply(beat(len(rows), late))
    found = values([kernel.apply(beat(len(rows), late + TICK_NS))])
    null: tuple[Any, ...] = tuple(name for name, column in found.items() if np.isnan(column).all())
    assert {"mid_return_1s_bps", "mid_return_10s_bps", "add_rate"} <= set(null)
    assert found["spread_ticks"].tolist() == [2.0]


def test_execution_against_an_empty_side_empties_nothing() -> None:
    rows = opened((1, Kind.ADD, 1, 1, 999, 50), (1, Kind.ADD, -1, 2, 1001, 50))
    kernel, twin = ChannelKernel("T"), PlainChannel()
    gone = [(2_000, Kind.DELETE, 1, 1, 999, 50), (2_001, Kind.EXECUTE, 1, 77, 998, 5)]
    for frame in framed(rows + opened(*gone)[2:], per_frame=lambda: 9):
        kernel.apply(frame)
        twin.apply(frame)
    end = beat(len(rows) + len(gone), START + 61 * NS_PER_S)
    found, wanted = values([kernel.apply(end)]), values([twin.apply(end)])
    same(found, wanted, ("liquidity_decay_s",))
    assert found["liquidity_decay_s"][-1] == pytest.approx(np.log(2))  # no time at risk, no recovery


@pytest.mark.parametrize("ts_ns", [-1, -(2**63), 2**62 + 1, 2**63 - 1])
def test_impossible_time_does_not_move_the_clock(ts_ns: int) -> None:
    rows = opened((1, Kind.ADD, 1, 1, 999, 50))
    kernel = ChannelKernel("T")
    for frame in framed([*rows, (ts_ns, 1, Kind.ADD, 1, 2, TICK_SIZE, 1)], per_frame=lambda: 3):
        kernel.apply(dataclasses.replace(frame, ts_last_ns=rows[-1][0]))
    assert kernel.last_ts_ns == rows[-1][0]
    assert kernel.counters()["clock_back"] == 1


def test_level_that_finds_no_room_marks_the_instrument_until_its_book_is_dropped() -> None:
    count = 2**16 + 1
    rows: list[Row] = [(START, 1, Kind.CLEAR, 0, 0, 0, 0)]
    columns: dict[str, Any] = {
        "ts_event_ns": np.full(count, START), "instrument_id": np.ones(count, np.uint32),
        "kind": np.full(count, Kind.LEVEL_SET, np.uint8), "side": np.ones(count, np.int8),
        "order_id": np.zeros(count, np.uint64), "price": np.arange(1, count + 1), "qty": np.ones(count, np.int64),
        "seq": np.arange(2, count + 2),
    }  # fmt: skip
    kernel = ChannelKernel("T")
    kernel.apply(next(framed(rows, per_frame=lambda: 1)))
    kernel.apply(Frame("T", 2, count + 1, START, START, FrameFlag(0), columns))
    full = kernel.apply(beat(count + 1, START + TICK_NS)).status.tolist()
    assert full == [TickStatus.BOUND_HIT | TickStatus.STALE | TickStatus.ASK_EMPTY]
    assert kernel.counters()["bound_hit"] == 1
    rows = [(START + TICK_NS, 1, Kind.CLEAR, 0, 0, 0, 0)]
    kernel.apply(next(framed(rows, per_frame=lambda: 1, seq=count + 2)))
    after = kernel.apply(beat(count + 2, START + 2 * TICK_NS)).status.tolist()
    assert after == [TickStatus.BID_EMPTY | TickStatus.ASK_EMPTY]
