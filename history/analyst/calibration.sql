-- Is p what it says? Of the ticks that were not in an episode, a share of about p should have a tail probability below p.
WITH calm AS
(
    SELECT s.model_id AS model_id, s.p AS p
    FROM scores_once AS s
    ASOF LEFT JOIN (SELECT instrument_id, minute, max(tier_max) AS tier FROM states_1m GROUP BY instrument_id, minute) AS m
        ON s.instrument_id = m.instrument_id AND s.tick_ns >= m.minute
    WHERE NOT isNaN(s.p) AND ifNull(m.tier, 'NORMAL') = 'NORMAL'
          AND s.tick_ns >= {since:DateTime64(9, 'UTC')} AND s.tick_ns < {until:DateTime64(9, 'UTC')}
)
SELECT model_id, threshold AS p_below, count() AS ticks, countIf(p < threshold) AS seen, round(threshold * ticks, 1) AS expected,
       round(seen / ticks, 6) AS share, round(share / threshold, 2) AS ratio
FROM calm ARRAY JOIN [0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.001, 0.0001] AS threshold
GROUP BY model_id, threshold
ORDER BY model_id, threshold DESC
