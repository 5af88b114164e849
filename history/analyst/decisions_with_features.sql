-- What did the book look like when each order was judged? (as-of join: the last tick at or before the order)
SELECT d.ts_event_ns AS at, d.order_id AS order_id, d.verdict AS verdict, d.reason AS reason, d.tier AS tier, d.side AS side, d.qty AS qty,
       dateDiff('millisecond', t.tick_ns, d.ts_event_ns) AS tick_age_ms, round(t.spread_bps, 2) AS spread_bps,
       t.depth_bid_5 AS depth_bid_5, t.depth_ask_5 AS depth_ask_5, round(t.imbalance_l5, 3) AS imbalance_l5,
       round(t.realised_vol_60s, 6) AS realised_vol_60s, round(if(d.side = 'BUY', t.buy_cost_bps, t.sell_cost_bps), 2) AS cost_bps
FROM decisions_once AS d
ASOF LEFT JOIN ticks_once AS t ON d.instrument_id = t.instrument_id AND d.ts_event_ns >= t.tick_ns
WHERE d.instrument_id = {instrument:UInt32}
      AND d.ts_event_ns >= {since:DateTime64(9, 'UTC')} AND d.ts_event_ns < {until:DateTime64(9, 'UTC')}
ORDER BY at, order_id
