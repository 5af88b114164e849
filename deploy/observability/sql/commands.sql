SELECT ts_ns AS time, kind, scope, maker, checker, reason, expires_ns
FROM commands_once
WHERE ts_ns >= $__fromTime AND ts_ns < $__toTime
ORDER BY ts_ns DESC
LIMIT 200
