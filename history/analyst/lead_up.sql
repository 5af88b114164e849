-- What did the book look like in the half minute before episodes, against its own five minutes before?
SELECT e.instrument_id AS instrument_id, e.started_ns AS started, tick_s AS seconds_before,
       round(avg(t.spread_bps) / avg(b.spread_bps), 2) AS spread_ratio, round(avg(t.depth_total_10) / avg(b.depth_total_10), 2) AS depth_ratio,
       round(avg(t.cancel_rate) / avg(b.cancel_rate), 2) AS cancel_ratio
FROM tier_episodes AS e
INNER JOIN (SELECT instrument_id, tick_ns, spread_bps, depth_total_10, cancel_rate FROM ticks_once WHERE NOT isNaN(spread_bps)) AS t
    ON t.instrument_id = e.instrument_id
INNER JOIN
(
    SELECT e.instrument_id AS instrument_id, e.started_ns AS started_ns, avg(t.spread_bps) AS spread_bps,
           avg(t.depth_total_10) AS depth_total_10, avgIf(t.cancel_rate, NOT isNaN(t.cancel_rate)) AS cancel_rate
    FROM tier_episodes AS e INNER JOIN ticks_once AS t ON t.instrument_id = e.instrument_id
    WHERE t.tick_ns >= e.started_ns - INTERVAL 330 SECOND AND t.tick_ns < e.started_ns - INTERVAL 30 SECOND AND NOT isNaN(t.spread_bps)
    GROUP BY instrument_id, started_ns
) AS b ON b.instrument_id = e.instrument_id AND b.started_ns = e.started_ns
WHERE t.tick_ns >= e.started_ns - INTERVAL 30 SECOND AND t.tick_ns < e.started_ns
      AND e.started_ns >= {since:DateTime64(9, 'UTC')} AND e.started_ns < {until:DateTime64(9, 'UTC')}
GROUP BY instrument_id, started, intDiv(dateDiff('millisecond', t.tick_ns, e.started_ns), 5000) * 5 AS tick_s
ORDER BY started, instrument_id, seconds_before DESC
