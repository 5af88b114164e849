"""The LOBSTER reader: malformed lines have their place; the events rebuild the venue's own book."""

from pathlib import Path

import numpy as np
import pytest

from features.channel import ChannelKernel
from feeds.blocks import FeedError
from feeds.framing import frames_of
from feeds.lobster.parse import LobsterEvents, parse_book, parse_message
from feeds.lobster.reader import open_session
from schemas.events import Kind
from schemas.units import TICK_NS


@pytest.mark.parametrize(
    "line",
    [
        *("", "34200.1,1,5,10,100", "34200.1,1,5,10,100,1,null", "x,1,5,10,100,1", "34200.0000000001,1,5,10,100,1"),
        *("34200.1,1,5,10,100,2", f"34200.1,1,{2**64},10,100,1", f"34200.1,1,5,{-(2**63)},100,1"),
    ],
)
def test_malformed_message_names_file_and_line(line: str) -> None:
    with pytest.raises(FeedError, match=r"day\.csv:7: not a message"):
        parse_message(line, ("day.csv", 7))


@pytest.mark.parametrize("line", ["1,2,3", "1,2,3,x", ""])
def test_malformed_book_row_names_file_and_line(line: str) -> None:
    with pytest.raises(FeedError, match=r"book\.csv:9"):
        parse_book(line, ("book.csv", 9))


def test_times_keep_every_nanosecond() -> None:
    assert parse_message("34200.004241176,1,16113575,18,5853300,1", ("f", 1)).ts_ns == 34_200_004_241_176


def test_absent_levels_are_left_out_of_a_book_row() -> None:
    assert parse_book("9999999999,0,5853300,18", ("f", 1)) == ({585_330_000_000: 18}, {})


def test_unknown_message_type_is_counted_not_guessed() -> None:
    events = LobsterEvents(1001, 0)
    assert events.message(parse_message("34200.1,9,5,10,100,1", ("f", 1))) == []
    assert events.unknown_types == {9: 1}


def test_halt_and_resume_are_told_apart() -> None:
    events = LobsterEvents(1001, 0)
    halt = events.message(parse_message("34200.1,7,0,0,-1,-1", ("f", 1)))
    quoting = events.message(parse_message("34200.2,7,0,0,0,-1", ("f", 2)))
    resume = events.message(parse_message("34200.3,7,0,0,1,-1", ("f", 3)))
    assert [row[2] for row in halt + quoting + resume] == [Kind.HALT, Kind.RESUME]


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["34200.2,1,5,10,999900,1", "34200.1,1,6,10,999900,1"], "is not within"),
        (["34199.9,1,5,10,999900,1"], "is not within"),
        (["57600.1,1,5,10,999900,1"], "is not within"),
        (["34200.2,1,5,10,999900,1", "\xff"], "cannot be read on"),
    ],
)
def test_time_that_goes_back_or_leaves_the_session_and_bytes_that_are_no_text_are_refused(
    tmp_path: Path, lines: list[str], reason: str
) -> None:
    file = tmp_path / "TEST_2012-06-21_34200000_57600000_message_1.csv"
    file.write_bytes("\n".join(lines).encode("latin-1"))
    with pytest.raises(FeedError, match=reason):
        list(open_session(tmp_path).blocks())


@pytest.mark.parametrize("name", ["T_2012-13-45_0_1000_message_1.csv", "T_2012-06-21_2000_1000_message_1.csv"])
def test_session_whose_name_is_no_session_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("")
    with pytest.raises(FeedError):
        open_session(tmp_path)


def test_file_that_is_no_zip_is_refused(tmp_path: Path) -> None:
    (tmp_path / "day.zip").write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(FeedError, match="cannot be read"):
        open_session(tmp_path / "day.zip")


def test_folder_without_a_message_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FeedError, match="holds no file named"):
        open_session(tmp_path)


@pytest.mark.marketdata
def test_ten_levels_of_the_fixture_equal_the_venue_book_after_every_message(marketdata: Path) -> None:
    folder = marketdata / "lobster" / "AAPL_head"
    session = open_session(folder)
    rows = next(folder.glob("*orderbook*")).read_text().splitlines()
    kernel = ChannelKernel(session.channel_id)
    exact = 0
    names = [("f", n) for n in range(len(rows))]
    lines = next(folder.glob("*message*")).read_text().splitlines()
    from feeds.blocks import block_of

    held = session.events.opening(session.start_ns - session.events.midnight_ns)
    frames_at = session.start_ns
    seq = 1
    for line, row, place in zip(lines, rows, names, strict=True):
        message = parse_message(line, place)
        held += session.events.message(message)
        held += session.events.book(message, *parse_book(row, place))
        cutter = list(frames_of([block_of(held)], session.channel_id, start_ns=frames_at, end_ns=frames_at))
        for frame in (f for f in cutter if f.event_count):
            import dataclasses

            count = frame.event_count
            columns = {**frame.columns, "seq": np.arange(seq, seq + count)}
            kernel.apply(dataclasses.replace(frame, seq_first=seq, seq_last=seq + count - 1, columns=columns))
            seq += count
        held = []
        bids, asks = parse_book(row, place)
        found_bids, found_asks = kernel.levels(session.instrument_id, 10)
        assert dict(found_bids) == bids, place
        assert dict(found_asks) == asks, place
        exact += 1
    assert exact == len(rows)


@pytest.mark.marketdata
def test_a_whole_day_closes_exactly_its_ticks_and_ends_on_the_venue_book(marketdata: Path) -> None:
    path = marketdata / "lobster" / "LOBSTER_SampleFile_GOOG_2012-06-21_1.zip"
    session = open_session(path)
    kernel = ChannelKernel(session.channel_id)
    ticks = 0
    for frame in frames_of(session.blocks(), session.channel_id, start_ns=session.start_ns, end_ns=session.end_ns):
        ticks += len(kernel.apply(frame).tick_ns)
    assert ticks == (session.end_ns - session.start_ns) // TICK_NS == 234_000
    bids, asks = kernel.levels(session.instrument_id, 5)
    assert dict(bids) == session.events._bids
    assert dict(asks) == session.events._asks
