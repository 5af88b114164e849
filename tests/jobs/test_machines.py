"""The machines of the jobs: restore equality at any cut, dead letters with their place."""

import dataclasses
from typing import cast

import numpy as np
import pytest

from feeds.framing import frames_of
from feeds.merging import with_signals
from feeds.simulator.session import simulate
from jobs.machines.channel_features import ChannelFeatures, FrameOutcome
from schemas import codec, topics
from schemas.errors import Place
from schemas.frames import SignalFrame, decode_frame, encode_frame
from schemas.records import DeadLetter
from schemas.signals import Signal, SignalKind
from schemas.units import NS_PER_MS, NS_PER_S

PLACE = Place(topics.MARKET_FRAMES, 0, 41)


@pytest.fixture(scope="module")
def raw_frames() -> list[bytes]:
    session = simulate("flash_crash", 2, duration_s=6)
    plan = session.scenario
    return [encode_frame(f) for f in frames_of([session.block], "SIM", start_ns=plan.start_ns, end_ns=plan.end_ns)]


@pytest.fixture(scope="module")
def raw_with_signals() -> list[bytes]:
    """The same session with an own order each 40 ms, and each tenth of them late."""
    session = simulate("flash_crash", 2, duration_s=6)
    plan = session.scenario
    market = frames_of([session.block], "SIM", start_ns=plan.start_ns, end_ns=plan.end_ns)
    times = [plan.start_ns + n * 40 * NS_PER_MS - (NS_PER_S if n % 10 == 9 else 0) for n in range(150)]
    signals = [Signal(ts_ns, 1 + n % 5, SignalKind.ORDER, order_qty=10) for n, ts_ns in enumerate(times)]
    return [encode_frame(frame) for frame in with_signals(market, signals)]


def letter_of(outcome: FrameOutcome) -> DeadLetter:
    (message,) = outcome.letters
    assert message[0] == topics.MARKET_FRAMES.encode()
    return cast("DeadLetter", codec.decode(topics.DEAD_LETTERS, message[1]))


@pytest.mark.slow
@pytest.mark.parametrize("every", [1, 17, 90])
@pytest.mark.parametrize("recording", ["raw_frames", "raw_with_signals"])
def test_machine_restored_from_what_the_operator_keeps_gives_the_same_ticks(
    request: pytest.FixtureRequest, recording: str, every: int
) -> None:
    raw_frames: list[bytes] = request.getfixturevalue(recording)
    whole = ChannelFeatures("SIM", epoch=1)
    wanted = [whole.apply(raw, PLACE).ticks for raw in raw_frames]
    machine, snapshot, log, found = ChannelFeatures("SIM", epoch=1), None, list[bytes](), []
    for number, raw in enumerate(raw_frames):
        if number % every == 0:  # the operator dies: only what it kept in Flink's state is left
            machine = ChannelFeatures.restore("SIM", snapshot, log, epoch=1)
        outcome = machine.apply(raw, PLACE)
        found.append(outcome.ticks)
        if outcome.snapshot is not None:
            snapshot, log = outcome.snapshot, []
        elif outcome.keep:
            log.append(raw)
    assert found == wanted
    assert snapshot is not None


def test_repeated_frames_give_no_second_tick(raw_frames: list[bytes]) -> None:
    machine = ChannelFeatures("SIM", epoch=1)
    first = [machine.apply(raw, PLACE).ticks for raw in raw_frames[:300]]
    again = [machine.apply(raw, PLACE).ticks for raw in raw_frames[:300]]
    assert any(first)
    assert not any(again)


def test_poison_leaves_as_a_dead_letter_with_its_place_and_changes_nothing(raw_frames: list[bytes]) -> None:
    machine, clean = ChannelFeatures("SIM", epoch=1), ChannelFeatures("SIM", epoch=1)
    for raw in raw_frames[:200]:
        outcome = machine.apply(b"\x00random" + raw[:50], PLACE)
        letter = letter_of(outcome)
        assert (letter.cause, letter.partition, letter.offset, letter.source) == (
            "bad_arrow",
            0,
            41,
            "compute_features",
        )
        assert letter.raw == b"\x00random" + raw[:50]
        assert letter_of(machine.apply(raw[: len(raw) // 2], PLACE)).cause in {"bad_arrow", "bad_frame"}
        assert machine.apply(raw, PLACE).ticks == clean.apply(raw, PLACE).ticks


def test_bad_signal_leaves_as_a_dead_letter_and_what_it_held_is_a_gap(raw_with_signals: list[bytes]) -> None:
    machine = ChannelFeatures("SIM", epoch=1)
    frames = [decode_frame(raw) for raw in raw_with_signals]
    at = next(n for n, frame in enumerate(frames) if isinstance(frame, SignalFrame) and n > 50)
    for raw in raw_with_signals[:at]:
        machine.apply(raw, PLACE)
    before = machine.counters()
    kind = {"kind": np.full(frames[at].event_count, 9, np.uint8)}
    bad = encode_frame(dataclasses.replace(frames[at], columns=frames[at].columns | kind))
    outcome = machine.apply(bad, PLACE)
    letter = letter_of(outcome)
    assert (letter.cause, letter.offset, letter.raw) == ("bad_signal", 41, bad)
    assert str(frames[at].seq_first) in letter.detail
    assert not outcome.keep
    assert machine.counters() == before
    after = next(raw for raw, frame in list(zip(raw_with_signals, frames, strict=True))[at + 1 :] if frame.event_count)
    assert letter_of(machine.apply(after, PLACE)).cause == "sequence_gap"


def test_gap_leaves_a_dead_letter_that_says_what_was_expected(raw_frames: list[bytes]) -> None:
    machine = ChannelFeatures("SIM", epoch=1)
    for raw in raw_frames[:100]:
        machine.apply(raw, PLACE)
    outcomes = [machine.apply(raw, PLACE) for raw in raw_frames[140:150]]
    letters = [letter_of(o) for o in outcomes if o.letters]
    assert [letter.cause for letter in letters] == ["sequence_gap"]
    assert "expected seq" in letters[0].detail


def test_frame_under_the_key_of_another_channel_is_refused(raw_frames: list[bytes]) -> None:
    assert letter_of(ChannelFeatures("OTHER", epoch=1).apply(raw_frames[0], PLACE)).cause == "wrong_key"
