-- One row per order and enforcer: both ways to enforce answer the same order, and are compared here.
CREATE TABLE IF NOT EXISTS decisions
(
    order_id String CODEC(ZSTD),
    enforcer LowCardinality(String),
    account_id LowCardinality(String),
    instrument_id UInt32 CODEC(ZSTD),
    ts_event_ns DateTime64(9, 'UTC') CODEC(Delta, ZSTD) COMMENT 'when the order was made',
    verdict LowCardinality(String),
    reason LowCardinality(String),
    `limit` Nullable(Int64) CODEC(ZSTD) COMMENT 'the limit that decided, lots or bp; null when no number did',
    observed Nullable(Int64) CODEC(ZSTD),
    tier Enum8('NORMAL' = 0, 'ELEVATED' = 1, 'HIGH_ALERT' = 2, 'CRITICAL' = 3),
    stale Bool COMMENT 'the stale column was in force',
    epoch UInt64 CODEC(Delta, ZSTD) COMMENT 'of the risk state in force; 0 = none',
    tick_ns DateTime64(9, 'UTC') CODEC(Delta, ZSTD) COMMENT 'of the risk state in force; 1970 = none',
    model_id LowCardinality(String),
    score Float64 CODEC(Gorilla, ZSTD)
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMMDD(ts_event_ns)
ORDER BY (order_id, enforcer);
