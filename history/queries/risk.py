"""Questions about risk: which instruments there are, what state they were in and why, and what the market did meanwhile."""

from typing import Final, Literal

import pyarrow as pa

from history.queries.asking import Conditions, Source, Span
from history.statement import Statement

Step = Literal["tick", "1s", "1m"]

_INSTRUMENTS: Final = """
SELECT instrument_id, argMaxMerge(state) AS last, last.1 AS channel_id, last.2 AS tick_ns, last.3 AS epoch,
       toString(last.4) AS tier, toBool(last.5) AS latched, toBool(last.6) AS stale, toBool(last.7) AS degraded, last.8 AS score,
       last.9 AS score01, last.10 AS p, last.11 AS adverse_share, last.12 AS ref_price, last.13 AS model_id,
       arrayMap(cause -> cause.1, last.14) AS cause_names, arrayMap(cause -> cause.2, last.14) AS cause_values,
       arrayMap(cause -> cause.3, last.14) AS cause_zs, arrayMap(cause -> cause.4, last.14) AS cause_shares,
       arrayMap(cause -> toBool(cause.5), last.14) AS cause_adverse
FROM states_last GROUP BY instrument_id ORDER BY instrument_id"""

_STATE: Final = """
SELECT tick_ns, instrument_id, channel_id, epoch, toString(tier) AS tier, toString(tier_before) AS tier_before, latched, stale,
       degraded, score, score01, p, adverse_share, ref_price, model_id, `causes.name` AS cause_names,
       `causes.value` AS cause_values, `causes.z` AS cause_zs, `causes.share` AS cause_shares, `causes.adverse` AS cause_adverse
FROM risk_states_once"""

_TICK: Final = """
SELECT tick_ns AS time_ns, nullIf(ref_price, 0) AS price_first, price_first AS price_low, price_first AS price_high,
       price_first AS price_last, spread_bps, spread_bps AS spread_bps_max, depth_total_10,
       depth_total_10 AS depth_total_10_min, depth_bid_5, depth_ask_5, realised_vol_60s AS vol, add_rate, cancel_rate, trade_rate,
       status, toUInt64(1) AS ticks
FROM ticks_once WHERE {where} ORDER BY tick_ns"""

_ROLLED: Final = """
SELECT fromUnixTimestamp64Nano(toInt64(toUnixTimestamp(second)) * 1000000000, 'UTC') AS time_ns,
       nullIf(argMinMerge(price_first), 0) AS price_first, min(r.price_low) AS price_low, max(r.price_high) AS price_high,
       argMaxMerge(last) AS at_end, nullIf(at_end.1, 0) AS price_last, at_end.2 AS spread_bps,
       max(r.spread_bps_max) AS spread_bps_max,
       at_end.3 AS depth_total_10, min(r.depth_total_10_min) AS depth_total_10_min, at_end.4 AS depth_bid_5,
       at_end.5 AS depth_ask_5, at_end.6 AS vol, at_end.7 AS add_rate, at_end.8 AS cancel_rate, at_end.9 AS trade_rate,
       groupBitOr(r.status) AS status, groupBitmapMerge(seen) AS ticks
FROM {table} AS r WHERE {where} GROUP BY second ORDER BY second"""


def instruments(source: Source) -> pa.Table:
    """Return the last state of every instrument, ordered by ``instrument_id``.

    Columns: instrument_id, channel_id, tick_ns, epoch, tier (text), latched, stale, degraded, score (-log10 p), score01, p,
    adverse_share, ref_price (1e-9 currency, null = none), model_id, and lists of equal length, largest cause first: cause_names,
    cause_values, cause_zs, cause_shares, cause_adverse.
    """
    return source.table(_INSTRUMENTS).drop_columns(["last"])


def risk_timeline(
    source: Source, instrument_id: int, span: Span, *, changes_only: bool = False, rows_max: int = 100_000
) -> pa.Table:
    """Return the states of one instrument in order of time, with their causes.

    Args:
        source: Where to ask.
        instrument_id: Instrument.
        span: Event time.
        changes_only: Only states in which tier, latch, staleness or degradation changed: what a person would call the timeline.
        rows_max: The newest so many rows.

    Returns:
        Columns of :func:`instruments`, and tier_before.
    """
    where = Conditions().add("instrument_id = {instrument_id:UInt32}", instrument_id=instrument_id)
    where.within("tick_ns", span)
    select = f"{_STATE} WHERE {where.sql}"
    if changes_only:
        flags = "(tier, latched, stale, degraded)"
        window = "OVER (ORDER BY epoch, tick_ns ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)"
        select = f"{select} QUALIFY {flags} != lagInFrame({flags}) {window} OR row_number() OVER (ORDER BY epoch, tick_ns) = 1"
    sql = (
        f"SELECT * FROM ({select} ORDER BY tick_ns DESC, epoch DESC LIMIT {{rows_max:UInt32}}) ORDER BY tick_ns, epoch"  # noqa: S608 (constants of ours)
    )
    return source.table(Statement(sql, {**where.values, "rows_max": rows_max}))


def state_at(source: Source, instrument_id: int, at_ns: int) -> pa.Table:
    """Return the state in force at a time (the last at or before it), one row or none; columns of :func:`risk_timeline`."""
    where = Conditions().add("instrument_id = {instrument_id:UInt32}", instrument_id=instrument_id)
    where.within("tick_ns", Span(until_ns=at_ns + 1))
    return source.table(
        Statement(f"{_STATE} WHERE {where.sql} ORDER BY tick_ns DESC, epoch DESC LIMIT 1", where.values)
    )


def tier_changes(source: Source, instrument_id: int | None, span: Span) -> pa.Table:
    """Return the changes of tier of one instrument or all, in order of time, with what caused them.

    Columns: tick_ns, instrument_id, epoch, tier_before, tier (text), latched, score, p, ref_price, model_id, cause_names,
    cause_values, cause_zs, cause_shares, cause_adverse.
    """
    where = Conditions().add("instrument_id = {instrument_id:UInt32}", instrument_id=instrument_id)
    where.within("tick_ns", span)
    sql = f"""
SELECT tick_ns, instrument_id, epoch, toString(tier_before) AS tier_before, toString(tier) AS tier, latched, score, p, ref_price,
       model_id, `causes.name` AS cause_names, `causes.value` AS cause_values, `causes.z` AS cause_zs,
       `causes.share` AS cause_shares, `causes.adverse` AS cause_adverse
FROM tier_changes_once WHERE {where.sql} ORDER BY tick_ns, instrument_id, epoch"""  # noqa: S608 (constants of ours)
    return source.table(Statement(sql, where.values))


def tier_episodes(source: Source, instrument_id: int | None, span: Span) -> pa.Table:
    """Return the episodes above Normal that started in the span, in order of their start.

    Columns: instrument_id, started_ns, ended_ns (null = goes on), lasted_ms, tier_peak (text), score_peak, p_least, changes (of
    tier), latched, ref_price_start, epoch, model_id, and the causes at the start: cause_names, cause_zs, cause_shares.
    """
    where = Conditions().add("instrument_id = {instrument_id:UInt32}", instrument_id=instrument_id)
    where.within("started_ns", span)
    sql = f"""
SELECT * REPLACE (toString(tier_peak) AS tier_peak) FROM tier_episodes
WHERE {where.sql} ORDER BY started_ns, instrument_id"""  # noqa: S608 (constants of ours)
    return source.table(Statement(sql, where.values))


def states_by_minute(source: Source, span: Span, instrument_id: int | None = None) -> pa.Table:
    """Return what was worst in each minute, ordered by instrument and minute: the bands of an overview over weeks.

    Columns: instrument_id, minute_ns, tier_max, tier_last (text), score_max, p_min, latched, stale, degraded.
    """
    where = Conditions().add("instrument_id = {instrument_id:UInt32}", instrument_id=instrument_id)
    where.within("minute", span)
    sql = f"""
SELECT instrument_id, fromUnixTimestamp64Nano(toInt64(toUnixTimestamp(minute)) * 1000000000, 'UTC') AS minute_ns,
       toString(max(m.tier_max)) AS tier_max, toString(argMaxMerge(m.tier_last)) AS tier_last, max(m.score_max) AS score_max,
       min(m.p_min) AS p_min, toBool(max(m.latched)) AS latched, toBool(max(m.stale)) AS stale,
       toBool(max(m.degraded)) AS degraded
FROM states_1m AS m WHERE {where.sql} GROUP BY instrument_id, minute ORDER BY instrument_id, minute"""  # noqa: S608 (constants of ours)
    return source.table(Statement(sql, where.values))


def market_timeline(source: Source, instrument_id: int, span: Span, *, step: Step = "1s") -> pa.Table:
    """Return what the market of one instrument did, in order of time: a row per tick, second or minute that had ticks.

    Columns: time_ns (of a tick its end, else the start of the second or minute), price_first, price_low, price_high, price_last
    (mid, 1e-9 currency; null = a side was empty), spread_bps and depth_total_10 (lots) at the end, spread_bps_max,
    depth_total_10_min, depth_bid_5, depth_ask_5, vol (realised_vol_60s), add_rate, cancel_rate, trade_rate (units of the feature
    specification), status (bits of TickStatus), ticks (how many were stored). NaN = not known.
    """
    where = Conditions().add("instrument_id = {instrument_id:UInt32}", instrument_id=instrument_id)
    where.within("tick_ns" if step == "tick" else "second", span)
    if step == "tick":
        return source.table(Statement(_TICK.format(where=where.sql), where.values))
    table = {"1s": "ticks_1s", "1m": "ticks_1m"}[step]
    rows = source.table(Statement(_ROLLED.format(table=table, where=where.sql), where.values))
    return rows.drop_columns(["at_end"])
