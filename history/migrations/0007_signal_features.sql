-- Features of headlines and own orders, and the view made again, for a view keeps the columns it was made with. Rows of before hold
-- NaN there: not known.
ALTER TABLE ticks
    ADD COLUMN IF NOT EXISTS sentiment_ew Float64 DEFAULT nan CODEC(Gorilla, ZSTD),
    ADD COLUMN IF NOT EXISTS headline_rate Float64 DEFAULT nan CODEC(Gorilla, ZSTD),
    ADD COLUMN IF NOT EXISTS own_fill_ratio Float64 DEFAULT nan CODEC(Gorilla, ZSTD);
CREATE OR REPLACE VIEW ticks_once AS SELECT * FROM ticks FINAL;
