"""One look at every table: batches, verdicts and episodes. Asks a source and is told the time; holds what it saw last.

Invariant: what could not be looked at is said, never passed over: an owner that does not answer fails ``table_asked``, a table
without rows says so, rows that were beyond a batch are counted. A batch that has not changed is not judged again.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, get_args

from history.client import QueryError, StoreError
from history.queries.asking import Source
from history.queries.events import quality_now
from quality.batches import count, newest_ns, newest_rows
from quality.definitions import ON_TIME, ROWS_PRESENT, Columns, Severity, Suite
from quality.rows import Finding, with_derived
from quality.verdicts import Episodes, Looked, asked, on_time, present, results_of
from schemas.quality import QualityResult
from schemas.records import RiskAlert

Judge = Callable[[Suite, Columns], list[Finding]]
"""``quality.expectations.Validator.findings`` in production."""

COUNTS: Final = (
    "runs",
    "batches",
    "rows",
    "failed",
    "unchanged",
    "unseen_rows",
    "late_rows",
    "not_asked",
    "without_rows",
)


@dataclass(frozen=True, slots=True)
class Inspection:
    """What one look found: results of all tables, and the alerts that they raise."""

    results: list[QualityResult]
    alerts: list[RiskAlert]


@dataclass(slots=True)
class _Seen:
    """The batch of a table that was looked at last."""

    since_ns: int
    until_ns: int
    rows: int


@dataclass(slots=True)
class Inspector:
    """Looks at tables, again and again.

    Attributes:
        source: The history.
        judge: Who judges a batch.
        suites: Of which tables.
        window_ns: Event time that a batch reaches back from the newest row.
        rows_max: Most rows of a batch; the newest are taken.
        counts: What was looked at so far, by the names in ``COUNTS``.
    """

    source: Source
    judge: Judge
    suites: Iterable[Suite]
    window_ns: int
    rows_max: int
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTS, 0))
    newest_ns: int = 0
    _episodes: Episodes | None = None
    _seen: dict[str, _Seen] = field(default_factory=dict)
    _lost: set[str] = field(default_factory=set)
    _empty: frozenset[str] = frozenset()

    def look(self, ts_ns: int | None) -> Inspection:
        """Look at the newest batch of every table.

        Args:
            ts_ns: Now; None for the newest event time of any table (a replay).
        """
        self.counts["runs"] += 1
        results = [one for suite in self.suites for one in self._table(suite, ts_ns)]
        self.counts["failed"] += sum(not one.passed for one in results)
        return Inspection(results, self._remembered().take(results))

    @property
    def unasked(self) -> int:
        """Tables that the history did not answer for when it was last asked."""
        return len(self._lost)

    def failing(self) -> dict[tuple[str, Severity], int]:
        """Return how many expectations on rows fail now by table and severity; empty until earlier episodes are known.

        An open episode of a law that no suite has any more is left out: no row could end it.
        """
        if self._episodes is None:
            return {}
        severity: dict[tuple[str, str], Severity] = {}
        for suite in self.suites:
            severity |= {(suite.table, name): "warning" for name in (ROWS_PRESENT, ON_TIME)}
            severity |= {(suite.table, law.name): law.severity for law in suite.laws}
        found: dict[tuple[str, Severity], int] = {
            (suite.table, level): 0 for suite in self.suites for level in get_args(Severity)
        }
        for table, name in self._episodes.failing.keys() & severity.keys():
            found[table, severity[table, name]] += 1
        return found

    def _remembered(self) -> Episodes:
        """Return the episodes, of an earlier life too as soon as the history tells them."""
        if self._episodes is not None:
            return self._episodes
        try:
            known = quality_now(self.source).to_pylist()
        except (StoreError, QueryError):
            return Episodes({})  # nothing was judged either, but that nobody answers: told once more after a restart
        self._episodes = Episodes(
            {(one["table"], one["expectation"]): one["failing_since_ns"] for one in known if not one["passed"]}
        )
        return self._episodes

    def _table(self, suite: Suite, ts_ns: int | None) -> list[QualityResult]:
        try:
            results = self._judged(suite, ts_ns)
        except (StoreError, QueryError) as error:
            self.counts["not_asked"] += 1
            self._lost.add(suite.table)
            return [asked(self._nothing(suite, ts_ns), str(error))]
        if suite.table in self._lost and not results:
            results = [asked(self._nothing(suite, ts_ns), "")]
        self._lost.discard(suite.table)
        return results

    def _nothing(self, suite: Suite, ts_ns: int | None) -> Looked:
        at = self.newest_ns if ts_ns is None else ts_ns
        return Looked(suite, at, at, at, 0)

    def _judged(self, suite: Suite, ts_ns: int | None) -> list[QualityResult]:
        newest = newest_ns(self.source, suite)
        if newest is None:
            self.counts["without_rows"] += 1
            is_told, self._empty = suite.table in self._empty, self._empty | {suite.table}
            looked = self._nothing(suite, ts_ns)
            return [] if is_told else [asked(looked, ""), present(looked)]
        self.newest_ns = max(self.newest_ns, newest)
        until_ns = newest + 1
        seen = self._seen.get(suite.table)
        late = 0 if seen is None else self._late(suite, seen)
        if seen is not None and seen.until_ns == until_ns and not late:
            self.counts["unchanged"] += 1
            return []
        batch = newest_rows(self.source, suite, newest - self.window_ns, until_ns=until_ns, rows_max=self.rows_max)
        if seen is not None and batch.since_ns > seen.until_ns:
            self.counts["unseen_rows"] += count(self.source, suite, seen.until_ns, until_ns=batch.since_ns)
        self._seen[suite.table] = _Seen(batch.since_ns, until_ns, batch.rows)
        self.counts["batches"] += 1
        self.counts["rows"] += batch.rows
        self.counts["late_rows"] += late
        looked = Looked(suite, self.newest_ns if ts_ns is None else ts_ns, batch.since_ns, until_ns, batch.rows)
        found = self.judge(suite, batch.columns)
        told = results_of(looked, found, with_derived(suite, batch.columns))
        return [asked(looked, ""), present(looked), on_time(looked, late), *told]

    def _late(self, suite: Suite, seen: _Seen) -> int:
        """Return rows that came into the batch of last time since then."""
        return max(0, count(self.source, suite, seen.since_ns, until_ns=seen.until_ns) - seen.rows)
