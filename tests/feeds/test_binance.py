"""The Binance reader: the venue's own rules make a book, a break unmakes it, and the kernel's best levels are the venue's."""

import contextlib
import gzip
import json
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.book_oracles.binance import Comparison, check
from features.channel import ChannelKernel
from feeds.binance.parse import DepthUpdate, Message, Other, Quote, Recording, event_times_ns, parse_line, units_of
from feeds.binance.reader import NO_SNAPSHOT, BinanceSession, open_session
from feeds.binance.sequence import WAITING_MAX, BinanceEvents
from feeds.blocks import FeedError, Row
from feeds.framing import frames_of
from schemas.events import Kind, Side, TickStatus
from schemas.units import NS_PER_MS

MS = 1_680_652_800_000
"""2023-04-05 00:00 UTC."""
PLACE = ("day", 7)
WINDOW = (MS - 3_600_000) * NS_PER_MS, (MS + 25 * 3_600_000) * NS_PER_MS
USDM = Recording("usdm", "BTCUSDT", 10**8, 10**6, *WINDOW)
SPOT = Recording("spot", "BTCUSDT", 10**7, 10**3, *WINDOW)
E9 = 10**9


def line(event: dict[str, Any], stream: str = "") -> bytes:
    body = {"stream": stream, "data": event} if stream else event
    return f"{MS}000 {json.dumps(body)}\n".encode()


def depth(first: int, last: int, previous: int | None, **over: Any) -> dict[str, Any]:
    event = {
        "e": "depthUpdate",
        "E": MS + last,
        "s": "BTCUSDT",
        "U": first,
        "u": last,
        "b": [["100.0", "1.000"]],
        "a": [],
    }
    return event | ({} if previous is None else {"pu": previous}) | over


def snapshot(last: int, **over: Any) -> dict[str, Any]:
    return {"lastUpdateId": last, "bids": [["100.0", "5.000"], ["99.0", "7.000"]], "asks": [["101.0", "2.000"]]} | over


def trade(**over: Any) -> dict[str, Any]:
    return {"e": "trade", "E": MS, "s": "BTCUSDT", "t": 1, "p": "100.5", "q": "0.002", "X": "MARKET", "m": True} | over


def ticker(**over: Any) -> dict[str, Any]:
    return {"e": "bookTicker", "u": 9, "s": "BTCUSDT", "b": "100.0", "B": "1", "a": "101.0", "A": "2", "E": MS} | over


def parsed(event: dict[str, Any], stream: str = "", recording: Recording = USDM) -> Message:
    return parse_line(line(event, stream), recording, PLACE)


def played(events: Iterable[dict[str, Any]], recording: Recording = USDM) -> tuple[BinanceEvents, list[list[Row]]]:
    translator = BinanceEvents(1, recording, MS * NS_PER_MS)
    return translator, [translator.message(parsed(event, recording=recording)) for event in events]


def kinds(rows: list[Row]) -> list[int]:
    return [row[2] for row in rows]


def recorded(folder: Path, events: Iterable[dict[str, Any]], name: str = "usdm_btcusdt_20230405") -> Path:
    path = folder / name
    path.write_bytes(b"".join(map(line, events)))
    return path


def run(session: BinanceSession) -> tuple[ChannelKernel, list[tuple[int, int]]]:
    """Return the kernel after the session, and each tick's status."""
    kernel = ChannelKernel(session.channel_id)
    ticks: list[tuple[int, int]] = []
    for frame in frames_of(session.blocks(), session.channel_id, start_ns=session.start_ns, end_ns=session.end_ns):
        result = kernel.apply(frame)
        ticks += zip(result.tick_ns.tolist(), result.status.tolist(), strict=True)
    return kernel, ticks


def test_decimals_are_exact_integers() -> None:
    assert units_of("28145.10", PLACE) == 28_145_100_000_000
    assert units_of("0.000000001", PLACE) == 1
    assert units_of("5", PLACE) == 5 * E9


@pytest.mark.parametrize("text", ["", ".5", "-1", "1e3", "1_0", " 1", "1.", "0.0000000001", "٣", None, 1.5])
def test_what_is_no_plain_decimal_is_refused(text: object) -> None:
    with pytest.raises(FeedError, match="not a decimal"):
        units_of(text, PLACE)


def test_a_futures_depth_update_keeps_its_ids_and_the_last_word_on_a_price() -> None:
    event = depth(5, 9, 4, b=[["100.0", "1.000"], ["100.00", "2.000"]], a=[["101.0", "0.000"]])
    expected = DepthUpdate("", (MS + 9) * NS_PER_MS, 5, 9, 4, {100 * E9: 2000}, {101 * E9: 0})
    assert parsed(event) == expected


def test_quotes_of_both_markets_are_read() -> None:
    spot = {name: value for name, value in ticker().items() if name not in {"e", "E"}}
    expected = Quote(9, (100 * E9, 1000), (101 * E9, 2000))
    assert parsed(ticker(), "btcusdt@bookTicker") == expected
    assert parsed(spot, "btcusdt@bookTicker") == expected


@pytest.mark.parametrize(
    ("event", "stream", "name"),
    [
        ({"e": "markPriceUpdate", "E": MS}, "btcusdt@markPrice@1s", "markPriceUpdate"),
        (trade(X="INSURANCE_FUND"), "btcusdt@trade", "trade X=INSURANCE_FUND"),
        (trade(X="NA", p="0", q="0"), "btcusdt@trade", "trade X=NA"),
        (depth(5, 9, 4), "btcusdt@depth20@100ms", "depth20@100ms"),
        (snapshot(9), "btcusdt@depth5", "depth5"),
        ({"result": None, "id": 1}, "", "without an event type"),
    ],
)
def test_what_is_neither_book_nor_trade_is_named_not_guessed(event: dict[str, Any], stream: str, name: str) -> None:
    assert parsed(event, stream) == Other(name)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "no recorder's stamp"),
        (b'x {"e":"trade"}', "no recorder's stamp"),
        (b"1 {", "not JSON"),
        (b"1 " + b"[" * 200_000, "not JSON"),
        (b"1 [1]", "not an event"),
        (b'1 {"stream":5,"data":{}}', "not an event"),
        (line(depth(5, 9, None)), "pu is not an id"),
        (line(depth(9, 5, 4)), "U 9 is above u 5"),
        (line(depth(5, 9, 4, s="ETHUSDT")), "symbol 'ETHUSDT', not BTCUSDT"),
        (line(depth(5, 9, 4, E=MS * 1000)), "not within the recording's day"),
        (line(depth(5, 9, 4, E=True)), "E is not an id or time"),
        (line(depth(5, 9, 4, b={})), "b is not a list"),
        (line(depth(5, 9, 4, b=[["1.0"]])), "not a price and a quantity"),
        (line(depth(5, 9, 4, b=[["0.0", "1.000"]])), "a level at price 0"),
        (line(depth(5, 9, 4, b=[["1.0", "0.0001"]])), "not whole lots"),
        (line(depth(5, 9, 4, b=[["99999999999", "1.000"]])), "price is out of range"),
        (line(trade(q="0.000")), "a trade of"),
        (line(trade(m="yes")), "m is neither"),
        (line(snapshot(9, asks=None)), "asks is not a list"),
    ],
)
def test_a_bad_line_is_refused_with_its_place(raw: bytes, reason: str) -> None:
    with pytest.raises(FeedError, match=reason) as caught:
        parse_line(raw, USDM, PLACE)
    assert (caught.value.path, caught.value.line) == PLACE


def test_a_damaged_time_is_refused_before_it_can_stretch_the_session() -> None:
    with pytest.raises(FeedError, match="not within the recording's day"):
        list(event_times_ns(iter([(PLACE, b'1 {"E":999999999999999}')]), USDM))


def test_futures_updates_before_the_snapshot_are_dropped_and_the_rest_applied() -> None:
    events, rows = played([depth(1, 10, 0), depth(15, 20, 10), depth(25, 30, 20), snapshot(18), depth(31, 33, 30)])
    assert rows[:3] == [[], [], []]
    book = rows[3]
    assert kinds(book)[0] == Kind.SNAPSHOT_BEGIN
    assert kinds(book).index(Kind.SNAPSHOT_END) == 4
    assert kinds(book)[5:] == [Kind.LEVEL_SET] * 2
    assert kinds(rows[4]) == [Kind.LEVEL_SET]
    assert (events.book_id, events.counts["updates_applied"], events.counts["gaps"]) == (33, 3, 0)


@pytest.mark.parametrize(
    ("recording", "first", "last", "starts"),
    [
        (USDM, 90, 99, False),  # u < lastUpdateId: dropped
        (USDM, 90, 100, True),
        (USDM, 100, 110, True),
        (USDM, 101, 110, False),  # U > lastUpdateId: something lies between
        (SPOT, 90, 100, False),  # u <= lastUpdateId: dropped
        (SPOT, 90, 101, True),
        (SPOT, 101, 110, True),
        (SPOT, 102, 110, False),
    ],
)
@pytest.mark.parametrize("snapshot_first", [True, False])
def test_a_book_starts_where_the_venue_says(
    recording: Recording, first: int, last: int, *, starts: bool, snapshot_first: bool
) -> None:
    update = depth(first, last, first - 1 if recording is USDM else None)
    order = [snapshot(100), update] if snapshot_first else [update, snapshot(100)]
    events, rows = played(order, recording)
    assert (events.book_id == last) is starts
    assert (Kind.SNAPSHOT_END in kinds(rows[1])) is starts
    assert rows[0] == []


@pytest.mark.parametrize(
    ("recording", "next_update", "gap"),
    [
        (USDM, depth(150, 160, 110), False),
        (USDM, depth(111, 160, 109), True),
        (SPOT, depth(111, 120, None), False),
        (SPOT, depth(112, 120, None), True),
        (SPOT, depth(110, 120, None), True),
    ],
)
def test_the_next_update_must_follow(recording: Recording, next_update: dict[str, Any], *, gap: bool) -> None:
    start = depth(100, 110, 99 if recording is USDM else None)
    events, rows = played([snapshot(100), start, next_update], recording)
    assert kinds(rows[2]) == ([Kind.SNAPSHOT_BEGIN] if gap else [Kind.LEVEL_SET])
    assert (events.book_id is None, events.counts["gaps"]) == (gap, int(gap))


def test_an_update_seen_twice_changes_nothing() -> None:
    events, rows = played([snapshot(100), depth(100, 110, 99), depth(100, 110, 99), depth(111, 120, 110)])
    assert rows[2] == []
    assert (events.book_id, events.counts["updates_repeated"], events.counts["gaps"]) == (120, 1, 0)


def test_a_snapshot_that_came_before_the_gap_was_seen_mends_it() -> None:
    lost = [depth(100, 110, 99), snapshot(125), depth(121, 130, 120)]
    events, rows = played([snapshot(100), *lost])
    assert rows[2] == []
    assert kinds(rows[3])[:2] == [Kind.SNAPSHOT_BEGIN, Kind.SNAPSHOT_BEGIN]
    assert Kind.SNAPSHOT_END in kinds(rows[3])
    assert (events.book_id, events.counts["gaps"], events.counts["books_started"]) == (130, 1, 2)


def test_a_snapshot_older_than_the_break_does_not_mend_it() -> None:
    events, _ = played([snapshot(100), depth(100, 110, 99), snapshot(105), depth(121, 130, 120)])
    assert (events.book_id, events.counts["snapshots_too_old"]) == (None, 1)


def test_updates_that_wait_without_end_do_not_fill_memory() -> None:
    events, rows = played(depth(n, n, n - 1) for n in range(1, WAITING_MAX + 500))
    assert len(events._waiting) == WAITING_MAX
    assert not any(rows)


def test_the_best_level_moves_once_in_an_update() -> None:
    bids = [["99.0", "1.000"], ["102.0", "3.000"], ["100.0", "0.000"], ["98.0", "0.000"], ["101.0", "2.000"]]
    _, rows = played([snapshot(100), depth(100, 110, 99), depth(111, 120, 110, b=bids)])
    assert [(row[5] // E9, row[6]) for row in rows[2]] == [(102, 3000), (101, 2000), (99, 1000), (98, 0), (100, 0)]


@pytest.mark.parametrize("kind", ["trade", "aggTrade"])
def test_a_trade_leaves_the_book_alone_and_keeps_its_resting_side(kind: str) -> None:
    _, (bought, sold) = played([trade(e=kind, m=True), trade(e=kind, m=False, E=MS + 1)])
    assert bought == [(MS * NS_PER_MS, 1, Kind.TRADE, Side.BID, 0, 100_500_000_000, 2)]
    assert sold == [((MS + 1) * NS_PER_MS, 1, Kind.TRADE, Side.ASK, 0, 100_500_000_000, 2)]


def test_a_late_message_takes_the_time_reached_and_is_counted() -> None:
    events, rows = played([trade(E=MS + 50), trade(E=MS + 20), trade(E=MS + 50), trade(E=MS + 60)])
    assert [row[0][0] // NS_PER_MS - MS for row in rows] == [50, 50, 50, 60]
    assert (events.counts["late"], events.counts["late_ms_max"]) == (1, 30)


def test_names_without_end_do_not_fill_memory() -> None:
    events, _ = played({"e": f"{n}" * 200} for n in range(200))
    assert len(events.unknown) == 65
    assert max(map(len, events.unknown)) == 80
    assert sum(events.unknown.values()) == 200


def test_one_of_two_streams_of_the_same_thing_is_used() -> None:
    events, rows = played([trade(), trade(e="aggTrade")])
    assert (len(rows[0]), rows[1], events.unknown) == (1, [], {"aggTrade beside trade": 1})
    for pace_ms in (0, 100):
        events.message(parsed(depth(1, 2, 0), f"btcusdt@depth@{pace_ms}ms"))
    assert (events.counts["updates"], events.unknown["btcusdt@depth@100ms beside btcusdt@depth@0ms"]) == (1, 1)


def test_a_session_defines_its_instrument_and_ends_on_the_book(tmp_path: Path) -> None:
    session = open_session(
        recorded(tmp_path, [snapshot(100), depth(100, 110, 99), trade(E=MS + 250), ticker(E=MS + 251)])
    )
    assert session.channel_id == "BINANCE-USDM-BTCUSDT-2023-04-05"
    assert (session.start_ns, session.end_ns) == ((MS + 100) * NS_PER_MS, (MS + 300) * NS_PER_MS)
    first = next(iter(session.blocks()))
    assert first.columns["kind"].tolist()[:2] == [Kind.DEFINE, Kind.SNAPSHOT_BEGIN]
    assert (int(first.columns["price"][0]), int(first.columns["qty"][0])) == (10**8, 10**6)
    kernel, ticks = run(session)
    (instrument_id,) = session.symbols
    assert kernel.levels(instrument_id, 5) == ([(100 * E9, 1000), (99 * E9, 7000)], [(101 * E9, 2000)])
    assert [status & TickStatus.STALE for _, status in ticks] == [0, 0]
    assert (session.messages, session.unknown) == (4, {})


def test_a_break_stales_the_kernel_until_the_next_snapshot(tmp_path: Path) -> None:
    lines = [
        *(snapshot(50), depth(50, 60, 49), depth(161, 170, 60), depth(271, 280, 170)),
        *(depth(391, 395, 390), depth(396, 520, 395)),  # 281..390 is lost: pu is not 280
        *(snapshot(600), depth(521, 610, 520), depth(611, 810, 610)),
    ]
    session = open_session(recorded(tmp_path, lines))
    _, ticks = run(session)
    stale = [tick_ns // NS_PER_MS - MS for tick_ns, status in ticks if status & TickStatus.STALE]
    assert len(ticks) == 9
    assert stale == [400, 500, 600]
    assert (session.events.counts["gaps"], session.events.counts["books_started"]) == (1, 2)


def test_a_recording_without_a_snapshot_says_so(tmp_path: Path) -> None:
    session = open_session(recorded(tmp_path, [depth(1, 2, 0), depth(3, 250, 2)]))
    _, ticks = run(session)
    assert all(status & TickStatus.STALE for _, status in ticks)
    assert session.unknown == {NO_SNAPSHOT: 2}


def test_a_run_of_days_is_one_session_and_a_gzip_reads_as_the_plain_file(tmp_path: Path) -> None:
    day_ms = 24 * 3_600_000
    recorded(tmp_path, [snapshot(100), depth(100, 110, 99)])
    tomorrow = tmp_path / "usdm_btcusdt_20230406.dat.gz"
    tomorrow.write_bytes(gzip.compress(line(depth(111, 120, 110, E=MS + day_ms))))
    whole, of_folder = open_session(tmp_path / "usdm_btcusdt_20230405"), open_session(tmp_path)
    assert [len(block) for block in whole.blocks()] == [len(block) for block in of_folder.blocks()]
    assert (whole.events.book_id, whole.events.counts["gaps"], whole.messages) == (120, 0, 3)
    later = open_session(tomorrow)
    list(later.blocks())
    assert NO_SNAPSHOT in later.unknown


def test_what_cannot_be_opened_says_why(tmp_path: Path) -> None:
    def refused(path: Path, reason: str) -> None:
        with pytest.raises(FeedError, match=reason):
            open_session(path)

    refused(tmp_path / "none" / "usdm_btcusdt_20230405", "is not there")
    refused(tmp_path / "usdm_btcusdt_20230405", "is no file named")
    refused(tmp_path, "holds: none")
    refused(recorded(tmp_path, [], "usdm_btcusdt_20230405"), "no event with a time")
    recorded(tmp_path, [depth(1, 2, 0)], "usdm_btcusdt_20230407")
    refused(tmp_path, "day after usdm_btcusdt_20230405 is missing")
    refused(recorded(tmp_path, [depth(1, 2, 0)], "usdm_solusdt_20230405"), "are not in instruments.toml")
    refused(tmp_path, "recordings of one instrument")
    refused(recorded(tmp_path, [depth(1, 2, 0)], "usdm_btcusdt_20230405.dat"), "a second file of the day")


def test_a_file_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    whole = gzip.compress(b"".join(line(trade(E=MS + n, t=n)) for n in range(500)))
    path = tmp_path / "usdm_btcusdt_20230405.gz"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FeedError, match="cannot be read on"):
        open_session(path)


def test_the_comparison_waits_for_the_quote_that_settles_it() -> None:
    def quote(update_id: int, bid: int) -> Quote:
        return Quote(update_id, (bid, 1), (200, 1))

    comparison = Comparison()
    comparison.book(5, ((99, 1), (200, 1)))  # before every quote
    comparison.quote(quote(10, 100))
    comparison.book(20, ((101, 1), (200, 1)))
    comparison.quote(quote(20, 101))  # arrives after the book it belongs to
    comparison.quote(quote(30, 102))
    comparison.book(25, ((102, 1), (200, 1)))  # arrives after a quote beyond it
    comparison.book(40, ((102, 1), (200, 1)))  # nothing beyond it yet
    assert (comparison.report.states, comparison.report.exact, comparison.undecided) == (2, 1, 2)
    assert comparison.report.first_mismatch is not None
    assert comparison.report.first_mismatch.startswith("update 25, bookTicker 20")


@given(st.binary(max_size=200))
@settings(deadline=None, max_examples=200)
def test_random_bytes_raise_nothing_but_a_feed_error(raw: bytes) -> None:
    for body in (raw, b"1 " + raw, b'1 {"stream":"x@depth","data":' + raw):
        with contextlib.suppress(FeedError):
            parse_line(body, USDM, PLACE)


@given(raw=st.binary(max_size=200), suffix=st.sampled_from(["", ".gz"]), packed=st.booleans())
@settings(deadline=None, max_examples=50)
def test_a_file_of_random_bytes_raises_nothing_but_a_feed_error(raw: bytes, suffix: str, *, packed: bool) -> None:
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(FeedError):
        path = Path(folder) / f"usdm_btcusdt_20230405{suffix}"
        path.write_bytes(gzip.compress(line(trade()) + raw) if packed else line(trade()) + raw)
        for _ in open_session(path).blocks():
            pass


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from([depth(5, 9, 4), trade(), ticker(), snapshot(9)]), st.data())
@settings(deadline=None, max_examples=200)
def test_any_value_in_any_field_is_read_or_refused(event: dict[str, Any], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(event)))
    try:
        message = parse_line(line(event | {name: data.draw(_JSON)}), USDM, PLACE)
    except FeedError:
        return
    for row in BinanceEvents(1, USDM, MS * NS_PER_MS).message(message):
        assert row[5] >= 0


@given(st.lists(st.tuples(st.integers(1, 3), st.booleans(), st.integers(-50, 200)), max_size=40), st.integers(0, 60))
@settings(deadline=None, max_examples=100)
def test_time_never_runs_back_and_levels_stand_only_in_a_book(
    steps: list[tuple[int, bool, int]], snapshot_at: int
) -> None:
    events = BinanceEvents(1, USDM, MS * NS_PER_MS)
    rows = events.opening()
    last = 0
    for number, (width, lost, at_ms) in enumerate(steps):
        if number == snapshot_at % 7:
            rows += events.message(parsed(snapshot(last)))
        if not lost:
            rows += events.message(parsed(depth(last + 1, last + width, last, E=MS + at_ms)))
        last += width
    assert np.all(np.diff([row[0] for row in rows]) >= 0)
    whole, loose = False, 0  # levels since a begin must meet their end
    for kind in [*kinds(rows), Kind.SNAPSHOT_BEGIN]:
        if kind == Kind.SNAPSHOT_BEGIN:
            assert loose == 0
            whole = False
        elif kind == Kind.SNAPSHOT_END:
            whole, loose = True, 0
        else:
            loose += kind == Kind.LEVEL_SET and not whole
    opened = kinds(rows).count(Kind.SNAPSHOT_END)
    assert opened == events.counts["books_started"]


@pytest.mark.marketdata
@pytest.mark.parametrize("name", ["usdm_btcusdt_20230404.dat.gz", "usdm_btcusdt_20240718.gz"])
def test_best_levels_of_a_first_day_are_the_venues_after_every_update(
    marketdata: Path, tmp_path: Path, name: str
) -> None:
    (tmp_path / name).symlink_to(marketdata / "binance" / name)
    report = check(tmp_path / name)
    assert (report.states, report.first_mismatch) == (report.exact, None)
    assert report.counts["gaps"] == 0
    assert report.states > 3_000


@pytest.mark.marketdata
def test_best_levels_of_a_pair_of_days_are_the_venues_after_every_update(marketdata: Path) -> None:
    report = check(marketdata / "binance" / "usdm_ethusdt_20240718.gz")
    assert (report.states, report.exact, report.counts["fresh"]) == (8_923, 8_923, 6_612)
    assert (report.counts["ticks"], report.counts["ticks_stale"]) == (4_798, 3)


@pytest.mark.marketdata
def test_a_recording_of_spot_without_a_snapshot_is_stale_throughout(marketdata: Path) -> None:
    report = check(marketdata / "binance" / "spot_btcusdt_20230405.dat.gz")
    assert report.states == 0
    assert report.counts["ticks"] == report.counts["ticks_stale"] == 4_147
    assert report.counts["unknown"] == {NO_SNAPSHOT: 3_929}
    assert report.counts["gaps"] == 0  # U = u + 1 holds over all of them


@pytest.mark.marketdata
def test_a_depth_line_left_out_is_noticed_and_mended_by_the_next_snapshot(marketdata: Path, tmp_path: Path) -> None:
    name = "usdm_btcusdt_20230404.dat.gz"
    with gzip.open(marketdata / "binance" / name) as opened:
        lines = opened.readlines()
    places = [n for n, text in enumerate(lines) if b"@depth@0ms" in text]
    lost, again, end = places[200], places[400], places[800]
    source = tmp_path / "usdm_btcusdt_20230404"
    source.write_bytes(b"".join(lines[: again + 1]))
    whole = open_session(source)
    kernel, _ = run(whole)
    (instrument_id,) = whole.symbols
    bids, asks = (
        [[f"{price / E9:.2f}", f"{lots / 1000:.3f}"] for price, lots in side]
        for side in kernel.levels(instrument_id, 1_000)
    )
    later = {"lastUpdateId": whole.events.book_id, "bids": bids, "asks": asks}
    source.write_bytes(b"".join([*lines[:lost], *lines[lost + 1 : again + 1], line(later), *lines[again + 1 : end]]))
    report = check(source)
    assert (report.counts["gaps"], report.counts["books_started"], report.counts["snapshots"]) == (1, 2, 2)
    assert report.states == report.exact
    assert 30 < report.counts["ticks_stale"] < 100
    assert report.counts["updates"] - report.counts["updates_applied"] == 199
