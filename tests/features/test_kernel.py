"""The kernel: laws of replay and restore, the meaning of gaps and duplicates, and hand-computed features."""

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features._native import FEATURE_COUNT
from features.channel import ChannelKernel, FrameResult
from features.spec import FEATURE_NAMES, FEATURES
from feeds.blocks import EventBlock, Row, block_of
from feeds.framing import frames_of
from feeds.simulator.session import simulate
from schemas.events import FrameFlag, Kind, TickStatus
from schemas.frames import Frame, empty_columns
from schemas.units import TICK_NS

START = 10_000 * TICK_NS
TICK_SIZE = 10_000_000


@pytest.fixture(scope="module")
def frames() -> list[Frame]:
    session = simulate("flash_crash", 5, duration_s=8)
    plan = session.scenario
    return list(frames_of([session.block], "SIM", start_ns=plan.start_ns, end_ns=plan.end_ns))


def run(kernel: ChannelKernel, frames: list[Frame]) -> list[FrameResult]:
    return [kernel.apply(frame) for frame in frames]


def joined(results: list[FrameResult]) -> tuple[bytes, bytes, bytes]:
    return (
        b"".join(r.tick_ns.tobytes() + r.instrument_id.tobytes() for r in results),
        b"".join(r.status.tobytes() + r.ref_price.tobytes() for r in results),
        b"".join(r.values.tobytes() for r in results),
    )


def one(rows: list[Row], *, ticks: int = 1) -> Any:
    """Return the features of instrument 1 at the last of ``ticks`` ticks after ``rows``."""
    opening: list[Row] = [
        (START, 1, Kind.DEFINE, 0, 0, TICK_SIZE, 1_000_000_000),
        (START, 1, Kind.CLEAR, 0, 0, 0, 0),
    ]
    kernel = ChannelKernel("T")
    results = run(
        kernel, list(frames_of([block_of(opening + rows)], "T", start_ns=START, end_ns=START + ticks * TICK_NS))
    )
    return np.concatenate([r.values for r in results])[-1]


def value(features: Any, name: str) -> float:
    return float(features[FEATURE_NAMES.index(name)])


def add(order_id: int, side: int, price_ticks: int, qty: int, at_ns: int = 1) -> Row:
    return (START + at_ns, 1, Kind.ADD, side, order_id, price_ticks * TICK_SIZE, qty)


BOOK = [add(1, 1, 999, 30), add(2, 1, 998, 50), add(3, -1, 1001, 10), add(4, -1, 1003, 40)]


def test_names_and_count_agree_with_c() -> None:
    assert len(FEATURES) == FEATURE_COUNT


def test_features_of_a_small_book_by_hand() -> None:
    found = one(BOOK)
    assert value(found, "spread_ticks") == 2
    assert value(found, "spread_bps") == pytest.approx(1e4 * 2 / 1000)
    assert value(found, "depth_bid_5") == 80
    assert value(found, "depth_ask_5") == 50
    assert value(found, "imbalance_l1") == pytest.approx(20 / 40)
    weights = [math.exp(-0.5 * d) for d in (1, 2, 1, 3)]
    bid, ask = weights[0] * 30 + weights[1] * 50, weights[2] * 10 + weights[3] * 40
    assert value(found, "book_pressure") == pytest.approx((bid - ask) / (bid + ask))
    assert value(found, "trade_to_order") == pytest.approx(1 / (4 + 10))


def test_order_flow_imbalance_adds_bids_and_takes_off_asks() -> None:
    found = one([*BOOK, add(5, 1, 999, 7, 2), add(6, -1, 1001, 4, 3)])
    # 30 and 7 join the best bid; 10 and 4 the best ask; the second levels never were best.
    assert value(found, "ofi_1s") == pytest.approx((30 + 7 - 10 - 4) / ((37 + 14) / 2))


def test_trade_takes_the_resting_order_and_counts_with_the_aggressor_sign() -> None:
    found = one([*BOOK, (START + 5, 1, Kind.EXECUTE, 1, 1, 999 * TICK_SIZE, 12)])
    assert value(found, "bid_qty_top") == 18


@settings(max_examples=25, deadline=None)
@given(cut=st.integers(1, 500))
def test_restore_at_any_frame_continues_bit_for_bit(frames: list[Frame], cut: int) -> None:
    cut = min(cut, len(frames) - 1)
    whole = ChannelKernel("SIM")
    run(whole, frames[:cut])
    raw = whole.snapshot()
    restored = ChannelKernel.restore("SIM", raw)
    assert restored.snapshot() == raw
    assert joined(run(restored, frames[cut:])) == joined(run(whole, frames[cut:]))
    assert restored.snapshot() == whole.snapshot()


def test_ticks_do_not_depend_on_how_events_are_cut(frames: list[Frame]) -> None:
    names = [n for n in frames[0].columns if n != "seq"]
    events = EventBlock({n: np.concatenate([f.columns[n] for f in frames]) for n in names})
    single = [
        Frame("SIM", n + 1, n + 1, int(ts), int(ts), FrameFlag(0),
              {**{k: events.columns[k][n : n + 1] for k in names}, "seq": np.array([n + 1])})
        for n, ts in enumerate(events.columns["ts_event_ns"][:3000])
    ]  # fmt: skip
    last = single[-1].ts_last_ns
    batched = [f for f in frames if f.ts_last_ns <= last and f.event_count and f.seq_last <= 3000]
    wanted, found = joined(run(ChannelKernel("SIM"), batched)), joined(run(ChannelKernel("SIM"), single))
    shorter = [min(len(a), len(b)) for a, b in zip(wanted, found, strict=True)]
    assert all(a[:n] == b[:n] for a, b, n in zip(wanted, found, shorter, strict=True))
    assert min(shorter) > 0


def test_duplicate_frame_changes_nothing(frames: list[Frame]) -> None:
    kernel = ChannelKernel("SIM")
    run(kernel, frames[:50])
    before = kernel.levels(1, 10)
    data = [f for f in frames[:50] if f.event_count][-1]
    result = kernel.apply(data)
    assert result.duplicate
    assert not len(result.tick_ns)
    assert kernel.levels(1, 10) == before
    assert kernel.counters()["duplicates"] == 1


def test_gap_marks_every_instrument_stale_until_its_snapshot(frames: list[Frame]) -> None:
    kernel = ChannelKernel("SIM")
    run(kernel, frames[:200])
    later = next(f for f in frames[210:] if f.event_count)
    result = kernel.apply(later)
    assert result.gap is not None
    assert result.gap[1] == later.seq_first
    end = (later.ts_last_ns // TICK_NS + 1) * TICK_NS
    beat = Frame("SIM", later.seq_last + 1, later.seq_last, end, end, FrameFlag.HEARTBEAT, empty_columns())
    assert all(kernel.apply(beat).status & (TickStatus.STALE | TickStatus.GAP))
    mend = block_of([(end + 1, 1, Kind.SNAPSHOT_BEGIN, 0, 0, 0, 0), (end + 1, 1, Kind.SNAPSHOT_END, 0, 0, 0, 0)])
    seq = later.seq_last + 1
    columns = {**mend.columns, "seq": np.array([seq, seq + 1])}
    kernel.apply(Frame("SIM", seq, seq + 1, end + 1, end + 1, FrameFlag.SNAPSHOT, columns))
    after = Frame("SIM", seq + 2, seq + 1, end + TICK_NS, end + TICK_NS, FrameFlag.HEARTBEAT, empty_columns())
    final = kernel.apply(after)
    status = dict(zip(final.instrument_id.tolist(), final.status.tolist(), strict=True))
    assert not status[1] & TickStatus.STALE
    assert status[2] & TickStatus.STALE


def test_unknown_order_changes_the_level_that_the_event_names_and_is_counted() -> None:
    kernel = ChannelKernel("T")
    rows: list[Row] = [*BOOK, (START + 9, 1, Kind.DELETE, 1, 777, 999 * TICK_SIZE, 10)]
    run(kernel, list(frames_of([block_of(rows)], "T", start_ns=START, end_ns=START)))
    assert kernel.levels(1, 1)[0] == [(999 * TICK_SIZE, 20)]
    assert kernel.counters()["unknown_order"] == 1


@pytest.mark.parametrize(
    ("rows", "bit"),
    [
        ([add(1, 1, 999, 5)], TickStatus.ASK_EMPTY),
        ([add(1, -1, 999, 5)], TickStatus.BID_EMPTY),
        ([add(1, 1, 999, 5), add(2, -1, 999, 5)], TickStatus.LOCKED),
        ([add(1, 1, 999, 5), add(2, -1, 998, 5)], TickStatus.CROSSED),
    ],
)
def test_empty_locked_and_crossed_books_are_states(rows: list[Row], bit: TickStatus) -> None:
    kernel = ChannelKernel("T")
    results = run(kernel, list(frames_of([block_of(rows)], "T", start_ns=START, end_ns=START + TICK_NS)))
    assert results[-1].status[-1] & bit


def test_long_silence_restarts_the_clock_without_a_flood_of_ticks() -> None:
    kernel = ChannelKernel("T")
    run(kernel, list(frames_of([block_of(BOOK)], "T", start_ns=START, end_ns=START + TICK_NS)))
    late = START + 3_600_000_000_000
    result = kernel.apply(Frame("T", 5, 4, late, late, FrameFlag.HEARTBEAT, empty_columns()))
    assert len(result.tick_ns) == 0
    assert kernel.counters()["clock_jump"] == 1


def test_damaged_snapshot_is_refused_with_a_reason(frames: list[Frame]) -> None:
    kernel = ChannelKernel("SIM")
    run(kernel, frames[:60])
    raw = kernel.snapshot()
    for bad, why in (
        (raw[:-8], "cut short"),
        (b"x" * 200, "not a kernel"),
        (raw[:500] + b"\xff" + raw[501:], "damaged"),
        (b"", "cut"),
    ):
        with pytest.raises(ValueError, match=why):
            ChannelKernel.restore("SIM", bad)


def test_wrong_dtype_is_refused_not_read(frames: list[Frame]) -> None:
    frame = next(f for f in frames if f.event_count)
    broken = dataclasses.replace(frame, columns={**frame.columns, "price": frame.columns["price"].astype(np.float64)})
    with pytest.raises(ValueError, match="column was"):
        ChannelKernel("SIM").apply(broken)
