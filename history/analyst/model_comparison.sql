-- Two models side by side: how often does each cry, how often both, and how much do their scores agree?
WITH pairs AS
(
    SELECT a.instrument_id AS instrument_id, a.tick_ns AS tick_ns, a.model_id AS serving, b.model_id AS shadow, a.score AS a, b.score AS b
    FROM scores_once AS a INNER JOIN scores_once AS b ON a.instrument_id = b.instrument_id AND a.tick_ns = b.tick_ns
    WHERE NOT a.shadow AND b.shadow AND NOT isNaN(a.score) AND NOT isNaN(b.score)
          AND a.tick_ns >= {since:DateTime64(9, 'UTC')} AND a.tick_ns < {until:DateTime64(9, 'UTC')}
)
SELECT serving, shadow, threshold AS score_above, count() AS ticks, countIf(a > threshold) AS by_serving, countIf(b > threshold) AS by_shadow,
       countIf(a > threshold AND b > threshold) AS by_both, round(by_both / nullIf(by_serving + by_shadow - by_both, 0), 3) AS overlap,
       round(rankCorr(a, b), 3) AS rank_correlation
FROM pairs ARRAY JOIN [2., 3., 4., 5.] AS threshold
GROUP BY serving, shadow, threshold
ORDER BY serving, shadow, threshold
