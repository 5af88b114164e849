SELECT second AS time, max(spread_bps_max) AS spread_bps, max(vol_max) AS realised_vol_60s
FROM ticks_1s
WHERE instrument_id = toUInt32($instrument) AND second >= $__fromTime AND second < $__toTime
GROUP BY time
ORDER BY time
