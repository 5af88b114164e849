"""Half a million events later, every window still equals a fresh computation over that window."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest

from features.channel import ChannelKernel
from features.spec import FEATURE_NAMES
from schemas.events import FrameFlag, Kind
from schemas.frames import Columns, Frame, empty_columns
from schemas.units import TICK_NS

START = 50_000 * TICK_NS
TICK_SIZE = 10_000_000
TICKS = 20_000
ORDERS = 250_000
INSTRUMENTS = 2
PER_FRAME = 5_000
LATE_TICKS = 700

Series = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Run:
    """A long run: its events, and per instrument a value per tick of every feature."""

    columns: Columns
    values: dict[int, dict[str, Series]]


def events() -> Columns:
    """Orders around a mid that sways, each added, and deleted or executed some seconds later."""
    chance = np.random.default_rng(7)
    born = chance.integers(START, START + TICKS * TICK_NS, ORDERS)
    gone = born + chance.exponential(4e9, ORDERS).astype(np.int64) + 1
    side = chance.choice(np.array([1, -1], np.int8), ORDERS)
    mid = 5_000 + (40 * np.sin((born - START) / 3e10)).astype(np.int64)
    price = (mid - side * chance.geometric(0.2, ORDERS)) * TICK_SIZE
    qty = chance.integers(1, 500, ORDERS)
    instrument = chance.integers(1, INSTRUMENTS + 1, ORDERS).astype(np.uint32)
    order_id = np.arange(1, ORDERS + 1, dtype=np.uint64)
    leave = np.where(chance.random(ORDERS) < 0.4, Kind.EXECUTE, Kind.DELETE).astype(np.uint8)
    twice = {"instrument_id": instrument, "side": side, "order_id": order_id, "price": price, "qty": qty}
    columns: Columns = {name: np.concatenate([column, column]) for name, column in twice.items()}
    columns["ts_event_ns"] = np.concatenate([born, gone])
    columns["kind"] = np.concatenate([np.full(ORDERS, Kind.ADD, np.uint8), leave])
    order = np.argsort(columns["ts_event_ns"], kind="stable")
    order = order[columns["ts_event_ns"][order].astype(np.int64) < START + TICKS * TICK_NS]
    return {name: np.ascontiguousarray(column[order]) for name, column in columns.items()}


def opening(ts_ns: int, kind: Kind) -> Columns:
    """Return a definition and ``kind`` for every instrument."""
    numbers = range(1, INSTRUMENTS + 1)
    rows = [(number, what) for number in numbers for what in (Kind.DEFINE, kind)]
    count = len(rows)
    return {
        "ts_event_ns": np.full(count, ts_ns),
        "instrument_id": np.array([number for number, _ in rows], np.uint32),
        "kind": np.array([what for _, what in rows], np.uint8),
        "side": np.zeros(count, np.int8),
        "order_id": np.zeros(count, np.uint64),
        "price": np.full(count, TICK_SIZE),
        "qty": np.ones(count, np.int64),
    }


def feed(kernel: ChannelKernel, parts: list[Columns], end_ns: int) -> dict[int, dict[str, Series]]:
    """Apply the parts and a heartbeat at ``end_ns``; return instrument → feature → value per tick."""
    seq, results = kernel.last_seq + 1, []
    for columns in parts:
        total = len(columns["kind"])
        for at in range(0, total, PER_FRAME):
            piece = {name: column[at : at + PER_FRAME] for name, column in columns.items()}
            ts, count = piece["ts_event_ns"], len(piece["kind"])
            results.append(kernel.apply(Frame("T", seq, seq + count - 1, int(ts[0]), int(ts[-1]), FrameFlag(0), piece)))
            seq += count
    results.append(kernel.apply(Frame("T", seq, seq - 1, end_ns, end_ns, FrameFlag.HEARTBEAT, empty_columns())))
    ids = np.concatenate([r.instrument_id for r in results])
    values = np.concatenate([r.values for r in results])
    return {
        number: {name: values[ids == number, n] for n, name in enumerate(FEATURE_NAMES)}
        for number in range(1, INSTRUMENTS + 1)
    }


@pytest.fixture(scope="module")
def long_run() -> Run:
    columns = events()
    kernel = ChannelKernel("T")
    values = feed(kernel, [opening(START, Kind.CLEAR), columns], START + TICKS * TICK_NS)
    assert kernel.counters()["events"] > 450_000
    assert kernel.counters()["unknown_order"] == kernel.counters()["clamped_level"] == 0
    assert all(len(column) == TICKS for column in values[1].values())
    return Run(columns, values)


def faded(series: Series, at: int, half_life_s: float = 10) -> float:
    """Return the sum up to tick ``at`` in which a tick of one half-life ago counts half, rounded once."""
    return math.fsum((series[: at + 1] * 2 ** (-0.1 / half_life_s * np.arange(at, -1, -1.0))).tolist())


def per_tick(run: Run, number: int, kinds: tuple[Kind, ...], *, lots: bool = False) -> Series:
    """Count events of a kind per tick, or the lots that aggressors bought less those that they sold."""
    columns = run.columns
    chosen = (columns["instrument_id"] == number) & np.isin(columns["kind"], kinds)
    ticks = (columns["ts_event_ns"][chosen].astype(np.int64) - START) // TICK_NS
    signed = -columns["side"][chosen].astype(np.float64) * columns["qty"][chosen].astype(np.float64)
    return np.bincount(ticks, signed if lots else None, minlength=TICKS).astype(np.float64)


def mean_top_depth(values: dict[str, Series], at: int) -> float:
    return faded((values["bid_qty_top"] + values["ask_qty_top"]) / 2, at) / faded(np.ones(at + 1), at)


SAMPLES = [100, 5_000, 12_345, TICKS - 1]


@pytest.mark.parametrize("number", range(1, INSTRUMENTS + 1))
def test_fading_counts_equal_their_sum_over_the_whole_run(long_run: Run, number: int) -> None:
    found = long_run.values[number]
    adds, cancels, trades = (per_tick(long_run, number, (k,)) for k in (Kind.ADD, Kind.DELETE, Kind.EXECUTE))
    signed = per_tick(long_run, number, (Kind.EXECUTE,), lots=True)
    for at in SAMPLES:
        seconds = faded(np.ones(at + 1), at) * 0.1
        wanted = {
            "add_rate": faded(adds, at) / seconds,
            "cancel_rate": faded(cancels, at) / seconds,
            "trade_rate": faded(trades, at) / seconds,
            "trade_to_order": (faded(trades, at) + 1) / (faded(adds, at) + faded(cancels, at) + 10),
            "trade_to_order_60s": (faded(trades, at, 60) + 1) / (faded(adds, at, 60) + faded(cancels, at, 60) + 10),
            "cancel_to_trade_1s": (faded(cancels, at, 1) + 1) / (faded(trades, at, 1) + 1),
        }
        for name, value in wanted.items():
            assert found[name][at] == pytest.approx(value, rel=1e-12, abs=0), (name, at)
        scale = faded(np.abs(signed), at) / seconds  # signs cancel: the error is relative to what was summed
        assert abs(found["signed_trade_rate"][at] - faded(signed, at) / seconds) < 1e-12 * scale


@pytest.mark.parametrize("number", range(1, INSTRUMENTS + 1))
def test_order_flow_imbalance_is_whole_lots_over_mean_depth_and_ten_seconds_are_ten_times_one(
    long_run: Run, number: int
) -> None:
    found = long_run.values[number]
    for at in SAMPLES[1:]:
        ten = found["ofi_10s"][at] * mean_top_depth(found, at)
        ones = [found["ofi_1s"][t] * mean_top_depth(found, t) for t in range(at - 90, at + 1, 10)]
        lots = [round(value) for value in ones]
        np.testing.assert_allclose(ones, lots, rtol=0, atol=1e-7)
        assert ten == pytest.approx(sum(lots), abs=1e-7)


@pytest.mark.parametrize("number", range(1, INSTRUMENTS + 1))
def test_volatility_and_returns_equal_those_of_the_steps_in_their_windows(long_run: Run, number: int) -> None:
    found = long_run.values[number]
    step = found["mid_return_1s_bps"]
    for at in SAMPLES[1:]:
        squares = [s * s for s in step[at - 599 : at + 1].tolist() if not math.isnan(s)]
        wanted = math.sqrt(math.fsum(squares) / len(squares) * 60)
        assert found["realised_vol_60s"][at] == pytest.approx(wanted, rel=1e-12, abs=0)
        assert found["mid_return_10s_bps"][at] == pytest.approx(
            step[at - 90 : at + 1 : 10].sum(), abs=1e-8, nan_ok=True
        )


def test_kernel_that_began_a_minute_ago_has_the_windows_of_the_one_that_ran_for_long(long_run: Run) -> None:
    begin = START + (TICKS - LATE_TICKS) * TICK_NS
    early = long_run.columns["ts_event_ns"].astype(np.int64) < begin
    first = {name: column[early] for name, column in long_run.columns.items()}
    kernel = ChannelKernel("T")
    feed(kernel, [opening(START, Kind.CLEAR), first], begin)
    sets = [
        (number, side, price, qty)
        for number in range(1, INSTRUMENTS + 1)
        for side, levels in zip((1, -1), kernel.levels(number, 10_000), strict=True)
        for price, qty in levels
    ]
    count = len(sets)
    book: Columns = {
        "ts_event_ns": np.full(count, begin),
        "instrument_id": np.array([s[0] for s in sets], np.uint32),
        "kind": np.full(count, Kind.LEVEL_SET, np.uint8),
        "side": np.array([s[1] for s in sets], np.int8),
        "order_id": np.zeros(count, np.uint64),
        "price": np.array([s[2] for s in sets]),
        "qty": np.array([s[3] for s in sets]),
    }
    head, done = opening(begin, Kind.SNAPSHOT_BEGIN), opening(begin, Kind.SNAPSHOT_END)
    rest = {name: column[~early] for name, column in long_run.columns.items()}
    late = feed(ChannelKernel("T"), [head, book, done, rest], START + TICKS * TICK_NS)
    windows = ("spread_bps", "depth_total_10", "book_pressure", "mid_return_1s_bps", "mid_return_10s_bps")
    for number, found in late.items():
        wanted = {name: column[-LATE_TICKS:] for name, column in long_run.values[number].items()}
        for name in windows:
            np.testing.assert_array_equal(found[name][101:], wanted[name][101:], err_msg=name)
        np.testing.assert_allclose(found["realised_vol_60s"][-90:], wanted["realised_vol_60s"][-90:], rtol=1e-12)
        at = LATE_TICKS - 1
        here, there = mean_top_depth(found, at), mean_top_depth(long_run.values[number], TICKS - 1)
        for name in ("ofi_1s", "ofi_10s"):
            assert found[name][at] * here == pytest.approx(wanted[name][at] * there, abs=1e-7)


@pytest.mark.parametrize("number", range(1, INSTRUMENTS + 1))
def test_windows_of_trades_and_of_deep_flow_are_exact_to_the_end(long_run: Run, number: int) -> None:
    found = long_run.values[number]
    signed = per_tick(long_run, number, (Kind.EXECUTE,), lots=True)
    chosen = (long_run.columns["instrument_id"] == number) & (long_run.columns["kind"] == Kind.EXECUTE)
    at_tick = (long_run.columns["ts_event_ns"][chosen].astype(np.int64) - START) // TICK_NS
    lots = np.bincount(at_tick, long_run.columns["qty"][chosen].astype(np.float64), minlength=TICKS)
    for at in SAMPLES[1:]:
        for seconds in (1, 10):
            last = slice(at + 1 - 10 * seconds, at + 1)
            assert found[f"trade_imbalance_{seconds}s"][at] == signed[last].sum() / lots[last].sum()
        deep = faded(found["depth_total_10"] / 2, at) / faded(np.ones(at + 1), at)
        whole = found["ofi_deep_10s"][at] * deep
        assert whole == pytest.approx(round(whole), abs=1e-6)


@pytest.mark.parametrize("number", range(1, INSTRUMENTS + 1))
def test_jumps_and_term_structure_equal_their_sums_over_the_whole_run(long_run: Run, number: int) -> None:
    found = long_run.values[number]
    step = found["mid_return_1s_bps"]
    before = np.concatenate([np.full(10, np.nan), step[:-10]])
    pair = np.abs(step) * np.abs(before)
    sums = {
        name: (np.nan_to_num(series), (~np.isnan(series)).astype(np.float64))
        for name, series in (("square", step * step), ("pair", pair))
    }

    def mean(name: str, at: int, half_life_s: float) -> float:
        total, known = (faded(series, at, half_life_s) for series in sums[name])
        return total / known

    for at in SAMPLES[1:]:
        smooth = math.pi / 2 * mean("pair", at, 30) / mean("square", at, 30)
        assert found["jump_share"][at] == pytest.approx(max(0.0, 1 - smooth), abs=1e-10)
        wanted = math.sqrt(mean("square", at, 10) / mean("square", at, 60))
        assert found["vol_ratio"][at] == pytest.approx(wanted, rel=1e-10)
