-- How long did instruments stay in each tier, and how often did they come back to it within a minute (flaps)?
SELECT instrument_id, tier, count() AS entries, countIf(gone_s < 60) AS flaps,
       round(quantileExactIf(0.5)(stayed_s, isNotNull(stayed_s)), 1) AS median_stay_s, round(sum(stayed_s), 1) AS total_stay_s
FROM
(
    SELECT *, dateDiff('millisecond', tick_ns, nullIf(leadInFrame(tick_ns) OVER by_instrument, toDateTime64(0, 9, 'UTC'))) / 1000 AS stayed_s,
           dateDiff('millisecond', nullIf(lagInFrame(left_ns) OVER by_tier, toDateTime64(0, 9, 'UTC')), tick_ns) / 1000 AS gone_s
    FROM
    (
        SELECT instrument_id, epoch, tick_ns, tier, leadInFrame(tick_ns) OVER by_instrument AS left_ns
        FROM tier_changes_once
        WHERE tick_ns >= {since:DateTime64(9, 'UTC')} AND tick_ns < {until:DateTime64(9, 'UTC')}
        WINDOW by_instrument AS (PARTITION BY instrument_id ORDER BY epoch, tick_ns ROWS BETWEEN CURRENT ROW AND 1 FOLLOWING)
    )
    WINDOW by_instrument AS (PARTITION BY instrument_id ORDER BY epoch, tick_ns ROWS BETWEEN CURRENT ROW AND 1 FOLLOWING),
           by_tier AS (PARTITION BY instrument_id, tier ORDER BY epoch, tick_ns ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)
)
GROUP BY instrument_id, tier
ORDER BY instrument_id, tier
