"""The LOBSTER oracle: exact on real recordings, and awake: one wrong size is found, with its place."""

from pathlib import Path

import pytest

from deploy.book_oracles.lobster import check
from feeds.blocks import FeedError

MESSAGES = [
    "34200.1,1,11,100,999900,1",
    "34200.2,1,12,50,1000100,-1",
    "34200.3,1,13,30,999800,1",
    "34200.4,4,11,40,999900,1",
    "34200.5,3,11,60,999900,1",
]
NO_ASK, NO_BID = "9999999999,0", "-9999999999,0"
ROWS = [
    f"{NO_ASK},999900,100",
    "1000100,50,999900,100",
    "1000100,50,999900,100",  # one level: the new bid lies out of view
    "1000100,50,999900,60",
    "1000100,50,999800,30",
]


def recording(folder: Path, rows: list[str] | None) -> Path:
    name = "TEST_2012-06-21_34200000_57600000_{}_1.csv"
    (folder / name.format("message")).write_text("\n".join(MESSAGES) + "\n")
    if rows is not None:
        (folder / name.format("orderbook")).write_text("\n".join(rows) + "\n")
    return folder


def test_every_state_of_a_right_recording_is_exact(tmp_path: Path) -> None:
    report = check(recording(tmp_path, ROWS))
    assert (report.states, report.exact, report.first_mismatch) == (5, 5, None)
    assert report.counts["ended_on_venue_book"]


@pytest.mark.parametrize(
    ("line", "row"), [(4, "1000100,50,999900,61"), (2, "1000100,50,999900,99"), (4, f"1000100,50,{NO_BID}")]
)
def test_one_wrong_state_is_found_with_its_place(tmp_path: Path, line: int, row: str) -> None:
    report = check(recording(tmp_path, [*ROWS[: line - 1], row, *ROWS[line:]]))
    assert report.first_mismatch is not None
    assert f"_message_1.csv:{line}:" in report.first_mismatch
    assert report.exact < report.states


def test_recording_without_books_or_with_too_few_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FeedError, match="nothing to compare"):
        check(recording(tmp_path, None))
    with pytest.raises(FeedError, match="fewer rows"):
        check(recording(tmp_path, ROWS[:3]))


@pytest.mark.marketdata
@pytest.mark.parametrize("name", ["AAPL_head", "LOBSTER_SampleFile_GOOG_2012-06-21_5.zip"])
def test_every_transition_of_a_real_recording_is_exact(marketdata: Path, name: str) -> None:
    report = check(marketdata / "lobster" / name)
    assert report.first_mismatch is None
    assert report.exact == report.states > 900
    assert report.counts["ended_on_venue_book"]
