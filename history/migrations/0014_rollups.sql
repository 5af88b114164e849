-- Rollups by materialised views. A view sees each inserted block, so a row that comes again comes again to the view: a count or a sum
-- would count it twice, and no merge of the source table would take it back. Every aggregate here is idempotent instead: minimum,
-- maximum, bitwise or, the value at the largest (time, epoch), the set of ticks seen (a bitmap, whose size is the count); and where
-- rows are kept, the key of their source replaces them. Taken twice, a row changes nothing: a test inserts everything twice.
-- What this cannot do is take back: where a later epoch says other values for a tick, minimum and maximum keep both.
-- `tidegate history rebuild` fills the rollups anew from the views that show every row once; a store of before needs it once.

-- A tick belongs to the second that ends with it: (second, second + 1]. Averages over longer time are those of the values at the end
-- of each second, taken when asked: a mean cannot be kept so that a row may come twice.
CREATE TABLE IF NOT EXISTS ticks_1s
(
    second DateTime('UTC') CODEC(DoubleDelta, ZSTD),
    channel_id LowCardinality(String),
    instrument_id UInt32 CODEC(Delta, ZSTD),
    seen AggregateFunction(groupBitmap, UInt16) COMMENT 'ticks stored, by their number in the minute',
    status SimpleAggregateFunction(groupBitOr, UInt32) COMMENT 'bits of schemas.events.TickStatus that any tick had',
    price_low SimpleAggregateFunction(min, Nullable(Int64)) CODEC(ZSTD) COMMENT '1e-9 currency; null = a side was empty throughout',
    price_high SimpleAggregateFunction(max, Nullable(Int64)) CODEC(ZSTD),
    spread_bps_max SimpleAggregateFunction(max, Nullable(Float64)) CODEC(ZSTD),
    depth_total_10_min SimpleAggregateFunction(min, Nullable(Float64)) CODEC(ZSTD) COMMENT 'lots',
    vol_max SimpleAggregateFunction(max, Nullable(Float64)) CODEC(ZSTD) COMMENT 'realised_vol_60s',
    price_first AggregateFunction(argMin, Int64, Tuple(DateTime64(9, 'UTC'), UInt64)) COMMENT '0 = a side was empty',
    last AggregateFunction(argMax, Tuple(price Int64, spread_bps Float64, depth_total_10 Float64, depth_bid_5 Float64,
        depth_ask_5 Float64, vol Float64, add_rate Float64, cancel_rate Float64, trade_rate Float64), Tuple(DateTime64(9, 'UTC'), UInt64))
        COMMENT 'values of the last tick; of one tick told by two epochs, those of the larger',
    stored_at SimpleAggregateFunction(max, DateTime) DEFAULT now() CODEC(Delta, ZSTD)
)
ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(second)
ORDER BY (instrument_id, second, channel_id)
TTL stored_at + INTERVAL 3 YEAR
SETTINGS ttl_only_drop_parts = 1;

CREATE TABLE IF NOT EXISTS ticks_1m AS ticks_1s
ENGINE = AggregatingMergeTree
PARTITION BY toYear(second)
ORDER BY (instrument_id, second, channel_id);

CREATE MATERIALIZED VIEW IF NOT EXISTS ticks_1s_fill TO ticks_1s AS
SELECT toDateTime(toStartOfSecond(tick_ns - INTERVAL 1 NANOSECOND), 'UTC') AS second, channel_id, instrument_id,
       groupBitmapState(toUInt16(intDiv(toUnixTimestamp64Nano(tick_ns) - 1, 100000000) % 600)) AS seen,
       groupBitOr(status) AS status,
       min(nullIf(ref_price, 0)) AS price_low, max(nullIf(ref_price, 0)) AS price_high,
       maxIf(toNullable(spread_bps), NOT isNaN(spread_bps)) AS spread_bps_max,
       minIf(toNullable(depth_total_10), NOT isNaN(depth_total_10)) AS depth_total_10_min,
       maxIf(toNullable(realised_vol_60s), NOT isNaN(realised_vol_60s)) AS vol_max,
       argMinState(ref_price, (tick_ns, epoch)) AS price_first,
       argMaxState(tuple(ref_price, spread_bps, depth_total_10, depth_bid_5, depth_ask_5, realised_vol_60s, add_rate, cancel_rate,
                         trade_rate), (tick_ns, epoch)) AS last
FROM ticks GROUP BY second, channel_id, instrument_id;

-- From the seconds, not from the ticks: a tenth of the rows, and bitmaps, extremes and last values can be joined further.
CREATE MATERIALIZED VIEW IF NOT EXISTS ticks_1m_fill TO ticks_1m AS
SELECT toStartOfMinute(s.second) AS second, channel_id, instrument_id,
       groupBitmapMergeState(seen) AS seen, groupBitOr(status) AS status,
       min(price_low) AS price_low, max(price_high) AS price_high, max(spread_bps_max) AS spread_bps_max,
       min(depth_total_10_min) AS depth_total_10_min, max(vol_max) AS vol_max,
       argMinMergeState(price_first) AS price_first, argMaxMergeState(last) AS last
FROM ticks_1s AS s GROUP BY second, channel_id, instrument_id;

-- What was worst in each minute: the console's bands over weeks.
CREATE TABLE IF NOT EXISTS states_1m
(
    minute DateTime('UTC') CODEC(DoubleDelta, ZSTD),
    instrument_id UInt32 CODEC(Delta, ZSTD),
    tier_max SimpleAggregateFunction(max, Enum8('NORMAL' = 0, 'ELEVATED' = 1, 'HIGH_ALERT' = 2, 'CRITICAL' = 3)),
    score_max SimpleAggregateFunction(max, Float64) CODEC(Gorilla, ZSTD),
    p_min SimpleAggregateFunction(min, Float64) CODEC(Gorilla, ZSTD),
    latched SimpleAggregateFunction(max, UInt8) COMMENT '1 = in some state of the minute',
    stale SimpleAggregateFunction(max, UInt8),
    degraded SimpleAggregateFunction(max, UInt8),
    tier_last AggregateFunction(argMax, Enum8('NORMAL' = 0, 'ELEVATED' = 1, 'HIGH_ALERT' = 2, 'CRITICAL' = 3),
        Tuple(UInt64, DateTime64(9, 'UTC')))
)
ENGINE = AggregatingMergeTree
PARTITION BY toYear(minute)
ORDER BY (instrument_id, minute);

CREATE MATERIALIZED VIEW IF NOT EXISTS states_1m_fill TO states_1m AS
SELECT toDateTime(toStartOfMinute(tick_ns), 'UTC') AS minute, instrument_id, max(tier) AS tier_max, max(score) AS score_max,
       min(p) AS p_min, max(toUInt8(latched)) AS latched, max(toUInt8(stale)) AS stale, max(toUInt8(degraded)) AS degraded,
       argMaxState(tier, (epoch, tick_ns)) AS tier_last
FROM risk_states GROUP BY minute, instrument_id;

-- The state in force of every instrument: one row each, however long the history.
CREATE TABLE IF NOT EXISTS states_last
(
    instrument_id UInt32,
    state AggregateFunction(argMax, Tuple(channel_id String, tick_ns DateTime64(9, 'UTC'), epoch UInt64,
        tier Enum8('NORMAL' = 0, 'ELEVATED' = 1, 'HIGH_ALERT' = 2, 'CRITICAL' = 3), latched UInt8, stale UInt8, degraded UInt8,
        score Float64, score01 Float64, p Float64, adverse_share Float64, ref_price Nullable(Int64), model_id String,
        causes Array(Tuple(name String, value Float64, z Float64, share Float64, adverse UInt8))),
        Tuple(UInt64, DateTime64(9, 'UTC'))) COMMENT 'at the largest (epoch, tick_ns)'
)
ENGINE = AggregatingMergeTree
ORDER BY instrument_id;

CREATE MATERIALIZED VIEW IF NOT EXISTS states_last_fill TO states_last AS
SELECT instrument_id,
       argMaxState(tuple(toString(channel_id), tick_ns, epoch, tier, toUInt8(latched), toUInt8(stale), toUInt8(degraded), score, score01, p,
                         adverse_share, ref_price, toString(model_id),
                         arrayMap((name, value, z, share, adverse) -> tuple(toString(name), value, z, share, toUInt8(adverse)),
                                  causes.name, causes.value, causes.z, causes.share, causes.adverse)),
                   (epoch, tick_ns)) AS state
FROM risk_states GROUP BY instrument_id;

-- The few states in which a tier changed, with the key of the states: the source's own rule makes a repeat harmless.
CREATE TABLE IF NOT EXISTS tier_changes
(
    tick_ns DateTime64(9, 'UTC') CODEC(Delta, ZSTD),
    instrument_id UInt32,
    epoch UInt64 CODEC(Delta, ZSTD),
    tier Enum8('NORMAL' = 0, 'ELEVATED' = 1, 'HIGH_ALERT' = 2, 'CRITICAL' = 3),
    tier_before Enum8('NORMAL' = 0, 'ELEVATED' = 1, 'HIGH_ALERT' = 2, 'CRITICAL' = 3),
    latched Bool,
    score Float64 CODEC(ZSTD),
    p Float64 CODEC(ZSTD),
    ref_price Nullable(Int64) CODEC(ZSTD),
    model_id LowCardinality(String),
    causes Nested(name LowCardinality(String), value Float64, z Float64, share Float64, adverse Bool)
)
ENGINE = ReplacingMergeTree
PARTITION BY toYear(tick_ns)
ORDER BY (instrument_id, tick_ns, epoch);

CREATE MATERIALIZED VIEW IF NOT EXISTS tier_changes_fill TO tier_changes AS
SELECT tick_ns, instrument_id, epoch, tier, tier_before, latched, score, p, ref_price, model_id, `causes.name`, `causes.value`, `causes.z`,
       `causes.share`, `causes.adverse`
FROM risk_states WHERE tier != tier_before;

CREATE OR REPLACE VIEW tier_changes_once AS SELECT * FROM tier_changes FINAL;

-- An episode lasts from leaving NORMAL until NORMAL again. A deployment goes on where the one before ended, so the epoch orders before
-- the time; where a later epoch starts earlier (a replay), an open episode is cut there.
CREATE OR REPLACE VIEW tier_episodes AS
SELECT instrument_id, min(tick_ns) AS started_ns,
       if(countIf(tier = 'NORMAL') = 0, NULL, maxIf(toNullable(tick_ns), tier = 'NORMAL')) AS ended_ns,
       dateDiff('millisecond', started_ns, ended_ns) AS lasted_ms,
       max(tier) AS tier_peak, max(score) AS score_peak, min(p) AS p_least, count() AS changes, max(latched) AS latched,
       argMin(ref_price, tick_ns) AS ref_price_start, max(epoch) AS epoch, argMin(model_id, tick_ns) AS model_id,
       argMin(`causes.name`, tick_ns) AS cause_names, argMin(`causes.z`, tick_ns) AS cause_zs, argMin(`causes.share`, tick_ns) AS cause_shares
FROM
(
    SELECT *, sum(opens) OVER (PARTITION BY instrument_id ORDER BY epoch, tick_ns) AS number
    FROM
    (
        SELECT *, tier_before = 'NORMAL' OR tick_ns < lagInFrame(tick_ns) OVER
                   (PARTITION BY instrument_id ORDER BY epoch, tick_ns ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS opens
        FROM tier_changes_once
    )
)
GROUP BY instrument_id, number;
