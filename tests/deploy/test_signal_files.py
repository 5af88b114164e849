"""Signals of a replay: which file is what, whom a subject concerns, and one stream in time order."""

import gzip
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from deploy.signal_files import SignalFiles, SubjectError
from feeds.blocks import FeedError
from feeds.formats import RecordedSession
from feeds.signals.parse import HEADLINE_HEADER, ORDER_COLUMNS
from schemas.signals import SignalKind
from schemas.units import NS_PER_S

NEWS_NS = 1_656_995_100 * NS_PER_S  # 2022-07-05 04:25, the end of the headline's minute
HEADLINE = b"5-7-2022 04:24;{'class': 'positive', 'polarity': 0.13, 'subjectivity': 0.37};CryptoNews;%b;t"


@dataclass
class Recording:
    """A session of two symbols."""

    symbols: dict[int, str] = field(default_factory=lambda: {7: "BTCUSDT", 8: "ETHUSDT"})


SESSION = cast("RecordedSession", Recording())


@pytest.fixture
def news(tmp_path: Path) -> Path:
    path = tmp_path / "news.csv.gz"
    path.write_bytes(gzip.compress(b"\n".join((HEADLINE_HEADER, HEADLINE % b"bitcoin", HEADLINE % b"nft"))))
    return path


@pytest.fixture
def orders(tmp_path: Path) -> Path:
    path = tmp_path / "orders.csv"
    rows = [(NEWS_NS - 1, 7, "ORDER", "a", 10, 0), (NEWS_NS, 7, "EXECUTION", "a", 10, 4)]
    path.write_text("\n".join(",".join(map(str, row)) for row in [ORDER_COLUMNS, *rows]))
    return path


def test_files_of_both_kinds_come_as_one_stream_and_of_equal_times_the_first_named_is_first(
    news: Path, orders: Path
) -> None:
    subjects = ["bitcoin=BTCUSDT", "bitcoin=8"]
    files = SignalFiles([news, orders], subjects, SESSION)
    found = [(s.ts_event_ns - NEWS_NS, s.instrument_id, s.kind) for s in files.signals()]
    assert found == [
        (-1, 7, SignalKind.ORDER),
        (0, 7, SignalKind.HEADLINE),
        (0, 8, SignalKind.HEADLINE),
        (0, 7, SignalKind.EXECUTION),
    ]
    assert files.report() == {
        str(news): {"messages": 2, "unknown": {"subject nft": 1}},
        str(orders): {"messages": 2, "unknown": {}},
    }
    assert not list(SignalFiles([], [], SESSION).signals())


@pytest.mark.parametrize(
    ("subjects", "why"),
    [
        ([], "say which instrument"),
        (["bitcoin"], "not SUBJECT=SYMBOL"),
        (["=BTCUSDT"], "not SUBJECT=SYMBOL"),
        (["bitcoin=DOGEUSDT"], "no 'DOGEUSDT', but BTCUSDT, ETHUSDT"),
    ],
)
def test_subject_that_leads_nowhere_is_refused_before_anything_is_sent(
    news: Path, subjects: list[str], why: str
) -> None:
    with pytest.raises(SubjectError, match=why):
        SignalFiles([news], subjects, SESSION)


def test_file_of_another_kind_is_refused_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "else.csv"
    path.write_text("a,b\n")
    files: Any = SignalFiles([path], [], SESSION)
    with pytest.raises(FeedError, match=r"else\.csv:1: the first line must be"):
        list(files.signals())
