"""Data quality: expectations on rows, said once; Great Expectations' suites and the stream's row checks are both made from them."""
