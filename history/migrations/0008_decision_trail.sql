-- A decision stands alone, and an order may have several of one enforcer (pended, then approved): each has its own id. What
-- was stored before has an empty one, so a repeat of an old message still replaces its row.
ALTER TABLE decisions
    ADD COLUMN IF NOT EXISTS decision_id String CODEC(ZSTD),
    MODIFY ORDER BY (order_id, enforcer, decision_id);

ALTER TABLE decisions
    ADD COLUMN IF NOT EXISTS instance LowCardinality(String) COMMENT 'which enforcer of that name; seq counts within it',
    ADD COLUMN IF NOT EXISTS seq UInt64 CODEC(Delta, ZSTD) COMMENT 'from 1 without holes; 0 = not counted',
    ADD COLUMN IF NOT EXISTS decided_ns Int64 CODEC(Delta, ZSTD) COMMENT 'clock of the enforcer; 0 = not told',
    ADD COLUMN IF NOT EXISTS rule_id LowCardinality(String),
    ADD COLUMN IF NOT EXISTS warned Bool COMMENT 'accepted above the warning level',
    ADD COLUMN IF NOT EXISTS ref_price Nullable(Int64) CODEC(ZSTD) COMMENT 'in force, 1e-9 currency',
    ADD COLUMN IF NOT EXISTS worst_price Nullable(Int64) CODEC(ZSTD) COMMENT '1e-9 currency; of an accepted market order',
    ADD COLUMN IF NOT EXISTS action LowCardinality(Nullable(String)),
    ADD COLUMN IF NOT EXISTS side LowCardinality(Nullable(String)),
    ADD COLUMN IF NOT EXISTS order_type LowCardinality(Nullable(String)),
    ADD COLUMN IF NOT EXISTS qty Nullable(Int64) CODEC(ZSTD) COMMENT 'lots',
    ADD COLUMN IF NOT EXISTS price Nullable(Int64) CODEC(ZSTD) COMMENT '1e-9 currency',
    ADD COLUMN IF NOT EXISTS post_only Bool,
    ADD COLUMN IF NOT EXISTS reduce_only Bool,
    ADD COLUMN IF NOT EXISTS position_before Nullable(Int64) CODEC(ZSTD) COMMENT 'lots; null = the enforcer keeps no ledger',
    ADD COLUMN IF NOT EXISTS working_buy_before Nullable(Int64) CODEC(ZSTD) COMMENT 'lots',
    ADD COLUMN IF NOT EXISTS working_sell_before Nullable(Int64) CODEC(ZSTD) COMMENT 'lots';

-- What was asked, so that decisions can be judged again.
CREATE TABLE IF NOT EXISTS requests
(
    order_id String CODEC(ZSTD),
    account_id LowCardinality(String),
    instrument_id UInt32 CODEC(ZSTD),
    ts_event_ns DateTime64(9, 'UTC') CODEC(Delta, ZSTD) COMMENT 'when the order was made',
    action LowCardinality(String),
    side LowCardinality(String),
    order_type LowCardinality(String),
    qty Int64 CODEC(ZSTD) COMMENT 'lots',
    price Nullable(Int64) CODEC(ZSTD) COMMENT '1e-9 currency; of a market order the worst price',
    post_only Bool,
    reduce_only Bool,
    orig_order_id Nullable(String) CODEC(ZSTD) COMMENT 'what a replace or a cancel is about',
    trader_id LowCardinality(Nullable(String)),
    desk_id LowCardinality(Nullable(String)),
    strategy_id LowCardinality(Nullable(String)),
    venue_id LowCardinality(Nullable(String)),
    session_id LowCardinality(Nullable(String)),
    parent_order_id Nullable(String) CODEC(ZSTD),
    basket_id Nullable(String) CODEC(ZSTD)
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMMDD(ts_event_ns)
ORDER BY (account_id, order_id, ts_event_ns);

-- What became of it. Two reporters of one execution are two rows: that is how they are reconciled.
CREATE TABLE IF NOT EXISTS executions
(
    exec_id String CODEC(ZSTD),
    order_id String CODEC(ZSTD) COMMENT 'empty = of no order of ours',
    account_id LowCardinality(String),
    instrument_id UInt32 CODEC(ZSTD),
    ts_event_ns DateTime64(9, 'UTC') CODEC(Delta, ZSTD) COMMENT 'of the report, at its source',
    kind LowCardinality(String),
    side LowCardinality(String),
    qty Int64 CODEC(ZSTD) COMMENT 'lots: filled now, open from now on, or taken off',
    price Nullable(Int64) CODEC(ZSTD) COMMENT '1e-9 currency',
    venue_id LowCardinality(String),
    source LowCardinality(String)
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMMDD(ts_event_ns)
ORDER BY (account_id, venue_id, exec_id, source, ts_event_ns);

CREATE OR REPLACE VIEW decisions_once AS SELECT * FROM decisions FINAL;
CREATE OR REPLACE VIEW requests_once AS SELECT * FROM requests FINAL;
CREATE OR REPLACE VIEW executions_once AS SELECT * FROM executions FINAL;
