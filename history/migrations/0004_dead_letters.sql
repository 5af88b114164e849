-- Messages that could not be used. The place alone is not a key: it is unknown (-1) for what was not read from Kafka.
CREATE TABLE IF NOT EXISTS dead_letters
(
    topic LowCardinality(String) COMMENT 'where the message came from',
    partition Int32,
    offset Int64,
    source LowCardinality(String) COMMENT 'process that refused it',
    cause LowCardinality(String),
    detail String CODEC(ZSTD),
    raw String CODEC(ZSTD) COMMENT 'the value, byte for byte',
    observed_ns DateTime64(9, 'UTC') CODEC(Delta, ZSTD) COMMENT 'Kafka time of the dead letter'
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMMDD(observed_ns)
ORDER BY (topic, partition, offset, source, cause, cityHash64(raw));
