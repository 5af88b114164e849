"""The tape reader: trades keep price, amount, aggressor and time; there is no book, and nothing is made up."""

import gzip
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.book_oracles import tape
from deploy.recorded_blocks import recorded_blocks
from deploy.tape_blocks import TradePrices
from feeds.blocks import EventBlock, FeedError, Row, block_of
from feeds.tape.parse import TRADES_HEADER, Trade, nano_of, parse_aggregate, parse_trade
from feeds.tape.reader import LATE, open_session
from schemas.events import Kind, Side
from schemas.units import NS_PER_S, TICK_NS
from tests.models.evaluation.made import block_of as tick_block

MIDNIGHT_US = 1_760_054_400_000_000
MIDNIGHT_NS = MIDNIGHT_US * 1_000
PLACE = ("t.csv", 7)
TOLD = ("coinbase", "ADA-USD")


def line(us: int, side: str = "buy", price: str = "0.8158", amount: str = "3.5", symbol: str = "ADA-USD") -> bytes:
    return f"coinbase,{symbol},{MIDNIGHT_US + us},{MIDNIGHT_US + us + 5},1,{side},{price},{amount}\n".encode()


def written(folder: Path, *lines: bytes, name: str = "coinbase_trades_2025-10-10_ADA-USD.csv") -> Path:
    path = folder / name
    data = b"".join((TRADES_HEADER + b"\n", *lines))
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


def events(path: Path) -> EventBlock:
    (block,) = open_session(path).blocks()
    return block


def test_a_buyers_trade_took_the_ask_and_numbers_are_exact() -> None:
    assert parse_trade(line(1), PLACE, TOLD) == Trade(MIDNIGHT_NS + 1_000, 815_800_000, 3_500_000_000, Side.ASK)
    assert parse_trade(line(1, side="sell"), PLACE, TOLD).side is Side.BID
    assert parse_trade(line(1, side="unknown"), PLACE, TOLD).side is Side.NONE


@pytest.mark.parametrize(
    ("time", "ns"), [(b"1759536000061015", 1_759_536_000_061_015_000), (b"1759536000061", 1_759_536_000_061_000_000)]
)
def test_aggregated_trades_tell_microseconds_from_milliseconds_and_who_rested(time: bytes, ns: int) -> None:
    rested = parse_aggregate(b"1,122335.79000000,0.00084000,2,3," + time + b",True,True\n", PLACE)
    assert rested == Trade(ns, 122_335_790_000_000, 840_000, Side.BID)
    assert parse_aggregate(b"1,1,1,2,3," + time + b",False,True", PLACE).side is Side.ASK


@pytest.mark.parametrize(
    ("text", "nano"),
    [(b"0", 0), (b"8e-8", 80), (b"1.0E2", 100 * NS_PER_S), (b"0.000000001", 1), (b"12.50", 12_500_000_000)],
)
def test_decimals_are_exact(text: bytes, nano: int) -> None:
    assert nano_of(text, PLACE) == nano


@pytest.mark.parametrize("text", [b"", b"-1", b".5", b"1.", b"0.0000000001", b"1e-10", b"1_0", b"nan", b"\xd9\xa3"])
def test_what_is_no_exact_decimal_is_refused_with_its_place(text: bytes) -> None:
    with pytest.raises(FeedError, match=r"t\.csv:7: "):
        nano_of(text, PLACE)


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"x\n",
        line(1, symbol="ADA-EUR"),
        line(1, side="both"),
        line(1, price="-1"),
        line(1, amount="1,2"),
        line(1)[:-9],
    ],
)
def test_malformed_lines_name_file_and_line(bad: bytes) -> None:
    with pytest.raises(FeedError, match=r"t\.csv:7: "):
        parse_trade(bad, PLACE, TOLD)


@given(st.binary(max_size=90))
def test_random_bytes_raise_nothing_but_feed_errors(data: bytes) -> None:
    with suppress(FeedError):
        parse_trade(data, PLACE, TOLD)
    with suppress(FeedError):
        parse_aggregate(data, PLACE)


@pytest.mark.parametrize("end", [".csv", ".csv.gz"])
def test_a_day_is_a_definition_no_book_and_its_trades_in_whole_lots(tmp_path: Path, end: str) -> None:
    path = written(
        tmp_path, line(5), line(9, side="sell", amount="8e-8"), name=f"coinbase_trades_2025-10-10_ADA-USD{end}"
    )
    block, session = events(path), open_session(path)
    assert block.columns["kind"].tolist() == [Kind.DEFINE, Kind.SNAPSHOT_BEGIN, Kind.TRADE, Kind.TRADE]
    assert block.columns["qty"].tolist() == [10, 0, 350_000_000, 8]
    assert block.columns["side"].tolist() == [Side.NONE, Side.NONE, Side.ASK, Side.BID]
    assert session.channel_id == "TAPE-COINBASE-ADA-USD-2025-10-10"
    assert (session.start_ns, session.end_ns) == (MIDNIGHT_NS, MIDNIGHT_NS + 24 * 3600 * NS_PER_S)
    assert list(session.symbols.values()) == ["ADA-USD"]


def test_a_late_trade_takes_the_time_that_was_reached_and_is_counted(tmp_path: Path) -> None:
    session = open_session(written(tmp_path, line(900), line(100), line(901)))
    (block,) = session.blocks()
    assert [ts - MIDNIGHT_NS for ts in block.columns["ts_event_ns"][2:].tolist()] == [900_000, 900_000, 901_000]
    assert session.counts[LATE] == 1
    assert session.unknown == {}


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (line(25 * 3600 * 10**6), "not of the file's day"),
        (line(-2 * 3600 * 10**6), "not of the file's day"),
        (line(1, price="0.81585"), "whole ticks"),
        (line(1, amount="0.000000001"), "whole ticks and lots"),
        (b"coinbase,ADA-USD\n", "not a trade"),
    ],
)
def test_a_bad_trade_ends_the_reading_with_its_line(tmp_path: Path, bad: bytes, why: str) -> None:
    with pytest.raises(FeedError, match=why) as caught:
        events(written(tmp_path, line(1), bad))
    assert caught.value.line == 3


def test_a_trade_without_amount_is_left_out_and_counted(tmp_path: Path) -> None:
    session = open_session(written(tmp_path, line(1, amount="0")))
    assert len(next(iter(session.blocks()))) == 2
    assert session.unknown == {"trade without price or amount": 1}


@pytest.mark.parametrize(
    "name",
    [
        "trades.csv",
        "coinbase_trades_2025-13-10_ADA-USD.csv",
        "coinbase_trades_2025-10-10_NOT-USD.csv",
        "X-aggTrades-2025-10-04.csv",
    ],
)
def test_a_file_that_is_none_is_refused_by_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(FeedError, match=name.replace(".", r"\.")):
        open_session(written(tmp_path, name=name))
    with pytest.raises(FeedError, match="is no file named"):
        open_session(tmp_path)


def test_a_file_without_its_header_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "coinbase_trades_2025-10-10_ADA-USD.csv"
    path.write_bytes(line(1))
    with pytest.raises(FeedError, match="first line"):
        events(path)


def test_a_zip_of_aggregated_trades_is_read_and_one_of_two_files_refused(tmp_path: Path) -> None:
    path = tmp_path / "BTCUSDC-aggTrades-2025-10-10.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", f"1,121419.01,0.00230000,2,2,{MIDNIGHT_US + 7},False,True\n")
    assert events(path).columns["price"].tolist()[2:] == [121_419_010_000_000]
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", "")
        archive.writestr("b.csv", "")
    with pytest.raises(FeedError, match="holds 2 files"):
        events(path)


@pytest.mark.slow
def test_the_kernel_calls_a_tape_stale_throughout(tmp_path: Path) -> None:
    report = tape.check(written(tmp_path, line(5), line(500_000)))
    assert report.counts["ticks_that_were_not_stale"] == 0
    assert report.counts["trades"] == 2
    assert report.states == 0


def test_price_of_a_tick_is_its_trades_average_by_volume_and_knows_no_trade_after_it() -> None:
    trades = TradePrices()
    rows: list[Row] = [
        (TICK_NS, 1, Kind.TRADE, Side.BID, 0, 100, 1),
        (2 * TICK_NS - 1, 1, Kind.TRADE, Side.BID, 0, 400, 2),
        (2 * TICK_NS, 1, Kind.TRADE, Side.BID, 0, 900, 1),
        (2 * TICK_NS, 2, Kind.TRADE, Side.BID, 0, 7, 1),
        (2 * TICK_NS, 1, Kind.LEVEL_SET, Side.BID, 0, 5, 1),
    ]
    assert len(list(trades.watched([block_of(rows[:1]), block_of(rows[1:])]))) == 2
    priced = trades.priced(tick_block(5))
    assert priced.tick_ns.tolist() == [TICK_NS * n for n in range(1, 6)]
    assert priced.ref_price.tolist() == [0, 300, 900, 900, 900]


def test_a_tape_as_blocks_has_prices_trade_features_and_no_book(tmp_path: Path) -> None:
    lines = [line(100_000 * n, price=f"0.8{100 + n % 7}") for n in range(1, 3_000)]
    (block,) = recorded_blocks("tape", written(tmp_path, *lines), seconds=300.0)
    assert len(block) == 3_000
    assert not block.stale.any()
    assert (block.ref_price[5:] > 0).all()
    assert np.nanmax(block.column("trade_rate")) > 5
    assert np.isnan(block.column("spread_bps")).all()
    assert np.isnan(block.column("buy_cost_bps")).all()
