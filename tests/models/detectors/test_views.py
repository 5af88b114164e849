"""Views: the same bits row by row as in a session, through a restart, and what they say of erosion and silence."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from features.spec import FEATURE_NAMES
from models.detectors.stack import ticks_of
from models.detectors.views import (
    BASELINE_S,
    HALF_LIVES_S,
    SETTLED_TICKS,
    VIEWED_NAMES,
    WINDOW,
    Viewer,
    Views,
    transformed,
    views_of,
)
from models.evaluation.blocks import TickBlock
from models.scaling import Scaler
from schemas.events import TickStatus

MakeBlock = Callable[..., TickBlock]
F64 = npt.NDArray[np.float64]
RATES = [FEATURE_NAMES.index(name) for name in ("add_rate", "cancel_rate", "trade_rate")]


def stepped(viewer: Viewer, scaler: Scaler, block: TickBlock, *, at_once: int = 1) -> list[Views]:
    found = []
    for row in range(0, len(block), at_once):
        part = block.part(row, min(row + at_once, len(block)))
        found.append(viewer.step(scaler.step(ticks_of(part)), part.values))
    return found


@pytest.mark.parametrize("at_once", [1, 7])
def test_row_by_row_and_session_at_once_are_equal_bit_for_bit(make_block: MakeBlock, at_once: int) -> None:
    block = make_block(1, 700)
    block.values[100:120, 5] = np.nan
    block.status[300:310] = int(TickStatus.STALE)
    block.status[400:410] = int(TickStatus.HALTED)
    whole = views_of(Scaler({}).step(ticks_of(block)), block.values)
    rows = stepped(Viewer(), Scaler({}), block, at_once=at_once)
    for name in ("slow", "missed", "settled", "opined"):
        together = np.concatenate([getattr(one, name) for one in rows])
        assert together.tobytes() == getattr(whole, name).tobytes(), name
    windows = np.concatenate([one.window[one.opined] for one in rows])
    assert windows.tobytes() == np.concatenate([piece.window for piece in whole.pieces()]).tobytes()
    assert whole.settled[SETTLED_TICKS - 1 : 300].all()
    assert whole.settled[310:].all()
    assert not whole.settled[: SETTLED_TICKS - 1].any()


def test_instruments_of_a_tick_are_as_each_alone(make_block: MakeBlock) -> None:
    blocks = [make_block(10 + n, 120, instrument=n) for n in (3, 1)]
    scaler, viewer, found = Scaler({}), Viewer(), []
    columns = ("tick_ns", "instrument_id", "status", "ref_price", "values")
    for row in range(120):
        parts = [ticks_of(block.part(row, row + 1)) for block in blocks]
        together = replace(parts[0], **{c: np.concatenate([getattr(p, c) for p in parts]) for c in columns})
        found.append(viewer.step(scaler.step(together), together.values))
    for n, block in enumerate(blocks):
        alone = views_of(Scaler({}).step(ticks_of(block)), block.values)
        assert np.array([one.slow[n] for one in found]).tobytes() == alone.slow.tobytes()


def test_viewer_goes_on_after_a_restart_bit_for_bit(make_block: MakeBlock) -> None:
    block = make_block(2, 300)
    scaler, viewer = Scaler({}), Viewer()
    stepped(viewer, scaler, block.part(0, 200))
    raw = viewer.to_bytes()
    again, other = Viewer.from_bytes(raw), Scaler.from_bytes(scaler.to_bytes(), {})
    assert again.to_bytes() == raw
    rest = block.part(200, 300)
    for one, two in zip(stepped(viewer, scaler, rest), stepped(again, other, rest), strict=True):
        assert one.slow.tobytes() + one.window.tobytes() == two.slow.tobytes() + two.window.tobytes()
    assert viewer.to_bytes() == again.to_bytes()


def test_state_of_another_version_or_cut_short_is_refused(make_block: MakeBlock) -> None:
    viewer = Viewer()
    stepped(viewer, Scaler({}), make_block(3, 20))
    raw = viewer.to_bytes()
    for wrong in (b"", raw[:3], raw[:-1], raw + b"x", b"\xff" + raw[1:]):
        with pytest.raises(ValueError, match="state of views"):
            Viewer.from_bytes(wrong)


def test_values_of_other_rows_are_refused(make_block: MakeBlock) -> None:
    block = make_block(3, 20)
    with pytest.raises(ValueError, match="20 rows"):
        Viewer().step(Scaler({}).step(ticks_of(block)), block.values[:, :21])


def test_slow_view_is_the_weighted_mean_less_the_baseline(make_block: MakeBlock) -> None:
    block = make_block(4, 150)
    moved = transformed(block.values)
    slow = views_of(Scaler({}).step(ticks_of(block)), block.values).slow
    ages = np.arange(150)[::-1]

    def mean(half_life_s: float) -> F64:
        weight = 2.0 ** (-ages / (10 * half_life_s))
        return np.asarray((weight[:, None] * moved).sum(axis=0) / weight.sum())

    for horizon, half_life_s in enumerate(HALF_LIVES_S):
        assert slow[-1, horizon] == pytest.approx(mean(half_life_s) - mean(BASELINE_S), abs=1e-6)


def test_null_changes_nothing_and_the_last_view_stands(make_block: MakeBlock) -> None:
    block = make_block(5, 100)
    column = VIEWED_NAMES.index("spread_bps")
    block.values[60:, FEATURE_NAMES.index("spread_bps")] = np.nan
    slow = views_of(Scaler({}).step(ticks_of(block)), block.values).slow
    assert (slow[60:, :, column] == slow[59, :, column]).all()
    block.values[:, FEATURE_NAMES.index("spread_bps")] = np.nan
    assert not views_of(Scaler({}).step(ticks_of(block)), block.values).slow[:, :, column].any()


def test_events_are_missed_only_where_every_rate_just_fades_and_trading_is_on(make_block: MakeBlock) -> None:
    block = make_block(6, 60)
    fading = np.array([40.0, 40.0, 5.0]) * 2.0 ** (-np.arange(20) / 100)[:, None]
    block.values[20:40, RATES] = fading
    ticks = Scaler({}).step(ticks_of(block))
    missed = views_of(ticks, block.values).missed
    assert (missed[:21] == 0).all()
    assert missed[21:40] == pytest.approx(8.5 * np.arange(1, 20), rel=1e-6)
    assert (missed[40:] == 0).all()
    halted = replace(ticks, status=np.full(60, int(TickStatus.HALTED), dtype=np.uint32))
    assert not views_of(halted, block.values).missed.any()
    fading[10:, 2] += 1.0  # a trade
    block.values[20:40, RATES] = fading
    assert views_of(ticks, block.values).missed[30] == 0


def test_window_holds_the_last_scores(make_block: MakeBlock) -> None:
    block = make_block(7, 700)
    scaled = Scaler({}).step(ticks_of(block))
    last = stepped(Viewer(), Scaler({}), block)[-1]
    assert (last.window[0] == scaled.z[-WINDOW:]).all()
