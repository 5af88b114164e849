"""Real simulated sessions as batches, and faults put into them."""

import functools
from collections.abc import Callable

import numpy as np

from deploy.training import simulated_ticks
from quality.definitions import Column
from quality.ticks import columns_of_ticks
from schemas.units import NS_PER_S, TICK_NS

Batch = dict[str, Column]


@functools.cache
def session(scenario: str, seed: int = 7) -> Batch:
    """A minute of four instruments, 2,400 rows, a quarter of an hour into nothing in particular."""
    return columns_of_ticks(simulated_ticks(scenario, seed, duration_s=60.0 if scenario == "calm" else None))


def copied(batch: Batch) -> Batch:
    return {name: column.copy() for name, column in batch.items()}


def of_one(batch: Batch, instrument_id: int = 1) -> Column:
    """Rows of one instrument in the second half of the batch."""
    rows = np.flatnonzero(batch["instrument_id"] == instrument_id)
    return rows[len(rows) // 2 :]


def _freeze(*names: str) -> Callable[[Batch], Batch]:
    def freeze(batch: Batch) -> Batch:
        rows = of_one(batch)
        for name in names:
            batch[name][rows] = batch[name][rows[0]]
        return batch

    return freeze


def _freeze_whole(batch: Batch) -> Batch:
    rows = of_one(batch)
    for name, column in batch.items():
        if name != "tick_ns":
            column[rows] = column[rows[0]]
    return batch


def _swap(*pairs: tuple[str, str]) -> Callable[[Batch], Batch]:
    def swap(batch: Batch) -> Batch:
        rows = of_one(batch)
        for one, other in pairs:
            batch[one][rows], batch[other][rows] = batch[other][rows], batch[one][rows].copy()
        return batch

    return swap


def _scale(factor: float, *names: str) -> Callable[[Batch], Batch]:
    def scale(batch: Batch) -> Batch:
        rows = of_one(batch)
        for name in names:
            batch[name][rows] = (batch[name][rows] * factor).astype(batch[name].dtype)
        return batch

    return scale


def _step(ns: int) -> Callable[[Batch], Batch]:
    def step(batch: Batch) -> Batch:
        later = batch["tick_ns"] > np.median(batch["tick_ns"])
        batch["tick_ns"][later] += ns
        return batch

    return step


def _again(shift_ns: int) -> Callable[[Batch], Batch]:
    """The last third once more, ``shift_ns`` after the end of the session; None = at its own times."""

    def again(batch: Batch) -> Batch:
        times = batch["tick_ns"]
        part = times > times.min() + (times.max() - times.min()) * 2 // 3
        repeated = {name: column[part] for name, column in batch.items()}
        if shift_ns:
            repeated["tick_ns"] = repeated["tick_ns"] - repeated["tick_ns"].min() + times.max() + shift_ns
        return {name: np.concatenate([column, repeated[name]]) for name, column in batch.items()}

    return again


SIZES = ("bid_qty_top", "ask_qty_top", "depth_bid_5", "depth_ask_5", "depth_total_10")

FAULTS: dict[str, tuple[Callable[[Batch], Batch], set[str]]] = {
    "a rate froze": (_freeze("add_rate"), {"add_rate_moves"}),
    "the best bid's size froze": (_freeze("bid_qty_top"), {"imbalance_l1_law"}),
    "the price froze": (_freeze("ref_price"), {"mid_return_1s_law", "mid_return_10s_law", "tick_size_law"}),
    "the spread froze": (_freeze("spread_bps"), {"tick_size_law", "microprice_law"}),
    "a whole instrument froze": (_freeze_whole, {"content_once", "add_rate_moves"}),
    "sizes of the sides are swapped": (_swap(("bid_qty_top", "ask_qty_top")), {"imbalance_l1_law"}),
    "depths of the sides are swapped": (
        _swap(("bid_qty_top", "ask_qty_top"), ("depth_bid_5", "depth_ask_5")), {"imbalance_l1_law", "imbalance_l5_law"},
    ),
    "prices of the sides are swapped": (_scale(-1.0, "spread_bps", "spread_ticks"), {"bid_below_ask"}),
    "prices in cents": (_scale(100.0, "ref_price"), {"mid_return_1s_law", "tick_size_law"}),
    "one size in units of 1e-3 lots": (_scale(1e3, "bid_qty_top"), {"imbalance_l1_law", "depth_bid_5_holds_top"}),
    "all sizes in units of 1e-3 lots": (_scale(1e3, *SIZES), {"depth_scale"}),
    "spread in thousandths": (_scale(1e-3, "spread_bps"), {"tick_size_law"}),
    "the clock steps an hour forward": (_step(3_600 * NS_PER_S), {"tick_grid_whole"}),
    "the clock steps ten seconds back": (_step(-10 * NS_PER_S), {"tick_rises", "tick_once"}),
    "the clock steps off the grid": (_step(37_000_000), {"tick_on_grid", "tick_grid_whole"}),
    "an hour comes twice": (_again(0), {"tick_once", "tick_rises", "content_once"}),
    "an hour comes twice under later times": (_again(TICK_NS), {"content_once"}),
}  # fmt: skip
"""Fault → how it is put in, and laws that must name it."""
