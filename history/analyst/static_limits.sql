-- Which orders were refused that the envelope alone, without tiers, would have let through, and what did the market do in the next 10 s?
WITH asked AS
(
    SELECT d.order_id AS order_id, d.instrument_id AS instrument_id, d.ts_event_ns AS at, d.side AS side, d.qty AS qty, d.tier AS tier,
           d.reason AS reason, d.`limit` AS limit_then, d.ref_price AS price, c.envelope AS envelope
    FROM decisions_once AS d
    ASOF JOIN (SELECT toUInt32(substring(scope, 12)) AS instrument_id, ts_ns, envelope FROM commands_once
               WHERE kind = 'SET_ENVELOPE' AND administrator = '') AS c
        ON d.instrument_id = c.instrument_id AND d.ts_event_ns >= c.ts_ns
    WHERE d.verdict = 'REJECT' AND d.reason IN ('max_order_size', 'max_order_value', 'halted') AND d.tier != 'NORMAL'
          AND d.ts_event_ns >= {since:DateTime64(9, 'UTC')} AND d.ts_event_ns < {until:DateTime64(9, 'UTC')}
)
SELECT a.instrument_id AS instrument_id, a.at AS at, a.order_id AS order_id, a.side AS side, a.qty AS qty, a.tier AS tier, a.reason AS reason,
       a.limit_then AS limit_then, JSONExtractInt(a.envelope, 'limits', 'max_order_qty') AS static_limit,
       round(if(a.side = 'BUY', 1, -1) * 1e4 * (t.ref_price / a.price - 1), 1) AS would_have_gained_bps
FROM asked AS a
ASOF LEFT JOIN (SELECT instrument_id, tick_ns - INTERVAL 10 SECOND AS before_ns, ref_price FROM ticks_once WHERE ref_price > 0) AS t
    ON a.instrument_id = t.instrument_id AND a.at <= t.before_ns
WHERE a.qty <= static_limit
ORDER BY at, order_id
