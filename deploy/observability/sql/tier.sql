-- 0 normal to 3 critical: the tightest of each second.
SELECT toStartOfInterval(tick_ns, INTERVAL 1 SECOND) AS time, max(toInt8(tier)) AS tier
FROM risk_states_once
WHERE instrument_id = toUInt32($instrument) AND tick_ns >= $__fromTime AND tick_ns < $__toTime
GROUP BY time
ORDER BY time
