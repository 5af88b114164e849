SELECT second AS time, min(price_low) / 1e9 AS low, max(price_high) / 1e9 AS high
FROM ticks_1s
WHERE instrument_id = toUInt32($instrument) AND second >= $__fromTime AND second < $__toTime
GROUP BY time
ORDER BY time
