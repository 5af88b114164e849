-- What is each desk refused for, in which tier?
SELECT ifNull(nullIf(r.desk_id, ''), 'not told') AS desk, d.reason AS reason, d.tier AS tier, count() AS orders, sum(d.qty) AS lots,
       round(100 * orders / sum(orders) OVER (PARTITION BY desk), 1) AS percent_of_desk
FROM decisions_once AS d
LEFT JOIN (SELECT account_id, order_id, any(desk_id) AS desk_id FROM requests_once GROUP BY account_id, order_id) AS r
    ON d.account_id = r.account_id AND d.order_id = r.order_id
WHERE d.verdict = 'REJECT' AND d.ts_event_ns >= {since:DateTime64(9, 'UTC')} AND d.ts_event_ns < {until:DateTime64(9, 'UTC')}
GROUP BY desk, reason, tier
ORDER BY desk, orders DESC, reason, tier
