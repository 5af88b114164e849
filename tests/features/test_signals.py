"""What signals leave behind: three features, equal to the sums that define them, whatever the order of arrival."""

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features import spec
from features.reference.signals import PlainSignals
from features.signals import FEATURE_NAMES, INSTRUMENTS_MAX, SENTIMENT_HALF_LIFE_NS, FutureSignalError, SignalState
from feeds.signals.reader import HeadlineFile
from schemas.signals import SCORE_SCALE, Signal, SignalKind
from schemas.units import NS_PER_S

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
    plain = PlainSignals()
    for signal in signals:
        plain.apply(signal)
    found = plain.features(instrument_id, tick_ns)
    sentiment, rate, ratio = (math.nan if (value := found[name]) is None else value for name in FEATURE_NAMES)
    return sentiment, rate, ratio


def state_of(signals: list[Signal]) -> SignalState:
    state = SignalState()
    for signal in signals:
        state.apply(signal)
    return state


def test_the_names_are_the_last_of_the_specification() -> None:
    assert spec.FEATURE_NAMES[-len(FEATURE_NAMES) :] == FEATURE_NAMES
    assert not any(feature.scored for feature in spec.FEATURES[-len(FEATURE_NAMES) :])


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


@pytest.mark.parametrize("raw", [b"", b"SIG1" + bytes(16), b"SIG2", b"SIG2" + bytes(17)])
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


def test_only_rows_of_instruments_with_signals_are_written() -> None:
    state, out = state_of([headline(START_NS, 0.5, 7), order(START_NS, 1, 9), order(START_NS, 1, 5)]), np.zeros((3, 3))
    state.write(START_NS, np.array([5, 6, 7], np.uint32), out)
    assert out[0].tolist() == pytest.approx(state.values(5, START_NS), nan_ok=True)
    assert out[1].tolist() == [0, 0, 0]
    assert out[2].tolist() == list(state.values(7, START_NS))


def test_signals_of_more_instruments_than_a_channel_holds_are_refused_and_counted() -> None:
    state = state_of([order(START_NS, 1, number) for number in range(INSTRUMENTS_MAX + 2)])
    assert (state.applied, state.refused) == (INSTRUMENTS_MAX, 2)
    state.apply(order(START_NS, 1, 0))
    assert (state.applied, state.refused) == (INSTRUMENTS_MAX + 1, 2)
    assert SignalState.restore(state.snapshot()).snapshot() == state.snapshot()


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
