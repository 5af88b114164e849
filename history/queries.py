"""Named questions of the demo, the checks and analysts; each returns SQL for :func:`history.client.query`.

All read the ``*_once`` views, so a row counts once before and after merges; :func:`duplicates` is the exception, which
compares stored rows with keys. Arguments are integers or go through :func:`text`.
"""

from typing import Final

TICKS_PER_CHANNEL: Final = """
SELECT channel_id, count() AS ticks, uniqExact(instrument_id) AS instruments, min(tick_ns) AS first,
       max(tick_ns) AS last
FROM ticks_once GROUP BY channel_id ORDER BY channel_id"""

DECISIONS_BY_REASON: Final = """
SELECT enforcer, verdict, reason, tier, `limit`, count() AS decisions, min(observed) AS least_observed,
       max(observed) AS most_observed, min(ts_event_ns) AS first, max(ts_event_ns) AS last
FROM decisions_once GROUP BY enforcer, verdict, reason, tier, `limit` ORDER BY enforcer, first"""

DECISIONS_ONCE: Final = """
SELECT count() AS decision_rows, uniqExact(order_id, enforcer, decision_id) AS decisions, uniqExact(order_id) AS orders
FROM decisions_once"""
"""Every decision exactly once: ``decision_rows`` equals ``decisions``."""

ENFORCERS_DISAGREE: Final = """
SELECT account_id, order_id, groupArray((enforcer, said)) AS answers
FROM (SELECT account_id, order_id, enforcer,
             arrayMap(one -> (one.3, one.4), arraySort(groupArray((ts_event_ns, seq, verdict, reason)))) AS said
      FROM decisions_once GROUP BY account_id, order_id, enforcer ORDER BY enforcer)
GROUP BY account_id, order_id HAVING uniqExact(said) > 1 ORDER BY account_id, order_id"""
"""Orders that two enforcers answered otherwise; an order may be answered more than once (pended, then approved)."""

UNRECORDED_DECISIONS: Final = """
SELECT enforcer, instance, max(seq) AS numbered, uniqExact(seq) AS recorded, numbered - recorded AS unrecorded,
       min(ts_event_ns) AS first, max(ts_event_ns) AS last
FROM decisions_once WHERE seq > 0 GROUP BY enforcer, instance ORDER BY unrecorded DESC, enforcer, instance"""
"""Numbers that were given to a decision and never arrived, per enforcer: lost, or still on their way."""

DEAD_LETTERS_BY_CAUSE: Final = """
SELECT topic, source, cause, count() AS letters, max(observed_ns) AS last, any(detail) AS example
FROM dead_letters_once GROUP BY topic, source, cause ORDER BY letters DESC"""

KEYS: Final = {
    "ticks": "channel_id, instrument_id, tick_ns",
    "risk_states": "instrument_id, tick_ns, epoch",
    "risk_alerts": "alert_id",
    "commands": "command_id",
    "requests": "account_id, order_id, ts_event_ns",
    "decisions": "order_id, enforcer, decision_id",
    "executions": "account_id, venue_id, exec_id, source, ts_event_ns",
    "facts": "account_id, fact_id",
    "dead_letters": "topic, partition, offset, source, cause, cityHash64(raw)",
}
"""Idempotency key of each table, as in its migration."""


def duplicates(*, once: bool = True) -> str:
    """Return per table the rows, the distinct keys, and the duplicates between them.

    Args:
        once: Of the ``*_once`` views, where duplicates are 0 at any time; else of what is stored before merges.
    """
    suffix = "_once" if once else ""
    parts = [
        f"SELECT '{table}' AS `table`, count() AS `rows`, uniqExact({key}) AS keys, `rows` - keys AS duplicates "  # noqa: S608
        f"FROM {table}{suffix}"
        for table, key in KEYS.items()
    ]
    return f"SELECT * FROM ({' UNION ALL '.join(parts)}) ORDER BY `table`"  # noqa: S608 (constants alone)


def tier_timeline(instrument_id: int, *, epoch: int | None = None) -> str:
    """Return the changes of tier of one instrument in order, with what caused them."""
    of_epoch = "" if epoch is None else f" AND epoch = {int(epoch)}"
    return (
        "SELECT tick_ns, epoch, tier_before, tier, latched, stale, degraded, score, p, ref_price, model_id, "  # noqa: S608
        "causes.name, causes.z, causes.share FROM risk_states_once "
        f"WHERE instrument_id = {int(instrument_id)}{of_epoch} AND tier != tier_before ORDER BY tick_ns, epoch"
    )


def alerts(instrument_id: int | None = None) -> str:
    """Return the alerts, of one instrument or all, in order of time."""
    where = "" if instrument_id is None else f" WHERE instrument_id = {int(instrument_id)}"
    return f"SELECT ts_ns, kind, instrument_id, tier, message, source FROM risk_alerts_once{where} ORDER BY ts_ns"  # noqa: S608


def decision(order_id: str) -> str:
    """Return all answers to one order, each with the risk state that was in force (the larger epoch when several)."""
    return (
        "SELECT d.*, s.score AS state_score, s.p AS state_p, s.tier AS state_tier, s.ref_price AS state_ref_price, "  # noqa: S608
        "s.causes.name AS causes, s.causes.share AS shares "
        "FROM decisions_once AS d LEFT JOIN risk_states_once AS s "
        "ON d.instrument_id = s.instrument_id AND d.tick_ns = s.tick_ns AND d.epoch = s.epoch "
        f"WHERE d.order_id = {text(order_id)} ORDER BY d.enforcer, d.ts_event_ns, d.seq"
    )


def order_trail(account_id: str, order_id: str) -> str:
    """Return what was asked, decided and reported about one order, in order of time; ``what`` says which of the three."""
    where = f"WHERE account_id = {text(account_id)} AND order_id = {text(order_id)}"
    return (
        "SELECT * FROM ("  # noqa: S608
        "SELECT ts_event_ns, 1 AS step, 'request' AS what, '' AS source, toString(action) AS word, '' AS reason, side, "
        f"toNullable(qty) AS qty, price, '' AS id FROM requests_once {where} UNION ALL "
        "SELECT ts_event_ns, 2, 'decision', enforcer, verdict, reason, side, qty, ifNull(worst_price, price), decision_id "
        f"FROM decisions_once {where} UNION ALL "
        "SELECT ts_event_ns, 3, 'execution', source, kind, '', side, toNullable(qty), price, exec_id "
        f"FROM executions_once {where}) ORDER BY ts_event_ns, step, id"
    )


def text(value: str) -> str:
    """Return a string literal of ClickHouse."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
