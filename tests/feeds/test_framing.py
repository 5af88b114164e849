"""Frames: bounds, numbering, heartbeats, independence of how events arrive."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.blocks import EventBlock, block_of
from feeds.framing import frames_of
from schemas.events import FrameFlag, Kind
from schemas.frames import encode_frame
from schemas.units import FRAME_EVENTS_MAX, FRAME_SPAN_NS_MAX, HEARTBEAT_NS, TICK_NS

START = 1_000 * TICK_NS


def block(gaps_ns: list[int]) -> EventBlock:
    times = START + np.cumsum([0, *gaps_ns])
    return block_of([(int(ts), 1, Kind.ADD, 1, n + 1, 100, 1) for n, ts in enumerate(times)])


@given(st.lists(st.integers(0, 400_000_000), max_size=60))
def test_frames_keep_bounds_number_every_event_and_never_leave_a_tick_waiting(gaps: list[int]) -> None:
    events = block(gaps)
    end = START + sum(gaps) + TICK_NS
    frames = list(frames_of([events], "SIM", start_ns=START, end_ns=end))
    assert sum(frame.event_count for frame in frames) == len(events)
    assert [s for frame in frames for s in frame.columns["seq"].tolist()] == list(range(1, len(events) + 1))
    assert all(frame.event_count <= FRAME_EVENTS_MAX for frame in frames)
    assert all(frame.ts_last_ns - frame.ts_first_ns <= FRAME_SPAN_NS_MAX for frame in frames)
    reached = [frame.ts_last_ns for frame in frames]
    assert reached == sorted(reached)
    assert reached[-1] == end
    quiet = [frame.ts_first_ns - before for before, frame in zip([START, *reached], frames, strict=False)]
    assert max(quiet) <= HEARTBEAT_NS + FRAME_SPAN_NS_MAX


@given(st.lists(st.integers(0, 30_000_000), min_size=1, max_size=40))
def test_the_same_events_give_the_same_bytes(gaps: list[int]) -> None:
    def run() -> list[bytes]:
        return [encode_frame(f) for f in frames_of([block(gaps)], "SIM", start_ns=START, end_ns=START + sum(gaps))]

    assert run() == run()


def test_a_burst_is_cut_at_a_thousand_events() -> None:
    frames = list(frames_of([block([0] * 2499)], "SIM", start_ns=START, end_ns=START))
    assert [f.event_count for f in frames if f.event_count] == [1000, 1000, 500]


def test_silence_gives_a_heartbeat_at_every_tick_boundary() -> None:
    frames = list(frames_of([], "SIM", start_ns=START, end_ns=START + 5 * TICK_NS))
    assert [f.ts_last_ns for f in frames] == [START + n * TICK_NS for n in range(6)]
    assert all(f.flags == FrameFlag.HEARTBEAT and f.seq_first == 1 and f.seq_last == 0 for f in frames)


def test_events_out_of_order_are_refused() -> None:
    events = block([10, 10])
    events.columns["ts_event_ns"][1] = START - 5
    with pytest.raises(ValueError, match="not in time order"):
        list(frames_of([events], "SIM", start_ns=START, end_ns=START))
