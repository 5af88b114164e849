"""The Databento reader: fills become executions once, and the book is that of the vendor's own rule and records."""

import contextlib
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import databento_dbn as dbn
import pytest
import zstandard
from databento_dbn import Action, MBOMsg, Schema
from databento_dbn import Side as DbnSide
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.book_oracles.databento import check
from features.channel import ChannelKernel
from feeds.blocks import FeedError, Row
from feeds.databento.decode import records
from feeds.databento.parse import DbnEvents, Definition
from feeds.databento.reader import open_session
from feeds.framing import frames_of
from schemas.events import Kind, Side
from schemas.units import PRICE_SCALE, TICK_NS

PLACE = ("day", 7)
TS = 1_715_126_400 * 10**9
E9 = PRICE_SCALE
LAST, SNAPSHOT = dbn.F_LAST, dbn.F_SNAPSHOT | dbn.F_BAD_TS_RECV
DEFINITIONS = {7: Definition("TEST", E9 // 4)}
BEST_BID = (Action.ADD, "B", 1, 100, 10)
BEST_ASK = (Action.ADD, "A", 2, 101, 5)
Step = tuple[Any, str, int, int, int]
"""Action, side, order id, price in currency, size."""


def mbo(step: Step, flags: int = LAST, ts: int = TS, sequence: int = 0) -> MBOMsg:
    action, side, order_id, price, size = step
    sides: dict[str, Any] = {"B": DbnSide.BID, "A": DbnSide.ASK, "N": DbnSide.NONE}
    head = {"publisher_id": 1, "instrument_id": 7, "ts_event": ts, "ts_recv": ts + 1}
    body = {"order_id": order_id, "price": price * E9 if price else dbn.UNDEF_PRICE, "size": size, "flags": flags}
    return MBOMsg(**head, **body, action=action, side=sides[side], sequence=sequence)


def mbp(record: MBOMsg, bid: tuple[int, int], ask: tuple[int, int]) -> dbn.MBP1Msg:
    names = (
        "publisher_id",
        "instrument_id",
        "ts_event",
        "ts_recv",
        "price",
        "size",
        "action",
        "side",
        "flags",
        "sequence",
    )
    head: dict[str, Any] = {name: getattr(record, name) for name in names}
    level: Any = dbn.BidAskPair(bid[0] * E9, ask[0] * E9, bid[1], ask[1], 1, 1)
    return dbn.MBP1Msg(**head, depth=0, levels=level)


def definition(ts: int, tick_size: int) -> dbn.InstrumentDefMsg:
    numbers: dict[str, Any] = {
        "publisher_id": 1,
        "instrument_id": 7,
        "ts_event": TS - 10**15,
        "ts_recv": ts,
        "display_factor": 1,
    }
    texts: dict[str, Any] = {"raw_symbol": "TEST", "asset": "T", "security_type": "FUT"}
    kinds: dict[str, Any] = {
        "instrument_class": dbn.InstrumentClass.FUTURE,
        "security_update_action": dbn.SecurityUpdateAction.ADD,
    }
    return dbn.InstrumentDefMsg(**numbers, **texts, **kinds, min_price_increment=tick_size)


def run(steps: Iterable[tuple[Step, int]]) -> tuple[list[tuple[int, ...]], DbnEvents]:
    """``(kind, side, order_id, price in currency, qty)`` of what follows the definition and the first clearing."""
    events = DbnEvents(dict(DEFINITIONS))
    rows = events.record(mbo((Action.CLEAR, "N", 0, 0, 0)), PLACE)
    assert [row[2] for row in rows] == [Kind.DEFINE, Kind.CLEAR]
    found = [row for step, flags in steps for row in events.record(mbo(step, flags), PLACE)] + events.finish()
    return [(row[2], row[3], row[4], row[5] // E9, row[6]) for row in found], events


def encoded(schema: str, *found: Any, symbols: Iterable[str] = ("TEST",)) -> bytes:
    head: dict[str, Any] = {"partial": [], "not_found": [], "mappings": [], "end": None, "limit": None}
    types: dict[str, Any] = {"stype_in": dbn.SType.RAW_SYMBOL, "stype_out": dbn.SType.INSTRUMENT_ID}
    meta = dbn.Metadata("X.TEST", TS, schema=Schema.from_str(schema), symbols=list(symbols), **types, **head)
    return bytes(meta) + b"".join(bytes(one) for one in found)


def write(folder: Path, data: bytes, name: str = "day.dbn") -> Path:
    path = folder / name
    path.write_bytes(zstandard.compress(data) if name.endswith("zst") else data)
    return path


@pytest.mark.parametrize(
    ("steps", "wanted"),
    [
        ([(Action.CANCEL, "B", 1, 100, 4)], [(Kind.REDUCE, 1, 1, 100, 4)]),
        ([(Action.CANCEL, "B", 1, 100, 10)], [(Kind.DELETE, 1, 1, 100, 10)]),
        ([(Action.MODIFY, "B", 1, 100, 7)], [(Kind.REDUCE, 1, 1, 100, 3)]),
        ([(Action.MODIFY, "B", 1, 100, 12)], [(Kind.REPLACE, 1, 1, 100, 12)]),
        ([(Action.MODIFY, "B", 1, 100, 10)], [(Kind.REPLACE, 1, 1, 100, 10)]),
        ([(Action.MODIFY, "B", 1, 99, 10)], [(Kind.REPLACE, 1, 1, 99, 10)]),
        ([(Action.MODIFY, "A", 1, 101, 9)], [(Kind.DELETE, 1, 1, 100, 10), (Kind.ADD, -1, 1, 101, 9)]),
        ([(Action.MODIFY, "B", 9, 99, 3)], [(Kind.ADD, 1, 9, 99, 3)]),
        ([(Action.CLEAR, "N", 0, 0, 0)], [(Kind.CLEAR, 0, 0, 0, 0)]),
        ([(Action.NONE, "N", 0, 0, 0)], []),
    ],
)
def test_action_on_an_order_has_its_meaning(steps: list[Step], wanted: list[tuple[int, ...]]) -> None:
    rows, events = run([(BEST_BID, LAST), *((step, LAST) for step in steps)])
    assert rows[1:] == wanted
    assert not events.unknown


TRADE_10 = (Action.TRADE, "A", 0, 100, 10)
FILL_10 = (Action.FILL, "B", 1, 100, 10)
FILL_4 = (Action.FILL, "B", 1, 100, 4)


@pytest.mark.parametrize(
    ("steps", "wanted"),
    [
        ([TRADE_10, FILL_10, (Action.CANCEL, "B", 1, 100, 10)], [(Kind.EXECUTE, 1, 1, 100, 10)]),
        (
            [TRADE_10, FILL_4, (Action.MODIFY, "B", 1, 100, 6)],
            [(Kind.EXECUTE, 1, 1, 100, 4), (Kind.EXECUTE_HIDDEN, 1, 0, 100, 6)],
        ),
        (
            [(Action.TRADE, "A", 0, 100, 4), FILL_4, (Action.CANCEL, "B", 1, 100, 10)],
            [(Kind.EXECUTE, 1, 1, 100, 4), (Kind.DELETE, 1, 1, 100, 6)],
        ),
        (
            [(Action.TRADE, "A", 0, 100, 4), FILL_4, (Action.MODIFY, "B", 1, 100, 5)],
            [(Kind.EXECUTE, 1, 1, 100, 4), (Kind.REDUCE, 1, 1, 100, 1)],
        ),
        ([TRADE_10], [(Kind.EXECUTE_HIDDEN, 1, 0, 100, 10)]),
        ([(Action.TRADE, "N", 0, 100, 10)], [(Kind.EXECUTE_HIDDEN, 0, 0, 100, 10)]),
        (
            [TRADE_10, (Action.TRADE, "B", 0, 101, 3)],
            [(Kind.EXECUTE_HIDDEN, 1, 0, 100, 10), (Kind.EXECUTE_HIDDEN, -1, 0, 101, 3)],
        ),
    ],
)
@pytest.mark.parametrize("last", [LAST, 0])
def test_trade_is_told_once_and_takes_its_lots_once(
    steps: list[Step], wanted: list[tuple[int, ...]], last: int
) -> None:
    rows, events = run([(BEST_BID, LAST), *((step, 0) for step in steps[:-1]), (steps[-1], last)])
    assert sorted(rows[1:]) == sorted(wanted)
    assert not events.unknown


@pytest.mark.parametrize(
    ("step", "flags", "what"),
    [
        ((Action.CANCEL, "B", 9, 100, 4), LAST, "order not seen added"),
        ((Action.CANCEL, "B", 1, 100, 11), LAST, "more lots than the order had"),
        ((Action.ADD, "B", 1, 100, 4), LAST, "order id added twice"),
        ((Action.ADD, "N", 3, 100, 4), LAST, "order without side, size or price above 0"),
        ((Action.ADD, "B", 3, -5, 4), LAST, "order without side, size or price above 0"),
        ((Action.ADD, "B", 0, 100, 4), LAST | dbn.F_MBP, "level in an order feed (F_MBP)"),
        ((Action.TRADE, "B", 0, 0, 4), LAST, "trade without size or price above 0"),
        ((Action.NONE, "N", 0, 0, 0), LAST | dbn.F_MAYBE_BAD_BOOK, "the vendor doubts the book (F_MAYBE_BAD_BOOK)"),
        ((Action.FILL, "B", 1, 100, 4), LAST, "fill that no cancellation followed"),
        ((Action.FILL, "B", 9, 100, 4), LAST, "fill of an order not seen added"),
    ],
)
def test_what_cannot_be_followed_is_counted(step: Step, flags: int, what: str) -> None:
    assert run([(BEST_BID, LAST), (step, flags)])[1].unknown == {what: 1}


def test_snapshot_is_framed_and_stands_at_the_time_it_was_made() -> None:
    old = TS - 10**15
    steps = [(Action.CLEAR, "N", 0, 0, 0), BEST_BID, BEST_ASK]
    found = [mbo(step, SNAPSHOT | LAST * (step is BEST_ASK), old) for step in steps]
    events = DbnEvents(dict(DEFINITIONS))
    rows = [row for record in found for row in events.record(record, PLACE)]
    assert [row[2] for row in rows] == [Kind.DEFINE, Kind.SNAPSHOT_BEGIN, Kind.ADD, Kind.ADD, Kind.SNAPSHOT_END]
    assert {row[0] for row in rows} == {old + 1}
    assert not events.unknown


def test_snapshot_that_lacks_its_end_is_closed_by_the_next_record() -> None:
    rows, events = run([((Action.CLEAR, "N", 0, 0, 0), SNAPSHOT), (BEST_BID, SNAPSHOT), (BEST_ASK, LAST)])
    assert [row[0] for row in rows] == [Kind.SNAPSHOT_BEGIN, Kind.ADD, Kind.SNAPSHOT_END, Kind.ADD]
    assert events.unknown == {"snapshot without a last record": 1}


def test_feed_of_best_prices_alone_shows_one_level_a_side() -> None:
    top = LAST | dbn.F_TOB
    steps: list[Step] = [(Action.ADD, "B", 0, 100, 4), (Action.ADD, "B", 0, 99, 5), (Action.ADD, "B", 0, 0, 0)]
    rows, _ = run((step, top) for step in steps)
    assert [row[3:] for row in rows] == [(100, 4), (100, 0), (99, 5), (99, 0)]


def test_book_without_definition_or_snapshot_is_counted_and_an_earlier_event_takes_the_channels_time() -> None:
    events = DbnEvents()
    rows = events.record(mbo(BEST_BID), PLACE) + events.record(mbo(BEST_ASK, ts=TS - 9), PLACE)
    assert [(row[0], row[2]) for row in rows] == [(TS, Kind.CLEAR), (TS, Kind.ADD), (TS, Kind.ADD)]
    assert events.unknown == {"instrument without a definition": 1, "book that begins without a snapshot": 1}
    assert events.held_back == 1


def test_levels_become_differences_and_trades_prints() -> None:
    events = DbnEvents(dict(DEFINITIONS))
    shown = [
        mbp(mbo(BEST_BID), (100, 10), (101, 5)),
        mbp(mbo((Action.TRADE, "A", 0, 100, 10), 0), (100, 10), (101, 5)),
        mbp(mbo((Action.CANCEL, "B", 0, 100, 10)), (99, 7), (101, 5)),
    ]
    rows: list[Row] = [row for record in shown for row in events.record(record, PLACE)]
    assert [(row[2], row[3], row[5] // E9, row[6]) for row in rows[2:]] == [
        (Kind.LEVEL_SET, Side.BID, 100, 10),
        (Kind.LEVEL_SET, Side.ASK, 101, 5),
        (Kind.TRADE, Side.BID, 100, 10),
        (Kind.LEVEL_SET, Side.BID, 99, 7),
        (Kind.LEVEL_SET, Side.BID, 100, 0),
    ]


@pytest.mark.parametrize("name", ["day.dbn", "day.dbn.zst"])
def test_session_spans_its_records_and_closes_its_ticks(tmp_path: Path, name: str) -> None:
    steps = [(Action.CLEAR, "N", 0, 0, 0), BEST_BID, BEST_ASK]
    found = [mbo(step, ts=TS + n * TICK_NS) for n, step in enumerate(steps)]
    session = open_session(write(tmp_path, encoded("mbo", *found), name))
    assert session.channel_id == "DBN-X.TEST-mbo-2024-05-08"
    assert (session.start_ns, session.end_ns) == (TS, TS + 3 * TICK_NS)
    kernel = ChannelKernel(session.channel_id)
    for frame in frames_of(session.blocks(), session.channel_id, start_ns=session.start_ns, end_ns=session.end_ns):
        kernel.apply(frame)
    assert kernel.levels(7, 9) == ([(100 * E9, 10)], [(101 * E9, 5)])
    assert (session.messages, session.unknown) == (3, {"instrument without a definition": 1})


@pytest.mark.parametrize(
    ("name", "cut"), [("day.dbn", 1), ("day.dbn", 100), ("day.dbn.zst", 1), ("day.dbn.zst", 30), ("day.dbn", 10**9)]
)
def test_file_that_was_cut_short_is_refused(tmp_path: Path, name: str, cut: int) -> None:
    path = write(tmp_path, encoded("mbo", mbo(BEST_BID), mbo(BEST_ASK)), name)
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(FeedError, match=r"day\.dbn.*:\d+: (cut short|not a DBN file, it has 0 bytes)"):
        list(open_session(path).blocks())


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"P*M\x18 the format before DBN", "not a DBN file"),
        (b"DBN\x09\x00\x00\x00\x00", "version 1 to 3"),
        (b"DBN\x03\xff\xff\xff\xff", "its header would have 4294967295 bytes"),
        (encoded("ohlcv-1s"), "schema ohlcv-1s has no events of a book"),
        (encoded("mbo"), "holds no record"),
        (encoded("mbo", mbo(BEST_BID, ts=dbn.UNDEF_TIMESTAMP - 1)), "time was"),
        (encoded("mbo") + b"\x04" + bytes(mbo(BEST_BID))[1:], "cannot be decoded"),
    ],
)
def test_file_that_is_no_session_is_refused(tmp_path: Path, data: bytes, reason: str) -> None:
    with pytest.raises(FeedError, match=reason):
        open_session(write(tmp_path, data))


@settings(max_examples=150)
@given(st.data())
def test_damaged_bytes_raise_nothing_but_feed_errors(data: st.DataObject) -> None:
    steps = [(Action.CLEAR, "N", 0, 0, 0), BEST_BID, BEST_ASK, TRADE_10, FILL_4, (Action.MODIFY, "B", 1, 100, 6)]
    raw = bytearray(encoded("mbo", *(mbo(step, flags=0) for step in steps)))
    for at, value in data.draw(st.lists(st.tuples(st.integers(0, len(raw) - 1), st.integers(0, 255)), max_size=5)):
        raw[at] = value
    whole = zstandard.compress(bytes(raw)) if data.draw(st.booleans()) else bytes(raw)
    size = data.draw(st.integers(1, len(whole)))
    chunks = [whole[at : at + size] for at in range(0, data.draw(st.integers(0, len(whole))), size)]
    events = DbnEvents(dict(DEFINITIONS))
    with contextlib.suppress(FeedError):
        for number, record in enumerate(records(chunks, "day")):
            if number:
                events.record(record, ("day", number))


def test_book_is_the_vendors_after_any_flow_of_orders(tmp_path: Path) -> None:
    dice = random.Random(7)
    live: dict[int, tuple[str, int, int]] = {}
    found = [mbo((Action.CLEAR, "N", 0, 0, 0))]
    for order_id in range(1, 400):
        side, offset = dice.choice([("B", -1), ("A", 1)])
        live[order_id] = (side, 100 + offset * dice.randint(1, 9), dice.randint(1, 9))
        found.append(mbo((Action.ADD, side, order_id, *live[order_id][1:])))
        other = dice.choice(list(live))
        side, price, size = live.pop(other)
        taken = dice.randint(1, size)
        if dice.random() < 0.5:
            aggressor = "A" if side == "B" else "B"
            found.append(mbo((Action.TRADE, aggressor, 0, price, taken), 0))
            found.append(mbo((Action.FILL, side, other, price, taken), 0))
        found.append(mbo((Action.CANCEL, side, other, price, taken)))
        if taken < size:
            live[other] = (side, price, size - taken)
    report = check(write(tmp_path, encoded("mbo", *found)))
    assert report.first_mismatch is None
    assert report.states == report.exact > 700
    assert report.counts["live_orders"] == {7: len(live)}


def test_oracle_compares_with_the_best_prices_beside_the_file(tmp_path: Path) -> None:
    found = [mbo(step, sequence=n) for n, step in enumerate([(Action.CLEAR, "N", 0, 0, 0), BEST_BID, BEST_ASK])]
    path = write(tmp_path, encoded("mbo", *found))
    write(tmp_path, encoded("mbp-1", mbp(found[2], (100, 10), (101, 5))), "best.dbn")
    report = check(path)
    assert (report.counts["mbp_1_states_compared"], report.first_mismatch) == (1, None)
    write(tmp_path, encoded("mbp-1", mbp(found[2], (100, 10), (101, 6))), "best.dbn")
    assert str(check(path).first_mismatch).startswith("sequence 2, MBP-1: book")


def test_definition_beside_the_file_gives_the_tick_and_the_symbol(tmp_path: Path) -> None:
    path = write(tmp_path, encoded("mbo", mbo((Action.CLEAR, "N", 0, 0, 0))))
    write(
        tmp_path, encoded("definition", definition(TS - 9, 1), definition(TS, 2), definition(TS + 10**12, 3)), "def.dbn"
    )
    session = open_session(path)
    rows = [row for _, found in session.rows() for row in found]
    assert [(row[2], row[5], row[6]) for row in rows] == [(Kind.DEFINE, 2, E9), (Kind.CLEAR, 0, 0)]
    assert session.symbols == {7: "TEST"}
    write(tmp_path, b"DBN", "broken.dbn")
    assert open_session(path).unknown == {"file beside it that cannot be read": 1}


@pytest.mark.marketdata
def test_real_orders_give_the_vendors_book_after_every_event(marketdata: Path) -> None:
    path = marketdata / "databento" / "orderbooks_mbo_2024-05-08T00-00-00_2024-05-08T00-00-02.dbn.zst"
    report = check(path)
    assert (report.states, report.exact, report.first_mismatch) == (186, 186, None)
    assert report.counts["unknown"] == {}
    assert report.counts["actions"] == {"R": 1, "A": 13_678, "C": 80, "M": 27, "T": 5, "F": 5}
    assert (report.counts["fills"], report.counts["fills_at_best"]) == (5, 5)
    assert report.counts["end"] == {"ESM4": {"bid": [(5_214 * E9, 28)], "ask": [(5_214_250_000_000, 17)]}}
    session = open_session(path)
    first = next(session.blocks()).columns
    kinds = first["kind"].tolist()
    assert kinds[:2] == [Kind.DEFINE, Kind.SNAPSHOT_BEGIN]
    assert (first["price"][0], kinds.count(Kind.EXECUTE), kinds.count(Kind.EXECUTE_HIDDEN)) == (E9 // 4, 5, 0)


@pytest.mark.marketdata
def test_real_levels_equal_every_record_and_trades_are_those_of_the_trades_file(marketdata: Path) -> None:
    name = "futures_{}_2024-07-01T23-58_2024-07-02T00-02.dbn.zst"
    report = check(marketdata / "databento" / name.format("mbp-1"))
    assert (report.states, report.exact, report.first_mismatch) == (2288, 2288, None)
    trades = [
        [
            row
            for _, rows in open_session(marketdata / "databento" / name.format(form)).rows()
            for row in rows
            if row[2] == 6
        ]
        for form in ("mbp-1", "trades")
    ]
    assert trades[0] == trades[1]
    assert len(trades[0]) == 120


@pytest.mark.marketdata
@pytest.mark.parametrize("form", ["mbo", "mbp-1", "mbp-10", "trades"])
def test_every_version_of_a_fixture_gives_the_same_events(marketdata: Path, form: str) -> None:
    folder = marketdata / "databento" / "dbn_codec_fixtures"
    found = [
        [row for _, rows in open_session(folder / f"test_data.{form}.{version}.dbn.zst").rows() for row in rows]
        for version in ("v1", "v2", "v3")
    ]
    assert found[0] == found[1] == found[2] != []


@pytest.mark.marketdata
def test_no_fixture_of_the_codec_raises_anything_but_a_feed_error(marketdata: Path) -> None:
    refused = set()
    for path in sorted((marketdata / "databento" / "dbn_codec_fixtures").iterdir()):
        try:
            list(open_session(path).blocks())
        except FeedError as error:
            refused.add(error.reason.split(",")[0].split(" has no")[0].split(" of version")[0])
    assert refused == {
        "not a DBN file",
        *(
            f"schema {name}"
            for name in ("bbo-1m", "bbo-1s", "cbbo-1s", "cmbp-1", "imbalance", "statistics", "status", "tbbo")
        ),
        *(f"schema ohlcv-1{unit}" for unit in "dhms"),
    }
