-- What gives requests and reports of an account one order, and what was declared of a parent.
ALTER TABLE requests
    ADD COLUMN IF NOT EXISTS parent_qty Nullable(Int64) CODEC(ZSTD) COMMENT 'lots declared for the parent',
    ADD COLUMN IF NOT EXISTS executions_seen Nullable(Int64) CODEC(ZSTD) COMMENT 'reports processed before it was sent';

ALTER TABLE executions
    ADD COLUMN IF NOT EXISTS requests_sent Nullable(Int64) CODEC(ZSTD) COMMENT 'requests sent before it was processed';

CREATE OR REPLACE VIEW requests_once AS SELECT * FROM requests FINAL;
CREATE OR REPLACE VIEW executions_once AS SELECT * FROM executions FINAL;
