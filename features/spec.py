"""The features by name, in order, with unit, source, null rule and dangerous direction.

Invariant: order and meaning are the contract with models and history; ``SPEC_HASH`` changes with either, travels in every
tick message and in every model folder, and a model refuses features of another hash. The C core numbers the features in
the same order (``features/native/features.h``; a test holds the two equal).
"""

import hashlib
from dataclasses import astuple, dataclass
from typing import Final, Literal

Transform = Literal["identity", "log1p", "asinh"]


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature.

    Attributes:
        name: Column name in ticks, history and causes.
        unit: Unit of the value.
        doc: Definition.
        source: Where the definition comes from.
        null_rule: When the value is NaN.
        adverse: +1 when high is dangerous, -1 when low is, 0 when neither side is by itself.
        transform: What models apply before scaling.
        scored: Models read it. The others go to history and to subscribers.
    """

    name: str
    unit: str
    doc: str
    source: str
    null_rule: str
    adverse: int
    transform: Transform
    scored: bool = False


_TWO_SIDED: Final = "a side of the book is empty"
_NEVER: Final = "never"
_STANDARD: Final = "standard"
_FIRST_10S: Final = "fewer than 100 ticks"
_FIRST_60S: Final = "fewer than 600 ticks"
_TRADELESS: Final = "fewer than 1/16 trades of half-life 60 s, no mid or no definition"
_CAO: Final = "Cao, Hansch, Wang 2009"

_SCORED: Final = (
    Feature("spread_bps", "bp", "1e4 (ask - bid) / mid", _STANDARD, _TWO_SIDED, 1, "log1p", True),
    Feature("spread_ticks", "ticks", "(ask - bid) / tick size", _STANDARD, "as spread_bps, or no definition", 1, "log1p", True),
    Feature("bid_qty_top", "lots", "size at the best bid", _STANDARD, _NEVER, -1, "log1p", True),
    Feature("ask_qty_top", "lots", "size at the best ask", _STANDARD, _NEVER, -1, "log1p", True),
    Feature("depth_bid_5", "lots", "size within the best 5 bid levels", _STANDARD, _NEVER, -1, "log1p", True),
    Feature("depth_ask_5", "lots", "size within the best 5 ask levels", _STANDARD, _NEVER, -1, "log1p", True),
    Feature("depth_total_10", "lots", "size within the best 10 levels of both sides", _STANDARD, _NEVER, -1, "log1p", True),
    Feature("imbalance_l1", "1", "(qb - qa) / (qb + qa), best level",
            "Cartea et al. 2018", "both sides empty", 0, "identity", True),
    Feature("imbalance_l5", "1", "the same over 5 levels", "Cartea et al. 2018", "both sides empty", 0, "identity", True),
    Feature(
        "book_pressure", "1", "sum w (qb - qa) / sum w (qb + qa), w = exp(-d / 2), d = ticks from mid, 10 levels",
        "Cao, Hansch, Wang 2009", "as spread_ticks", 0, "identity", True,
    ),
    Feature(
        "ofi_1s", "1", "order-flow imbalance of 1 s over mean top depth", "Cont, Kukanov, Stoikov 2014", "no top depth seen yet",
        0, "asinh", True,
    ),
    Feature("ofi_10s", "1", "the same over 10 s", "Cont, Kukanov, Stoikov 2014", "as ofi_1s", 0, "asinh", True),
    Feature(
        "trade_to_order", "1", "(trades + 1) / (adds + cancels + 10), counts of half-life 10 s", "SEC MIDAS; EU 2017/566", _NEVER,
        0, "log1p", True,
    ),
    Feature("add_rate", "1/s", "orders added, half-life 10 s", "SEC MIDAS", _FIRST_10S, 0, "log1p", True),
    Feature("cancel_rate", "1/s", "orders reduced or deleted, half-life 10 s", "SEC MIDAS", _FIRST_10S, 1, "log1p", True),
    Feature("trade_rate", "1/s", "trades, half-life 10 s", "SEC MIDAS", _FIRST_10S, 1, "log1p", True),
    Feature("signed_trade_rate", "lots/s", "bought less sold by aggressors, half-life 10 s", _STANDARD,
            _FIRST_10S, 0, "asinh", True),
    Feature(
        "liquidity_decay_s", "s", "half-life of depth after a shock: ln 2 (time at risk + 1 s) / (recoveries + 1), half-life 60 s, "
        "an open shock that a new one replaces is censored", "Foucault, Kadan, Kandel 2005; Degryse et al. 2005",
        "fewer than 600 ticks", 1, "log1p", True,
    ),
    Feature(
        "realised_vol_60s", "bp per sqrt(min)", "sqrt of the sum of squared 1 s log returns of the mid over 60 s, averaged over 10 "
        "offset grids", "Zhang, Mykland, Ait-Sahalia 2005", "fewer than 100 returns", 1, "log1p", True,
    ),
    Feature("mid_return_1s_bps", "bp", "log return of the mid over 1 s", _STANDARD, "no mid then or now", 0, "asinh", True),
    Feature("mid_return_10s_bps", "bp", "log return of the mid over 10 s", _STANDARD, "no mid then or now", 0, "asinh", True),
)  # fmt: skip

_WATCHED: Final = (
    Feature(
        "microprice_bps",
        "bp",
        "size-weighted mid less mid, 1e4 (spread / 2) imbalance_l1 / mid",
        "Gatheral, Oomen 2010; Stoikov 2018",
        _TWO_SIDED,
        0,
        "asinh",
    ),
    *(
        Feature(
            f"imbalance_l{levels}",
            "1",
            f"(qb - qa) / (qb + qa), best {levels} levels",
            "Cartea et al. 2018",
            "both sides empty",
            0,
            "identity",
        )
        for levels in (2, 3, 4, 6, 7, 8, 9, 10)
    ),
    Feature("book_pressure_slow", "1", "book_pressure with w = exp(-d / 10)", _CAO, "as spread_ticks", 0, "identity"),
    Feature("book_pressure_inverse", "1", "book_pressure with w = 1 / (1 + d)", _CAO, "as spread_ticks", 0, "identity"),
    *(
        Feature(
            f"depth_{side}_{bp}bp",
            "lots",
            f"size at {side}s within {bp} bp of the mid, best 500 levels at most",
            _STANDARD,
            _TWO_SIDED,
            -1,
            "log1p",
        )
        for bp in (5, 10, 25)
        for side in ("bid", "ask")
    ),
    *(
        Feature(
            f"book_slope_{side}",
            "lots/tick",
            f"sum d q / sum d^2 over 10 {side} levels, d = ticks from mid, q = lots up to the level: "
            "least squares through the origin",
            "after Naes, Skjeltorp 2006",
            "as spread_ticks, or every level at the mid",
            -1,
            "log1p",
        )
        for side in ("bid", "ask")
    ),
    *(
        Feature(
            f"{way}_cost_bps",
            "bp",
            f"what a market order to {way} the standard clip pays over the mid; clip = 10 mean trades, mean of "
            "half-life 64 trades (trades, not top depth: depth shrinks in a crisis and would hide it)",
            _STANDARD,
            _TWO_SIDED + ", no trade yet, or the best 500 levels hold less than the clip",
            1,
            "log1p",
        )
        for way in ("buy", "sell")
    ),
    *(
        Feature(
            f"ofi_deep_{window}s",
            "1",
            f"order-flow imbalance of {window} s summed over the best 10 levels, each compared between two "
            "ticks, over the mean of the sides' depth within 10 levels (half-life 10 s)",
            "Cont, Cucuringu, Zhang 2023",
            "no depth seen yet",
            0,
            "asinh",
        )
        for window in (1, 10)
    ),
    *(
        Feature(
            f"trade_imbalance_{window}s",
            "1",
            f"(bought - sold) / traded lots of {window} s, by aggressors; a trade without a side is traded only",
            "Cont, Kukanov, Stoikov 2014",
            f"no trade within {window} s",
            0,
            "identity",
        )
        for window in (1, 10)
    ),
    *(
        Feature(
            f"trade_to_order_{half_life}s",
            "1",
            f"trade_to_order of half-life {half_life} s",
            "SEC MIDAS; EU 2017/566",
            _NEVER,
            0,
            "log1p",
        )
        for half_life in (1, 60)
    ),
    *(
        Feature(
            f"cancel_to_trade_{half_life}s",
            "1",
            f"(cancels + 1) / (trades + 1), counts of half-life {half_life} s",
            "SEC MIDAS",
            _NEVER,
            0,
            "log1p",
        )
        for half_life in (1, 10, 60)
    ),
    *(
        Feature(
            f"queue_depletion_{side}",
            "1/s",
            f"lots that left the best {side} less those that came, per second, over its mean size; a "
            "better price is a new queue; half-life 10 s",
            "after Cont, de Larrard 2013",
            _FIRST_10S + ", or no size seen yet",
            1,
            "asinh",
        )
        for side in ("bid", "ask")
    ),
    Feature(
        "liquidity_decay_events",
        "events",
        "liquidity_decay_s counted in events of the instrument: ln 2 (events at risk + 20) / (recoveries + 1)",
        "Degryse et al. 2005; Xu et al. 2017",
        _FIRST_60S,
        1,
        "log1p",
    ),
    Feature(
        "quote_lifetime_s",
        "s",
        "how long a best price stands: 2 seconds / (changes of either best price + 1), half-life 10 s",
        "Hasbrouck, Saar 2013",
        _FIRST_10S,
        -1,
        "log1p",
    ),
    Feature(
        "burstiness",
        "1",
        "(s - m) / (s + m) of the times between events, half-life 256 events; -1 regular, 0 Poisson, 1 bursts",
        "Goh, Barabasi 2008",
        "fewer than 33 events, or all at once",
        1,
        "identity",
    ),
    Feature(
        "vpin",
        "1",
        "sum |bought - sold| / sum traded over 50 volume buckets of 50 mean trades (half-life 64 trades, set when the bucket "
        "opens); a trade falls into one bucket whole; true aggressors. A baseline: no power of its own was found "
        "(Andersen, Bondarenko 2014)",
        "Easley, Lopez de Prado, O'Hara 2012",
        "fewer than 10 buckets",
        1,
        "identity",
    ),
    Feature(
        "jump_share",
        "1",
        "max(0, 1 - (pi / 2) mean |r r'| / mean r^2), r and r' 1 s log returns a second apart, half-life 30 s",
        "Barndorff-Nielsen, Shephard 2004",
        "fewer than 100 returns, or no move",
        1,
        "identity",
    ),
    Feature(
        "vol_ratio",
        "1",
        "term structure of volatility: sqrt(mean r^2 of half-life 10 s / of 60 s), r as jump_share",
        "Andersen, Bollerslev 1998",
        "fewer than 100 returns, or no move",
        1,
        "log1p",
    ),
    Feature(
        "kyle_lambda",
        "bp per 1e6 currency",
        "sum x r / sum x^2, r = 1 s log return, x = signed traded value of that second; half-life 60 s",
        "Kyle 1985",
        _TRADELESS + ", or no signed trade",
        1,
        "asinh",
    ),
    Feature(
        "amihud",
        "bp per 1e6 currency",
        "mean |1 s log return| over mean traded value of 1 s, both of half-life 60 s",
        "Amihud 2002",
        _TRADELESS,
        1,
        "log1p",
    ),
    Feature(
        "mid_run",
        "1",
        "moves of the mid in one direction since it last turned, as seen at ticks; negative = down",
        _STANDARD,
        _NEVER,
        0,
        "asinh",
    ),
    Feature(
        "lead_correlation",
        "1",
        "correlation of 1 s log returns at whole seconds over 60 s with the channel's lead instrument: most trades "
        "of half-life 60 s, the smaller id of equals; 1 for the lead itself",
        "Epps 1979",
        "fewer than 20 common returns, or one of the two did not move",
        0,
        "identity",
    ),
    Feature(
        "first_factor_share",
        "1",
        "first eigenvalue over trace of the correlation matrix of the same returns, the 64 instruments with most "
        "trades (half-life 60 s) at most, unknown returns at the mean, 20 power steps; equal for all of the channel",
        "Kritzman et al. 2011",
        "fewer than two instruments with 20 returns that moved",
        1,
        "identity",
    ),
    Feature(
        "sentiment_ew",
        "1",
        "mean score of the instrument's headlines, -1 to 1, each weighing 2^(-age / 30 min); silence does not fade it",
        _STANDARD,
        "before the first headline",
        -1,
        "identity",
    ),
    Feature(
        "headline_rate",
        "1/h",
        "ln 2 times the sum of 2^(-age / 1 h) over the instrument's headlines",
        _STANDARD,
        _NEVER,
        0,
        "log1p",
    ),
    Feature(
        "own_fill_ratio",
        "1",
        "(fills + 1) / (orders + 2) of own orders, half-life 60 s; an execution counts as the share of its order that it "
        "filled; 0.5 when nothing is known",
        "Laplace 1814, the rule of succession",
        _NEVER,
        0,
        "identity",
    ),
)

FEATURES: Final = _SCORED + _WATCHED

SCORED: Final = tuple(feature for feature in FEATURES if feature.scored)
"""What models read: the first columns of a tick's values."""

FEATURE_NAMES: Final = tuple(feature.name for feature in FEATURES)
SCORED_NAMES: Final = tuple(feature.name for feature in SCORED)

SPEC_HASH: Final = hashlib.sha256(repr([astuple(feature) for feature in FEATURES]).encode()).hexdigest()[:16]
"""First 16 hex digits of SHA-256 over every field of every feature."""
