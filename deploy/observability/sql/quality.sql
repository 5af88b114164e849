SELECT ts_ns AS time, `table`, expectation, `column`, severity, unexpected, detail
FROM quality_results_once
WHERE NOT passed AND ts_ns >= $__fromTime AND ts_ns < $__toTime
ORDER BY ts_ns DESC
LIMIT 200
