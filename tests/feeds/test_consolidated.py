"""The consolidated reader: quotes make the national best bid and offer, trades get the side that rested."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.book_oracles import consolidated
from features.channel import ChannelKernel
from feeds.blocks import FeedError, Row
from feeds.consolidated.nbbo import REMOVING, Nbbo, QuoteKind, kind_of
from feeds.consolidated.parse import Quote, Trade, parse_quote, parse_trade
from feeds.consolidated.reader import TickFile, open_session
from feeds.consolidated.trades import TradeSides
from feeds.framing import frames_of
from schemas.events import Kind, Side, TickStatus
from schemas.units import NS_PER_MS

CENT = 10_000_000
NAMES = st.sampled_from("NPQ")


def bid(exchange: str, cents: int, size: int, condition: int = 1, ms: int = 0) -> Quote:
    return Quote(ms * NS_PER_MS, cents * CENT, size, 0, 0, exchange, condition, suspicious=False)


def ask(exchange: str, cents: int, size: int, condition: int = 1, ms: int = 0) -> Quote:
    return Quote(ms * NS_PER_MS, 0, 0, cents * CENT, size, exchange, condition, suspicious=False)


def trade(cents: float, condition: int = 1) -> Trade:
    return Trade(0, int(cents * CENT), 100, "N", condition, suspicious=False)


def per_exchange() -> Nbbo:
    return Nbbo(QuoteKind.PER_EXCHANGE)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"1,2,3,4,5,N,1",
        b"1,2,3,4,5,N,1,0,0",
        b"-1,2,3,4,5,N,1,0",
        b"1,2,3,4,5,NY,1,0",
        b"1,2,3,4,5,N,g,0",
        b"1,2,3,4,5,N,1,2",
        b"1_0,2,3,4,5,N,1,0",
        b"86400000,2,3,4,5,N,1,0",
        b"1.1234567,2,3,4,5,N,1,0",
    ],
)
def test_malformed_quote_names_file_and_line(line: bytes) -> None:
    with pytest.raises(FeedError, match=r"q\.csv:7: "):
        parse_quote(line, ("q.csv", 7))


@pytest.mark.parametrize("line", [b"", b"1,2,3,N,1", b"1,2,3,4,5,N,1,0", b"x,2,3,N,1,0", b"99999999,2,3,N,1,0"])
def test_malformed_trade_names_file_and_line(line: bytes) -> None:
    with pytest.raises(FeedError, match=r"t\.csv:9: "):
        parse_trade(line, ("t.csv", 9))


def test_lines_keep_units() -> None:
    quote = parse_quote(b"14400009.367,137450,100,0,0,D,800,1\r\n", ("q", 1))
    assert quote == Quote(14_400_009_367_000, 13_745_000_000, 100, 0, 0, "D", 0x800, suspicious=True)
    assert parse_trade(b"1,137450,7,D,20000020,0", ("t", 1)) == Trade(
        NS_PER_MS, 13_745_000_000, 7, "D", 0x20000020, suspicious=False
    )


@given(st.binary(max_size=60))
def test_random_bytes_raise_nothing_but_feed_errors(line: bytes) -> None:
    for parse in (parse_quote, parse_trade):
        with pytest.raises(FeedError):
            parse(line, ("f", 1))


def test_sizes_at_the_best_price_add_up_over_exchanges() -> None:
    nbbo = per_exchange()
    assert nbbo.quote(bid("N", 100, 3)) == [(Side.BID, 100 * CENT, 3)]
    assert nbbo.quote(bid("P", 100, 4)) == [(Side.BID, 100 * CENT, 7)]
    assert nbbo.quote(bid("Q", 99, 9)) == []
    assert nbbo.bid == (100 * CENT, 7)


def test_the_new_level_stands_before_the_old_one_goes() -> None:
    nbbo = per_exchange()
    nbbo.quote(ask("N", 102, 3))
    nbbo.quote(ask("P", 103, 5))
    assert nbbo.quote(ask("Q", 101, 1)) == [(Side.ASK, 101 * CENT, 1), (Side.ASK, 102 * CENT, 0)]
    assert nbbo.quote(ask("Q", 104, 1)) == [(Side.ASK, 102 * CENT, 3), (Side.ASK, 101 * CENT, 0)]


def test_locked_and_crossed_quotes_are_states() -> None:
    nbbo = per_exchange()
    nbbo.quote(bid("N", 100, 1))
    nbbo.quote(ask("P", 100, 1))
    assert (nbbo.bid, nbbo.ask) == ((100 * CENT, 1), (100 * CENT, 1))
    nbbo.quote(bid("Q", 101, 2))
    assert nbbo.bid > nbbo.ask


def test_a_zero_size_withdraws_one_side_of_one_exchange() -> None:
    nbbo = per_exchange()
    nbbo.quote(bid("N", 100, 1))
    nbbo.quote(bid("P", 99, 2))
    assert nbbo.quote(bid("N", 100, 0)) == [(Side.BID, 99 * CENT, 2), (Side.BID, 100 * CENT, 0)]
    assert nbbo.quote(bid("P", 98, 0)) == [(Side.BID, 99 * CENT, 0)]
    assert nbbo.bid == (0, 0)
    assert nbbo.counts["zero sizes"] == 2


@pytest.mark.parametrize("condition", [0x8, 0x400, 0x200, 0x409])
def test_a_quote_that_is_not_firm_leaves_the_nbbo_and_is_counted(condition: int) -> None:
    nbbo = per_exchange()
    nbbo.quote(bid("N", 100, 1))
    nbbo.quote(bid("P", 99, 2))
    nbbo.quote(bid("N", 101, 5, condition))
    assert nbbo.bid == (99 * CENT, 2)
    assert nbbo.counts["removed by condition"] == 1


def test_a_silent_halt_removes_both_sides_of_the_exchange() -> None:
    nbbo = per_exchange()
    nbbo.quote(bid("N", 100, 1))
    nbbo.quote(ask("N", 101, 1))
    nbbo.quote(Quote(1, 0, 0, 0, 0, "N", 0x20, suspicious=False))
    assert (nbbo.bid, nbbo.ask) == ((0, 0), (0, 0))


def test_what_is_not_understood_is_counted_and_changes_nothing() -> None:
    nbbo = per_exchange()
    nbbo.quote(bid("N", 100, 1))
    assert nbbo.quote(Quote(1, 0, 0, 0, 0, "N", 1, suspicious=False)) == []
    assert nbbo.quote(Quote(1, 0, 5, 0, 0, "P", 1, suspicious=True)) == []
    nbbo.quote(bid("N", 100, 1, 0x800000))
    assert dict(nbbo.unknown) == {"quote of no side": 2, "size without a price": 1, "quote condition 800000": 1}
    assert nbbo.counts["suspicious quotes"] == 1
    assert nbbo.bid == (100 * CENT, 1)


@pytest.mark.parametrize(
    ("quotes", "kind"),
    [
        ([], QuoteKind.PER_EXCHANGE),
        ([bid("N", 9, 1), ask("N", 10, 1), bid("P", 9, 1), ask("P", 10, 1)], QuoteKind.PER_EXCHANGE),
        ([bid("N", 9, 1), ask("P", 10, 1), bid("P", 9, 1), ask("P", 10, 1)], QuoteKind.NATIONAL),
        ([ask("Q", 10, 1), bid("N", 9, 1), ask("P", 10, 1)], QuoteKind.NATIONAL),
        ([bid("N", 9, 1), ask("N", 10, 1)] * 3000 + [bid("N", 9, 1), ask("P", 10, 1)], QuoteKind.NATIONAL),
        ([bid("N", 9, 1), ask("P", 10, 1)] * 300 + [ask("P", 10, 1)], QuoteKind.PER_EXCHANGE),
        ([bid("N", 9, 1), ask("P", 10, 1, ms=1)], QuoteKind.PER_EXCHANGE),
        ([bid("N", 9, 1), bid("P", 9, 1)], QuoteKind.PER_EXCHANGE),
    ],
)
def test_pairs_of_two_exchanges_at_one_time_are_the_national_best(quotes: list[Quote], kind: QuoteKind) -> None:
    assert kind_of(quotes) is kind


def test_a_national_line_replaces_the_best_whoever_set_it() -> None:
    nbbo = Nbbo(QuoteKind.NATIONAL)
    for quote in (bid("N", 100, 3), ask("P", 101, 1), bid("Q", 99, 5), ask("P", 101, 1)):
        nbbo.quote(quote)
    assert (nbbo.bid, nbbo.ask) == ((99 * CENT, 5), (101 * CENT, 1))
    nbbo.quote(ask("N", 102, 1))
    assert dict(nbbo.unknown) == {"national line out of its pair": 1}


def test_a_condition_of_a_national_line_is_counted_and_removes_nothing() -> None:
    nbbo = Nbbo(QuoteKind.NATIONAL)
    nbbo.quote(bid("N", 100, 3, 0x8))
    assert nbbo.bid == (100 * CENT, 3)
    assert nbbo.counts["quote condition 8"] == 1


QUOTES = st.builds(
    Quote,
    ts_ns=st.just(0),
    bid_price=st.integers(0, 5).map(lambda cents: cents * CENT),
    bid_size=st.integers(0, 3),
    ask_price=st.integers(0, 5).map(lambda cents: cents * CENT),
    ask_size=st.integers(0, 3),
    exchange=NAMES,
    condition=st.sampled_from([0, 1, 2, 8, 0x400, 0x800]),
    suspicious=st.booleans(),
)


@given(st.lists(QUOTES, max_size=40))
def test_levels_from_the_changes_are_the_nbbo_searched_in_a_table_of_all_exchanges(quotes: list[Quote]) -> None:
    nbbo = per_exchange()
    levels: dict[Side, dict[int, int]] = {Side.BID: {}, Side.ASK: {}}
    table: dict[tuple[Side, str], tuple[int, int]] = {}
    for quote in quotes:
        gone, silent = bool(quote.condition & REMOVING), not quote.bid_price and not quote.ask_price
        for side, price, size in (
            (Side.BID, quote.bid_price, quote.bid_size),
            (Side.ASK, quote.ask_price, quote.ask_size),
        ):
            if price or (gone and silent and not size):
                table[side, quote.exchange] = (price, 0 if gone else size)
        for side, price, size in nbbo.quote(quote):
            levels[side][price] = size
            levels[side] = {price: size for price, size in levels[side].items() if size}
        for side in (Side.BID, Side.ASK):
            alive = [level for (of, _), level in table.items() if of is side and level[1]]
            best = max((side * price for price, _ in alive), default=0) * side
            assert levels[side] == ({best: sum(size for price, size in alive if price == best)} if alive else {})


@pytest.mark.parametrize(
    ("cents", "bid_cents", "ask_cents", "side"),
    [
        (101, 99, 101, Side.ASK),
        (105, 99, 101, Side.ASK),
        (99, 99, 101, Side.BID),
        (90, 99, 101, Side.BID),
        (100.5, 99, 101, Side.ASK),
        (99.5, 99, 101, Side.BID),
        (100, 99, 101, Side.NONE),
        (100, 100, 100, Side.NONE),
        (100, 101, 99, Side.NONE),
        (100, 0, 100, Side.ASK),
        (100, 100, 0, Side.BID),
        (100, 0, 101, Side.NONE),
        (100, 0, 0, Side.NONE),
    ],
)
def test_quote_rule(cents: float, bid_cents: int, ask_cents: int, side: Side) -> None:
    assert TradeSides().side_of(trade(cents), bid_cents * CENT, ask_cents * CENT) is side


def test_tick_rule_decides_where_the_quotes_are_silent() -> None:
    sides = TradeSides()
    found = [sides.side_of(trade(cents), 0, 0) for cents in (100, 100, 101, 101, 99, 99)]
    assert found == [Side.NONE, Side.NONE, Side.ASK, Side.ASK, Side.BID, Side.BID]
    assert dict(sides.counts) == {"sides: no earlier price": 2, "sides: tick rule": 4}


def test_auctions_and_late_reports_have_no_side_and_move_no_tick() -> None:
    sides = TradeSides()
    sides.side_of(trade(100), 0, 0)
    assert sides.side_of(trade(150, 0x20000080), 99 * CENT, 101 * CENT) is Side.NONE
    assert sides.side_of(trade(101), 0, 0) is Side.ASK


def write(folder: Path, name: str, *lines: str) -> Path:
    path = folder / name
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def events(path: Path) -> Iterator[Row]:
    for _, _, _, rows in open_session(path).steps():
        yield from rows


def test_a_trade_is_judged_by_the_quotes_before_its_millisecond(tmp_path: Path) -> None:
    write(tmp_path, "xyz_20131007_quote.csv", "5,1000000,1,0,0,N,1,0", "5,0,0,1010000,1,N,1,0", "7,1020000,1,0,0,N,1,0")
    path = write(tmp_path, "xyz_20131007_trade.csv", "7,1010000,3,N,1,0")
    rows = list(events(path))
    assert [row[2] for row in rows] == [
        Kind.DEFINE, Kind.CLEAR, Kind.LEVEL_SET, Kind.LEVEL_SET, Kind.TRADE, Kind.LEVEL_SET, Kind.LEVEL_SET,
    ]  # fmt: skip
    assert rows[4][3] == Side.ASK
    assert rows[4][0] == rows[5][0] == 1_381_118_400_000_000_000 + 7 * NS_PER_MS  # midnight of New York, 04:00 UTC


def test_official_values_are_no_trades(tmp_path: Path) -> None:
    path = write(tmp_path, "xyz_20131007_trade.csv", "5,100,3,N,4000000,0", "6,100,3,N,1,0", "7,0,3,N,1,0")
    session = open_session(path)
    assert [row[2] for _, _, _, rows in session.steps() for row in rows][2:] == [Kind.TRADE]
    assert session.counts["official values left out"] == 1
    assert session.unknown == {"trade without price or size": 1}


def test_a_folder_is_one_channel_in_time_order_and_each_day_begins_anew(tmp_path: Path) -> None:
    write(tmp_path, "abc_20131007_quote.csv", "5,1000000,1,0,0,N,1,0", "9,990000,2,0,0,N,1,0")
    write(tmp_path, "xyz_20131007_quote.csv", "7,1000000,1,0,0,N,1,0")
    write(tmp_path, "abc_20131008_quote.csv", "4,900000,1,0,0,P,1,0")
    session = open_session(tmp_path)
    assert session.channel_id == "CONSOLIDATED-2013-10-07"
    assert sorted(session.symbols.values()) == ["ABC", "XYZ"]
    times = np.concatenate([block.columns["ts_event_ns"] for block in session.blocks()])
    assert np.all(np.diff(times) >= 0)
    assert session.start_ns <= times[0] <= times[-1] < session.end_ns
    kinds = [row[2] for _, _, _, rows in session.steps() for row in rows]
    assert kinds.count(Kind.DEFINE) == 2
    assert kinds[-3:] == [Kind.CLEAR, Kind.SNAPSHOT_BEGIN, Kind.LEVEL_SET]  # XYZ has no quotes on the second day


def test_an_instrument_without_quotes_stays_stale(tmp_path: Path) -> None:
    session = open_session(write(tmp_path, "xyz_20131007_trade.csv", "5,100,3,N,1,0"))
    kernel = ChannelKernel(session.channel_id)
    status = [
        kernel.apply(frame).status
        for frame in frames_of(session.blocks(), session.channel_id, start_ns=session.start_ns, end_ns=session.end_ns)
    ]
    assert np.all(np.concatenate(status) & TickStatus.STALE)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("xyz_20131007_quote.csv", b"", "holds no line"),
        ("xyz_20131007_quote.csv", b"5,100,1,0,0,N,1,0\n4,100,1,0,0,N,1,0\n", ":2: time goes back"),
        ("xyz_20131007_quote.csv", b"5" * 2000, "a line of more than"),
        ("xyz_20131007_quote.zip", b"PK\x05\x06 no zip", "cannot be read on"),
        ("xyz_20131307_quote.csv", b"", "neither is nor holds"),
        ("notes.txt", b"", "neither is nor holds"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_its_place(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(FeedError, match=reason):
        list(open_session(path).blocks())


def test_a_zip_of_several_files_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "xyz_20131007_quote.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", "")
        archive.writestr("b.csv", "")
    with pytest.raises(FeedError, match="holds one csv"):
        open_session(path)


@settings(max_examples=50)
@given(st.binary(max_size=200))
def test_a_file_of_random_bytes_raises_nothing_but_feed_errors(
    tmp_path_factory: pytest.TempPathFactory, raw: bytes
) -> None:
    path = tmp_path_factory.mktemp("random") / "xyz_20131007_quote.zip"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.csv", raw)
    for content in (raw, buffer.getvalue(), buffer.getvalue()[:-7]):
        path.write_bytes(content)
        with pytest.raises(FeedError):
            list(open_session(path).blocks())


def test_oracle_finds_a_per_exchange_book_exact_and_its_states(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "xyz_20131007_quote.csv",
        "5,1000000,1,0,0,N,1,0", "6,0,0,1010000,4,P,1,0", "6,1010000,2,0,0,Q,1,0", "7,1020000,1,0,0,N,1,0",
        "8,1020000,1,0,0,N,8,0", "9,1010000,0,0,0,Q,1,0",
    )  # fmt: skip
    report = consolidated.check(path)
    assert (report.states, report.exact, report.first_mismatch) == (6, 6, None)
    assert [report.counts[name] for name in ("moments", "locked", "crossed")] == [5, 2, 1]
    assert report.counts["kinds"] == {"xyz_20131007_quote.csv": "per exchange"}


def test_oracle_sees_a_book_that_differs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, "xyz_20131007_quote.csv", "5,1000000,1,0,0,N,1,0", "6,990000,4,0,0,P,1,0")
    monkeypatch.setattr("feeds.consolidated.reader.kind_of", lambda _: QuoteKind.NATIONAL)
    monkeypatch.setattr(consolidated, "_is_national", lambda *_: False)
    report = consolidated.check(path)
    assert (report.states, report.exact) == (2, 1)
    assert report.first_mismatch is not None
    assert "csv:2" in report.first_mismatch


def head_of(source: Path, folder: Path, lines: int) -> Path:
    with zipfile.ZipFile(source) as archive, archive.open(archive.namelist()[0]) as opened:
        content = b"".join(line for _, line in zip(range(lines), opened, strict=False))
    with zipfile.ZipFile(folder / source.name, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("head.csv", content)
    return folder / source.name


@pytest.mark.marketdata
def test_a_real_book_is_the_national_best_after_every_line(marketdata: Path, tmp_path: Path) -> None:
    folder = marketdata / "us_equity_ticks_2013"
    head_of(folder / "ibm_20131009_trade.zip", tmp_path, 8_000)
    report = consolidated.check(head_of(folder / "ibm_20131009_quote.zip", tmp_path, 40_000))
    assert report.states == report.exact == report.counts["quotes"] == 40_000
    assert report.counts["trades"] == 8_000
    assert report.counts["unknown"] == {}
    assert report.counts["kernel"]["bad_event"] == 0
    moments = report.counts["moments"]
    assert report.counts["crossed"] < moments / 200
    assert report.counts["crossed_if_per_exchange"] > 0.8 * moments  # why the file is not read as quotes of exchanges


@pytest.mark.marketdata
def test_every_real_quote_file_is_found_to_be_national(marketdata: Path) -> None:
    folder = marketdata / "us_equity_ticks_2013"
    files = [TickFile(path, "", "20131007", is_quotes=True) for path in sorted(folder.glob("*_quote.zip"))]
    kinds = [kind_of(quote for _, _, quote in file.messages() if isinstance(quote, Quote)) for file in files]
    assert kinds == [QuoteKind.NATIONAL] * 9


@pytest.mark.marketdata
def test_real_instruments_of_one_day_are_one_channel(marketdata: Path, tmp_path: Path) -> None:
    folder = marketdata / "us_equity_ticks_2013"
    for name in ("aig", "bac", "ibm", "spy"):
        for what in ("quote", "trade"):
            if (folder / f"{name}_20131007_{what}.zip").exists():
                head_of(folder / f"{name}_20131007_{what}.zip", tmp_path, 3000)
    report = consolidated.check(tmp_path)
    assert report.states == report.exact == 9000
    assert report.counts["trades"] == 12_000
    assert set(report.counts["kinds"].values()) == {"national"}
