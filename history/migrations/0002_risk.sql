-- Tiers are ordered (NORMAL < ELEVATED < HIGH_ALERT < CRITICAL): an enumeration, so that max(tier) means the tightest.
-- States of every epoch are kept: which deployment said what is part of the record.
CREATE TABLE IF NOT EXISTS risk_states
(
    tick_ns DateTime64(9, 'UTC') CODEC(DoubleDelta, ZSTD) COMMENT 'event time of the tick that the state follows from',
    instrument_id UInt32 CODEC(Delta, ZSTD),
    channel_id LowCardinality(String),
    epoch UInt64 CODEC(Delta, ZSTD),
    tier Enum8('NORMAL' = 0, 'ELEVATED' = 1, 'HIGH_ALERT' = 2, 'CRITICAL' = 3),
    tier_before Enum8('NORMAL' = 0, 'ELEVATED' = 1, 'HIGH_ALERT' = 2, 'CRITICAL' = 3),
    latched Bool COMMENT 'Critical that waits for a person',
    stale Bool COMMENT 'the book could not be trusted',
    degraded Bool COMMENT 'the simple stack scored in place of the model',
    score Float64 CODEC(Gorilla, ZSTD) COMMENT '-log10 p',
    score01 Float64 CODEC(Gorilla, ZSTD),
    p Float64 CODEC(Gorilla, ZSTD) COMMENT 'calibrated tail probability',
    adverse_share Float64 CODEC(Gorilla, ZSTD),
    ref_price Nullable(Int64) CODEC(ZSTD) COMMENT '1e-9 currency',
    model_id LowCardinality(String),
    causes Nested(name LowCardinality(String), value Float64, z Float64, share Float64, adverse Bool)
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMMDD(tick_ns)
ORDER BY (instrument_id, tick_ns, epoch);

CREATE TABLE IF NOT EXISTS risk_alerts
(
    alert_id String CODEC(ZSTD),
    kind LowCardinality(String),
    instrument_id UInt32 CODEC(ZSTD),
    ts_ns DateTime64(9, 'UTC') CODEC(Delta, ZSTD) COMMENT 'event time; wall time for alerts of the gate, which judges silence',
    epoch UInt64 CODEC(Delta, ZSTD),
    tier Enum8('NORMAL' = 0, 'ELEVATED' = 1, 'HIGH_ALERT' = 2, 'CRITICAL' = 3),
    message String CODEC(ZSTD),
    source LowCardinality(String)
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMMDD(ts_ns)
ORDER BY alert_id;

CREATE TABLE IF NOT EXISTS commands
(
    command_id String CODEC(ZSTD),
    kind LowCardinality(String),
    scope String CODEC(ZSTD) COMMENT 'instrument:<id>, account:<id> or firm',
    ts_ns DateTime64(9, 'UTC') CODEC(Delta, ZSTD),
    maker LowCardinality(String),
    checker LowCardinality(Nullable(String)),
    reason String CODEC(ZSTD),
    expires_ns Nullable(DateTime64(9, 'UTC')) CODEC(ZSTD) COMMENT 'null = never',
    envelope String CODEC(ZSTD) COMMENT 'the envelope of SET_ENVELOPE as JSON, else empty'
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMMDD(ts_ns)
ORDER BY command_id;
