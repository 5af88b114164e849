"""Fuzzing: `python -m tests.fuzz.kernel` and `python -m tests.fuzz.readers`, both by `make fuzz`; pytest collects nothing here."""
