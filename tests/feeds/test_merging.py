"""Signals among a channel's frames: what stands where, and that the market's events stay as they were."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.blocks import EventBlock, block_of
from feeds.framing import frames_of
from feeds.merging import with_signals
from schemas.events import FrameFlag, Kind
from schemas.frames import ChannelFrame, Frame, SignalFrame, decode_frame, encode_frame
from schemas.signals import Signal, SignalKind, signals_in
from schemas.units import FRAME_EVENTS_MAX, FRAME_SPAN_NS_MAX, NS_PER_MS, TICK_NS

START = 1_000 * TICK_NS
END = START + 8 * TICK_NS


def block(times_ms: list[int]) -> EventBlock:
    return block_of([(START + ms * NS_PER_MS, 1, Kind.ADD, 1, n + 1, 100, 1) for n, ms in enumerate(times_ms)])


def frames(times_ms: list[int]) -> list[Frame]:
    return list(frames_of([block(times_ms)], "SIM", start_ns=START, end_ns=END))


def order(at_ms: int) -> Signal:
    return Signal(START + at_ms * NS_PER_MS, 1, SignalKind.ORDER, order_qty=1)


def words(merged: list[Frame | SignalFrame]) -> list[str]:
    """Return events, signals (behind an @ where the channel is, when that is later) and heartbeats in their order, in ms."""
    found = []
    for frame in merged:
        times = [(ts - START) // NS_PER_MS for ts in frame.columns["ts_event_ns"].tolist()]
        place = (frame.ts_last_ns - START) // NS_PER_MS
        if isinstance(frame, SignalFrame):
            found += [f"s{ms}" if ms == place else f"s{ms}@{place}" for ms in times]
        else:
            found += [f"e{ms}" for ms in times] or [f"b{place}"]
    return found


@pytest.mark.parametrize(
    ("events", "signals", "wanted"),
    [
        ([5], [], "e5 b100"),
        ([5], [5], "e5 s5 b100"),
        ([5, 7], [6], "e5 s6 e7 b100"),
        ([5, 7, 7], [7], "e5 e7 e7 s7 b100"),
        ([5], [99, 100], "e5 s99 b100 s100 b200"),
        ([5], [-9, -1], "s-9@5 s-1@5 e5 b100"),
        ([20], [-9, 10], "s-9@0 b0 s10 e20 b100"),
        ([5, 8], [6, 2, 9], "e5 s6 s2@6 e8 s9 b100"),
        ([98, 107], [99, 101], "b0 e98 s99@101 s101 e107 b200"),
    ],
)
def test_a_signal_stands_behind_the_events_of_its_time_and_a_late_one_where_the_channel_is(
    events: list[int], signals: list[int], wanted: str
) -> None:
    found = words(list(with_signals(frames(events), [order(ms) for ms in signals])))
    assert found[: len(wanted.split())] == wanted.split()


def test_without_signals_the_frames_are_the_very_same() -> None:
    market = frames([0, 5, 7, 30, 250])
    assert all(a is b for a, b in zip(with_signals(market, []), market, strict=True))


def test_what_is_left_when_the_frames_end_is_not_sent() -> None:
    merged = list(with_signals(frames([5]), [order(799), order(800), order(900)]))
    assert sum(f.event_count for f in merged if isinstance(f, SignalFrame)) == 1


def test_only_the_first_part_of_a_frame_says_that_messages_were_lost() -> None:
    (frame,) = frames_of([block([0, 4, 8])], "SIM", start_ns=START, end_ns=START + 8 * NS_PER_MS)
    flagged = Frame("SIM", 1, 3, frame.ts_first_ns, frame.ts_last_ns, FrameFlag.GAP | FrameFlag.SNAPSHOT, frame.columns)
    merged = [f for f in with_signals([flagged], [order(2), order(6)]) if isinstance(f, Frame)]
    assert [f.flags for f in merged] == [FrameFlag.GAP | FrameFlag.SNAPSHOT, FrameFlag.SNAPSHOT, FrameFlag.SNAPSHOT]


def test_many_signals_of_one_time_are_cut_at_a_thousand() -> None:
    merged = with_signals(frames([5]), [order(50)] * 2_500)
    assert [f.event_count for f in merged if isinstance(f, SignalFrame)] == [1_000, 1_000, 500]


def market_of(merged: list[Frame | SignalFrame]) -> list[tuple[int, ...]]:
    """Return what the market says: the events, and a row for each heartbeat."""
    found: list[tuple[int, ...]] = []
    for frame in merged:
        if isinstance(frame, Frame):
            columns = [frame.columns[name].tolist() for name in ("ts_event_ns", "order_id", "price", "qty")]
            found += list(zip(*columns, strict=True)) or [(frame.ts_last_ns,)]
    return found


@given(
    st.lists(st.integers(0, 700), max_size=40).map(sorted),
    st.lists(st.integers(-500, 900), max_size=60).flatmap(lambda times: st.sampled_from([times, sorted(times)])),
)
def test_numbers_never_skip_time_never_goes_back_and_the_market_stays_as_it_was(
    events: list[int], arrivals: list[int]
) -> None:
    signals = [order(ms) for ms in arrivals]
    market = frames(events)
    merged = list(with_signals(market, signals))
    assert market_of(merged) == market_of(list(market))
    sent = [s for f in merged if isinstance(f, SignalFrame) for s in signals_in(f.columns)]
    assert sent == signals[: len(sent)]
    assert [s for f in merged for s in f.columns["seq"].tolist()] == list(range(1, len(events) + len(sent) + 1))
    reached = [f.ts_last_ns for f in merged]
    assert reached == sorted(reached)
    for frame in merged:
        check(frame)


def check(frame: ChannelFrame) -> None:
    decoded = decode_frame(encode_frame(frame))
    assert (decoded.seq_first, decoded.seq_last) == (frame.seq_first, frame.seq_last)
    assert frame.event_count <= FRAME_EVENTS_MAX
    ts = frame.columns["ts_event_ns"]
    if isinstance(frame, Frame) and len(ts):
        assert frame.ts_last_ns - frame.ts_first_ns <= FRAME_SPAN_NS_MAX
        assert (ts.tolist()[0], ts.tolist()[-1]) == (frame.ts_first_ns, frame.ts_last_ns)
    elif len(ts):
        assert max(ts.tolist()) <= frame.ts_last_ns
