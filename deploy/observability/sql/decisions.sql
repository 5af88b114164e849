SELECT enforcer, verdict, reason, count() AS orders, sum(qty) AS lots
FROM decisions_once
WHERE ts_event_ns >= $__fromTime AND ts_event_ns < $__toTime
GROUP BY enforcer, verdict, reason
ORDER BY orders DESC
