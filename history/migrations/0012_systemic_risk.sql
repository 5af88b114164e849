-- States v2: what the channel or the market as a whole asks of its members; commands v3: the model to load; the views made again.
ALTER TABLE risk_states
    ADD COLUMN IF NOT EXISTS systemic_tier Enum8('NORMAL' = 0, 'ELEVATED' = 1, 'HIGH_ALERT' = 2, 'CRITICAL' = 3)
        DEFAULT 'NORMAL' COMMENT 'tier that the channel or the market as a whole asks of every member',
    ADD COLUMN IF NOT EXISTS systemic_score Float64 DEFAULT 0 CODEC(Gorilla, ZSTD)
        COMMENT '-log10 p of the channel or the market as a whole, 0 = no opinion';

ALTER TABLE commands
    ADD COLUMN IF NOT EXISTS model Nullable(String) CODEC(ZSTD) COMMENT 'of LOAD_MODEL: model folder',
    ADD COLUMN IF NOT EXISTS model_epoch Nullable(Int64) CODEC(ZSTD) COMMENT 'of LOAD_MODEL: number of the switch';

CREATE OR REPLACE VIEW risk_states_once AS SELECT * FROM risk_states FINAL;

CREATE OR REPLACE VIEW commands_once AS SELECT * FROM commands FINAL;
