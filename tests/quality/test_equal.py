"""The row checks and Great Expectations give the same rows: on random columns of every kind of law, and on faulty sessions."""

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quality.definitions import AtLeast, Between, Column, Derived, Known, OneOf, Suite, Unique
from quality.expectations import Validator, suite_of
from quality.rows import Finding, findings
from quality.tables import SUITES
from quality.ticks import SUITE
from tests.quality.sessions import FAULTS, copied, session

KINDS = Suite(
    table="kinds",
    time="at",
    row_name=("at",),
    derived=(Derived("sum", ("x", "y"), lambda c: c["x"] + c["y"]),),
    laws=(
        Between(name="closed", says="", column="x", low=-1.0, high=1.0),
        Between(name="low_open", says="", column="x", low=0.0, low_open=True),
        Between(name="above", says="", column="sum", low=0.5),
        Between(name="below", says="", column="at", high=3),
        Known(name="known", says="", column="x"),
        Known(name="mostly_known", says="", column="y", budget=0.25),
        Known(name="text_known", says="", column="word", budget=0.5),
        OneOf(name="words", says="", column="word", values=("a", "b")),
        AtLeast(name="pair", says="", column="x", other="y"),
        Unique(name="key", says="", columns=("at", "word")),
        Unique(name="float_key", says="", columns=("at", "y")),
    ),
)
NUMBERS = st.sampled_from([np.nan, np.inf, -np.inf, 0.0, -0.0, 0.5, 1.0, 1.0 + 1e-12, -1.0, 2.0, 1e300])


@pytest.fixture(scope="module")
def validator() -> Validator:
    return Validator()


@st.composite
def batches(draw: st.DrawFn) -> dict[str, Column]:
    rows = draw(st.integers(1, 12))

    def some(values: st.SearchStrategy[Any]) -> list[Any]:
        return draw(st.lists(values, min_size=rows, max_size=rows))

    numbers: dict[str, Column] = {name: np.array(some(NUMBERS), np.float64) for name in ("x", "y")}
    word: Column = np.array(some(st.sampled_from([None, "a", "b", "", "c"])), np.dtype(object))
    return {"at": np.array(some(st.integers(0, 5)), np.int64), "word": word, **numbers}


def told(found: list[Finding]) -> list[tuple[str, int, bool, list[int]]]:
    return [(one.law.name, one.rows, one.passed, one.unexpected.tolist()) for one in found]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches())
def test_both_readers_of_a_suite_tell_the_same_rows(validator: Validator, batch: dict[str, Column]) -> None:
    assert told(validator.findings(KINDS, batch)) == told(findings(KINDS, batch))


@pytest.mark.slow
@settings(max_examples=3, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_both_readers_agree_on_a_session_with_random_damage(seed: int) -> None:
    chance = np.random.default_rng(seed)
    batch = {name: column[:400] for name, column in copied(session("flash_crash")).items()}
    for column in batch.values():
        rows = chance.integers(0, len(column), 8)
        if column.dtype.kind == "f":
            column[rows] = chance.choice([np.nan, np.inf, -np.inf, 0.0, -1.0, 1e9], 8)
        elif column.dtype.kind == "i":
            column[rows] = chance.choice([0, 1, 5, -3, 255, 300], 8)
    assert told(Validator().findings(SUITE, batch)) == told(findings(SUITE, batch))


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_great_expectations_catches_the_fault_by_the_same_names(validator: Validator, fault: str) -> None:
    put_in, wanted = FAULTS[fault]
    laws = [law for law in SUITE.laws if law.name in wanted]
    found = validator.findings(SUITE, put_in(copied(session("calm"))), laws)
    assert [one.law.name for one in found if not one.passed] == [law.name for law in laws]


@pytest.mark.parametrize("table", sorted(SUITES))
def test_a_suite_has_an_expectation_per_law_under_its_name(table: str) -> None:
    made = suite_of(SUITES[table])
    assert made.name == table
    assert [(one.meta or {})["law"] for one in made.expectations] == [law.name for law in SUITES[table].laws]


def test_row_checks_load_without_great_expectations() -> None:
    code = "import sys, quality.tables, quality.rows; assert not {'great_expectations', 'pandas'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_analytics_are_off(validator: Validator) -> None:
    assert os.environ["GX_ANALYTICS_ENABLED"] == "false"
    assert validator._context.config.analytics_enabled is False
