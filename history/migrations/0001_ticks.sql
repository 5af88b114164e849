-- Features of every (channel, tick, instrument). A replayed or re-read message gives the same key again and replaces its row;
-- of two deployments that computed the same tick, the larger epoch stays. Replacement happens when parts merge:
-- read `ticks_once` (or FINAL) to see every row once at any time.
-- Times are columns of nanosecond precision; toUnixTimestamp64Nano(tick_ns) gives the integer of the topic back.
-- Codecs: DoubleDelta suits a time that rises in equal steps, Gorilla floats that repeat or move little, ZSTD what is left.
CREATE TABLE IF NOT EXISTS ticks
(
    tick_ns DateTime64(9, 'UTC') CODEC(DoubleDelta, ZSTD) COMMENT 'event time of the end of the tick',
    channel_id LowCardinality(String) COMMENT 'venue feed',
    instrument_id UInt32 CODEC(Delta, ZSTD),
    status UInt32 CODEC(ZSTD) COMMENT 'bits of schemas.events.TickStatus',
    ref_price Int64 CODEC(Delta, ZSTD) COMMENT 'mid price, 1e-9 currency; 0 when a side is empty',
    epoch UInt64 CODEC(Delta, ZSTD) COMMENT 'deployment of the writer',
    spec_hash LowCardinality(String) COMMENT 'meaning of the feature columns',
    -- The features by the names of the feature specification, NaN = not known; a test compares the two lists.
    spread_bps Float64 CODEC(Gorilla, ZSTD),
    spread_ticks Float64 CODEC(Gorilla, ZSTD),
    bid_qty_top Float64 CODEC(Gorilla, ZSTD),
    ask_qty_top Float64 CODEC(Gorilla, ZSTD),
    depth_bid_5 Float64 CODEC(Gorilla, ZSTD),
    depth_ask_5 Float64 CODEC(Gorilla, ZSTD),
    depth_total_10 Float64 CODEC(Gorilla, ZSTD),
    imbalance_l1 Float64 CODEC(Gorilla, ZSTD),
    imbalance_l5 Float64 CODEC(Gorilla, ZSTD),
    book_pressure Float64 CODEC(Gorilla, ZSTD),
    ofi_1s Float64 CODEC(Gorilla, ZSTD),
    ofi_10s Float64 CODEC(Gorilla, ZSTD),
    trade_to_order Float64 CODEC(Gorilla, ZSTD),
    add_rate Float64 CODEC(Gorilla, ZSTD),
    cancel_rate Float64 CODEC(Gorilla, ZSTD),
    trade_rate Float64 CODEC(Gorilla, ZSTD),
    signed_trade_rate Float64 CODEC(Gorilla, ZSTD),
    liquidity_decay_s Float64 CODEC(Gorilla, ZSTD),
    realised_vol_60s Float64 CODEC(Gorilla, ZSTD),
    mid_return_1s_bps Float64 CODEC(Gorilla, ZSTD),
    mid_return_10s_bps Float64 CODEC(Gorilla, ZSTD)
)
ENGINE = ReplacingMergeTree(epoch)
PARTITION BY toYYYYMMDD(tick_ns)
ORDER BY (channel_id, instrument_id, tick_ns);
