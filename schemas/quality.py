"""The Avro record of `quality.results`: what one expectation found in one batch of stored rows.

Conventions as in ``schemas.records``. A run of the same suite over the same batch gives the same ``result_id``, so a run that is
repeated replaces what it said before.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class QualityResult:
    """Verdict of one expectation on one batch; ``result_id`` is the idempotency key.

    Attributes:
        result_id: Unique and reproducible: suite, expectation, table, column, instrument and batch.
        suite: Suite of expectations, for example ``ticks``.
        expectation: What is expected, by its name in the suite.
        table: Table of history that was looked at.
        column: Column, ``None`` for an expectation on whole rows.
        instrument_id: Instrument, ``None`` for all of the batch.
        ts_ns: When the suite ran (event time in a replay).
        since_ns: First event time of the batch.
        until_ns: First event time after the batch.
        passed: The expectation holds.
        severity: ``warning`` or ``critical``.
        rows: Rows looked at.
        unexpected: Rows that do not hold.
        detail: What was seen, one sentence with an example; empty when it holds.
        source: Process that ran the suite.
    """

    result_id: str
    suite: str
    expectation: str
    table: str
    column: str | None
    instrument_id: int | None
    ts_ns: int
    since_ns: int
    until_ns: int
    passed: bool
    severity: str
    rows: int
    unexpected: int
    detail: str
    source: str
