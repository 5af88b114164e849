"""A recorded day keeps every law; a fault put into it is caught by the law that names it."""

import itertools
from pathlib import Path

import pytest

from deploy.training import ticks_of
from feeds.framing import frames_of
from feeds.lobster.reader import open_session
from quality.rows import findings
from quality.ticks import SUITE, columns_of_ticks
from tests.quality.sessions import FAULTS, Batch, copied

pytestmark = pytest.mark.marketdata

MESSAGES = 6_000


@pytest.fixture(scope="module")
def recorded(marketdata: Path) -> Batch:
    """The first ten minutes of GOOG's day."""
    session = open_session(marketdata / "lobster" / "LOBSTER_SampleFile_GOOG_2012-06-21_1.zip")
    frames = frames_of(session.blocks(), session.channel_id, start_ns=session.start_ns, end_ns=session.end_ns)
    batch = columns_of_ticks(list(itertools.islice(ticks_of(frames, session.channel_id), MESSAGES)))
    batch["instrument_id"][:] = 1  # where the faults are put in
    return batch


def test_a_recorded_session_passes_every_law(recorded: Batch) -> None:
    assert not [found.law.name for found in findings(SUITE, recorded) if not found.passed]


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_a_fault_in_a_recorded_session_is_caught_by_name(recorded: Batch, fault: str) -> None:
    put_in, wanted = FAULTS[fault]
    failed = {found.law.name for found in findings(SUITE, put_in(copied(recorded))) if not found.passed}
    assert wanted <= failed
