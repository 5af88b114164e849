"""Calm days through the tier machine: episodes, flaps and dwell are those that were put in, and what cannot be judged is not."""

from dataclasses import replace

import numpy as np
import pytest

from models.evaluation.blocks import TickBlock, Vector
from models.evaluation.calm import CalmUse, calm_use, markdown
from models.evaluation.episodes import Judged, support_of
from models.evaluation.tier_time import levels_from_past
from models.evaluation.truth import BlockTruth
from models.tiers import TierLevels
from schemas.units import NS_PER_S, TICK_NS
from tests.models.evaluation.made import block_of

LEVELS = TierLevels((0.0, 1.0, 2.0, 3.0), (0.0, 0.5, 1.0, 2.0))
DAY_TICKS = 234_000
DAY_NS = 24 * 3600 * NS_PER_S


def of_day(rows: int, day: int = 0, instrument_id: int = 1) -> TickBlock:
    block = block_of(rows)
    ticks = day * DAY_NS + (1 + np.arange(rows, dtype=np.int64)) * TICK_NS
    return replace(block, name=f"REC/{instrument_id}/{day}@0", tick_ns=ticks, instrument_id=instrument_id)


def judged(block: TickBlock, scores: Vector, *, not_calm: slice = slice(0)) -> Judged:
    negative = np.ones(len(block), dtype=np.bool_)
    negative[not_calm] = False
    return Judged(block, BlockTruth((), negative, np.full(len(block), np.nan)), support_of(scores))


def with_spikes(rows: int, *spikes: tuple[int, int, float]) -> Vector:
    scores: Vector = np.zeros(rows)
    for row, length, height in spikes:
        scores[row : row + length] = height
    return scores


def use_of(scores: Vector, *, not_calm: slice = slice(0)) -> CalmUse:
    block = of_day(len(scores))
    return calm_use("made", [judged(block, scores, not_calm=not_calm)], [scores], levels=[LEVELS], seed=1)


def test_known_episodes_are_counted_a_tier_at_a_time_and_a_quick_return_is_a_flap() -> None:
    scores = with_spikes(
        DAY_TICKS,
        (10_000, 3, 1.5),  # Elevated, alone
        (20_000, 3, 2.5),  # High Alert, so Elevated too
        (20_700, 3, 2.5),  # left High Alert at 20,303 and Elevated at 20,603: both again within 60 s
        (100_000, 1, 1.5),  # one tick of three is none
        (200_000, 5, 3.5),  # Critical, which a person releases
    )
    found = use_of(scores)
    assert found.days == pytest.approx(1.0)
    assert found.episodes == {"ELEVATED": 4, "HIGH_ALERT": 3, "CRITICAL": 1}
    assert found.episodes_per_day["HIGH_ALERT"].value == pytest.approx(3.0)
    assert found.budget_ratio["ELEVATED"].value == pytest.approx(4 / 5)
    assert found.flaps_per_day.value == pytest.approx(2.0)
    (day,) = found.by_day
    assert (day.flaps, day.date, day.session) == (2, "1970-01-01", "REC/1/0")
    assert found.share["NORMAL"] == pytest.approx(1.0 - day.above)


def test_stays_are_as_long_as_the_machine_holds_them() -> None:
    found = use_of(with_spikes(DAY_TICKS, (10_000, 3, 1.5), (50_000, 1_003, 1.5)))
    # in at the second tick, left 300 ticks after the last: 30.1 s and 130.1 s
    assert found.dwell_s["p10"] == pytest.approx(30.1 + 0.1 * 100.0)
    assert found.dwell_s["p90"] == pytest.approx(30.1 + 0.9 * 100.0)
    assert found.by_day[0].longest_s == pytest.approx(130.1)
    assert found.short_dwells == 0.0
    assert found.share["ELEVATED"] == pytest.approx((301 + 1_301) / DAY_TICKS)


def test_what_begins_in_time_that_needed_an_alarm_costs_nothing() -> None:
    scores = with_spikes(DAY_TICKS, (10_000, 3, 1.5), (50_000, 3, 1.5))
    found = use_of(scores, not_calm=slice(9_000, 11_000))
    assert found.episodes["ELEVATED"] == 1
    assert found.days == pytest.approx((DAY_TICKS - 2_000) / DAY_TICKS)


def test_instruments_and_days_stand_apart() -> None:
    spikes = with_spikes(60_000, (10_000, 3, 1.5))
    quiet: Vector = np.zeros(60_000)
    blocks = [of_day(60_000, day, instrument) for instrument in (1, 2) for day in (0, 3)]
    scores = [spikes, quiet, spikes, spikes]
    parts = [judged(block, own) for block, own in zip(blocks, scores, strict=True)]
    found = calm_use("made", parts, scores, levels=[LEVELS] * 4, seed=1)
    told = [(day.instrument_id, day.date, day.episodes["ELEVATED"]) for day in found.by_day]
    assert told == [(1, "1970-01-01", 1), (2, "1970-01-01", 1), (1, "1970-01-04", 0), (2, "1970-01-04", 1)]


@pytest.mark.parametrize(
    ("days", "spikes", "said"),
    [
        (1, 4, "ELEVATED: 0.80 of its budget, held; HIGH_ALERT: 0 seen where 1 were allowed, too few to judge"),
        (1, 12, "ELEVATED: 2.40 of its budget, overrun"),
        (1, 1, "ELEVATED: 0.20 of its budget, not used up"),
    ],
)
def test_a_budget_is_judged_where_it_could_have_been_seen(days: int, spikes: int, said: str) -> None:
    rows = days * DAY_TICKS
    found = use_of(with_spikes(rows, *((10_000 * (1 + n), 3, 1.5) for n in range(spikes))))
    assert said in found.verdict
    assert "flaps 0.00 a day, within 2" in found.verdict


def test_flaps_above_the_limit_are_said() -> None:
    pairs = [(10_000 * n + late, 3, 1.5) for n in range(1, 5) for late in (0, 500)]
    found = use_of(with_spikes(DAY_TICKS, *pairs))
    assert found.flaps_per_day.value == pytest.approx(4.0)
    assert "above 2" in found.verdict


def lasting(rng: np.random.Generator, rows: int) -> Vector:
    """Exponential scores of which each lasts six ticks, as scores of overlapping windows do."""
    held: Vector = np.repeat(rng.exponential(size=-(-rows // 6)), 6)[:rows]
    return held


def test_levels_from_budgets_keep_them_on_a_day_like_the_past_with_any_scores() -> None:
    rng = np.random.default_rng(11)
    past, days = ([of_day(DAY_TICKS // 2, day) for day in range(count)] for count in (6, 12))
    before, after = ([lasting(rng, len(block)) for block in blocks] for blocks in (past, days))
    levels = levels_from_past([judged(b, s) for b, s in zip(past, before, strict=True)], before)
    parts = [judged(b, s) for b, s in zip(days, after, strict=True)]
    found = calm_use("made", parts, after, levels=[levels] * len(days), seed=1)
    assert found.days == pytest.approx(6.0)
    assert 0.5 <= found.budget_ratio["ELEVATED"].value <= 2.0
    assert found.flaps_per_day.value <= 2.0


def test_table_shows_everybody_and_one_of_them_day_by_day() -> None:
    found = use_of(with_spikes(DAY_TICKS, (10_000, 3, 1.5)))
    page = markdown([found], by_day=found)
    assert "| made | 1.00 | 1.00 [" in page
    assert "| REC/1/0 | 1970-01-01 | 1.00 | 1 | 0 | 0 | 0 | 0.13 % | 30 |" in page
    assert found.verdict in page
