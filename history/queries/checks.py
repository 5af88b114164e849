"""SQL without parameters: what the demo, the tests and the operator look at to see that history is whole.

All read the ``*_once`` views, so a row counts once before and after merges; :func:`duplicates` is the exception, which
compares stored rows with keys.
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
    "risk_alerts": "instrument_id, ts_ns, alert_id",
    "commands": "ts_ns, command_id, ifNull(checker, '')",
    "requests": "account_id, ts_event_ns, order_id",
    "decisions": "instrument_id, ts_event_ns, order_id, enforcer, decision_id",
    "executions": "account_id, ts_event_ns, venue_id, exec_id, source",
    "facts": "account_id, fact_id",
    "scores": "model_id, instrument_id, tick_ns",
    "quality_results": "`table`, expectation, since_ns, result_id",
    "model_events": "model_id, ts_ns, event_id",
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


def text(value: str) -> str:
    """Return a string literal of ClickHouse."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
