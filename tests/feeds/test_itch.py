"""The ITCH reader: every message means what the specification says; executions fall on the kernel's best price."""

import contextlib
import gzip
import json
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.book_oracles.itch import check
from features.channel import ChannelKernel
from feeds.blocks import FeedError, Row
from feeds.framing import frames_of
from feeds.itch.messages import SIZES, VENUE, Layout, split
from feeds.itch.parse import INSTRUMENT_IDS_FROM, TICK_SIZE, ItchEvents
from feeds.itch.reader import open_session
from schemas.events import Kind, Side
from schemas.units import PRICE_SCALE, TICK_NS

PLACE = ("day", 7)
NOON_NS = 12 * 3600 * 10**9
ID = INSTRUMENT_IDS_FROM + 5
E9 = PRICE_SCALE
STOCK = b"TEST    "
BID_10 = ("A", struct.pack(">QcI8sI", 1, b"B", 100, STOCK, 100_000))
ASK_11 = ("A", struct.pack(">QcI8sI", 2, b"S", 50, STOCK, 110_000))


def message(kind: str, body: bytes = b"", *, ts: int = NOON_NS, locate: int = 5, time_bytes: int = 6) -> bytes:
    """A message of the right size: fields that the test does not care for are 0."""
    head = kind.encode() + struct.pack(">HH", locate, 0) + ts.to_bytes(time_bytes)
    return (head + body).ljust(SIZES[ord(kind)] + time_bytes - 6, b"\0")


def framed(*messages: bytes) -> bytes:
    return b"".join(struct.pack(">H", len(one)) + one for one in messages)


def events_of(*messages: tuple[str, bytes], trades_have_side: bool = False) -> tuple[list[tuple[int, ...]], ItchEvents]:
    """``(kind, side, order_id, price, qty)`` of everything after the opening."""
    events = ItchEvents(0, VENUE, trades_have_side)
    rows: list[Row] = []
    for kind, body in messages:
        rows += events.message(message(kind, body), PLACE)
    assert [row[2] for row in rows[:2]] == [Kind.DEFINE, Kind.CLEAR][: len(rows)]
    return [row[2:] for row in rows[2:]], events


def write(folder: Path, data: bytes, name: str = "12302019.NASDAQ_ITCH50") -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    return path


@pytest.mark.parametrize(
    ("kind", "body", "wanted"),
    [
        ("E", struct.pack(">QI", 1, 40), [(Kind.EXECUTE, 1, 1, 10 * E9, 40)]),
        ("C", struct.pack(">QIQcI", 1, 40, 9, b"Y", 105_000), [(Kind.EXECUTE, 1, 1, 10 * E9 + E9 // 2, 40)]),
        ("C", struct.pack(">QIQcI", 1, 40, 9, b"N", 105_000), [(Kind.REDUCE, 1, 1, 10 * E9, 40)]),
        ("X", struct.pack(">QI", 1, 40), [(Kind.REDUCE, 1, 1, 10 * E9, 40)]),
        ("D", struct.pack(">Q", 1), [(Kind.DELETE, 1, 1, 10 * E9, 100)]),
        (
            "U",
            struct.pack(">QQII", 1, 3, 70, 99_900),
            [(Kind.DELETE, 1, 1, 10 * E9, 100), (Kind.ADD, 1, 3, 9_990_000_000, 70)],
        ),
        ("P", struct.pack(">QcI8sI", 0, b"B", 30, STOCK, 105_000), [(Kind.EXECUTE_HIDDEN, 0, 0, 10_500_000_000, 30)]),
        ("Q", struct.pack(">Q8sI", 30, STOCK, 105_000), [(Kind.TRADE, 0, 0, 10_500_000_000, 30)]),
        ("Q", struct.pack(">Q8sI", 0, STOCK, 0), []),
        ("H", STOCK + b"H", [(Kind.HALT, 0, 0, 0, 0)]),
        ("H", STOCK + b"P", [(Kind.HALT, 0, 0, 0, 0)]),
        ("H", STOCK + b"T", []),
        ("h", STOCK + b"QH", [(Kind.HALT, 0, 0, 0, 0)]),
        ("h", STOCK + b"XH", []),
        ("I", b"", []),
        ("B", b"", []),
    ],
)
def test_message_has_its_meaning(kind: str, body: bytes, wanted: list[tuple[int, ...]]) -> None:
    rows, events = events_of(BID_10, (kind, body))
    assert rows[1:] == wanted
    assert not events.unknown


def test_adds_open_the_instrument_once_with_its_definition() -> None:
    events = ItchEvents(10**18, VENUE, trades_have_side=False)
    first = events.message(message(*ASK_11), PLACE)
    ts = 10**18 + NOON_NS
    assert first == [
        (ts, ID, Kind.DEFINE, 0, 0, TICK_SIZE, PRICE_SCALE),
        (ts, ID, Kind.CLEAR, 0, 0, 0, 0),
        (ts, ID, Kind.ADD, -1, 2, 11 * E9, 50),
    ]
    assert len(events.message(message("F", BID_10[1] + b"MPID"), PLACE)) == 1
    assert events.symbols == {ID: "TEST"}
    assert [row[2] for row in events.message(message("R", b"OTHER   ", locate=6), PLACE)] == [Kind.DEFINE, Kind.CLEAR]
    assert events.symbols[ID + 1] == "OTHER"


def test_both_causes_of_a_halt_must_end_before_trading_resumes() -> None:
    steps = [("H", STOCK + b"H"), ("h", STOCK + b"QH"), ("H", STOCK + b"Q"), ("H", STOCK + b"T"), ("h", STOCK + b"QT")]
    rows, _ = events_of(*steps)
    assert [row[0] for row in rows] == [Kind.HALT, Kind.RESUME]


def test_hidden_trades_have_a_side_only_where_the_venue_told_it() -> None:
    trade = ("P", struct.pack(">QcI8sI", 0, b"S", 30, STOCK, 105_000))
    assert events_of(trade, trades_have_side=True)[0][0][1] == Side.ASK
    assert events_of(trade)[0][0][1] == Side.NONE


@pytest.mark.parametrize(
    ("kind", "body", "what"),
    [
        ("E", struct.pack(">QI", 9, 40), "order not seen added"),
        ("U", struct.pack(">QQII", 9, 3, 70, 99_900), "order not seen added"),
        ("E", struct.pack(">QI", 1, 101), "more shares than the order had"),
        ("X", struct.pack(">QI", 1, 0), "price or size is 0"),
        ("A", struct.pack(">QcI8sI", 3, b"?", 1, STOCK, 1), "side b'?'"),
        ("A", struct.pack(">QcI8sI", 3, b"B", 1, STOCK, 0), "price or size is 0"),
        ("A", struct.pack(">QcI8sI", 1, b"B", 1, STOCK, 1), "order number added twice"),
        ("Q", struct.pack(">Q8sI", 2**63, STOCK, 1), "trade without price or size"),
        ("H", STOCK + b"?", "trading state b'?'"),
    ],
)
def test_what_cannot_be_followed_is_counted(kind: str, body: bytes, what: str) -> None:
    assert events_of(BID_10, (kind, body))[1].unknown == {what: 1}


def test_type_of_the_future_is_counted_and_an_earlier_time_waits_for_nobody() -> None:
    events = ItchEvents(0, VENUE, trades_have_side=False)
    assert events.message(b"z123", PLACE) == []
    assert events.unknown == {"type 'z'": 1}
    events.message(message(*BID_10), PLACE)
    late = events.message(message(*ASK_11, ts=NOON_NS - 5), PLACE)
    assert (late[0][0], events.held_back) == (NOON_NS, 1)


@pytest.mark.parametrize(
    "bad",
    [
        message("A")[:-1],
        message("A", time_bytes=8),
        message("A", ts=2**48 - 1),
        message("R", b"\xff\xff      "),
    ],
)
def test_damaged_message_names_file_and_offset(bad: bytes) -> None:
    with pytest.raises(FeedError, match="day:7"):
        ItchEvents(0, VENUE, trades_have_side=False).message(bad, PLACE)


@given(st.lists(st.binary(min_size=1, max_size=60)), st.integers(1, 40), st.sampled_from([b"", b"\0\0"]))
def test_framing_does_not_depend_on_the_chunks(messages: list[bytes], size: int, end: bytes) -> None:
    data = framed(*messages) + end
    chunks = [data[at : at + size] for at in range(0, len(data), size)]
    assert [found for _, found in split(chunks, "day")] == messages


@pytest.mark.parametrize("data", [framed(message("S"))[:-3], b"\0", framed(message("S")) + b"\0\0\0"])
def test_cut_or_overlong_file_is_refused(data: bytes) -> None:
    with pytest.raises(FeedError, match=r"day:\d+: (cut short|bytes follow)"):
        list(split([data], "day"))


@given(st.lists(st.tuples(st.sampled_from(sorted(SIZES)), st.binary(max_size=60)), max_size=30))
def test_random_bytes_raise_nothing_but_feed_errors(parts: list[tuple[int, bytes]]) -> None:
    events = ItchEvents(0, Layout(6, 1), trades_have_side=True)
    for kind, body in parts:
        raw = bytes([kind]) + body
        for one in (raw, raw.ljust(SIZES[kind], b"\1")[: SIZES[kind]]):
            with contextlib.suppress(FeedError):
                assert all(row[5] >= 0 and row[6] >= 0 for row in events.message(one, PLACE))


@given(st.binary(max_size=300))
def test_random_files_raise_nothing_but_feed_errors(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = write(tmp_path_factory.mktemp("itch"), data)
    with contextlib.suppress(FeedError):
        list(open_session(path).blocks())


@pytest.mark.parametrize("name", ["12302019.NASDAQ_ITCH50", "12302019.NASDAQ_ITCH50.gz", "S123019-v50.txt.gz"])
def test_session_spans_its_messages_in_utc(tmp_path: Path, name: str) -> None:
    session = open_session(write(tmp_path, framed(message("S", ts=NOON_NS - 1), message(*BID_10), b"") + b"", name))
    noon = 1_577_725_200 * 10**9  # 12:00 in New York
    assert (session.channel_id, session.start_ns, session.end_ns) == ("ITCH-2019-12-30", noon - TICK_NS, noon + TICK_NS)
    assert sum(len(block) for block in session.blocks()) == 3
    assert (session.messages, session.symbols, session.unknown) == (2, {ID: "TEST"}, {})


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("day.itch", framed(message("S")), "tells the date"),
        ("99302019.NASDAQ_ITCH50", framed(message("S")), "no date in"),
        ("12302019.NASDAQ_ITCH50", b"", "holds no message"),
        ("12302019.NASDAQ_ITCH50", framed(message("S", time_bytes=8)), "tick_scale"),
        ("12302019.NASDAQ_ITCH50", b"\x1f\x8bno gzip", "cannot be read"),
    ],
)
def test_file_that_is_no_session_is_refused(tmp_path: Path, name: str, data: bytes, reason: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(FeedError, match=reason):
        open_session(path)


def test_reencoded_file_takes_date_and_price_unit_from_its_description(tmp_path: Path) -> None:
    add = message("A", struct.pack(">QcI8sI", 1, b"B", 100, STOCK, 28_673), time_bytes=8)
    path = write(tmp_path, framed(add), "sample.itch")
    described = path.with_name("sample.itch.meta.json")
    described.write_text(json.dumps({"source": "12302019.NASDAQ_ITCH50.gz", "tick_scale": 100}))
    session = open_session(path)
    assert [row[5] for _, rows in session.rows() for row in rows] == [TICK_SIZE, 0, 286_730_000_000]
    described.write_text("{")
    with pytest.raises(FeedError, match="not JSON"):
        open_session(path)


def test_oracle_finds_an_execution_behind_the_best_price(tmp_path: Path) -> None:
    better = ("A", struct.pack(">QcI8sI", 3, b"B", 10, STOCK, 100_100))
    hit = ("E", struct.pack(">QI", 1, 100))
    assert check(write(tmp_path, framed(*(message(*one) for one in (BID_10, ASK_11, hit))))).first_mismatch is None
    report = check(write(tmp_path, framed(*(message(*one) for one in (BID_10, ASK_11, better, hit)))))
    assert (report.states, report.exact) == (2, 1)
    assert report.first_mismatch == "execution of order 1: book 10010000000, venue 10000000000"


@pytest.mark.marketdata
def test_real_executions_are_at_the_best_price_and_the_end_is_the_known_one(marketdata: Path) -> None:
    report = check(marketdata / "itch50" / "real_sample_scaled.itch")
    assert (report.states, report.exact, report.first_mismatch) == (1623, 1623, None)
    assert report.counts["messages"] == 49_947
    assert report.counts["unknown"] == {"order not seen added": 3_970}
    assert report.counts["executions_in_a_crossed_book"] == 0
    end = report.counts["end"]["AAPL"]
    assert end == {"best_bid": [(286_670_000_000, 222)], "best_ask": [(286_730_000_000, 100)], "live_orders": 339}


@pytest.mark.marketdata
def test_real_session_closes_exactly_its_ticks(marketdata: Path) -> None:
    session = open_session(marketdata / "itch50" / "real_sample_scaled.itch")
    kernel = ChannelKernel(session.channel_id)
    for frame in frames_of(session.blocks(), session.channel_id, start_ns=session.start_ns, end_ns=session.end_ns):
        kernel.apply(frame)
    counters = kernel.counters()
    assert counters["ticks"] == (session.end_ns - session.start_ns) // TICK_NS == 2_767
    bad = ("bad_event", "unknown_order", "clamped_level", "duplicate_order")
    assert {name: counters[name] for name in bad} == dict.fromkeys(bad, 0)
