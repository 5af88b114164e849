"""Signals: headlines and own orders become three features, equal to the sums that define them."""

import gzip
import json
import math
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.blocks import FeedError
from feeds.signals.events import SCORE_SCALE, Signal, SignalKind
from feeds.signals.parse import HEADLINE_HEADER, ORDER_COLUMNS, parse_headline, parse_order_csv, parse_order_json
from feeds.signals.reader import HeadlineFile, OrderFile
from feeds.signals.state import (
    FILL_HALF_LIFE_NS,
    HEADLINE_HALF_LIFE_NS,
    SENTIMENT_HALF_LIFE_NS,
    FutureSignalError,
    SignalState,
)
from schemas.units import NS_PER_S

HEADER = ",".join(ORDER_COLUMNS)
SENTIMENT = "{'class': 'positive', 'polarity': 0.13, 'subjectivity': 0.37}"
START_NS = 1_700_000_000 * NS_PER_S
HOUR_NS = 3600 * NS_PER_S


def headline(ts_ns: int, score: float, instrument_id: int = 1) -> Signal:
    return Signal(ts_ns, instrument_id, SignalKind.HEADLINE, score=round(score * SCORE_SCALE))


def order(ts_ns: int, qty: int = 10, instrument_id: int = 1) -> Signal:
    return Signal(ts_ns, instrument_id, SignalKind.ORDER, order_qty=qty)


def execution(ts_ns: int, fill_qty: int, qty: int = 10, instrument_id: int = 1) -> Signal:
    return Signal(ts_ns, instrument_id, SignalKind.EXECUTION, order_qty=qty, fill_qty=fill_qty)


def by_definition(signals: list[Signal], instrument_id: int, tick_ns: int) -> tuple[float, float, float]:
    """The twin: every past signal summed anew."""

    def weight(signal: Signal, half_life_ns: int) -> float:
        return float(0.5 ** ((tick_ns - signal.ts_event_ns) / half_life_ns))

    own = [signal for signal in signals if signal.instrument_id == instrument_id]
    news = [signal for signal in own if signal.kind is SignalKind.HEADLINE]
    weights = [weight(signal, SENTIMENT_HALF_LIFE_NS) for signal in news]
    scores = [signal.score / SCORE_SCALE for signal in news]
    sentiment = (
        math.fsum(w * s for w, s in zip(weights, scores, strict=True)) / math.fsum(weights) if news else math.nan
    )
    rate = math.log(2) * math.fsum(weight(signal, HEADLINE_HALF_LIFE_NS) for signal in news)
    orders = math.fsum(weight(signal, FILL_HALF_LIFE_NS) for signal in own if signal.kind is SignalKind.ORDER)
    fills = math.fsum(
        weight(signal, FILL_HALF_LIFE_NS) * signal.fill_qty / signal.order_qty
        for signal in own
        if signal.kind is SignalKind.EXECUTION
    )
    return sentiment, rate, (fills + 1) / (orders + 2)


def state_of(signals: list[Signal]) -> SignalState:
    state = SignalState()
    for signal in signals:
        state.apply(signal)
    return state


def test_before_any_signal_sentiment_is_null_and_the_ratio_says_nothing() -> None:
    sentiment, rate, ratio = SignalState().values(1, START_NS)
    assert math.isnan(sentiment)
    assert (rate, ratio) == (0.0, 0.5)


def test_orders_alone_leave_sentiment_null() -> None:
    assert math.isnan(state_of([order(START_NS)]).values(1, START_NS)[0])


def test_an_older_headline_weighs_half_after_half_an_hour() -> None:
    state = state_of([headline(START_NS, 1.0), headline(START_NS + SENTIMENT_HALF_LIFE_NS, -1.0)])
    assert state.values(1, START_NS + SENTIMENT_HALF_LIFE_NS)[0] == pytest.approx((0.5 - 1.0) / 1.5)


def test_sentiment_does_not_fade_in_silence_but_the_rate_does() -> None:
    state = state_of([headline(START_NS, 0.4)])
    sentiment, rate, _ = state.values(1, START_NS + 365 * 24 * HOUR_NS)
    assert sentiment == pytest.approx(0.4)
    assert rate == 0.0
    state.apply(headline(START_NS + 365 * 24 * HOUR_NS, -0.2))
    assert state.values(1, START_NS + 365 * 24 * HOUR_NS)[0] == pytest.approx(-0.2)


def test_a_steady_stream_of_headlines_reads_its_rate() -> None:
    every_ns = HOUR_NS // 60
    state = state_of([headline(START_NS + n * every_ns, 0.0) for n in range(20 * 60)])
    assert state.values(1, START_NS + 20 * 60 * every_ns)[1] == pytest.approx(60.0, rel=0.01)


def test_partial_fills_of_one_order_add_up_to_one() -> None:
    state = state_of([order(START_NS), execution(START_NS, 4), execution(START_NS, 6)])
    assert state.values(1, START_NS)[2] == pytest.approx(2 / 3)


def test_instruments_do_not_mix() -> None:
    state = state_of([headline(START_NS, 1.0, 1), headline(START_NS, -1.0, 2), order(START_NS, 1, 2)])
    assert state.values(1, START_NS) == by_definition([headline(START_NS, 1.0, 1)], 1, START_NS)


def test_reading_before_an_applied_signal_is_refused() -> None:
    with pytest.raises(FutureSignalError, match="lies before signal"):
        state_of([headline(START_NS, 1.0)]).values(1, START_NS - 1)


@pytest.mark.parametrize("raw", [b"", b"SIG1abc", b"SIG2"])
def test_damaged_snapshot_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match="not a snapshot"):
        SignalState.restore(raw)


TIMES = st.integers(0, 6 * HOUR_NS).map(lambda after: START_NS + after)
SIGNALS = st.one_of(
    st.builds(headline, TIMES, st.integers(-100, 100).map(lambda cent: cent / 100), st.integers(1, 2)),
    st.builds(order, TIMES, st.integers(1, 50), st.integers(1, 2)),
    st.builds(execution, TIMES, st.integers(1, 5), st.integers(5, 50), st.integers(1, 2)),
)


@given(st.lists(SIGNALS, max_size=40), st.integers(0, HOUR_NS))
def test_in_any_order_of_arrival_the_features_are_the_sums_that_define_them(
    signals: list[Signal], after_ns: int
) -> None:
    state = state_of(signals)
    tick_ns = max((signal.ts_event_ns for signal in signals), default=START_NS) + after_ns
    for instrument_id in (1, 2):
        assert state.values(instrument_id, tick_ns) == pytest.approx(
            by_definition(signals, instrument_id, tick_ns), rel=1e-9, abs=1e-9, nan_ok=True
        )


@given(st.lists(SIGNALS, max_size=30), st.integers(0, 30))
def test_a_restored_state_continues_bit_for_bit(signals: list[Signal], at: int) -> None:
    whole = state_of(signals)
    restored = SignalState.restore(state_of(signals[:at]).snapshot())
    for signal in signals[at:]:
        restored.apply(signal)
    assert restored.snapshot() == whole.snapshot()


def test_a_hundred_thousand_signals_do_not_drift() -> None:
    signals = [headline(START_NS + n * NS_PER_S, math.sin(n)) for n in range(100_000)]
    tick_ns = signals[-1].ts_event_ns
    assert state_of(signals).values(1, tick_ns) == pytest.approx(by_definition(signals, 1, tick_ns), rel=1e-11)


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
    assert list(file.signals()) == [order(5), execution(6, 4)]
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


@pytest.mark.marketdata
def test_real_headlines_give_the_features_by_definition(marketdata: Path) -> None:
    subjects = {"bitcoin": (1,), "ethereum": (2,), "altcoin": (1, 2), "blockchain": (1, 2), "defi": (2,)}
    file = HeadlineFile(marketdata / "news_crypto" / "cryptonews.csv.zst", subjects)
    signals = list(file.signals())
    assert file.messages == 7524
    assert dict(file.unknown) == {"subject nft": 619}
    assert all(a.ts_event_ns <= b.ts_event_ns for a, b in pairwise(signals))
    state = SignalState()
    for number, signal in enumerate(signals):
        state.apply(signal)
        if number % 500 == 0:
            tick_ns = signal.ts_event_ns + 17 * NS_PER_S
            past = signals[: number + 1]
            for instrument_id in (1, 2):
                assert state.values(instrument_id, tick_ns) == pytest.approx(
                    by_definition(past, instrument_id, tick_ns), rel=1e-9, abs=1e-12, nan_ok=True
                )
