-- What did fills cost against the mid when the order was judged: calm, in the minute before an episode, in it, and in the minute after?
WITH fills AS
(
    SELECT e.instrument_id AS instrument_id, e.ts_event_ns AS at, e.qty AS qty,
           if(e.side = 'BUY', 1, -1) * 1e4 * (e.price / d.ref_price - 1) AS slippage_bps
    FROM executions_once AS e
    INNER JOIN (SELECT order_id, account_id, any(ref_price) AS ref_price FROM decisions_once WHERE verdict = 'ACCEPT'
                GROUP BY order_id, account_id) AS d ON d.order_id = e.order_id AND d.account_id = e.account_id
    WHERE e.kind = 'FILLED' AND e.source != 'DROP_COPY' AND d.ref_price > 0
          AND e.ts_event_ns >= {since:DateTime64(9, 'UTC')} AND e.ts_event_ns < {until:DateTime64(9, 'UTC')}
)
SELECT multiIf(in_it, 'in the episode', before, 'minute before', after, 'minute after', 'calm') AS `when`, count() AS fills,
       sum(qty) AS lots, round(sum(qty * slippage_bps) / sum(qty), 2) AS mean_bps, round(quantileExact(0.95)(slippage_bps), 2) AS p95_bps
FROM
(
    SELECT f.at AS at, f.qty AS qty, f.slippage_bps AS slippage_bps,
           max(f.at >= e.started_ns AND (isNull(e.ended_ns) OR f.at < e.ended_ns)) AS in_it,
           max(f.at < e.started_ns AND f.at >= e.started_ns - INTERVAL 1 MINUTE) AS before,
           max(ifNull(f.at >= e.ended_ns AND f.at < e.ended_ns + INTERVAL 1 MINUTE, 0)) AS after
    FROM fills AS f LEFT JOIN tier_episodes AS e ON f.instrument_id = e.instrument_id
    GROUP BY f.instrument_id, at, qty, slippage_bps
)
GROUP BY `when`
ORDER BY indexOf(['calm', 'minute before', 'in the episode', 'minute after'], `when`)
