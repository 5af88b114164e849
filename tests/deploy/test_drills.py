"""What the drills decide with: the comparison sees every planted difference, the soak every planted leak, and no more."""

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.drills.outputs import Compared, Outputs, compare
from deploy.drills.report import Report
from deploy.drills.soak import GROWTH_MAX, MEASURES, Sample, growth, open_handles, verdict
from deploy.drills.tape import copies_of, drill_tape, moved
from features.spec import FEATURE_NAMES, SPEC_HASH
from models.alerting import SOURCE
from schemas import codec, topics
from schemas.records import AlertKind, RiskAlert, Tier
from schemas.ticks import Ticks, encode_ticks
from schemas.units import NS_PER_S, TICK_NS
from tests.gate.policies import STATE as A_STATE

T0_NS = 1_768_487_428_000_000_000
STATE = replace(A_STATE, tick_ns=T0_NS)
ALERT = RiskAlert(f"TIER:1:{T0_NS}:1", AlertKind.TIER_CHANGED, 1, T0_NS, 1, Tier.NORMAL, "words", SOURCE)


def ticks(epoch: int = 1, *, first_value: float = 1.0, tick_ns: int = T0_NS) -> bytes:
    values = np.full((2, len(FEATURE_NAMES)), 1.0)
    values[0, 0] = first_value
    return encode_ticks(
        Ticks(
            channel_id="SIM",
            epoch=epoch,
            spec_hash=SPEC_HASH,
            feature_names=FEATURE_NAMES,
            tick_ns=np.full(2, tick_ns, np.int64),
            instrument_id=np.array([1, 2], np.uint32),
            status=np.zeros(2, np.uint32),
            ref_price=np.full(2, 5, np.int64),
            values=values,
        )
    )


def heard(*said: tuple[str, bytes]) -> Outputs:
    outputs = Outputs()
    for topic, value in said:
        outputs.take(topic, value)
    return outputs


def state(**changes: object) -> tuple[str, bytes]:
    return topics.RISK_STATES, codec.encode(topics.RISK_STATES, replace(STATE, **changes))  # type: ignore[arg-type]


def alert(epoch: int) -> tuple[str, bytes]:
    name = f"TIER:1:{T0_NS}:{epoch}"
    return topics.RISK_ALERTS, codec.encode(topics.RISK_ALERTS, replace(ALERT, alert_id=name, epoch=epoch))


WANTED = heard((topics.FEATURES_TICKS, ticks()), state(), alert(1))


def test_same_messages_under_a_newer_epoch_are_equal_and_repeats_are_counted() -> None:
    again = heard((topics.FEATURES_TICKS, ticks(2)), state(), state(epoch=2), alert(2))
    found = compare(again, WANTED)
    assert all(one.equal for one in found.values())
    assert (found["ticks"].count, found["states"].repeats) == (2, 1)
    assert again.states.epochs == {("SIM", 1, T0_NS): 2}


def test_alert_of_the_sidecar_is_no_part_of_the_comparison() -> None:
    silence = replace(ALERT, alert_id="EXPIRED:1", source="gate")
    more = heard((topics.RISK_ALERTS, codec.encode(topics.RISK_ALERTS, silence)), alert(1))
    assert compare(more, WANTED)["alerts"].equal


@pytest.mark.parametrize(
    ("said", "kind", "field"),
    [
        ((topics.FEATURES_TICKS, ticks(first_value=np.nextafter(1.0, 2.0))), "ticks", "different"),
        ((topics.FEATURES_TICKS, ticks(tick_ns=T0_NS + TICK_NS)), "ticks", "missing"),
        ((topics.FEATURES_TICKS, ticks(tick_ns=T0_NS + TICK_NS)), "ticks", "extra"),
        (state(tier=Tier.ELEVATED), "states", "different"),
        (state(instrument_id=2), "states", "missing"),
    ],
)
def test_planted_difference_is_counted_and_fails(said: tuple[str, bytes], kind: str, field: str) -> None:
    found = compare(heard(said), WANTED)[kind]
    assert getattr(found, field) > 0
    assert not found.equal


def test_repeat_that_says_something_else_fails() -> None:
    found = compare(heard((topics.FEATURES_TICKS, ticks()), state(score=0.6), state(), alert(1)), WANTED)["states"]
    assert (found.different, found.unequal_repeats) == (0, 1)
    assert not found.equal


def test_nothing_to_compare_is_no_proof() -> None:
    assert not compare(Outputs(), Outputs())["ticks"].equal


def test_report_passes_only_where_everything_is_equal_and_holds() -> None:
    equal = Compared(3, 0, 0, 0, 1, 0)
    report = Report("x", compared={"ticks": equal})
    report.check("holds", holds=True)
    assert report.passed
    assert report.plain()["compared"]["ticks"]["count"] == 3
    report.check("does not", holds=False)
    assert not report.passed
    assert not Report("x", compared={"ticks": replace(equal, missing=1)}).passed


def test_session_is_the_same_every_time_and_each_channels_numbers_have_no_hole() -> None:
    tape = drill_tape()
    assert tape.channels == ("SIM", "SIM-B")
    assert (tape.end_ns - tape.start_ns) / NS_PER_S == 40
    for channel in tape.channels:
        own = [frame for frame in tape.frames if frame.channel_id == channel]
        expected = own[0].seq_first
        for frame in own:
            assert frame.seq_first == expected
            expected = frame.seq_last + 1
        assert own[-1].ts_last_ns >= tape.end_ns


def test_copies_have_channels_and_instruments_of_their_own_and_move_by_whole_ticks() -> None:
    copies = copies_of(3, seconds=1.0, name="X", start_ns=0)
    owners: dict[int, set[str]] = {}
    for frame in copies:
        for number in set(frame.columns["instrument_id"].tolist()):
            owners.setdefault(number, set()).add(frame.channel_id)
    assert len(owners) == 12
    assert all(len(channels) == 1 for channels in owners.values())
    later = moved(copies, 7 * TICK_NS)
    assert [frame.ts_last_ns - 7 * TICK_NS for frame in later] == [frame.ts_last_ns for frame in copies]


def samples(values: list[float], measure: str) -> list[Sample]:
    flat = dict.fromkeys(MEASURES, 100.0)
    return [Sample(10.0 * n, **{**flat, measure: value}) for n, value in enumerate(values)]


@pytest.mark.parametrize("measure", MEASURES)
def test_leak_is_told_and_noise_and_warm_up_are_not(measure: str) -> None:
    chance = np.random.Generator(np.random.PCG64(7))
    least, _ = GROWTH_MAX[measure]
    noise = (100 + chance.normal(0, 2, 60)).tolist()
    warming = [20.0] * 20 + noise[20:]
    leaking = [value + 3 * least * n / 60 for n, value in enumerate(noise)]
    found = verdict(
        {"calm": samples(noise, measure), "warms": samples(warming, measure), "leaks": samples(leaking, measure)}
    )
    assert [(name, what) for name, what, *_ in found] == [("leaks", measure)]


@given(slope=st.floats(-5, 5), start=st.floats(0, 1_000), outlier=st.floats(-1e4, 1e4), place=st.integers(0, 19))
def test_growth_of_a_line_is_its_rise_whatever_one_sample_says(
    slope: float, start: float, outlier: float, place: int
) -> None:
    series = [(float(n), start + slope * n) for n in range(20)]
    assert growth(series) == pytest.approx(slope * 19, abs=1e-6)
    series[place] = (series[place][0], outlier)
    assert growth(series) == pytest.approx(slope * 19 * (series[-1][0] - series[0][0]) / 19, abs=abs(slope) * 4 + 1e-6)


def test_growth_of_one_sample_is_nothing() -> None:
    assert growth([(1.0, 5.0)]) == 0.0
    assert verdict({"new": samples([5.0], "handles"), "none": []}) == []


def test_handles_that_watch_a_thread_are_no_leak() -> None:
    folder = Path("/proc/self/fd")
    before = open_handles(folder)
    with Path("/proc/self/task", str(threading.get_native_id()), "stat").open(), Path("/proc/self/stat").open():
        assert open_handles(folder) == before + 1
