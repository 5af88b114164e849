-- Where are ticks missing? Per day from the first second of an instrument to its last: ticks, thin seconds (under ten), whole holes.
SELECT day, s.instrument_id AS instrument_id, of_day AS seconds, sum(s.ticks) AS stored, 10 * seconds - stored AS missing,
       countIf(s.ticks < 10) AS thin_seconds, seconds - count() AS empty_seconds, max(s.hole_s) AS longest_hole_s
FROM
(
    SELECT *, toDate(second) AS day, dateDiff('second', min(second) OVER whole_day, max(second) OVER whole_day) + 1 AS of_day,
           if(row_number() OVER in_order = 1, 0, dateDiff('second', lagInFrame(second) OVER in_order, second) - 1) AS hole_s
    FROM
    (
        SELECT instrument_id, second, groupBitmapMerge(seen) AS ticks FROM ticks_1s
        WHERE second >= {since:DateTime64(9, 'UTC')} AND second < {until:DateTime64(9, 'UTC')}
        GROUP BY instrument_id, second
    )
    WINDOW whole_day AS (PARTITION BY instrument_id, toDate(second)),
           in_order AS (PARTITION BY instrument_id, toDate(second) ORDER BY second ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)
) AS s
GROUP BY day, instrument_id, seconds
ORDER BY day, instrument_id
