-- Which episodes were there, how long, how bad, and how far did the price move in them?
SELECT e.instrument_id AS instrument_id, e.started_ns AS started, e.ended_ns AS ended, e.lasted_ms / 1000 AS lasted_s, e.tier_peak AS tier_peak,
       round(e.score_peak, 1) AS score_peak, e.changes AS changes, arrayElement(e.cause_names, 1) AS first_cause,
       round(1e4 * (min(t.price_low) / e.ref_price_start - 1), 1) AS lowest_bps,
       round(1e4 * (max(t.price_high) / e.ref_price_start - 1), 1) AS highest_bps
FROM tier_episodes AS e
LEFT JOIN ticks_1s AS t ON t.instrument_id = e.instrument_id
WHERE e.started_ns >= {since:DateTime64(9, 'UTC')} AND e.started_ns < {until:DateTime64(9, 'UTC')}
      AND t.second >= e.started_ns AND t.second <= ifNull(e.ended_ns, now64(9, 'UTC'))
GROUP BY ALL
ORDER BY started, instrument_id
