-- Commands v2: who else sets limits, what accounts may do, and what a locate or a restriction is about; the view made again.
ALTER TABLE commands
    ADD COLUMN IF NOT EXISTS administrator LowCardinality(String) DEFAULT '' COMMENT 'empty = the firm''s own desk',
    ADD COLUMN IF NOT EXISTS account String DEFAULT '' CODEC(ZSTD) COMMENT 'the limits of SET_ACCOUNT as JSON, else empty',
    ADD COLUMN IF NOT EXISTS instrument_id Nullable(UInt32) CODEC(ZSTD) COMMENT 'of LOCATE, and of RESTRICT of one account',
    ADD COLUMN IF NOT EXISTS qty Nullable(Int64) CODEC(ZSTD) COMMENT 'of LOCATE, lots';

CREATE OR REPLACE VIEW commands_once AS SELECT * FROM commands FINAL;
