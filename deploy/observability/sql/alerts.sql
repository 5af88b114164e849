SELECT ts_ns AS time, kind, instrument_id, tier, message
FROM risk_alerts_once
WHERE ts_ns >= $__fromTime AND ts_ns < $__toTime
ORDER BY ts_ns DESC
LIMIT 200
