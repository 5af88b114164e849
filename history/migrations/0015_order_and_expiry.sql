-- Tables ordered for the questions that are asked of them, and how long rows stay. The keys of before were ids alone, which no
-- question by time or instrument could use. A message still has one key: ids determine the other columns. Each table is copied and
-- takes its old name (primary keys shorter than the order keep long ids out of the index in memory); the runner notes every statement, so one that was cut short is the only one that runs again, and each bears it.

-- "What was refused in this instrument, newest first" is the question of every day; one order or one account is found by its index.
CREATE TABLE IF NOT EXISTS decisions_ordered AS decisions
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMMDD(ts_event_ns)
PRIMARY KEY (instrument_id, ts_event_ns)
ORDER BY (instrument_id, ts_event_ns, order_id, enforcer, decision_id);
INSERT INTO decisions_ordered SELECT * FROM decisions FINAL;
RENAME TABLE IF EXISTS decisions TO decisions_before;
RENAME TABLE IF EXISTS decisions_ordered TO decisions;
DROP TABLE IF EXISTS decisions_before;

-- A decision is rebuilt from all requests of its account in their order.
CREATE TABLE IF NOT EXISTS requests_ordered AS requests
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMMDD(ts_event_ns)
PRIMARY KEY (account_id, ts_event_ns)
ORDER BY (account_id, ts_event_ns, order_id);
INSERT INTO requests_ordered SELECT * FROM requests FINAL;
RENAME TABLE IF EXISTS requests TO requests_before;
RENAME TABLE IF EXISTS requests_ordered TO requests;
DROP TABLE IF EXISTS requests_before;

-- As the requests, with which they are merged.
CREATE TABLE IF NOT EXISTS executions_ordered AS executions
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMMDD(ts_event_ns)
PRIMARY KEY (account_id, ts_event_ns)
ORDER BY (account_id, ts_event_ns, venue_id, exec_id, source);
INSERT INTO executions_ordered SELECT * FROM executions FINAL;
RENAME TABLE IF EXISTS executions TO executions_before;
RENAME TABLE IF EXISTS executions_ordered TO executions;
DROP TABLE IF EXISTS executions_before;

-- Alerts are read beside the timeline of their instrument. Few a day: a partition a month.
CREATE TABLE IF NOT EXISTS risk_alerts_ordered AS risk_alerts
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(ts_ns)
PRIMARY KEY (instrument_id, ts_ns)
ORDER BY (instrument_id, ts_ns, alert_id);
INSERT INTO risk_alerts_ordered SELECT * FROM risk_alerts FINAL;
RENAME TABLE IF EXISTS risk_alerts TO risk_alerts_before;
RENAME TABLE IF EXISTS risk_alerts_ordered TO risk_alerts;
DROP TABLE IF EXISTS risk_alerts_before;

-- Read as a log. What the maker asked and what the checker approved under the same id are two rows: both were sent, both count in an audit.
CREATE TABLE IF NOT EXISTS commands_ordered AS commands
ENGINE = ReplacingMergeTree
PARTITION BY toYear(ts_ns)
PRIMARY KEY (ts_ns, command_id)
ORDER BY (ts_ns, command_id, ifNull(checker, ''));
INSERT INTO commands_ordered SELECT * FROM commands FINAL;
RENAME TABLE IF EXISTS commands TO commands_before;
RENAME TABLE IF EXISTS commands_ordered TO commands;
DROP TABLE IF EXISTS commands_before;

ALTER TABLE decisions
    ADD INDEX IF NOT EXISTS by_order order_id TYPE bloom_filter(0.01) GRANULARITY 1,
    ADD INDEX IF NOT EXISTS by_decision decision_id TYPE bloom_filter(0.01) GRANULARITY 1,
    ADD INDEX IF NOT EXISTS by_account account_id TYPE set(100) GRANULARITY 4;

ALTER TABLE requests
    ADD INDEX IF NOT EXISTS by_order order_id TYPE bloom_filter(0.01) GRANULARITY 1,
    ADD INDEX IF NOT EXISTS by_instrument instrument_id TYPE set(1000) GRANULARITY 4;

ALTER TABLE executions
    ADD INDEX IF NOT EXISTS by_order order_id TYPE bloom_filter(0.01) GRANULARITY 1,
    ADD INDEX IF NOT EXISTS by_instrument instrument_id TYPE set(1000) GRANULARITY 4;

CREATE OR REPLACE VIEW decisions_once AS SELECT * FROM decisions FINAL;
CREATE OR REPLACE VIEW requests_once AS SELECT * FROM requests FINAL;
CREATE OR REPLACE VIEW executions_once AS SELECT * FROM executions FINAL;
CREATE OR REPLACE VIEW risk_alerts_once AS SELECT * FROM risk_alerts FINAL;
CREATE OR REPLACE VIEW commands_once AS SELECT * FROM commands FINAL;

-- How long. Ticks are what is large (some 500 bytes a row): a year and a month, so that a year can be compared with the one before;
-- seconds and minutes stay longer. What was decided and why is a record: seven years, the longest that MiFID II (article 16(7))
-- lets an authority ask for, above the six of SEC rule 17a-4. Commands and events of models stay for ever: few, and the system's memory.

ALTER TABLE ticks ADD COLUMN IF NOT EXISTS stored_at DateTime MATERIALIZED now() CODEC(Delta, ZSTD);
ALTER TABLE ticks MODIFY SETTING ttl_only_drop_parts = 1;
ALTER TABLE ticks MODIFY TTL stored_at + INTERVAL 13 MONTH;

ALTER TABLE risk_states ADD COLUMN IF NOT EXISTS stored_at DateTime MATERIALIZED now() CODEC(Delta, ZSTD);
ALTER TABLE risk_states MODIFY SETTING ttl_only_drop_parts = 1;
ALTER TABLE risk_states MODIFY TTL stored_at + INTERVAL 7 YEAR;

ALTER TABLE risk_alerts ADD COLUMN IF NOT EXISTS stored_at DateTime MATERIALIZED now() CODEC(Delta, ZSTD);
ALTER TABLE risk_alerts MODIFY SETTING ttl_only_drop_parts = 1;
ALTER TABLE risk_alerts MODIFY TTL stored_at + INTERVAL 7 YEAR;

ALTER TABLE decisions ADD COLUMN IF NOT EXISTS stored_at DateTime MATERIALIZED now() CODEC(Delta, ZSTD);
ALTER TABLE decisions MODIFY SETTING ttl_only_drop_parts = 1;
ALTER TABLE decisions MODIFY TTL stored_at + INTERVAL 7 YEAR;

ALTER TABLE requests ADD COLUMN IF NOT EXISTS stored_at DateTime MATERIALIZED now() CODEC(Delta, ZSTD);
ALTER TABLE requests MODIFY SETTING ttl_only_drop_parts = 1;
ALTER TABLE requests MODIFY TTL stored_at + INTERVAL 7 YEAR;

ALTER TABLE executions ADD COLUMN IF NOT EXISTS stored_at DateTime MATERIALIZED now() CODEC(Delta, ZSTD);
ALTER TABLE executions MODIFY SETTING ttl_only_drop_parts = 1;
ALTER TABLE executions MODIFY TTL stored_at + INTERVAL 7 YEAR;

ALTER TABLE dead_letters ADD COLUMN IF NOT EXISTS stored_at DateTime MATERIALIZED now() CODEC(Delta, ZSTD);
ALTER TABLE dead_letters MODIFY SETTING ttl_only_drop_parts = 1;
ALTER TABLE dead_letters MODIFY TTL stored_at + INTERVAL 13 MONTH;
