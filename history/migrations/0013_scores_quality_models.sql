-- What models said at every tick, what expectations found, and what happened to models.
-- `stored_at` is when the row came, not its event time: a recorded day of 2012 that is replayed today must not expire at once. It is
-- MATERIALIZED, so `SELECT *` does not show it. A part goes as a whole (`ttl_only_drop_parts`): expiry rewrites nothing.

-- Ordered for "one model over time on one instrument" and for "two models side by side": the model first, few of them.
CREATE TABLE IF NOT EXISTS scores
(
    tick_ns DateTime64(9, 'UTC') CODEC(DoubleDelta, ZSTD),
    instrument_id UInt32 CODEC(Delta, ZSTD),
    channel_id LowCardinality(String),
    epoch UInt64 CODEC(Delta, ZSTD),
    model_id LowCardinality(String),
    shadow Bool COMMENT 'the model decided nothing',
    score Float64 CODEC(Gorilla, ZSTD) COMMENT '-log10 p; NaN = no opinion',
    p Float64 CODEC(Gorilla, ZSTD) COMMENT 'calibrated tail probability',
    adverse_share Float64 CODEC(Gorilla, ZSTD),
    measures Nested(name LowCardinality(String), p Float64) COMMENT 'tail probability of each measure of the model; NaN = no opinion',
    stored_at DateTime MATERIALIZED now() CODEC(Delta, ZSTD)
)
ENGINE = ReplacingMergeTree(epoch)
PARTITION BY toYYYYMMDD(tick_ns)
ORDER BY (model_id, instrument_id, tick_ns)
TTL stored_at + INTERVAL 13 MONTH
SETTINGS ttl_only_drop_parts = 1;

-- Ordered for "this table, by day": what the console lists and the daily report counts.
CREATE TABLE IF NOT EXISTS quality_results
(
    result_id String CODEC(ZSTD),
    suite LowCardinality(String),
    expectation LowCardinality(String),
    `table` LowCardinality(String),
    `column` LowCardinality(Nullable(String)) COMMENT 'null = of whole rows',
    instrument_id Nullable(UInt32) CODEC(ZSTD) COMMENT 'null = of all of the batch',
    ts_ns DateTime64(9, 'UTC') CODEC(Delta, ZSTD) COMMENT 'when the suite ran',
    since_ns DateTime64(9, 'UTC') CODEC(Delta, ZSTD) COMMENT 'first event time of the batch',
    until_ns DateTime64(9, 'UTC') CODEC(Delta, ZSTD) COMMENT 'first event time after it',
    passed Bool,
    severity LowCardinality(String),
    `rows` Int64 CODEC(ZSTD),
    unexpected Int64 CODEC(ZSTD) COMMENT 'rows that do not hold',
    detail String CODEC(ZSTD),
    source LowCardinality(String),
    stored_at DateTime MATERIALIZED now() CODEC(Delta, ZSTD)
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(since_ns)
ORDER BY (`table`, expectation, since_ns, result_id)
TTL stored_at + INTERVAL 3 YEAR
SETTINGS ttl_only_drop_parts = 1;

-- Some rows a week, kept for ever: no partitions, no expiry.
CREATE TABLE IF NOT EXISTS model_events
(
    event_id String CODEC(ZSTD),
    kind LowCardinality(String),
    model_id LowCardinality(String),
    ts_ns DateTime64(9, 'UTC') CODEC(Delta, ZSTD) COMMENT 'when it took effect',
    maker LowCardinality(String),
    checker LowCardinality(Nullable(String)),
    reason String CODEC(ZSTD),
    previous_model_id LowCardinality(Nullable(String)),
    spec_hash LowCardinality(String),
    metrics Nested(name LowCardinality(String), value Float64),
    detail String CODEC(ZSTD),
    source LowCardinality(String)
)
ENGINE = ReplacingMergeTree
ORDER BY (model_id, ts_ns, event_id);

CREATE OR REPLACE VIEW scores_once AS SELECT * FROM scores FINAL;
CREATE OR REPLACE VIEW quality_results_once AS SELECT * FROM quality_results FINAL;
CREATE OR REPLACE VIEW model_events_once AS SELECT * FROM model_events FINAL;
