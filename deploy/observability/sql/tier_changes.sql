SELECT tick_ns AS time, instrument_id, tier_before, tier, round(score, 2) AS score, arrayStringConcat(`causes.name`, ', ') AS causes
FROM tier_changes_once
WHERE tick_ns >= $__fromTime AND tick_ns < $__toTime
ORDER BY tick_ns DESC
LIMIT 100
