"""Faults in real simulated sessions are caught by named laws; sessions without a fault pass."""

import numpy as np
import pytest

from quality.rows import findings
from quality.ticks import SUITE
from tests.quality.sessions import FAULTS, copied, session


@pytest.mark.parametrize("scenario", ["calm", "flash_crash"])
def test_a_session_without_a_fault_passes_every_law(scenario: str) -> None:
    assert not [found.law.name for found in findings(SUITE, session(scenario)) if not found.passed]


@pytest.mark.parametrize("scenario", ["calm", "flash_crash"])
@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_a_fault_is_caught_by_the_law_that_names_it(fault: str, scenario: str) -> None:
    put_in, wanted = FAULTS[fault]
    failed = {found.law.name for found in findings(SUITE, put_in(copied(session(scenario)))) if not found.passed}
    assert wanted <= failed


def test_the_rows_of_a_fault_are_told_and_no_others() -> None:
    batch = copied(session("calm"))
    rows = np.flatnonzero(batch["instrument_id"] == 2)[[100, 107]]
    batch["bid_qty_top"][rows] *= 1e3
    (found,) = findings(SUITE, batch, [law for law in SUITE.laws if law.name == "imbalance_l1_law"])
    assert found.unexpected.tolist() == rows.tolist()


def test_a_batch_without_rows_breaks_nothing() -> None:
    nothing = {name: column[:0] for name, column in session("calm").items()}
    assert all(found.passed and found.rows == 0 for found in findings(SUITE, nothing))
