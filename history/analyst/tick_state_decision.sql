-- How old was what orders were judged by: from the tick of the state in force to the order, and how often was the state stale or missing?
SELECT enforcer, d.tier AS tier, count() AS decisions, countIf(epoch = 0) AS without_state, countIf(stale) AS stale_column,
       round(quantileExactIf(0.5)(age_ms, epoch > 0), 1) AS p50_ms, round(quantileExactIf(0.99)(age_ms, epoch > 0), 1) AS p99_ms,
       round(maxIf(age_ms, epoch > 0), 1) AS largest_ms
FROM (SELECT *, dateDiff('microsecond', tick_ns, ts_event_ns) / 1000 AS age_ms FROM decisions_once) AS d
WHERE ts_event_ns >= {since:DateTime64(9, 'UTC')} AND ts_event_ns < {until:DateTime64(9, 'UTC')}
GROUP BY enforcer, tier
ORDER BY enforcer, tier
