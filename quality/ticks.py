"""What is expected of `features.ticks`: the grid of 100 ms, books that agree with themselves, features within what they can be.

Most laws are identities of the kernel: two columns that it computes from one book, or one column from the past of another. A fault
that touches one of them alone (a field that froze, sides that were exchanged, another unit) breaks the identity at once, in any
market and without a threshold. What faults leave intact (a whole feed in another unit, an hour told twice) is caught by ranges, by
jumps, and by content that no two ticks of a living market share.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from features.spec import FEATURE_NAMES, FEATURES
from quality.definitions import AnyLaw, AtLeast, Between, Column, Columns, Derived, Known, Mask, Suite, Unique
from quality.deriving import before, breach, gap, remainder, rows_before, run_length, unless
from quality.rows import groups
from schemas.events import TickStatus
from schemas.ticks import Ticks
from schemas.units import TICK_NS

TICKS: Final = "ticks"
SERIES: Final = ("series",)
"""What has one tick every 100 ms: an instrument of a channel, numbered within the batch."""

EXACT: Final = 1e-9
"""Identities in doubles: what rounding may leave."""

FROZEN_TICKS: Final = 10
"""A rate above 0 decays at every tick: two equal values in a row were never seen, ten are a second."""

ALIVE: Final = 1e-6
"""Rates below it have been silent for minutes; their decay ends in denormal numbers, which may stand still."""

RETURN_MAX_BPS: Final = 5_000.0
"""No market moves by a factor of 1.6 in a second or in ten; a price in another unit does."""

DEPTH_JUMP_MAX: Final = 300.0
"""Largest growth or loss of depth from half a second to the next; one level of a recorded day (AAPL, 2012-06-21) shows 170."""

CROSSED_BUDGET: Final = 0.05
"""Share of ticks that may show a bid above an ask; three recorded days of four stocks show ten in a million."""

_FIXED: Final = ("tick_ns", "instrument_id", "status", "ref_price")
_LARGEST: Final = 1e15
"""Finite, and above any count, size or rate."""

_BOOKLESS: Final = int(TickStatus.STALE | TickStatus.BID_EMPTY | TickStatus.ASK_EMPTY)
_STATUS_MAX: Final = 2 * int(TickStatus.BOUND_HIT) - 1
_SHARES: Final = ("jump_share", "vpin", "own_fill_ratio", "first_factor_share")
_SIGNED_SHARES: Final = (
    "imbalance_", "book_pressure", "trade_imbalance_", "burstiness", "lead_correlation", "sentiment_ew",
)  # fmt: skip
_SIGNED: Final = (
    "ofi_",
    "signed_trade_rate",
    "queue_depletion_",
    "kyle_lambda",
    "mid_run",
    "buy_cost_bps",
    "sell_cost_bps",
)
_PRICE_PARTS: Final = {
    "spread_bps": (-20_000.0, 20_000.0),
    "spread_ticks": (-1e9, 1e9),
    "microprice_bps": (-10_000.0, 10_000.0),
}
_DECAYING: Final = ("add_rate", "cancel_rate", "trade_rate")


def _range(name: str) -> AnyLaw:
    if name.startswith("mid_return_"):
        low, high = -RETURN_MAX_BPS, RETURN_MAX_BPS
    elif name in _PRICE_PARTS:
        low, high = _PRICE_PARTS[name]
    elif name.startswith(_SHARES):
        low, high = 0.0, 1.0 + EXACT
    elif name.startswith(_SIGNED_SHARES):
        low, high = -1.0 - EXACT, 1.0 + EXACT
    else:
        low, high = (-_LARGEST if name.startswith(_SIGNED) else 0.0), _LARGEST
    return Between(
        name=f"{name}_range", says=f"{name} is finite and between {low:g} and {high:g}", column=name, low=low, high=high
    )


def _imbalance(bid: str, ask: str, shown: str) -> Derived:
    def compute(columns: Columns) -> Column:
        both = columns[bid] + columns[ask]
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(both > 0, columns[shown] - (columns[bid] - columns[ask]) / both, np.nan)

    return Derived(f"{shown}_error", (bid, ask, shown), compute)


def _microprice(columns: Columns) -> Column:
    error: Column = columns["microprice_bps"] - columns["spread_bps"] / 2 * columns["imbalance_l1"]
    return error


def _return_error(seconds: int) -> Derived:
    """Feature ``mid_return_<s>s_bps`` less the log return of ``ref_price``, bp, where the tick so long ago is in the batch."""
    name, rows = f"mid_return_{seconds}s_bps", seconds * 1_000_000_000 // TICK_NS

    def compute(columns: Columns) -> Column:
        earlier, found = rows_before(columns, SERIES, rows)
        on_time = found & (columns["tick_ns"] - columns["tick_ns"][earlier] == rows * TICK_NS)
        price = np.where(columns["ref_price"] > 0, columns["ref_price"].astype(np.float64), np.nan)
        with np.errstate(invalid="ignore"):
            return np.where(on_time, columns[name] - 1e4 * np.log(price / price[earlier]), np.nan)

    return Derived(f"{name}_error", ("tick_ns", "ref_price", name, *SERIES), compute)


def _tick_size_error(columns: Columns) -> Column:
    """Tick size that spread and price imply, over its median of the instrument in the batch, less 1."""
    with np.errstate(invalid="ignore", divide="ignore"):
        implied = columns["spread_bps"] * columns["ref_price"] / columns["spread_ticks"]
    implied = np.where(np.isfinite(implied) & (implied != 0), implied, np.nan)
    out = np.full(len(implied), np.nan)
    for instrument in np.unique(columns["instrument_id"]):
        rows = np.flatnonzero((columns["instrument_id"] == instrument) & ~np.isnan(implied))
        if len(rows):
            out[rows] = implied[rows] / np.median(implied[rows]) - 1.0
    return out


def _depth_jump(columns: Columns) -> Column:
    """Natural logarithm of the last half second's depth over that of the half second before, 0 where their ranges meet.

    Of five ticks against five, so that one order that comes and goes is no other scale; NaN where either has no depth.
    """
    depth = np.where(columns["depth_total_10"] > 0, columns["depth_total_10"], np.nan)
    whole = {**columns, "depth": depth}
    past = [depth, *(before(whole, "depth", SERIES, rows=rows) for rows in range(1, 10))]
    now, then = past[:5], past[5:]
    up = np.fmin.reduce(now) / np.fmax.reduce(then)
    down = np.fmax.reduce(now) / np.fmin.reduce(then)
    jump: Column = np.log(np.fmax(up, 1.0)) + np.log(np.fmin(down, 1.0))
    return np.where(np.isnan(up), np.nan, jump)


def _content(columns: Columns) -> Column:
    """A number that two rows share only when all features are equal, bit by bit; NaN where nothing has moved for minutes.

    53 bits of a mix of the values' own 64: among 3e5 rows two would meet by chance once in 2e5 batches of one instrument.
    """
    mixed = columns["ref_price"].astype(np.uint64)
    for name in FEATURE_NAMES:
        bits = np.ascontiguousarray(columns[name] + 0.0).view(np.uint64)  # -0.0 and 0.0 are one value
        mixed = (mixed ^ bits) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    alive = np.nan_to_num(columns["add_rate"]) + np.nan_to_num(columns["trade_rate"]) > ALIVE
    return np.where(
        alive & ((columns["status"] & TickStatus.STALE) == 0), (mixed >> np.uint64(11)).astype(np.float64), np.nan
    )


def _frozen(name: str) -> Derived:
    return Derived(
        f"{name}_equal_ticks", (name, *SERIES), lambda columns: run_length(columns, name, SERIES, above=ALIVE)
    )


def _flagged(flag: TickStatus, columns: Columns) -> Mask:
    flagged: Mask = (columns["status"] & int(flag)) != 0
    return flagged


def _two_sided(columns: Columns) -> Mask:
    whole: Mask = (columns["status"] & _BOOKLESS) == 0
    return whole


def _spread_misflagged(columns: Columns) -> Column:
    spread = columns["spread_bps"]
    locked = _flagged(TickStatus.LOCKED, columns) & (spread != 0) & ~np.isnan(spread)
    crossed: Mask = _flagged(TickStatus.CROSSED, columns) & (spread >= 0)
    either: Mask = locked | crossed
    return either


def _null_again(columns: Columns) -> Column:
    then = before(columns, "add_rate", SERIES)
    lost: Mask = np.isnan(columns["add_rate"]) & ~np.isnan(then) & ~_flagged(TickStatus.STALE, columns)
    return lost


_DERIVED: Final = (
    Derived("series", ("channel_id", "instrument_id"), lambda c: groups([c["channel_id"], c["instrument_id"]])),
    remainder("tick_offset_ns", "tick_ns", TICK_NS),
    gap("tick_gap_ns", "tick_ns", SERIES),
    unless("spread_bps_in_order", "spread_bps", flags=int(TickStatus.LOCKED | TickStatus.CROSSED)),
    breach("spread_misflagged", ("status", "spread_bps"), _spread_misflagged),
    unless("status_uncrossed", "status", flags=int(TickStatus.CROSSED)),
    breach(
        "gap_not_stale",
        ("status",),
        lambda c: ((c["status"] & int(TickStatus.GAP | TickStatus.BOUND_HIT)) != 0) & ~_flagged(TickStatus.STALE, c),
    ),
    breach("price_missing", ("status", "ref_price"), lambda c: _two_sided(c) & (c["ref_price"] == 0)),
    breach("spread_missing", ("status", "spread_bps"), lambda c: _two_sided(c) & np.isnan(c["spread_bps"])),
    _imbalance("bid_qty_top", "ask_qty_top", "imbalance_l1"),
    _imbalance("depth_bid_5", "depth_ask_5", "imbalance_l5"),
    Derived("microprice_bps_error", ("microprice_bps", "spread_bps", "imbalance_l1"), _microprice),
    _return_error(1),
    _return_error(10),
    Derived("tick_size_error", ("instrument_id", "ref_price", "spread_bps", "spread_ticks"), _tick_size_error),
    Derived("depth_jump", ("depth_total_10", *SERIES), _depth_jump),
    Derived("depth_within_5", ("depth_bid_5", "depth_ask_5"), lambda c: c["depth_bid_5"] + c["depth_ask_5"]),
    breach("add_rate_null_again", ("add_rate", "status", *SERIES), _null_again),
    *(_frozen(name) for name in _DECAYING),
    Derived("content", ("status", "ref_price", *FEATURE_NAMES), _content),
)

_GRID: Final[tuple[AnyLaw, ...]] = (
    Between(name="tick_on_grid", says="ticks end on whole 100 ms", column="tick_offset_ns", low=0, high=0),
    Between(name="tick_rises", says="a later row is a later tick", column="tick_gap_ns", low=0, low_open=True),
    Between(name="tick_grid_whole", says="no tick of 100 ms is left out", column="tick_gap_ns", high=TICK_NS),
    Unique(name="tick_once", says="one row per channel, instrument and tick", columns=("series", "tick_ns")),
    Unique(name="content_once", says="no two ticks show the same of everything", columns=("instrument_id", "content")),
)

_BOOK: Final[tuple[AnyLaw, ...]] = (
    Between(name="status_known", says="status has known bits alone", column="status", low=0, high=_STATUS_MAX),
    Between(name="gap_is_stale", says="a book with a gap, or cut, is stale", column="gap_not_stale", high=0),
    Between(
        name="bid_below_ask", says="the bid is below the ask unless flagged", column="spread_bps_in_order", low=0, low_open=True
    ),
    Between(name="crossed_is_flagged", says="flags of locked and crossed fit the spread", column="spread_misflagged", high=0),
    Known(name="seldom_crossed", says="bids stand above asks in few ticks", column="status_uncrossed", budget=CROSSED_BUDGET),
    Between(name="two_sides_have_price", says="a book with two sides has a mid", column="price_missing", high=0),
    Between(name="two_sides_have_spread", says="a book with two sides has a spread", column="spread_missing", high=0),
    Known(name="book_known", says="half of the ticks have two sides", column="spread_bps", budget=0.5, severity="warning"),
    Between(
        name="imbalance_l1_law", says="imbalance_l1 is that of the best sizes", column="imbalance_l1_error", low=-EXACT, high=EXACT
    ),
    Between(
        name="imbalance_l5_law", says="imbalance_l5 is that of five levels", column="imbalance_l5_error", low=-EXACT, high=EXACT
    ),
    Between(
        name="microprice_law", says="microprice is that of spread and sizes", column="microprice_bps_error", low=-1e-6, high=1e-6
    ),
    Between(
        name="tick_size_law", says="spread and price imply one tick size", column="tick_size_error", low=-1e-6, high=1e-6
    ),
    AtLeast(name="depth_bid_5_holds_top", says="five bid levels hold the best", column="depth_bid_5", other="bid_qty_top"),
    AtLeast(name="depth_ask_5_holds_top", says="five ask levels hold the best", column="depth_ask_5", other="ask_qty_top"),
    AtLeast(name="depth_10_holds_5", says="ten levels hold five", column="depth_total_10", other="depth_within_5"),
    *(
        AtLeast(name=f"depth_{side}_{wide}bp_holds_{narrow}bp", says=f"{wide} bp hold {narrow} bp", column=f"depth_{side}_{wide}bp",
                other=f"depth_{side}_{narrow}bp")
        for side in ("bid", "ask")
        for wide, narrow in ((10, 5), (25, 10))
    ),
    Between(
        name="depth_scale", says="depth keeps its scale from tick to tick", column="depth_jump", low=-float(np.log(DEPTH_JUMP_MAX)),
        high=float(np.log(DEPTH_JUMP_MAX)), severity="warning",
    ),
)  # fmt: skip

_PAST: Final[tuple[AnyLaw, ...]] = (
    *(
        Between(
            name=f"mid_return_{s}s_law", says=f"the return over {s} s is that of the price", column=f"mid_return_{s}s_bps_error",
            low=-1e-6, high=1e-6,
        )
        for s in (1, 10)
    ),
    *(
        Between(
            name=f"{name}_moves", says=f"{name} decays at every tick", column=f"{name}_equal_ticks", high=FROZEN_TICKS,
        )
        for name in _DECAYING
    ),
    Between(
        name="add_rate_stays_known", says="what was known stays known", column="add_rate_null_again", high=0, severity="warning"
    ),
)  # fmt: skip

_NEVER_NULL: Final[tuple[AnyLaw, ...]] = tuple(
    Known(name=f"{feature.name}_known", says=f"{feature.name} is never null", column=feature.name)
    for feature in FEATURES
    if feature.null_rule == "never"
)


def columns_of_ticks(messages: Sequence[Ticks]) -> dict[str, Column]:
    """Return messages of ticks as a batch, in the order given.

    Args:
        messages: Of the features of ``features.spec``; at least one.
    """
    rows = [message.row_count for message in messages]
    values = np.concatenate([message.values for message in messages]).T
    channels = np.array([message.channel_id for message in messages], object)
    fixed = {name: np.concatenate([getattr(message, name) for message in messages]).astype(np.int64) for name in _FIXED}
    features = {name: np.ascontiguousarray(values[place]) for place, name in enumerate(FEATURE_NAMES)}
    return {"channel_id": np.repeat(channels, rows), **fixed, **features}


SUITE: Final = Suite(
    table=TICKS,
    time="tick_ns",
    row_name=("channel_id", "instrument_id", "tick_ns"),
    derived=_DERIVED,
    laws=(*_GRID, *_BOOK, *_PAST, *_NEVER_NULL, *(_range(name) for name in FEATURE_NAMES)),
    may_be_silent=False,
)
