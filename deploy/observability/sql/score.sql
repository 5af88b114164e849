SELECT toStartOfInterval(tick_ns, INTERVAL 1 SECOND) AS time, max(score) AS own, max(systemic_score) AS systemic
FROM risk_states_once
WHERE instrument_id = toUInt32($instrument) AND tick_ns >= $__fromTime AND tick_ns < $__toTime
GROUP BY time
ORDER BY time
