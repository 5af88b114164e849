-- What a trading process knows of an account that no order and no report says, so that what hangs on it can be judged again.
CREATE TABLE IF NOT EXISTS facts
(
    fact_id String CODEC(ZSTD),
    account_id LowCardinality(String),
    kind LowCardinality(String),
    ts_event_ns DateTime64(9, 'UTC') CODEC(Delta, ZSTD) COMMENT 'when it became the case',
    sender LowCardinality(String) COMMENT 'process, and which life of its journal: the counts are within it',
    number Int64 CODEC(Delta, ZSTD) COMMENT 'within sender and account, from 1 without holes; 0 = not counted',
    requests_sent Nullable(Int64) CODEC(ZSTD) COMMENT 'requests sent before',
    executions_seen Nullable(Int64) CODEC(ZSTD) COMMENT 'reports processed before',
    session_id LowCardinality(Nullable(String)),
    instrument_id Nullable(UInt32) CODEC(ZSTD),
    position Nullable(Int64) CODEC(ZSTD) COMMENT 'lots held from now on',
    is_reconciled Bool COMMENT 'the positions of the account are all confirmed',
    maker LowCardinality(String) COMMENT 'who set the position',
    checker LowCardinality(Nullable(String)),
    reason String CODEC(ZSTD)
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMMDD(ts_event_ns)
ORDER BY (account_id, fact_id);

ALTER TABLE requests
    ADD COLUMN IF NOT EXISTS facts_seen Nullable(Int64) CODEC(ZSTD) COMMENT 'facts that held when it was sent';

ALTER TABLE executions
    ADD COLUMN IF NOT EXISTS facts_seen Nullable(Int64) CODEC(ZSTD) COMMENT 'facts that held when it was processed';

CREATE OR REPLACE VIEW facts_once AS SELECT * FROM facts FINAL;
CREATE OR REPLACE VIEW requests_once AS SELECT * FROM requests FINAL;
CREATE OR REPLACE VIEW executions_once AS SELECT * FROM executions FINAL;
