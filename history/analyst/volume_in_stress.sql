-- How much did the market and we trade in each tier?
WITH seconds AS
(
    SELECT t.instrument_id AS instrument_id, t.second AS second, argMaxMerge(t.last).9 AS trades_per_s
    FROM ticks_1s AS t WHERE t.second >= {since:DateTime64(9, 'UTC')} AND t.second < {until:DateTime64(9, 'UTC')}
    GROUP BY instrument_id, second
)
SELECT s.instrument_id AS instrument_id, ifNull(c.tier, 'NORMAL') AS tier, count() AS seconds,
       round(avgIf(s.trades_per_s, NOT isNaN(s.trades_per_s)), 2) AS market_trades_per_s,
       sum(ifNull(o.accepted, 0)) AS own_accepted_lots,
       sum(ifNull(o.refused, 0)) AS own_refused_lots
FROM seconds AS s
ASOF LEFT JOIN (SELECT instrument_id, tick_ns, toString(tier) AS tier FROM tier_changes_once) AS c
    ON s.instrument_id = c.instrument_id AND s.second >= c.tick_ns
LEFT JOIN (SELECT instrument_id, toDateTime(toStartOfSecond(ts_event_ns), 'UTC') AS second, sumIf(qty, verdict = 'ACCEPT') AS accepted,
                  sumIf(qty, verdict = 'REJECT') AS refused FROM decisions_once GROUP BY instrument_id, second) AS o
    ON s.instrument_id = o.instrument_id AND s.second = o.second
GROUP BY instrument_id, tier
ORDER BY instrument_id, indexOf(['NORMAL', 'ELEVATED', 'HIGH_ALERT', 'CRITICAL'], tier)
