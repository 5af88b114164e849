"""Findings as published results, and episodes of failing expectations as alerts. Pure: time is an argument.

Invariant: an expectation that fails raises one alert, and the next one only after it held again, whatever happens in between; the
alert's id follows from the batch in which the failure began, so one that is told twice is one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from quality.definitions import ASKED, ON_TIME, ROWS_PRESENT, AnyLaw, Columns, Severity, Suite, columns_of, shown_column
from quality.rows import Finding
from schemas.quality import QualityResult
from schemas.records import AlertKind, RiskAlert, Tier

SOURCE: Final = "quality"
EXAMPLES_SHOWN: Final = 1


@dataclass(frozen=True, slots=True)
class Looked:
    """A batch that was looked at.

    Attributes:
        suite: Of its table.
        ts_ns: When.
        since_ns: First event time of the batch; of none, where it was looked for.
        until_ns: First event time after the batch.
        rows: Rows looked at.
    """

    suite: Suite
    ts_ns: int
    since_ns: int
    until_ns: int
    rows: int


def results_of(looked: Looked, found: Iterable[Finding], columns: Columns) -> list[QualityResult]:
    """Return a result per finding, with an example row where it fails.

    Args:
        looked: The batch.
        found: What the laws found in it.
        columns: Of the batch, derived ones among them.
    """
    made = []
    for one in found:
        detail = "" if one.passed else described(looked.suite, one, columns)
        told = _result(looked, one.law.name, severity=one.law.severity, passed=one.passed, detail=detail)
        made.append(replace(told, column=shown_column(one.law), unexpected=len(one.unexpected)))
    return made


def present(looked: Looked) -> QualityResult:
    """Return whether there were rows; a table that may be silent passes without."""
    passed = looked.rows > 0 or looked.suite.may_be_silent
    detail = "" if looked.rows else "no rows"
    return _result(looked, ROWS_PRESENT, severity="warning", passed=passed, detail=detail)


def on_time(looked: Looked, late: int) -> QualityResult:
    """Return whether rows came after their batch had been looked at; they are looked at now."""
    detail = f"{late} rows came after their time had been looked at" if late else ""
    told = _result(looked, ON_TIME, severity="warning", passed=not late, detail=detail)
    return replace(told, unexpected=late)


def asked(looked: Looked, fault: str) -> QualityResult:
    """Return whether the history answered; empty ``fault`` = it did."""
    detail = f"not asked: {fault}" if fault else ""
    return _result(looked, ASKED, severity="critical", passed=not fault, detail=detail)


def described(suite: Suite, found: Finding, columns: Columns, *, examples: int = EXAMPLES_SHOWN) -> str:
    """Return what a failed law found, one sentence with the first rows by name."""
    rows = [_row(suite, found.law, columns, row=int(row)) for row in found.unexpected[:examples]]
    told = "; ".join(rows)
    return f"{found.law.says}: not so in {len(found.unexpected)} of {found.rows} rows, first {told}"


def _row(suite: Suite, law: AnyLaw, columns: Columns, *, row: int) -> str:
    names = dict.fromkeys((*suite.row_name, *columns_of(law)))
    return " ".join(f"{name}={_word(columns[name][row])}" for name in names)


def _word(value: Any) -> str:
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _result(looked: Looked, expectation: str, *, severity: Severity, passed: bool, detail: str) -> QualityResult:
    """Return a verdict on whole rows, none of them unexpected."""
    table = looked.suite.table
    return QualityResult(
        result_id=f"{table}:{expectation}:{looked.since_ns}:{looked.until_ns}",
        suite=table,
        expectation=expectation,
        table=table,
        column=None,
        instrument_id=None,
        ts_ns=looked.ts_ns,
        since_ns=looked.since_ns,
        until_ns=looked.until_ns,
        passed=passed,
        severity=severity,
        rows=looked.rows,
        unexpected=0,
        detail=detail,
        source=SOURCE,
    )


class Episodes:
    """Expectations that fail now.

    Args:
        failing: ``(table, expectation)`` → first event time of the batch in which it began to fail.
    """

    def __init__(self, failing: dict[tuple[str, str], int] | None = None) -> None:
        self.failing = dict(failing or {})

    def take(self, results: Sequence[QualityResult]) -> list[RiskAlert]:
        """Return the alerts of episodes that begin and end with these results."""
        alerts = []
        for one in results:
            key = (one.table, one.expectation)
            if not one.passed and key not in self.failing:
                self.failing[key] = one.since_ns
                alerts.append(_alert(AlertKind.DATA_QUALITY_FAILED, one, one.since_ns, says=one.detail))
            elif one.passed and key in self.failing:
                since_ns = self.failing.pop(key)
                alerts.append(_alert(AlertKind.DATA_QUALITY_RECOVERED, one, since_ns, says="holds again"))
        return alerts


def _alert(kind: AlertKind, result: QualityResult, since_ns: int, *, says: str) -> RiskAlert:
    alert_id = f"{kind}:{result.table}:{result.expectation}:{since_ns}"
    message = f"{result.table} {result.expectation}: {says}"
    return RiskAlert(alert_id, kind, 0, result.ts_ns, 0, Tier.NORMAL, message, SOURCE)
