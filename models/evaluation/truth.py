"""What was worth a warning, computed from a block itself, forward only: cost to trade, and extreme moves.

The cost truth is the primary one: within (t + delay, t + horizon] the cost of trading the standard clip exceeds ``ratio`` times
its trailing median for a second or more, while the market was calm at t. It is what limits are for, and no detector's own
features decide it. Invariant: whether t is calm uses rows up to t; whether t comes before stress uses rows after t alone.

Two choices that cost a detector, on purpose. An alarm counts for an event only if it is *raised* inside the event's window, so
that an alarm which is always on finds nothing. And where a simulation knows when its mechanism began, an alarm before that is
false however soon the event followed. Rejected: "any feature moved" as truth (a detector would be judged by what it reads).
"""

from dataclasses import dataclass, field, replace
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from models.evaluation.blocks import TICKS_PER_S, TickBlock, Vector

Mask = npt.NDArray[np.bool_]

FLASH_MOVE: Final = 0.008
FLASH_S: Final = 1.5
"""A move of 0.8 % within 1.5 s is extreme anywhere (Johnson et al. 2013)."""

MOVE_S: Final = 10
TOP_SHARE: Final = 0.001
"""Brogaard et al. 2018: the top 0.1 % of absolute 10 s moves; the level comes from the past."""

TRIED: Final = 3
"""Settings and rules of the cost truth that were tried on data before these stood: the first had no least excess, and took a
clip that a recording's few levels cannot show for an infinite cost; the second let one flicker end calm."""

_CHUNK: Final = 4096


@dataclass(frozen=True, slots=True)
class TruthSettings:
    """What counts as stress.

    Attributes:
        ratio: Cost over its trailing median.
        excess_min_bps: And over it by so much at least: where a tick is a hundredth of a bp, thrice nothing is nothing.
        cost: ``clip``: of the standard clip. ``touch``: half the spread, for recordings whose few levels do not hold a clip.
        whole_book: The recording shows every level, so a clip that finds no price is the market's fault and costs infinitely;
            else it is the recording's, and unknown.
        hold_s: How long the cost must stay there.
        delay_s: A warning closer than this is none: no limit would be tightened in time.
        horizon_s: A warning earlier than this is none where no label says otherwise.
        calm_s: Nothing of it for so long is calm.
        median_s: Length of the trailing median; at least a tenth of it must be there.
        aftermath_s: What is raised so soon after stress is neither right nor wrong.
        warmup_s: Rows of a block before judging begins.
    """

    ratio: float = 3.0
    excess_min_bps: float = 1.0
    cost: Literal["clip", "touch"] = "clip"
    whole_book: bool = True
    hold_s: float = 1.0
    delay_s: float = 1.0
    horizon_s: float = 60.0
    calm_s: float = 30.0
    median_s: int = 300
    aftermath_s: float = 60.0
    warmup_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Event:
    """One stretch of stress; rows of its block, both ends included.

    Attributes:
        start: First row at which raising an alarm is right.
        impact: Row at which stress begins.
        known: Row at which the truth is complete; an alarm after it warns nobody.
        end: Last row of stress.
    """

    start: int
    impact: int
    known: int
    end: int


@dataclass(frozen=True, slots=True, eq=False)
class BlockTruth:
    """What was worth a warning in one block.

    Attributes:
        events: In time order.
        negative: ``(n,)``: an alarm raised here is false.
        ahead: ``(n,)`` 1.0 before cost stress, 0.0 not, NaN where it cannot be said or the market was not calm.
        unlabelled: Stress by cost in a session that is labelled as needing no alarm: neutral, and counted.
        without_impact: A labelled crisis that no truth confirms.
    """

    events: tuple[Event, ...]
    negative: Mask = field(repr=False)
    ahead: Vector = field(repr=False)
    unlabelled: int = 0
    without_impact: bool = False

    def from_row(self, row: int) -> "BlockTruth":
        """Return the truth without what lies before ``row``: those rows are there to warm up on."""
        negative, ahead = self.negative.copy(), self.ahead.copy()
        negative[:row], ahead[:row] = False, np.nan
        return replace(self, events=tuple(e for e in self.events if e.start >= row), negative=negative, ahead=ahead)


def ticks(seconds: float) -> int:
    """Return seconds as a number of ticks."""
    return round(seconds * TICKS_PER_S)


def cost_bps(block: TickBlock, settings: TruthSettings) -> Vector:
    """Return ``(n,)`` cost to trade, the dearer side; infinite where the whole book cannot serve it, NaN unknown."""
    if settings.cost == "touch":
        cost = block.column("spread_bps") / 2
    else:
        sides = np.stack([block.column("buy_cost_bps"), block.column("sell_cost_bps")])
        seen = np.logical_or.accumulate(~np.isnan(sides), axis=1) & settings.whole_book
        cost = np.where(np.isnan(sides) & seen, np.inf, sides).max(axis=0)
    dearer: Vector = np.where(block.stale, np.nan, cost)
    return dearer


def cost_ratio(cost: Vector, settings: TruthSettings) -> Vector:
    """Return ``(n,)`` cost over the median of the seconds before it, 1 where it is not ``excess_min_bps`` above; NaN unknown."""
    whole = len(cost) // TICKS_PER_S
    sampled = cost[: whole * TICKS_PER_S].reshape(whole, TICKS_PER_S)[:, -1]
    window = settings.median_s
    padded = np.concatenate([np.full(window, np.nan), sampled])
    medians = np.full(whole + 1, np.nan)  # of the seconds before each
    for first in range(0, whole + 1, _CHUNK):
        last = min(first + _CHUNK, whole + 1)
        views = np.lib.stride_tricks.sliding_window_view(padded[first : last + window - 1], window)
        medians[first:last] = _medians(views, window // 10)
    of_row = np.repeat(medians, TICKS_PER_S)[: len(cost)]
    with np.errstate(invalid="ignore"):
        ratio: Vector = cost / np.maximum(of_row, 1e-9)
        small = (ratio > 1.0) & (cost - of_row < settings.excess_min_bps)
    return np.where(small, 1.0, ratio)


def _medians(rows: Vector, least: int) -> Vector:
    """Return the lower median of each row's known values, NaN with fewer than ``least``."""
    ordered = np.sort(rows, axis=1)  # NaN last
    known = rows.shape[1] - np.isnan(rows).sum(axis=1)
    place = np.maximum(known - 1, 0) // 2
    median = ordered[np.arange(len(rows)), place]
    found: Vector = np.where((known >= least) & np.isfinite(median), median, np.nan)
    return found


def runs(mask: Mask) -> npt.NDArray[np.int64]:
    """Return ``(k, 2)`` first and last row of each run of true rows."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    found: npt.NDArray[np.int64] = edges.reshape(-1, 2) - [0, 1]
    return found


def cost_truth(block: TickBlock, settings: TruthSettings) -> BlockTruth:
    """Return the truth by cost to trade."""
    ratio = cost_ratio(cost_bps(block, settings), settings)
    hold = ticks(settings.hold_s)
    over = ratio > settings.ratio
    held = runs(over)
    held = held[held[:, 1] - held[:, 0] + 1 >= hold]
    # A flicker ends calm for itself alone, a held excess (or as long a silence) for calm_s; "held" as it was known by then.
    unsettled = over | np.isnan(ratio)
    calm = ~unsettled & ~_within_past(_so_far(unsettled, hold), ticks(settings.calm_s))
    stress = [(first, last, first + hold - 1) for first, last in _merged(held, ticks(settings.calm_s), calm)]
    return _truth(block, stress, calm, settings=settings, starts=held[:, 0])


def price_truth(block: TickBlock, settings: TruthSettings, *, move_bps: float) -> BlockTruth:
    """Return the truth by extreme moves: 0.8 % in 1.5 s, or at least ``move_bps`` in 10 s. Impact: the move is complete."""
    over = moves(block, FLASH_S) >= FLASH_MOVE
    over |= moves(block, MOVE_S) * 1e4 >= move_bps
    calm = (block.ref_price > 0) & ~_within_past(over | block.stale, ticks(settings.calm_s))
    found = runs(over)
    stress = [(first, last, first) for first, last in _merged(found, ticks(settings.calm_s), calm)]
    return _truth(block, stress, calm, settings=settings, starts=found[:, 0])


def moves(block: TickBlock, seconds: float) -> Vector:
    """Return ``(n,)`` absolute log move of the mid over the last ``seconds``; 0 where unknown."""
    steps = ticks(seconds)
    log_mid = np.log(np.where((block.ref_price > 0) & ~block.stale, block.ref_price, np.nan))
    moved = np.zeros(len(block))
    if len(block) > steps:
        moved[steps:] = np.abs(log_mid[steps:] - log_mid[:-steps])
    return np.nan_to_num(moved, nan=0.0)


def extreme_move_bps(past: list[TickBlock]) -> float:
    """Return the level of the top 0.1 % of the past's absolute 10 s moves, at least 1 bp.

    Raises:
        ValueError: No past.
    """
    if not past:
        raise ValueError("the level of an extreme move needs a past")
    return max(float(np.quantile(np.concatenate([moves(block, MOVE_S) for block in past]), 1 - TOP_SHARE)) * 1e4, 1.0)


def _merged(found: npt.NDArray[np.int64], gap: int, calm: Mask) -> list[tuple[int, int]]:
    """Return runs, joined where less than ``gap`` lies between, that began in a calm market."""
    joined: list[list[int]] = []
    for first, last in found.tolist():
        if joined and first - joined[-1][1] <= gap:
            joined[-1][1] = last
        else:
            joined.append([first, last])
    return [(first, last) for first, last in joined if first > 0 and calm[first - 1]]


def _so_far(mask: Mask, length: int) -> Mask:
    """Return whether the last ``length`` rows were all true."""
    total = np.cumsum(np.concatenate([np.zeros(length, dtype=np.int64), mask]))
    found: Mask = total[length:] - total[:-length] == length
    return found


def _within_past(mask: Mask, length: int) -> Mask:
    """Return whether any of the last ``length`` rows, this one included, is true; rows before the block count as true."""
    padded = np.concatenate([np.ones(length, dtype=np.bool_), mask])
    total = np.cumsum(padded)
    found: Mask = total[length:] - total[:-length] > 0
    return found


def _truth(
    block: TickBlock,
    stress: list[tuple[int, int, int]],
    calm: Mask,
    *,
    settings: TruthSettings,
    starts: npt.NDArray[np.int64],
) -> BlockTruth:
    labels, rows = block.labels, len(block)
    ahead = _ahead(calm, starts, settings)
    negative = ~block.stale
    negative[: ticks(settings.warmup_s)] = False
    horizon, aftermath = ticks(settings.horizon_s), ticks(settings.aftermath_s)
    events = tuple(
        Event(
            max(impact - horizon, 0) if labels is None else min(max(labels.onset_tick, 0), impact), impact, known, end
        )
        for impact, end, known in stress
    )
    onset = rows if labels is None or labels.kind != "crisis" else min(max(labels.onset_tick, 0), rows)
    for event in events:
        if event.impact < onset:  # a crisis that is due casts no shadow before its mechanism began
            negative[max(event.impact - horizon, 0) : event.end + aftermath + 1] = False
    negative[onset:] = False  # from here on an alarm has its reason, whatever the truth makes of it
    if labels is None:
        return BlockTruth(events, negative, ahead)
    if labels.kind != "crisis":
        return BlockTruth((), negative, ahead, unlabelled=len(events))
    own = tuple(event for event in events if event.impact >= onset)[:1]
    return BlockTruth(own, negative, ahead, without_impact=not own)


def _ahead(calm: Mask, starts: npt.NDArray[np.int64], settings: TruthSettings) -> Vector:
    """Return 1.0 where a held excess begins within (t + delay, t + horizon]."""
    rows = np.arange(len(calm))
    first, last = rows + ticks(settings.delay_s), rows + ticks(settings.horizon_s)
    comes = np.searchsorted(starts, last, side="right") > np.searchsorted(starts, first, side="right")
    unseen = last + ticks(settings.hold_s) > len(calm)
    ahead: Vector = np.where(~calm | (unseen & ~comes), np.nan, comes.astype(np.float64))
    return ahead
