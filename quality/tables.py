"""What is expected of the other tables, and all suites by table.

Words are those of the schemas; what a law across columns says is what their documents say. Time that rises, and one row per
key, hold by construction where a table is read sorted through its ``*_once`` view, and are asked all the same: the view is what
could be wrong.
"""

from typing import Final

import numpy as np

from quality import ticks
from quality.definitions import AnyLaw, AtLeast, Between, Column, Columns, Derived, Known, OneOf, Suite, Unique
from quality.deriving import breach, empty, gap, rank, remainder, words
from schemas.model_events import ModelEventKind
from schemas.orders import ExecutionKind, ExecutionSource, FactKind, OrderAction, OrderSide, OrderType, Verdict
from schemas.records import AlertKind, CommandKind, Tier
from schemas.units import NS_PER_S, TICK_NS

_TIERS: Final = tuple(tier.name for tier in Tier)
_LOG_EXACT: Final = 1e-6
_HEARTBEAT_MAX_NS: Final = 5 * NS_PER_S
"""States come each second at least; five are a restart."""


def _log_error(columns: Columns) -> Column:
    """Score plus log10 p; NaN where there is no opinion."""
    with np.errstate(divide="ignore", invalid="ignore"):
        error = columns["score"] + np.log10(columns["p"])
    return np.where(columns["p"] > 0, error, np.nan)


_LOG: Final = Derived("log_error", ("score", "p"), _log_error)
_LOG_LAW: Final = Between(
    name="score_law", says="the score is -log10 p", column="log_error", low=-_LOG_EXACT, high=_LOG_EXACT
)
_OFFSET: Final = remainder("tick_offset_ns", "tick_ns", TICK_NS)
_ON_GRID: Final = Between(name="tick_on_grid", says="ticks end on whole 100 ms", column="tick_offset_ns", low=0, high=0)


def _probability(name: str) -> AnyLaw:
    return Between(name=f"{name}_range", says=f"{name} is between 0 and 1", column=name, low=0.0, high=1.0)


def _one_of(name: str, values: tuple[str, ...]) -> AnyLaw:
    return OneOf(name=f"{name}_word", says=f"{name} is a word of the schema", column=name, values=values)


def _known(*names: str) -> tuple[AnyLaw, ...]:
    return tuple(Known(name=f"{name}_known", says=f"{name} is never null", column=name) for name in names)


def _score01_error(columns: Columns) -> Column:
    error: Column = columns["score01"] - np.clip(columns["score"] / 6.0, 0.0, 1.0)
    return error


RISK_STATES: Final = Suite(
    table="risk_states",
    time="tick_ns",
    row_name=("instrument_id", "tick_ns", "epoch"),
    derived=(
        _OFFSET,
        _LOG,
        gap("state_gap_ns", "tick_ns", ("instrument_id", "epoch")),
        Derived("score01_error", ("score", "score01"), _score01_error),
        rank("tier_rank", "tier", _TIERS),
        rank("systemic_rank", "systemic_tier", _TIERS),
        breach("latched_below_critical", ("latched", "tier"), lambda c: c["latched"] & ~words(c["tier"], "CRITICAL")),
    ),
    laws=(
        _ON_GRID,
        Between(name="tick_rises", says="a later row is a later tick", column="state_gap_ns", low=0, low_open=True),
        Between(
            name="state_each_second", says="an instrument is heard of each second", column="state_gap_ns",
            high=_HEARTBEAT_MAX_NS, severity="warning",
        ),
        Unique(name="state_once", says="one state per instrument, tick and epoch", columns=("instrument_id", "tick_ns", "epoch")),
        _one_of("tier", _TIERS),
        _one_of("tier_before", _TIERS),
        _probability("p"),
        _probability("score01"),
        _probability("adverse_share"),
        Between(name="score_range", says="the score is finite and not negative", column="score", low=0.0, high=1e3),
        _LOG_LAW,
        Between(name="score01_law", says="score01 is score / 6 within 0 and 1", column="score01_error", low=-1e-9, high=1e-9),
        AtLeast(name="tier_covers_systemic", says="no tier is below that of its market", column="tier_rank", other="systemic_rank"),
        Between(name="latched_is_critical", says="what waits for a person is Critical", column="latched_below_critical", high=0),
        *_known("score", "p", "model_id"),
    ),
)  # fmt: skip

SCORES: Final = Suite(
    table="scores",
    time="tick_ns",
    row_name=("model_id", "instrument_id", "tick_ns"),
    derived=(_OFFSET, _LOG, gap("score_gap_ns", "tick_ns", ("model_id", "instrument_id"))),
    laws=(
        _ON_GRID,
        Between(name="tick_rises", says="a later row is a later tick", column="score_gap_ns", low=0, low_open=True),
        Between(
            name="tick_grid_whole",
            says="a model scores every tick",
            column="score_gap_ns",
            high=TICK_NS,
            severity="warning",
        ),
        Unique(
            name="score_once",
            says="one score per model, instrument and tick",
            columns=("model_id", "instrument_id", "tick_ns"),
        ),
        Between(name="score_range", says="the score is finite and not negative", column="score", low=0.0, high=1e3),
        _probability("p"),
        _probability("adverse_share"),
        _LOG_LAW,
        *_known("model_id"),
    ),
)

DECISIONS: Final = Suite(
    table="decisions",
    time="ts_event_ns",
    row_name=("enforcer", "account_id", "order_id"),
    derived=(
        breach("ok_and_refused", ("verdict", "reason"), lambda c: words(c["verdict"], "ACCEPT") != words(c["reason"], "ok")),
        breach("state_after_order", ("tick_ns", "ts_event_ns"), lambda c: c["tick_ns"] > c["ts_event_ns"] + NS_PER_S),
        Derived("number", ("seq",), lambda c: np.where(c["seq"] > 0, c["seq"].astype(np.float64), np.nan)),
        breach("nameless", ("order_id", "account_id"), lambda c: empty(c["order_id"]) | empty(c["account_id"])),
    ),
    laws=(
        Unique(
            name="decision_once", says="one row per order, enforcer and decision",
            columns=("account_id", "order_id", "enforcer", "decision_id", "ts_event_ns"),
        ),
        Unique(name="number_once", says="no number of an enforcer twice", columns=("enforcer", "instance", "number")),
        _one_of("verdict", tuple(one.name for one in Verdict)),
        _one_of("tier", _TIERS),
        Between(name="accepted_is_ok", says="accepted, and only accepted, is ok", column="ok_and_refused", high=0),
        Between(name="order_is_named", says="order and account are named", column="nameless", high=0),
        Between(
            name="state_before_order", says="no order is judged by a state of its future", column="state_after_order", high=0,
            severity="warning",
        ),
        Between(name="qty_not_negative", says="a quantity is not negative", column="qty", low=0),
        *_known("reason"),
    ),
)  # fmt: skip


def _missing_price(columns: Columns) -> Column:
    priced = words(columns["order_type"], "LIMIT") & ~words(columns["action"], "CANCEL")
    broken: Column = priced & np.isnan(columns["price"])
    return broken


def _no_quantity(columns: Columns) -> Column:
    broken: Column = ~words(columns["action"], "CANCEL") & (columns["qty"] <= 0)
    return broken


REQUESTS: Final = Suite(
    table="requests",
    time="ts_event_ns",
    row_name=("account_id", "order_id"),
    derived=(
        breach("price_missing", ("order_type", "action", "price"), _missing_price),
        breach("no_quantity", ("action", "qty"), _no_quantity),
        breach(
            "original_missing",
            ("action", "orig_order_id"),
            lambda c: ~words(c["action"], "NEW") & empty(c["orig_order_id"]),
        ),
    ),
    laws=(
        Unique(name="request_once", says="one row per request", columns=("account_id", "order_id", "ts_event_ns")),
        _one_of("action", tuple(one.name for one in OrderAction)),
        _one_of("side", tuple(one.name for one in OrderSide)),
        _one_of("order_type", tuple(one.name for one in OrderType)),
        Between(name="limit_has_price", says="a limit order has a price", column="price_missing", high=0),
        Between(name="order_has_quantity", says="what is no cancel has a quantity", column="no_quantity", high=0),
        Between(
            name="change_names_order",
            says="a replace or cancel names its order",
            column="original_missing",
            high=0,
            severity="warning",
        ),
    ),
)

EXECUTIONS: Final = Suite(
    table="executions",
    time="ts_event_ns",
    row_name=("account_id", "venue_id", "exec_id", "source"),
    derived=(
        breach(
            "fill_without_price", ("kind", "price", "qty"),
            lambda c: words(c["kind"], "FILLED") & (np.isnan(c["price"]) | (c["qty"] <= 0)),
        ),
    ),
    laws=(
        Unique(
            name="execution_once", says="one row per report and reporter",
            columns=("account_id", "venue_id", "exec_id", "source", "ts_event_ns"),
        ),
        _one_of("kind", tuple(one.name for one in ExecutionKind)),
        _one_of("side", tuple(one.name for one in OrderSide)),
        _one_of("source", tuple(one.name for one in ExecutionSource)),
        Between(name="fill_has_price", says="a fill has a price and a quantity", column="fill_without_price", high=0),
        Between(name="qty_not_negative", says="a quantity is not negative", column="qty", low=0),
    ),
)  # fmt: skip

FACTS: Final = Suite(
    table="facts",
    time="ts_event_ns",
    row_name=("account_id", "fact_id"),
    derived=(
        breach(
            "position_missing", ("kind", "position"), lambda c: words(c["kind"], "POSITION_SET") & np.isnan(c["position"])
        ),
        breach(
            "one_person", ("kind", "maker", "checker"),
            lambda c: words(c["kind"], "POSITION_SET") & ~empty(c["maker"]) & (c["maker"] == c["checker"]),
        ),
    ),
    laws=(
        Unique(name="fact_once", says="one row per fact", columns=("account_id", "fact_id")),
        _one_of("kind", tuple(one.name for one in FactKind)),
        Between(name="number_not_negative", says="a number counts from 1", column="number", low=0),
        Between(name="position_is_told", says="a position that is set is told", column="position_missing", high=0),
        Between(name="two_people", says="who set it and who agreed are two", column="one_person", high=0),
    ),
)  # fmt: skip

RISK_ALERTS: Final = Suite(
    table="risk_alerts",
    time="ts_ns",
    row_name=("alert_id",),
    derived=(breach("speechless", ("message",), lambda c: empty(c["message"])),),
    laws=(
        Unique(name="alert_once", says="one row per alert", columns=("alert_id", "ts_ns")),
        _one_of("kind", tuple(one.value for one in AlertKind)),
        _one_of("tier", _TIERS),
        Between(name="alert_says_something", says="an alert has a message", column="speechless", high=0),
    ),
)


def _expired_before(columns: Columns) -> Column:
    broken: Column = columns["expires_ns"] < columns["ts_ns"].astype(np.float64)
    return broken


COMMANDS: Final = Suite(
    table="commands",
    time="ts_ns",
    row_name=("command_id",),
    derived=(
        breach("one_person", ("maker", "checker"), lambda c: ~empty(c["maker"]) & (c["maker"] == c["checker"])),
        breach("nobody", ("maker", "scope"), lambda c: empty(c["maker"]) | empty(c["scope"])),
        breach("expired_before", ("expires_ns", "ts_ns"), _expired_before),
        Derived(
            "agreed", ("checker",), lambda c: np.array(["" if one is None else one for one in c["checker"]], object)
        ),
    ),
    laws=(
        Unique(name="command_once", says="one row per command and checker", columns=("command_id", "agreed", "ts_ns")),
        _one_of("kind", tuple(one.value for one in CommandKind)),
        Between(name="two_people", says="maker and checker are two", column="one_person", high=0),
        Between(name="somebody_orders", says="maker and scope are named", column="nobody", high=0),
        Between(
            name="ends_after_start",
            says="a command ends after it begins",
            column="expired_before",
            high=0,
            severity="warning",
        ),
    ),
)

MODEL_EVENTS: Final = Suite(
    table="model_events",
    time="ts_ns",
    row_name=("event_id",),
    derived=(breach("one_person", ("maker", "checker"), lambda c: ~empty(c["maker"]) & (c["maker"] == c["checker"])),),
    laws=(
        Unique(name="event_once", says="one row per event", columns=("event_id", "model_id")),
        _one_of("kind", tuple(one.value for one in ModelEventKind)),
        Between(name="two_people", says="maker and checker are two", column="one_person", high=0),
    ),
)

SUITES: Final = {
    suite.table: suite
    for suite in (
        ticks.SUITE, SCORES, RISK_STATES, RISK_ALERTS, COMMANDS, DECISIONS, REQUESTS, EXECUTIONS, FACTS, MODEL_EVENTS
    )
}  # fmt: skip
"""Suite by table of history."""
