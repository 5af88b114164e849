SELECT source, cause, topic, count() AS letters, max(observed_ns) AS last
FROM dead_letters_once
WHERE observed_ns >= $__fromTime AND observed_ns < $__toTime
GROUP BY source, cause, topic
ORDER BY letters DESC
