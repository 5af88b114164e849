"""The floor under a channel's members: many a little, never one a lot; up to High Alert; exact through restarts."""

import numpy as np
import pytest

from models.detectors.systemic import fit_systemic
from models.risk import Pulse
from models.systemic_risk import LAG_NS, MARKET, WARMUP_TICKS, Floor, SystemicRisk
from models.systemic_start import SystemicStart
from models.tiers import DWELL_TICKS, TierLevels
from schemas.records import AlertKind, RiskAlert, Tier
from schemas.units import TICK_NS

MEMBERS = 20
LEVELS = TierLevels(enter=(0.0, 3.0, 4.0, 5.0), leave=(0.0, 2.0, 3.0, 4.0))
CALM = 1.0 / np.log(10)


@pytest.fixture(scope="module")
def start() -> SystemicStart:
    rng = np.random.Generator(np.random.PCG64(1))
    return SystemicStart(fit_systemic([rng.exponential(CALM, (4_000, MEMBERS)) for _ in range(2)]), LEVELS)


def pulse(tick: int, strange: np.typing.NDArray[np.float64], *, adverse: float = 1.0) -> Pulse:
    count = len(strange)
    return Pulse(
        tick * TICK_NS,
        np.arange(1, count + 1, dtype=np.uint32),
        strange,
        np.full(count, adverse),
        np.full(count, 10**9, dtype=np.int64),
        np.zeros(count, dtype=np.uint8),
        np.zeros(count, dtype=np.bool_),
        np.zeros(count, dtype=np.bool_),
    )


def calm(rng: np.random.Generator) -> np.typing.NDArray[np.float64]:
    return np.asarray(rng.exponential(CALM, MEMBERS))


Told = list[tuple[Floor, list[RiskAlert]]]


def run(
    systemic: SystemicRisk, scores: list[np.typing.NDArray[np.float64]], *, first: int = 1, channel: str = "A"
) -> Told:
    return [systemic.take(channel, "m", pulse(first + n, one)) for n, one in enumerate(scores)]


def test_one_instrument_however_strange_raises_nobody(start: SystemicStart) -> None:
    rng, systemic = np.random.Generator(np.random.PCG64(2)), SystemicRisk(lambda _: start, epoch=1)
    scores = [calm(rng) for _ in range(200)]
    for one in scores[100:]:
        one[3] = 300.0
    assert {floor.tier for floor, _ in run(systemic, scores)} == {Tier.NORMAL}


def test_many_a_little_strange_raise_all_and_are_told_once(start: SystemicStart) -> None:
    rng, systemic = np.random.Generator(np.random.PCG64(2)), SystemicRisk(lambda _: start, epoch=7)
    told = run(systemic, [calm(rng) for _ in range(100)] + [calm(rng) + 1.0 for _ in range(30)])
    assert told[99][0].tier is Tier.NORMAL
    assert told[-1][0].tier is Tier.HIGH_ALERT  # Critical's evidence does not halt a market
    assert told[-1][0].score > LEVELS.enter[Tier.CRITICAL]
    alerts = [alert for _, some in told for alert in some]
    assert {alert.kind for alert in alerts} == {AlertKind.SYSTEMIC_RISK}
    assert [alert.tier for alert in alerts][-1] is Tier.HIGH_ALERT
    assert len(alerts) <= 2
    assert "channel A as a whole" in alerts[0].message
    assert "20 members" in alerts[0].message


def test_harmless_strangeness_raises_nobody(start: SystemicStart) -> None:
    rng, systemic = np.random.Generator(np.random.PCG64(2)), SystemicRisk(lambda _: start, epoch=1)
    told = [systemic.take("A", "m", pulse(n, calm(rng) + 2.0, adverse=0.0)) for n in range(1, 50)]
    assert {floor.tier for floor, _ in told} == {Tier.NORMAL}


def test_floor_falls_by_itself_after_its_dwell_also_from_criticals_evidence(start: SystemicStart) -> None:
    rng, systemic = np.random.Generator(np.random.PCG64(2)), SystemicRisk(lambda _: start, epoch=1)
    run(systemic, [calm(rng) + 1.0 for _ in range(10)])
    told = run(systemic, [np.full(MEMBERS, CALM) for _ in range(4 * DWELL_TICKS)], first=11)
    tiers = [floor.tier for floor, _ in told]
    assert tiers[0] is Tier.HIGH_ALERT
    assert tiers[-1] is Tier.NORMAL
    assert Tier.ELEVATED in tiers


def test_too_few_members_have_no_opinion(start: SystemicStart) -> None:
    systemic = SystemicRisk(lambda _: start, epoch=1)
    told = run(systemic, [np.full(2, 50.0)] * 20)
    assert {floor for floor, _ in told} == {Floor()}


def test_model_that_says_nothing_of_channels_raises_nobody() -> None:
    assert run(SystemicRisk(lambda _: None, epoch=1), [np.full(MEMBERS, 50.0)] * 5)[-1][0] == Floor()


def test_ticks_seen_before_change_nothing(start: SystemicStart) -> None:
    rng, systemic = np.random.Generator(np.random.PCG64(2)), SystemicRisk(lambda _: start, epoch=1)
    run(systemic, [calm(rng) for _ in range(20)])
    before = systemic.to_bytes()
    run(systemic, [np.full(MEMBERS, 50.0)] * 20)
    assert systemic.to_bytes() == before


def _market(order: list[str], start: SystemicStart, *, restart_every: int = 0) -> Told:
    """Five channels, none of them alarming by itself at the end, in some order of arrival within a tick."""
    rngs = {name: np.random.Generator(np.random.PCG64(n)) for n, name in enumerate(sorted(order))}
    systemic, told, number = SystemicRisk(lambda _: start, epoch=1), [], 0
    for tick in range(1, WARMUP_TICKS + 200):
        lift = 0.12 if tick > WARMUP_TICKS + 100 else 0.0
        for name in order:
            number += 1
            if restart_every and number % restart_every == 0:
                systemic = SystemicRisk.from_bytes(systemic.to_bytes(), lambda _: start, epoch=1)
            told.append(systemic.take(name, "m", pulse(tick, calm(rngs[name]) + lift)))
    return told


def test_market_is_judged_the_same_in_any_order_of_its_channels_and_through_restarts(start: SystemicStart) -> None:
    names = ["A", "B", "C", "D", "E"]
    forward, backward, restarted = (
        _market(names, start),
        _market(names[::-1], start),
        _market(names, start, restart_every=7),
    )
    of_market = [[a for _, some in one for a in some if "all channels" in a.message] for one in (forward, backward)]
    assert of_market[0] == of_market[1]
    assert of_market[0], "the channels together are strange where none of them has to be"
    assert restarted == forward


def test_channel_that_fell_behind_is_not_waited_for(start: SystemicStart) -> None:
    systemic = SystemicRisk(lambda _: start, epoch=1)
    rng = np.random.Generator(np.random.PCG64(3))
    systemic.take("dead", "m", pulse(1, calm(rng)))
    ticks = LAG_NS // TICK_NS + 20
    for name in ("A", "B", "C"):
        run(systemic, [calm(rng) for _ in range(ticks)], channel=name, first=2)
    assert sum(systemic.use()[MARKET].ticks) == 0  # still warming up, but
    restored = SystemicRisk.from_bytes(systemic.to_bytes(), lambda _: start, epoch=1)
    assert len(restored.to_bytes()) < 60_000  # nothing piles up behind the one that is gone


@pytest.mark.parametrize("length", [0, 3, 30])
def test_damaged_state_is_refused(start: SystemicStart, length: int) -> None:
    systemic = SystemicRisk(lambda _: start, epoch=1)
    run(systemic, [np.ones(MEMBERS)])
    with pytest.raises(ValueError, match="systemic state"):
        SystemicRisk.from_bytes(systemic.to_bytes()[:length], lambda _: start, epoch=1)
