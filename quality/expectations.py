"""The same suites as real Great Expectations suites, and their verdicts.

Invariant: one expectation per law, under the law's name; Great Expectations judges every law on its own, this module only
carries columns in and findings out. Its context lives in memory, sends nothing (no analytics) and shows no progress bars. The
one module that imports the library: it takes seconds and a hundred megabytes, which no stream should pay.
"""

import os
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from quality.definitions import AnyLaw, AtLeast, Between, Columns, Known, OneOf, Suite, Unique, columns_of
from quality.rows import Finding, with_derived

os.environ["GX_ANALYTICS_ENABLED"] = "false"  # read when the library is imported

import great_expectations as gx
import pandas as pd
from great_expectations.data_context.types.base import ProgressBarsConfig

_MISSING: Final = "either_value_is_missing"
_PART_LAWS: Final = 16
"""Laws judged at once, on a frame of their columns alone: Great Expectations copies the frame for every law."""


class ExpectationError(RuntimeError):
    """Great Expectations could not judge a law; the message names it."""


def expectation_of(law: AnyLaw, suite: Suite) -> Any:
    """Return the law as an expectation of Great Expectations, its name and severity among the meta."""
    expect: Any = gx.expectations  # the library exports these names without saying so
    common: dict[str, Any] = {
        "meta": {"law": law.name, "suite": suite.table},
        "severity": law.severity,
        "notes": law.says,
    }
    match law:
        case Between():
            return expect.ExpectColumnValuesToBeBetween(
                column=law.column, min_value=law.low, max_value=law.high, strict_min=law.low_open, **common
            )
        case Known():
            return expect.ExpectColumnValuesToNotBeNull(column=law.column, mostly=1.0 - law.budget, **common)
        case OneOf():
            return expect.ExpectColumnValuesToBeInSet(column=law.column, value_set=list(law.values), **common)
        case AtLeast():
            return expect.ExpectColumnPairValuesAToBeGreaterThanB(
                column_A=law.column, column_B=law.other, or_equal=True, ignore_row_if=_MISSING, **common
            )
        case Unique():
            return expect.ExpectCompoundColumnsToBeUnique(
                column_list=list(law.columns), ignore_row_if="any_value_is_missing", **common
            )


def suite_of(suite: Suite, laws: Sequence[AnyLaw] | None = None) -> gx.ExpectationSuite:
    """Return the Great Expectations suite of a table, or of some of its laws."""
    made = gx.ExpectationSuite(name=suite.table, notes=f"What is expected of {suite.table}.")
    for law in suite.laws if laws is None else laws:
        made.add_expectation(expectation_of(law, suite))
    return made


class Validator:
    """Great Expectations in memory: one context for as many batches as come."""

    def __init__(self) -> None:
        self._context = gx.get_context(mode="ephemeral")
        self._context.enable_analytics(enable=False)
        self._context.variables.progress_bars = ProgressBarsConfig(globally=False)
        source = self._context.data_sources.add_pandas("rows")
        self._batches = source.add_dataframe_asset("batch").add_batch_definition_whole_dataframe("whole")

    def findings(self, suite: Suite, columns: Columns, laws: Sequence[AnyLaw] | None = None) -> list[Finding]:
        """Return what each law of ``suite``, or each of ``laws``, finds in a batch.

        As ``quality.rows.findings``, by Great Expectations.

        Args:
            suite: Suite.
            columns: At least ``suite.stored_columns``.
            laws: Laws of the suite; all of them if None.

        Raises:
            ExpectationError: A law that could not be judged.
        """
        whole = with_derived(suite, columns, laws)
        wanted = suite.laws if laws is None else laws
        if not len(whole[suite.time]):
            return [Finding(law, 0, np.empty(0, np.int64), passed=True) for law in wanted]
        parts = [wanted[cut : cut + _PART_LAWS] for cut in range(0, len(wanted), _PART_LAWS)]
        return [found for part in parts for found in self._judge(suite, part, columns=whole)]

    def _judge(self, suite: Suite, laws: Sequence[AnyLaw], *, columns: Columns) -> list[Finding]:
        names = dict.fromkeys(name for law in laws for name in columns_of(law))
        frame = pd.DataFrame({name: columns[name] for name in names}, copy=False)
        batch = self._batches.get_batch(batch_parameters={"dataframe": frame})
        options = {
            "result_format": "COMPLETE",
            "return_unexpected_index_query": False,
            "include_unexpected_rows": False,
        }
        results: list[Any] = batch.validate(suite_of(suite, laws), result_format=options).results
        by_name = {str(one.expectation_config.meta["law"]): one for one in results}
        return [_finding(law, len(frame), by_name[law.name], suite=suite) for law in laws]


def _finding(law: AnyLaw, rows: int, answer: Any, *, suite: Suite) -> Finding:
    if (answer.exception_info or {}).get("raised_exception") or "unexpected_count" not in answer.result:
        raise ExpectationError(f"{suite.table}.{law.name}: {answer.exception_info}")
    unexpected = np.sort(np.asarray(answer.result.get("unexpected_index_list") or (), np.int64))
    return Finding(law, rows, unexpected, bool(answer.success))
