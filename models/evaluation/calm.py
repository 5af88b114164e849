"""Calm days through the real tier machine: what a day costs that needed nothing, an instrument and a day at a time.

Levels come from the past of each fold by budgets of episodes per instrument-day (``models.budgets``), or from whoever hands them
in; any detector's scores will do. Invariant: an episode counts where it begins in time that needed no alarm, by the truth, and
so do its flaps; stays are as long as the machine held them, wherever they end. Whether a budget was held is said only where it
could have been seen: a budget of one in ten days says nothing about one day.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from models.evaluation.blocks import TICKS_PER_S, Vector
from models.evaluation.episodes import DAY_S, Judged
from models.evaluation.intervals import CHUNK_TICKS, Estimate, rate, ratio
from models.evaluation.tier_time import BUDGETS_PER_DAY, SHORT_TICKS, Stays, stays_of, tiers_of
from models.tiers import TierLevels
from schemas.records import Tier
from schemas.units import NS_PER_S

HELD: Final = (0.5, 2.0)
"""Episodes over budget within which a budget is held."""
FLAPS_MAX_PER_DAY: Final = 2.0
EXPECTED_MIN: Final = 3.0
"""Episodes that a budget must have allowed before anything is said of it: with none seen, 0.05 is the chance of three allowed."""
_DAY_NS: Final = 24 * 3600 * NS_PER_S


@dataclass(frozen=True, slots=True)
class CalmDay:
    """One instrument on one UTC day.

    Attributes:
        session: Name of its first block.
        instrument_id: Instrument.
        date: ``YYYY-MM-DD``.
        days: Instrument-days of negative time.
        episodes: Tier's name → times entered.
        flaps: Entries within 60 s of having left.
        above: Share of negative time above Normal.
        longest_s: Longest stay above Normal that began in it.
    """

    session: str
    instrument_id: int
    date: str
    days: float
    episodes: dict[str, int]
    flaps: int
    above: float
    longest_s: float


@dataclass(frozen=True, slots=True)
class CalmUse:
    """What a detector with its levels did on calm days.

    Attributes:
        name: Of the detector.
        days: Instrument-days of negative time.
        episodes: Tier's name → times entered.
        episodes_per_day: Tier's name → the same per instrument-day; ten minutes drawn anew.
        budget_ratio: Tier's name → the same over its budget.
        flaps_per_day: Entries within 60 s of having left.
        share: Tier's name → share of negative time.
        above: Share of negative time above Normal; ten minutes drawn anew.
        dwell_s: Quantiles of stays above Normal, ``p10``, ``p50``, ``p90``; NaN where there was none.
        short_dwells: Share of stays under 5 s.
        by_day: An instrument and a day each.
        verdict: In words.
    """

    name: str
    days: float
    episodes: dict[str, int]
    episodes_per_day: dict[str, Estimate]
    budget_ratio: dict[str, Estimate]
    flaps_per_day: Estimate
    share: dict[str, float]
    above: Estimate
    dwell_s: dict[str, float]
    short_dwells: float
    by_day: tuple[CalmDay, ...] = field(repr=False)
    verdict: str = ""


@dataclass(slots=True)
class _Block:
    """One block through the machine."""

    judged: Judged
    tiers: np.typing.NDArray[np.int8]
    stays: dict[Tier, Stays]

    @property
    def negative(self) -> np.typing.NDArray[np.bool_]:
        return self.judged.truth.negative


def calm_use(
    name: str,
    judged: Sequence[Judged],
    scores: Sequence[Vector],
    *,
    levels: Sequence[TierLevels],
    seed: int,
) -> CalmUse:
    """Return what happened in negative time.

    Args:
        name: Of the detector.
        judged: Blocks; only their negative time counts.
        scores: ``(n,)`` of each.
        levels: Of each: folds have their own.
        seed: Of the intervals.
    """
    blocks = []
    for one, own, level in zip(judged, scores, levels, strict=True):
        tiers = tiers_of(own, level)
        blocks.append(_Block(one, tiers, {tier: stays_of(tiers, one.truth.negative, tier) for tier in BUDGETS_PER_DAY}))
    exposure = np.concatenate([_chunks(b, np.flatnonzero(b.negative)) for b in blocks] or [np.empty(0)]) / _DAY_TICKS
    per_day = {
        tier.name: _rate([b.stays[tier].begins for b in blocks], blocks, exposure, seed=seed)
        for tier in BUDGETS_PER_DAY
    }
    flaps = [np.concatenate([b.stays[tier].flaps for tier in BUDGETS_PER_DAY]) for b in blocks]
    whole = max(sum(int(b.negative.sum()) for b in blocks), 1)
    stays = np.concatenate([b.stays[Tier.ELEVATED].lengths for b in blocks] or [np.empty(0, np.int64)]) / TICKS_PER_S
    every = np.concatenate([s.lengths for b in blocks for s in b.stays.values()] or [np.empty(0, np.int64)])
    made = CalmUse(
        name=name,
        days=float(exposure.sum()),
        episodes={tier.name: sum(len(b.stays[tier].begins) for b in blocks) for tier in BUDGETS_PER_DAY},
        episodes_per_day=per_day,
        budget_ratio={tier.name: _over(per_day[tier.name], budget) for tier, budget in BUDGETS_PER_DAY.items()},
        flaps_per_day=_rate(flaps, blocks, exposure, seed=seed),
        share={tier.name: sum(int((b.negative & (b.tiers == tier)).sum()) for b in blocks) / whole for tier in Tier},
        above=ratio(
            np.concatenate([_chunks(b, np.flatnonzero(b.negative & (b.tiers > 0))) for b in blocks] or [np.empty(0)]),
            exposure * _DAY_TICKS,
            seed,
        ),
        dwell_s={q: float(np.quantile(stays, p)) if len(stays) else math.nan for q, p in _QUANTILES.items()},
        short_dwells=float((every < SHORT_TICKS).mean()) if len(every) else 0.0,
        by_day=_by_day(blocks),
    )
    return _judged(made)


_QUANTILES: Final = {"p10": 0.1, "p50": 0.5, "p90": 0.9}
_DAY_TICKS: Final = DAY_S * TICKS_PER_S


def markdown(uses: Sequence[CalmUse], *, by_day: CalmUse | None = None) -> str:
    """Return a row for each detector, and of one of them each instrument's day."""
    tiers = [tier.name for tier in BUDGETS_PER_DAY]
    head = ["calm time through the tier machine", "instrument-days", *(f"{tier.lower()}/day (budget {budget:g})"
            for tier, budget in zip(tiers, BUDGETS_PER_DAY.values(), strict=True)), "flaps/day", "above Normal", "dwell p50 s",
            "under 5 s"]  # fmt: skip
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for one in uses:
        rates = [_told(one.episodes_per_day[tier]) for tier in tiers]
        cells = [one.name, f"{one.days:.2f}", *rates, _told(one.flaps_per_day), _percent(one.above),
                 _number(one.dwell_s["p50"]), f"{100 * one.short_dwells:.0f} %"]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    if by_day is not None:
        lines += ["", f"{by_day.name}: {by_day.verdict}.", ""]
        names = " | ".join(tier.lower() for tier in tiers)
        lines.append(
            f"| {by_day.name}: session | date | instrument-days | {names} | flaps | above Normal | longest s |"
        )
        lines.append(f"|{'---|' * (len(tiers) + 6)}")
        for day in by_day.by_day:
            counts = [str(day.episodes[tier]) for tier in tiers]
            cells = [day.session, day.date, f"{day.days:.2f}", *counts, str(day.flaps), f"{100 * day.above:.2f} %",
                     f"{day.longest_s:.0f}"]  # fmt: skip
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _judged(use: CalmUse) -> CalmUse:
    said = []
    for tier, budget in BUDGETS_PER_DAY.items():
        ratio, allowed = use.budget_ratio[tier.name].value, budget * use.days
        if allowed < EXPECTED_MIN:
            said.append(
                f"{tier.name}: {use.episodes[tier.name]} seen where {allowed:.2g} were allowed, too few to judge"
            )
        else:
            word = "held" if HELD[0] <= ratio <= HELD[1] else "overrun" if ratio > HELD[1] else "not used up"
            said.append(f"{tier.name}: {ratio:.2f} of its budget, {word}")
    flaps = use.flaps_per_day.value
    said.append(f"flaps {flaps:.2f} a day, {'within' if flaps <= FLAPS_MAX_PER_DAY else 'above'} {FLAPS_MAX_PER_DAY:g}")
    values: Mapping[str, Any] = {name: getattr(use, name) for name in use.__slots__}
    return CalmUse(**{**values, "verdict": "; ".join(said)})


def _by_day(blocks: Sequence[_Block]) -> tuple[CalmDay, ...]:
    """Return each instrument's days; a block belongs to the day that it begins in."""
    held: dict[tuple[int, int], list[_Block]] = {}
    for one in blocks:
        rows = np.flatnonzero(one.negative)
        if len(rows):
            day = int(one.judged.block.tick_ns[rows[0]]) // _DAY_NS
            held.setdefault((day, one.judged.block.instrument_id), []).append(one)
    made = []
    for (day, instrument), own in sorted(held.items()):
        ticks = sum(int(one.negative.sum()) for one in own)
        above = sum(int((one.negative & (one.tiers > Tier.NORMAL)).sum()) for one in own)
        stays = np.concatenate([one.stays[Tier.ELEVATED].lengths for one in own])
        made.append(
            CalmDay(
                session=own[0].judged.block.name.partition("@")[0],
                instrument_id=instrument,
                date=str(np.datetime64(day, "D")),
                days=ticks / _DAY_TICKS,
                episodes={tier.name: sum(len(one.stays[tier].begins) for one in own) for tier in BUDGETS_PER_DAY},
                flaps=sum(len(stays.flaps) for one in own for stays in one.stays.values()),
                above=above / ticks,
                longest_s=float(stays.max(initial=0)) / TICKS_PER_S,
            )
        )
    return tuple(made)


def _chunks(block: _Block, rows: np.typing.NDArray[np.int64]) -> Vector:
    return np.bincount(rows // CHUNK_TICKS, minlength=len(block.tiers) // CHUNK_TICKS + 1).astype(np.float64)


def _rate(
    rows: Sequence[np.typing.NDArray[np.int64]], blocks: Sequence[_Block], exposure: Vector, *, seed: int
) -> Estimate:
    counts = np.concatenate([_chunks(b, own) for b, own in zip(blocks, rows, strict=True)] or [np.empty(0)])
    used = exposure > 0
    return rate(counts[used], exposure[used], seed)


def _over(one: Estimate, budget: float) -> Estimate:
    return Estimate(one.value / budget, one.low / budget, one.high / budget)


def _told(one: Estimate) -> str:
    return "-" if math.isnan(one.value) else f"{one.value:.2f} [{one.low:.2f}, {one.high:.2f}]"


def _percent(one: Estimate) -> str:
    return "-" if math.isnan(one.value) else f"{100 * one.value:.2f} [{100 * one.low:.2f}, {100 * one.high:.2f}] %"


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.1f}"
