-- For a ClickHouse server alone, applied once by its administrator (`clickhouse-client --multiquery < access.sql`); the embedded engine
-- has no users. The writer is the only one that writes; analysts read within limits; the REST service reads with short ones.
CREATE SETTINGS PROFILE IF NOT EXISTS tidegate_analyst SETTINGS
    readonly = 1, max_execution_time = 60, max_memory_usage = 8000000000, max_result_rows = 5000000, result_overflow_mode = 'throw',
    join_use_nulls = 1, priority = 5;
CREATE SETTINGS PROFILE IF NOT EXISTS tidegate_service SETTINGS
    readonly = 1, max_execution_time = 5, max_memory_usage = 1000000000, max_result_rows = 200000, result_overflow_mode = 'throw',
    join_use_nulls = 1, priority = 1;
CREATE ROLE IF NOT EXISTS tidegate_writer;
CREATE ROLE IF NOT EXISTS tidegate_analyst SETTINGS PROFILE 'tidegate_analyst';
CREATE ROLE IF NOT EXISTS tidegate_service SETTINGS PROFILE 'tidegate_service';
GRANT SELECT, INSERT, CREATE TABLE, CREATE VIEW, ALTER TABLE, ALTER VIEW, DROP TABLE, DROP VIEW, TRUNCATE ON tidegate.* TO tidegate_writer;
GRANT SELECT ON tidegate.* TO tidegate_analyst, tidegate_service;
CREATE QUOTA IF NOT EXISTS tidegate_analyst FOR INTERVAL 1 hour MAX queries = 2000, execution_time = 1800 TO tidegate_analyst;
