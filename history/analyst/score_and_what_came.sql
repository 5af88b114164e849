-- Does the score say anything about what comes? Moves and spread of the next 10 s by score now.
SELECT s.model_id AS model_id, multiIf(s.score < 1, '0 to 1', s.score < 2, '1 to 2', s.score < 3, '2 to 3', s.score < 4, '3 to 4', '4 and more') AS score,
       count() AS ticks, round(avg(move_bps), 2) AS mean_move_bps, round(quantile(0.99)(move_bps), 2) AS p99_move_bps,
       round(avg(t.spread_after_bps), 2) AS mean_spread_bps
FROM scores_once AS s
INNER JOIN
(
    SELECT instrument_id, tick_ns, ref_price,
           max(if(ref_price > 0, ref_price, NULL)) OVER ahead AS highest, min(if(ref_price > 0, ref_price, NULL)) OVER ahead AS lowest,
           avg(if(isNaN(spread_bps), NULL, spread_bps)) OVER ahead AS spread_after_bps,
           1e4 * greatest(highest / ref_price - 1, 1 - lowest / ref_price) AS move_bps
    FROM ticks_once
    WHERE tick_ns >= {since:DateTime64(9, 'UTC')} AND tick_ns < {until:DateTime64(9, 'UTC')} AND ref_price > 0
    WINDOW ahead AS (PARTITION BY channel_id, instrument_id ORDER BY tick_ns ROWS BETWEEN 1 FOLLOWING AND 100 FOLLOWING)
) AS t ON s.instrument_id = t.instrument_id AND s.tick_ns = t.tick_ns
WHERE NOT isNaN(s.score) AND isNotNull(t.move_bps)
GROUP BY model_id, score
ORDER BY model_id, score
