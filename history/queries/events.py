"""Questions about what happened beside the market: alerts, commands of people, models, quality of the data."""

from collections.abc import Sequence
from typing import Final

import pyarrow as pa

from history.queries.asking import Conditions, Listed, Listing, Page, Source, Span, listed
from history.statement import Statement

_ALERTS = Listing(
    "SELECT ts_ns, alert_id, kind, instrument_id, toString(tier) AS tier, epoch, message, source FROM risk_alerts_once",
    time="ts_ns",
    keys=("alert_id",),
)
_COMMANDS = Listing(
    "SELECT ts_ns, command_id, kind, scope, maker, checker, reason, expires_ns, envelope, administrator, account, "
    "instrument_id, qty FROM commands_once",
    time="ts_ns",
    keys=("command_id",),
)
_MODELS = Listing(
    "SELECT ts_ns, event_id, kind, model_id, maker, checker, reason, previous_model_id, spec_hash, "
    "`metrics.name` AS metric_names, `metrics.value` AS metric_values, detail, source FROM model_events_once",
    time="ts_ns",
    keys=("event_id",),
)
_QUALITY = Listing(
    "SELECT ts_ns, result_id, suite, expectation, `table`, `column`, instrument_id, since_ns, until_ns, passed, severity, `rows`, "
    "unexpected, detail, source FROM quality_results_once",
    time="ts_ns",
    keys=("result_id",),
)

QUALITY_NOW: Final = """
SELECT `table`, expectation, any(`column`) AS `column`, toUnixTimestamp64Nano(max(ts_ns)) AS at_ns,
       argMax(held, (ts_ns, until_ns)) AS passed, argMax(graded, (ts_ns, until_ns)) AS severity,
       argMax(looked, (ts_ns, until_ns)) AS `rows`, argMax(broken, (ts_ns, until_ns)) AS unexpected,
       argMax(said, (ts_ns, until_ns)) AS detail,
       if(passed, NULL, toUnixTimestamp64Nano(minIf(since_ns, NOT held AND ts_ns > held_last))) AS failing_since_ns
FROM (SELECT `table`, expectation, `column`, ts_ns, since_ns, until_ns, passed AS held, severity AS graded, `rows` AS looked,
             unexpected AS broken, detail AS said, maxIf(ts_ns, passed) OVER (PARTITION BY `table`, expectation) AS held_last
      FROM quality_results_once WHERE ts_ns >= (SELECT max(ts_ns) FROM quality_results) - INTERVAL 7 DAY)
GROUP BY `table`, expectation ORDER BY passed, `table`, expectation"""
"""As :func:`quality_now`."""


def alerts(
    source: Source,
    span: Span,
    *,
    instrument_id: int | None = None,
    kinds: Sequence[str] | None = None,
    page: Page | None = None,
) -> Listed:
    """Return alerts, newest first, of some kinds and one instrument where told.

    Columns: ts_ns, alert_id, kind, instrument_id, tier (text), epoch, message, source.
    """
    where = (
        Conditions().within("ts_ns", span).add("instrument_id = {instrument_id:UInt32}", instrument_id=instrument_id)
    )
    where.add("has({kinds:Array(String)}, kind)", kinds=None if kinds is None else list(kinds))
    return listed(source, _ALERTS, where, page=page)


def commands(
    source: Source,
    span: Span,
    *,
    scope: str | None = None,
    kinds: Sequence[str] | None = None,
    page: Page | None = None,
) -> Listed:
    """Return commands of people, newest first: who asked (maker), who agreed (checker), why, until when.

    Columns: ts_ns, command_id, kind, scope, maker, checker (null = none), reason, expires_ns (null = never), envelope and account
    (JSON, empty = none), administrator, instrument_id, qty.
    """
    where = Conditions().within("ts_ns", span).add("scope = {scope:String}", scope=scope)
    where.add("has({kinds:Array(String)}, kind)", kinds=None if kinds is None else list(kinds))
    return listed(source, _COMMANDS, where, page=page)


def model_events(source: Source, span: Span, *, model_id: str | None = None, page: Page | None = None) -> Listed:
    """Return what happened to models, newest first.

    Columns: ts_ns, event_id, kind, model_id, maker, checker, reason, previous_model_id, spec_hash, metric_names and
    metric_values (lists of equal length), detail, source.
    """
    where = Conditions().within("ts_ns", span).add("model_id = {model_id:String}", model_id=model_id)
    return listed(source, _MODELS, where, page=page)


def quality_results(
    source: Source, span: Span, *, table: str | None = None, failed_only: bool = False, page: Page | None = None
) -> Listed:
    """Return verdicts of expectations by when they were run, newest first.

    Columns: ts_ns, result_id, suite, expectation, table, column (null = of rows), instrument_id (null = of all), since_ns,
    until_ns (the batch, event time), passed, severity, rows, unexpected, detail, source.
    """
    where = Conditions().within("ts_ns", span).add("`table` = {table:String}", table=table)
    if failed_only:
        where.add("NOT passed")
    return listed(source, _QUALITY, where, page=page)


def quality_by_day(source: Source, span: Span) -> pa.Table:
    """Return per day of event time, table and expectation how often it was looked at and failed.

    Columns: day (date), table, expectation, runs, failed, rows, unexpected, example (detail of the last failure; empty = none).
    """
    where = Conditions().within("since_ns", span)
    sql = f"""
SELECT toDate(since_ns) AS day, `table`, expectation, count() AS runs, countIf(NOT passed) AS failed, sum(q.`rows`) AS `rows`,
       sum(q.unexpected) AS unexpected, argMaxIf(detail, ts_ns, NOT passed) AS example
FROM quality_results_once AS q WHERE {where.sql} GROUP BY day, `table`, expectation
ORDER BY day, `table`, expectation"""  # noqa: S608 (constants of ours)
    return source.table(Statement(sql, where.values))


def quality_now(source: Source) -> pa.Table:
    """Return the newest verdict of every expectation of the last week that was looked at, failing ones first.

    Columns: table, expectation, column (null = of rows), at_ns (int64, when it was last looked at), passed, severity, rows,
    unexpected, detail, failing_since_ns (int64, first event time of the batch in which it began to fail; null where it holds).
    """
    return source.table(QUALITY_NOW)
