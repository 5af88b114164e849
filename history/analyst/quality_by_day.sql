-- How good was the data, day by day?
SELECT toDate(since_ns) AS day, `table`, expectation, ifNull(`column`, '') AS `column`, count() AS runs, countIf(NOT passed) AS failed,
       sum(q.`rows`) AS `rows`, sum(q.unexpected) AS unexpected, argMaxIf(detail, ts_ns, NOT passed) AS example
FROM quality_results_once AS q
WHERE since_ns >= {since:DateTime64(9, 'UTC')} AND since_ns < {until:DateTime64(9, 'UTC')}
GROUP BY day, `table`, expectation, `column`
ORDER BY day, `table`, expectation, `column`
