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
    """

    name: str
    unit: str
    doc: str
    source: str
    null_rule: str
    adverse: int
    transform: Transform


_TWO_SIDED: Final = "a side of the book is empty"
_NEVER: Final = "never"
_STANDARD: Final = "standard"
_FIRST_10S: Final = "fewer than 100 ticks"

FEATURES: Final = (
    Feature("spread_bps", "bp", "1e4 (ask - bid) / mid", _STANDARD, _TWO_SIDED, 1, "log1p"),
    Feature("spread_ticks", "ticks", "(ask - bid) / tick size", _STANDARD, "as spread_bps, or no definition", 1, "log1p"),
    Feature("bid_qty_top", "lots", "size at the best bid", _STANDARD, _NEVER, -1, "log1p"),
    Feature("ask_qty_top", "lots", "size at the best ask", _STANDARD, _NEVER, -1, "log1p"),
    Feature("depth_bid_5", "lots", "size within the best 5 bid levels", _STANDARD, _NEVER, -1, "log1p"),
    Feature("depth_ask_5", "lots", "size within the best 5 ask levels", _STANDARD, _NEVER, -1, "log1p"),
    Feature("depth_total_10", "lots", "size within the best 10 levels of both sides", _STANDARD, _NEVER, -1, "log1p"),
    Feature("imbalance_l1", "1", "(qb - qa) / (qb + qa), best level", "Cartea et al. 2018", "both sides empty", 0, "identity"),
    Feature("imbalance_l5", "1", "the same over 5 levels", "Cartea et al. 2018", "both sides empty", 0, "identity"),
    Feature(
        "book_pressure", "1", "sum w (qb - qa) / sum w (qb + qa), w = exp(-d / 2), d = ticks from mid, 10 levels",
        "Cao, Hansch, Wang 2009", "as spread_ticks", 0, "identity",
    ),
    Feature(
        "ofi_1s", "1", "order-flow imbalance of 1 s over mean top depth", "Cont, Kukanov, Stoikov 2014", "no top depth seen yet",
        0, "asinh",
    ),
    Feature("ofi_10s", "1", "the same over 10 s", "Cont, Kukanov, Stoikov 2014", "as ofi_1s", 0, "asinh"),
    Feature(
        "trade_to_order", "1", "(trades + 1) / (adds + cancels + 10), counts of half-life 10 s", "SEC MIDAS; EU 2017/566", _NEVER,
        0, "log1p",
    ),
    Feature("add_rate", "1/s", "orders added, half-life 10 s", "SEC MIDAS", _FIRST_10S, 0, "log1p"),
    Feature("cancel_rate", "1/s", "orders reduced or deleted, half-life 10 s", "SEC MIDAS", _FIRST_10S, 1, "log1p"),
    Feature("trade_rate", "1/s", "trades, half-life 10 s", "SEC MIDAS", _FIRST_10S, 1, "log1p"),
    Feature("signed_trade_rate", "lots/s", "bought less sold by aggressors, half-life 10 s", _STANDARD, _FIRST_10S, 0, "asinh"),
    Feature(
        "liquidity_decay_s", "s", "half-life of depth after a shock: ln 2 (time at risk + 1 s) / (recoveries + 1), half-life 60 s, "
        "an open shock that a new one replaces is censored", "Foucault, Kadan, Kandel 2005; Degryse et al. 2005",
        "fewer than 600 ticks", 1, "log1p",
    ),
    Feature(
        "realised_vol_60s", "bp per sqrt(min)", "sqrt of the sum of squared 1 s log returns of the mid over 60 s, averaged over 10 "
        "offset grids", "Zhang, Mykland, Ait-Sahalia 2005", "fewer than 100 returns", 1, "log1p",
    ),
    Feature("mid_return_1s_bps", "bp", "log return of the mid over 1 s", _STANDARD, "no mid then or now", 0, "asinh"),
    Feature("mid_return_10s_bps", "bp", "log return of the mid over 10 s", _STANDARD, "no mid then or now", 0, "asinh"),
)  # fmt: skip

FEATURE_NAMES: Final = tuple(feature.name for feature in FEATURES)

SPEC_HASH: Final = hashlib.sha256(repr([astuple(feature) for feature in FEATURES]).encode()).hexdigest()[:16]
"""First 16 hex digits of SHA-256 over every field of every feature."""
