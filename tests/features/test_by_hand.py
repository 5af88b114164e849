"""Features worked out by hand on small books and short flows, and their null rules."""

import math
from pathlib import Path

import numpy as np
import pytest

from features.channel import ChannelKernel
from features.spec import FEATURE_NAMES, FEATURES, SCORED
from feeds.blocks import Row, block_of
from feeds.framing import frames_of
from schemas.events import Kind
from schemas.units import NS_PER_MS, PRICE_SCALE, TICK_NS

START = 10_000 * TICK_NS
TICK_SIZE = 10_000_000
ROOT = Path(__file__).parents[2]

Found = dict[str, float]


def ticks(rows: list[Row], *, count: int = 1, define: bool = True) -> list[Found]:
    """Return the features of instrument 1 at each of ``count`` ticks, by name."""
    opening: list[Row] = [(START, 1, Kind.CLEAR, 0, 0, 0, 0)]
    if define:
        opening.append((START, 1, Kind.DEFINE, 0, 0, TICK_SIZE, PRICE_SCALE))
    kernel = ChannelKernel("T")
    frames = frames_of([block_of(opening + rows)], "T", start_ns=START, end_ns=START + count * TICK_NS)
    values = np.concatenate([kernel.apply(frame).values for frame in frames])
    return [dict(zip(FEATURE_NAMES, row, strict=True)) for row in values.tolist()]


def event(ms: float, kind: Kind, side: int, *what: int) -> Row:
    """Return an event with ``what`` = order id, price in ticks, lots."""
    order_id, price_ticks, qty = what
    return (START + round(ms * NS_PER_MS), 1, kind, side, order_id, price_ticks * TICK_SIZE, qty)


def book(ms: float = 1) -> list[Row]:
    levels = ((1, 9_999, 30), (1, 9_998, 50), (-1, 10_001, 10), (-1, 10_003, 40))
    return [event(ms, Kind.ADD, side, n, price, qty) for n, (side, price, qty) in enumerate(levels, 1)]


def test_twenty_one_features_are_scored_and_stand_first() -> None:
    assert len(SCORED) == 21
    assert FEATURES[: len(SCORED)] == SCORED


def test_c_numbers_the_features_in_the_order_of_the_specification() -> None:
    header = (ROOT / "features" / "native" / "features.h").read_text()
    names = [
        line.split(",")[0].strip() for line in header.split("enum feature {")[1].split("FEATURE_COUNT")[0].splitlines()
    ]
    assert tuple(name.removeprefix("F_").lower() for name in names if name) == FEATURE_NAMES


def test_shape_of_a_small_book() -> None:
    found = ticks(book())[0]
    assert found["microprice_bps"] == pytest.approx(1e4 * ((10_001 * 30 + 9_999 * 10) / 40 - 10_000) / 10_000)
    assert found["imbalance_l2"] == found["imbalance_l10"] == (80 - 50) / 130
    slow = [math.exp(-d / 10) for d in (1, 2, 1, 3)]
    bid, ask = slow[0] * 30 + slow[1] * 50, slow[2] * 10 + slow[3] * 40
    assert found["book_pressure_slow"] == pytest.approx((bid - ask) / (bid + ask))
    bid, ask = 30 / 2 + 50 / 3, 10 / 2 + 40 / 4
    assert found["book_pressure_inverse"] == pytest.approx((bid - ask) / (bid + ask))
    assert found["book_slope_bid"] == pytest.approx((1 * 30 + 2 * 80) / (1 + 4))
    assert found["book_slope_ask"] == pytest.approx((1 * 10 + 3 * 50) / (1 + 9))


def test_depth_within_basis_points_counts_levels_on_the_edge() -> None:
    rows = [
        event(1, Kind.ADD, -1, n, 10_000 + ticks_away, 2**n) for n, ticks_away in enumerate((1, 5, 6, 10, 25, 26), 1)
    ]
    found = ticks([*rows, event(1, Kind.ADD, 1, 9, 9_999, 7)])[0]
    assert [found[f"depth_ask_{bp}bp"] for bp in (5, 10, 25)] == [2 + 4, 2 + 4 + 8 + 16, 62]
    assert [found[f"depth_bid_{bp}bp"] for bp in (5, 10, 25)] == [7, 7, 7]


def test_cost_of_the_standard_clip_walks_the_book_and_is_null_where_the_book_is_too_thin() -> None:
    rows = [*book(), event(2, Kind.TRADE, -1, 0, 10_001, 4)]  # one trade of 4: the clip is 40 lots
    found = ticks(rows)[0]
    assert found["buy_cost_bps"] == pytest.approx((10 * 1 + 30 * 3) / 40)
    assert found["sell_cost_bps"] == pytest.approx((30 * 1 + 10 * 2) / 40)
    thin = ticks([*rows, event(3, Kind.DELETE, -1, 4, 10_003, 40)])[0]
    assert math.isnan(thin["buy_cost_bps"])
    assert thin["sell_cost_bps"] == found["sell_cost_bps"]
    assert math.isnan(ticks(book())[0]["buy_cost_bps"])  # no trade yet


def test_deep_flow_counts_what_the_best_levels_gained_between_ticks() -> None:
    more = [event(150, Kind.ADD, 1, 5, 9_998, 6), event(160, Kind.REDUCE, -1, 4, 10_003, 15)]
    found = ticks([*book(), *more], count=2)
    assert found[0]["ofi_deep_1s"] == 0  # the book that a clearing or a snapshot leaves is no flow
    keep = 2 ** (-0.1 / 10)
    depth = (65 * keep + (86 + 35) / 2) / (keep + 1)
    assert found[1]["ofi_deep_1s"] == pytest.approx((6 + 15) / depth)
    assert found[1]["ofi_1s"] == pytest.approx((30 - 10) / 20)  # the best level alone, and by events


def test_trade_imbalance_takes_the_aggressors_side_and_forgets_after_its_window() -> None:
    trades = [
        event(2, Kind.EXECUTE, 1, 1, 9_999, 12),
        event(3, Kind.TRADE, -1, 0, 10_001, 4),
        event(4, Kind.TRADE, 0, 0, 10_000, 4),
    ]
    found = ticks([*book(), *trades], count=11)
    assert found[0]["trade_imbalance_1s"] == found[9]["trade_imbalance_1s"] == (4 - 12) / 20
    assert math.isnan(found[10]["trade_imbalance_1s"])
    assert found[10]["trade_imbalance_10s"] == (4 - 12) / 20


def test_ratios_of_counts_start_at_their_priors_and_fade_by_half_life() -> None:
    rows = [*book(), event(2, Kind.REDUCE, 1, 1, 9_999, 1), event(3, Kind.TRADE, 1, 0, 9_999, 1)]
    found = ticks(rows, count=11)
    assert found[0]["trade_to_order_1s"] == found[0]["trade_to_order_60s"] == 2 / (4 + 1 + 10)
    assert found[0]["cancel_to_trade_10s"] == 1
    assert found[10]["trade_to_order_1s"] == pytest.approx(1.5 / (2 + 0.5 + 10))


def test_queue_depletion_and_quote_lifetime() -> None:
    gone = [event(9_950, Kind.REDUCE, 1, 1, 9_999, 10), event(9_960, Kind.ADD, 1, 7, 9_999, 4)]
    better = [event(9_970, Kind.ADD, -1, 8, 10_000, 5)]
    found = ticks([*book(), *gone, *better], count=100)[-1]
    keep = 2 ** (-0.1 / 10)
    weight = sum(keep**n for n in range(100))
    assert found["queue_depletion_bid"] == pytest.approx(6 / ((30 * (weight - 1) + 24) * 0.1))
    assert found["queue_depletion_ask"] == 0
    first = 2 * keep**99  # both sides began to exist
    assert found["quote_lifetime_s"] == pytest.approx(2 * weight * 0.1 / (first + 1 + 1))


def test_regular_events_are_not_bursts_and_simultaneous_ones_are_null() -> None:
    even = [event(10 * n, Kind.ADD, 1, 100 + n, 9_000, 1) for n in range(1, 60)]
    assert ticks(even, count=7)[-1]["burstiness"] == pytest.approx(-1, abs=1e-6)
    at_once = [event(5, Kind.ADD, 1, 100 + n, 9_000, 1) for n in range(60)]
    assert math.isnan(ticks(at_once)[-1]["burstiness"])


@pytest.mark.parametrize(("sides", "wanted"), [((-1,), 1.0), ((1, -1), 0.0)])
def test_vpin_is_one_when_all_buy_and_nothing_when_sides_take_turns(sides: tuple[int, ...], wanted: float) -> None:
    trades = [event(1 + n / 100, Kind.TRADE, sides[n % len(sides)], 0, 10_000, 3) for n in range(700)]
    assert ticks(trades)[-1]["vpin"] == wanted
    assert math.isnan(ticks(trades[:450])[-1]["vpin"])


def moving(steps: list[int], *, trade: int = 0) -> list[Row]:
    """A bid and an ask that move by ``steps`` ticks, one step per second, each followed by a trade of ``trade`` lots."""
    rows, mid = [], 10_000
    for n, step in enumerate(steps):
        at_ms, mid = 1_000 * n + 10, mid + step
        rows += [event(at_ms, Kind.CLEAR, 0, 0, 0, 0)]
        rows += [event(at_ms, Kind.ADD, side, 1 + (side < 0), mid - side, 10) for side in (1, -1)]
        if trade and step:
            rows.append(event(at_ms, Kind.TRADE, -1 if step > 0 else 1, 0, mid, trade))
    return rows


def test_one_jump_is_all_jump_and_steady_steps_are_none() -> None:
    jump = ticks(moving([0] * 15 + [50] + [0] * 5), count=200)[-1]
    assert jump["jump_share"] == 1
    steady = ticks(moving([1, -1] * 10), count=200)[-1]
    assert steady["jump_share"] == 0
    assert math.isnan(ticks(moving([0] * 20), count=200)[-1]["jump_share"])


def test_vol_ratio_rises_when_moves_are_late_and_runs_count_moves_one_way() -> None:
    late = ticks(moving([0] * 30 + [5, -5, 5]), count=330)[-1]
    early = ticks(moving([5, -5, 5] + [0] * 30), count=330)[-1]
    assert late["vol_ratio"] > 1.2
    assert early["vol_ratio"] < 0.7
    assert [found["mid_run"] for found in ticks(moving([0, 2, 1, 1, -3, -1]), count=60)[9::10]] == [0, 1, 2, 3, -1, -2]


def test_impact_is_the_move_per_value_traded() -> None:
    found = ticks(moving([0, 3, -3] * 8, trade=1_000), count=240)[-1]
    value = 1_000 * 100 * 1e-6  # lots of one unit at 100 each, in 1e6 currency
    assert found["kyle_lambda"] == pytest.approx(3 / value, rel=0.01)
    assert found["amihud"] == pytest.approx(3 / value, rel=0.1)
    undefined = ticks(moving([0, 3, -3] * 8, trade=1_000), count=240, define=False)[-1]
    assert math.isnan(undefined["kyle_lambda"])
    assert math.isnan(undefined["amihud"])
