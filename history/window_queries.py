"""Questions of the API and its console; each returns SQL for :func:`history.client.query`, as in ``history.queries``.

Times in and out are ns since the epoch (integers). A series has at most ``points`` buckets and shows the worst of each (largest
spread, smallest depth, lowest and highest mid): thinning must never hide a crash. Rejected: every n-th row (it would).
"""
# ruff: noqa: S608 - numbers are made integers, words go through `text`, and columns are named by this module

from collections.abc import Sequence
from typing import Final

from history.queries import text
from history.rows import FEATURES

NORMAL_S: Final = 3600
"""What is normal for a feature is taken from so long before a state,"""
RECENT_S: Final = 60
"""but not from the last minute, which may be the anomaly itself."""

MODELS: Final = """
SELECT model_id, toUnixTimestamp64Nano(min(tick_ns)) AS first_ns, toUnixTimestamp64Nano(max(tick_ns)) AS last_ns, count() AS states,
       uniqExact(instrument_id) AS instruments, countIf(degraded) AS degraded_states, max(epoch) AS epoch
FROM risk_states_once GROUP BY model_id ORDER BY last_ns DESC"""


def market(instrument_id: int, from_ns: int, to_ns: int, *, points: int, channel_id: str | None = None) -> str:
    """Return mid, spread and depth in buckets."""
    width_ns = max(1, (to_ns - from_ns) // max(1, points))
    channel = "" if channel_id is None else f"channel_id = {text(channel_id)} AND "
    return (
        "SELECT toUnixTimestamp64Nano(max(tick_ns)) AS ts_ns, argMaxIf(ref_price, tick_ns, ref_price > 0) / 1e9 AS mid, "
        "minIf(ref_price, ref_price > 0) / 1e9 AS mid_low, maxIf(ref_price, ref_price > 0) / 1e9 AS mid_high, "
        "maxIf(spread_bps, isFinite(spread_bps)) AS spread_bps, minIf(depth_bid_5, isFinite(depth_bid_5)) AS depth_bid_5, "
        "minIf(depth_ask_5, isFinite(depth_ask_5)) AS depth_ask_5, countIf(ref_price > 0) AS ticks FROM ticks_once "
        f"WHERE {channel}instrument_id = {int(instrument_id)} AND {_within('tick_ns', from_ns, to_ns)} "
        f"GROUP BY intDiv(toUnixTimestamp64Nano(tick_ns) - {int(from_ns)}, {width_ns}) ORDER BY ts_ns"
    )


def scores(instrument_id: int, from_ns: int, to_ns: int, *, points: int) -> str:
    """Return the largest score of each bucket, and every state whose tier or standing is not that of the one before."""
    width_ns = max(1, (to_ns - from_ns) // max(1, points))
    return (
        "SELECT ts_ns, epoch, tier, latched, stale, degraded, score, p, model_id, is_change FROM ("
        "SELECT toUnixTimestamp64Nano(tick_ns) AS ts_ns, epoch, toInt8(tier) AS tier, latched, stale, degraded, score, p, "
        "model_id, (tier, latched, stale) != lagInFrame((tier, latched, stale)) OVER w OR row_number() OVER w = 1 AS is_change, "
        f"row_number() OVER (PARTITION BY intDiv(ts_ns - {int(from_ns)}, {width_ns}) ORDER BY score DESC, ts_ns) AS place "
        f"FROM risk_states_once WHERE instrument_id = {int(instrument_id)} AND {_within('tick_ns', from_ns, to_ns)} "
        "WINDOW w AS (ORDER BY tick_ns, epoch ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)"
        ") WHERE is_change OR place = 1 ORDER BY ts_ns, epoch"
    )


def own_orders(instrument_id: int, from_ns: int, to_ns: int, *, limit: int) -> str:
    """Return the decisions on orders in one instrument, each at the time of its order where that is known.

    A trading process dates its decisions by its own clock, which in a replay is not the market's.
    """
    instrument = int(instrument_id)
    return (
        "SELECT toUnixTimestamp64Nano(ifNull(r.at, d.ts_event_ns)) AS ts_ns, d.order_id AS order_id, d.account_id AS account_id, "
        "d.enforcer AS enforcer, d.verdict AS verdict, d.reason AS reason, d.`limit` AS `limit`, d.observed AS observed, "
        "d.side AS side, d.qty AS qty, d.price / 1e9 AS price, d.ref_price / 1e9 AS ref_price, toInt8(d.tier) AS tier "
        f"FROM (SELECT * FROM decisions_once WHERE instrument_id = {instrument}) AS d LEFT JOIN "
        "(SELECT account_id, order_id, min(ts_event_ns) AS at FROM requests_once "
        f"WHERE instrument_id = {instrument} GROUP BY account_id, order_id) AS r "
        "ON d.account_id = r.account_id AND d.order_id = r.order_id "
        f"WHERE ts_ns >= {int(from_ns)} AND ts_ns <= {int(to_ns)} ORDER BY ts_ns, order_id, enforcer LIMIT {int(limit)}"
    )


def normal_ranges(instrument_id: int, at_ns: int, names: Sequence[str]) -> str | None:
    """Return per feature the 5 %, 50 % and 95 % quantile of the hour before a state, while the tier was NORMAL.

    ``None`` where no name is a feature's.
    """
    known = [name for name in dict.fromkeys(names) if name in FEATURES]
    if not known:
        return None
    columns = ", ".join(
        f"quantilesExactIf(0.05, 0.5, 0.95)({name}, isFinite({name})) AS {name}_range, countIf(isFinite({name})) AS {name}_ticks"
        for name in known
    )
    from_ns, to_ns = at_ns - NORMAL_S * 10**9, at_ns - RECENT_S * 10**9
    return (
        f"SELECT {columns} FROM (SELECT * FROM ticks_once WHERE instrument_id = {int(instrument_id)} "
        f"AND {_within('tick_ns', from_ns, to_ns)}) AS t ASOF JOIN (SELECT instrument_id, tick_ns AS begin_ns, tier "
        f"FROM risk_states_once WHERE instrument_id = {int(instrument_id)} AND {_within('tick_ns', from_ns, to_ns)}) AS s "
        "ON t.instrument_id = s.instrument_id AND t.tick_ns >= s.begin_ns WHERE s.tier = 'NORMAL'"
    )


def state_at(instrument_id: int, at_ns: int) -> str:
    """Return the newest state at or before a time, with its causes."""
    return (
        "SELECT toUnixTimestamp64Nano(tick_ns) AS at_ns, epoch, toInt8(tier) AS tier, latched, stale, degraded, score, score01, "
        "p, adverse_share, ref_price, model_id, causes.name AS names, causes.value AS `values`, causes.z AS zs, "
        f"causes.share AS shares, causes.adverse AS adverse FROM risk_states_once WHERE instrument_id = {int(instrument_id)} "
        f"AND tick_ns <= {_time(at_ns)} ORDER BY tick_ns DESC, epoch DESC LIMIT 1"
    )


def span(instrument_id: int) -> str:
    """Return first and last tick of an instrument in the history."""
    return (
        "SELECT toUnixTimestamp64Nano(min(tick_ns)) AS first_ns, toUnixTimestamp64Nano(max(tick_ns)) AS last_ns, count() AS ticks "
        f"FROM ticks WHERE instrument_id = {int(instrument_id)}"
    )


def alerts_page(where: Sequence[str], *, after: tuple[int, str] | None, limit: int) -> str:
    """Return alerts, newest first, that meet every condition (made by this module), after a place in that order."""
    return (
        "SELECT alert_id, kind, instrument_id, toUnixTimestamp64Nano(ts_ns) AS at_ns, epoch, toString(tier) AS tier, message, "
        f"source FROM risk_alerts_once{_where(where, after, ('risk_alerts_once.ts_ns', 'alert_id'))} "
        f"ORDER BY risk_alerts_once.ts_ns DESC, alert_id DESC LIMIT {int(limit)}"
    )


def decisions_page(where: Sequence[str], *, after: tuple[int, str] | None, limit: int) -> str:
    """Return decisions, newest first, that meet every condition, after a place in that order."""
    key = "concat(order_id, '/', enforcer, '/', decision_id)"
    return (
        f"SELECT {key} AS decision_key, order_id, account_id, instrument_id, toUnixTimestamp64Nano(ts_event_ns) AS at_ns, "
        "enforcer, verdict, reason, `limit`, observed, toString(tier) AS tier, stale, model_id, score, rule_id, warned, action, "
        "side, order_type, qty, price, ref_price, worst_price "
        f"FROM decisions_once{_where(where, after, ('ts_event_ns', key))} ORDER BY ts_event_ns DESC, {key} DESC LIMIT {int(limit)}"
    )


def is_number(column: str, value: int) -> str:
    """Return the condition that a column is a number."""
    return f"{column} = {int(value)}"


def is_word(column: str, value: str) -> str:
    """Return the condition that a column is a word."""
    return f"toString({column}) = {text(value)}"


def not_before(column: str, ts_ns: int) -> str:
    """Return the condition that a time is at or after another."""
    return f"{column} >= {_time(ts_ns)}"


def not_after(column: str, ts_ns: int) -> str:
    """Return the condition that a time is at or before another."""
    return f"{column} <= {_time(ts_ns)}"


def _where(conditions: Sequence[str], after: tuple[int, str] | None, key: tuple[str, str]) -> str:
    parts = list(conditions)
    if after is not None:
        parts.append(f"({key[0]}, {key[1]}) < ({_time(after[0])}, {text(after[1])})")
    return f" WHERE {' AND '.join(parts)}" if parts else ""


def _within(column: str, from_ns: int, to_ns: int) -> str:
    return f"{column} >= {_time(from_ns)} AND {column} <= {_time(to_ns)}"


def _time(ts_ns: int) -> str:
    return f"fromUnixTimestamp64Nano(toInt64({int(ts_ns)}), 'UTC')"
