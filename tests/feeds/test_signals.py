"""Files of headlines and own orders: what a line says, what is refused, and in which order signals come."""

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.blocks import FeedError
from feeds.signals.parse import HEADLINE_HEADER, ORDER_COLUMNS, parse_headline, parse_order_csv, parse_order_json
from feeds.signals.reader import HeadlineFile, OrderFile
from schemas.signals import Signal, SignalKind
from schemas.units import NS_PER_S

HEADER = ",".join(ORDER_COLUMNS)
SENTIMENT = "{'class': 'positive', 'polarity': 0.13, 'subjectivity': 0.37}"
START_NS = 1_700_000_000 * NS_PER_S
HOUR_NS = 3600 * NS_PER_S


def test_a_headline_counts_from_the_end_of_its_minute() -> None:
    found = parse_headline(f"5-7-2022 04:24;{SENTIMENT};CryptoNews;bitcoin;a;b;c".encode(), ("n", 1))
    assert found.ts_event_ns == 1_656_995_100 * NS_PER_S  # 2022-07-05 04:25 UTC
    assert (found.score, found.subject) == (130_000_000, "bitcoin")


@pytest.mark.parametrize(
    "line",
    [
        "",
        f"5-7-2022 04:24;{SENTIMENT};CryptoNews;bitcoin",
        f"31-2-2022 04:24;{SENTIMENT};s;bitcoin;t",
        f"5-7-2022 24:00;{SENTIMENT};s;bitcoin;t",
        f"2022-07-05 04:24;{SENTIMENT};s;bitcoin;t",
        f"5-7-2022 04:24;{SENTIMENT.replace('0.13', '1.01')};s;bitcoin;t",
        f"5-7-2022 04:24;{SENTIMENT.replace('0.13', 'nan')};s;bitcoin;t",
        "5-7-2022 04:24;{};s;bitcoin;t",
    ],
)
def test_malformed_headline_names_file_and_line(line: str) -> None:
    with pytest.raises(FeedError, match=r"news\.csv:3: "):
        parse_headline(line.encode(), ("news.csv", 3))


GOOD = {"ts_event_ns": 5, "instrument_id": 1, "kind": "EXECUTION", "order_id": "a", "order_qty": 10, "fill_qty": 4}


@pytest.mark.parametrize(
    "change",
    [
        {"ts_event_ns": -1},
        {"ts_event_ns": "5x"},
        {"instrument_id": 2**32},
        {"kind": "CANCEL"},
        {"kind": "ORDER"},
        {"order_id": ""},
        {"order_qty": 0},
        {"fill_qty": 0},
        {"fill_qty": 11},
        {"ts_event_ns": 2**62},
    ],
)
def test_order_lines_that_make_no_sense_are_refused_in_both_forms(change: dict[str, object]) -> None:
    raw = {**GOOD, **change}
    with pytest.raises(FeedError, match="o:2: "):
        parse_order_json(json.dumps(raw).encode(), ("o", 2))
    with pytest.raises(FeedError, match="o:2: "):
        parse_order_csv(",".join(str(raw[name]) for name in ORDER_COLUMNS).encode(), ("o", 2))


@pytest.mark.parametrize("raw", [{**GOOD, "more": 1}, {**GOOD, "fill_qty": 4.0}, {**GOOD, "fill_qty": True}, [1], {}])
def test_json_of_another_shape_is_refused(raw: object) -> None:
    with pytest.raises(FeedError):
        parse_order_json(json.dumps(raw).encode(), ("o", 2))


def test_both_forms_of_an_order_line_say_the_same() -> None:
    expected = Signal(5, 1, SignalKind.EXECUTION, order_qty=10, fill_qty=4)
    assert parse_order_json(json.dumps(GOOD).encode(), ("o", 1)) == expected
    assert parse_order_csv(b"5,1,EXECUTION,a,10,4\r\n", ("o", 1)) == expected


@given(st.binary(max_size=120))
def test_random_bytes_raise_nothing_but_feed_errors(line: bytes) -> None:
    for parse in (parse_headline, parse_order_csv, parse_order_json):
        with pytest.raises(FeedError):
            parse(line, ("f", 1))


def test_headlines_come_in_time_order_for_each_instrument_concerned(tmp_path: Path) -> None:
    path = tmp_path / "news.csv.gz"
    rows = [f"5-7-2022 04:{m};{SENTIMENT};s;{subject};t" for m, subject in ((30, "nft"), (20, "bitcoin"), (25, "defi"))]
    path.write_bytes(gzip.compress(b"\xef\xbb\xbf" + HEADLINE_HEADER + "".join(f"\n{row}" for row in rows).encode()))
    file = HeadlineFile(path, {"bitcoin": (1,), "nft": (1, 2)})
    assert [(signal.ts_event_ns // NS_PER_S % 3600 // 60, signal.instrument_id) for signal in file.signals()] == [
        (21, 1), (31, 1), (31, 2),
    ]  # fmt: skip
    assert (file.messages, dict(file.unknown)) == (3, {"subject defi": 1})


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_own_orders_stream_in_both_forms(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"orders{suffix}"
    lines = [{**GOOD, "kind": "ORDER", "fill_qty": 0}, {**GOOD, "ts_event_ns": 6}]
    if suffix == ".csv":
        text = HEADER + "".join("\n" + ",".join(str(line[name]) for name in ORDER_COLUMNS) for line in lines)
    else:
        text = "\n".join(map(json.dumps, lines))
    path.write_text(text)
    file = OrderFile(path)
    assert list(file.signals()) == [
        Signal(5, 1, SignalKind.ORDER, order_qty=10),
        Signal(6, 1, SignalKind.EXECUTION, order_qty=10, fill_qty=4),
    ]
    assert file.messages == 2


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("o.csv", "a,b,c\n", "first line must be"),
        ("o.csv", "", "first line must be"),
        ("o.csv", f"{HEADER}\n5,1,ORDER,a,1,0\n4,1,ORDER,b,1,0\n", ":3: time goes back"),
        ("o.jsonl", "x" * (1 << 20) + "xx", "a line of more than"),
        ("o.jsonl.gz", "no gzip", "cannot be read on"),
        ("o.jsonl.zst", "no zstd", "cannot be read on"),
        ("o.txt", "", r"own orders are \.csv or \.jsonl"),
    ],
)
def test_order_file_that_cannot_be_read_is_refused_with_its_place(
    tmp_path: Path, name: str, content: str, reason: str
) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(FeedError, match=reason):
        list(OrderFile(path).signals())
