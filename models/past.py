"""What earlier sessions teach the scaler: priors per instrument, group priors for the unknown, and the shape of the day.

The day's shape is a shift and a ratio of scale per instrument, feature and half hour, found from past sessions alone,
shrunk towards none while few sessions have shown it, and interpolated between the middles of half hours so that no edge
looks like an event. A half hour is compared with its own session, so a session within one teaches no shape. It is taken
out before the rulers of ``models.scaling`` see a value; the rulers stay streaming, the shape is fixed within a session.
Rejected: a ruler per half hour (26 cold starts a day).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from features.spec import SCORED
from models.evaluation.blocks import TickBlock
from models.scaling import SCALE_MIN, Prior, Vector, transform
from schemas.units import NS_PER_S

DAY_NS: Final = 86_400 * NS_PER_S
BUCKETS: Final = 48
BUCKET_NS: Final = DAY_NS // BUCKETS

SESSIONS_HALF: Final = 4
"""Sessions of a half hour beyond the first at which its shape counts half; one session alone counts nothing."""

RATIO_MAX: Final = 4.0
MAD_TO_SD: Final = 1.4826
COLD_WIDENING: Final = 1.5
"""An unknown instrument's scale over its group's, at least: its budget of surprise is wider."""


@dataclass(frozen=True, slots=True, eq=False)
class DayShape:
    """The shapes of the day of all instruments, row 0 that of an instrument without one.

    Attributes:
        rows: Instrument to row.
        shift: ``(rows, 48, features)`` shift of location by half hour of the UTC day, transformed units.
        ratio: ``(rows, 48, features)`` ratio of scale.
    """

    rows: dict[int, int] = field(repr=False)
    shift: Vector = field(repr=False)
    ratio: Vector = field(repr=False)

    def remove(self, moved: Vector, tick_ns: npt.NDArray[np.int64], instrument_id: npt.NDArray[np.uint32]) -> Vector:
        """Return ``(n, features)`` transformed values less their shift, over their ratio."""
        row = np.array([self.rows.get(one, 0) for one in instrument_id.tolist()], dtype=np.intp)
        place = (tick_ns % DAY_NS) / BUCKET_NS - 0.5
        before = np.floor(place).astype(np.intp)
        late = (place - before)[:, None]
        first, second = (row, before % BUCKETS), (row, (before + 1) % BUCKETS)
        shift = self.shift[first] * (1.0 - late) + self.shift[second] * late
        ratio = self.ratio[first] * (1.0 - late) + self.ratio[second] * late
        return np.asarray((moved - shift) / ratio)


@dataclass(frozen=True, slots=True, eq=False)
class SessionPast:
    """What the scaler is told of earlier sessions; fulfils ``models.scaling.Past``.

    Attributes:
        priors: Instrument to prior, of values without their time of day.
        groups: Instrument to group; one that is not named belongs to the group "".
        group_priors: Group to prior of an instrument that was never seen.
        shape: Shapes of the day.
    """

    priors: dict[int, Prior] = field(repr=False)
    groups: Mapping[int, str] = field(repr=False)
    group_priors: dict[str, Prior] = field(repr=False)
    shape: DayShape = field(repr=False)

    def cold_prior(self, instrument_id: int) -> Prior | None:
        """Return the prior of the instrument's group, or None."""
        return self.group_priors.get(self.groups.get(instrument_id, ""))

    def unseason(self, moved: Vector, tick_ns: npt.NDArray[np.int64], instrument_id: npt.NDArray[np.uint32]) -> Vector:
        """Return ``(n, features)`` transformed values without their time of day."""
        return self.shape.remove(moved, tick_ns, instrument_id) if self.shape.rows else moved


def fit_past(blocks: Sequence[TickBlock], groups: Mapping[int, str] | None = None) -> SessionPast:
    """Return what ``blocks``, all of them past, teach; stale rows are left out.

    Raises:
        ValueError: No block.
    """
    if not blocks:
        raise ValueError("scaling needs at least one past session")
    shape = _fit_shape(blocks)
    groups = groups or {}
    priors: dict[int, Prior] = {}
    for instrument in sorted({block.instrument_id for block in blocks}):
        moved = [
            shape.remove(_moved(block), _whole_ns(block), np.full(len(_whole_ns(block)), instrument, dtype=np.uint32))
            for block in blocks
            if block.instrument_id == instrument
        ]
        priors[instrument] = _prior(np.concatenate(moved))
    members: dict[str, list[Prior]] = {}
    for instrument, prior in priors.items():
        members.setdefault(groups.get(instrument, ""), []).append(prior)
    return SessionPast(priors, groups, {group: _group_prior(own) for group, own in members.items()}, shape)


def _whole(block: TickBlock) -> npt.NDArray[np.bool_]:
    return ~block.stale


def _whole_ns(block: TickBlock) -> npt.NDArray[np.int64]:
    return block.tick_ns[_whole(block)]


def _moved(block: TickBlock) -> Vector:
    return transform(block.values[_whole(block), : len(SCORED)])


def _prior(moved: Vector) -> Prior:
    location, spread = _location(moved), np.full(moved.shape[1], np.nan)
    known = np.isfinite(location)
    away = np.abs(moved[:, known] - location[known])
    # A feature that hardly moves (a spread of one tick nearly always) has no median deviation: the larger of the two.
    spread[known] = np.maximum(np.nanmedian(away, axis=0) * MAD_TO_SD, np.nanmean(away, axis=0) / 0.8)
    return Prior(location, np.maximum(spread, SCALE_MIN))


def _location(moved: Vector) -> Vector:
    location = np.full(moved.shape[1], np.nan)
    known = np.isfinite(moved).any(axis=0)
    location[known] = np.nanmedian(moved[:, known], axis=0)
    return location


def _group_prior(own: Sequence[Prior]) -> Prior:
    """Return the prior of a newcomer: what members have within them and what lies between them."""
    locations, scales = np.array([p.location for p in own]), np.array([p.scale for p in own])
    location, within = _location(locations), _location(scales)
    between = _location(np.abs(locations - location)) * MAD_TO_SD
    return Prior(location, np.maximum(np.hypot(within, between), COLD_WIDENING * within))


def _fit_shape(blocks: Sequence[TickBlock]) -> DayShape:
    width = len(SCORED)
    rows: dict[int, int] = {}
    shifts, ratios = [np.zeros((BUCKETS, width))], [np.ones((BUCKETS, width))]
    for instrument in sorted({block.instrument_id for block in blocks}):
        own = [block for block in blocks if block.instrument_id == instrument]
        if len(own) < 2:
            continue
        rows[instrument] = len(shifts)
        shift, ratio = _shape_of(own)
        shifts.append(shift)
        ratios.append(ratio)
    return DayShape(rows, np.array(shifts), np.array(ratios))


def _shape_of(own: Sequence[TickBlock]) -> tuple[Vector, Vector]:
    """Return shift and ratio of one instrument: medians over sessions of what each half hour was to its session."""
    width = len(SCORED)
    location, scale = np.full((2, len(own), BUCKETS, width), np.nan)
    for session, block in enumerate(own):
        moved, bucket = _moved(block), _whole_ns(block) % DAY_NS // BUCKET_NS
        if not len(moved):
            continue
        middle = _prior(moved)
        for one in np.unique(bucket).tolist():
            here = _prior(moved[bucket == one])
            location[session, one] = here.location - middle.location
            scale[session, one] = np.log(here.scale / middle.scale)
    sessions = np.isfinite(location).sum(axis=0)
    trust = np.maximum(sessions - 1, 0) / (np.maximum(sessions - 1, 0) + SESSIONS_HALF)
    flat = (len(own), BUCKETS * width)
    shift = np.nan_to_num(_location(location.reshape(flat)).reshape(BUCKETS, width)) * trust
    log_ratio = np.nan_to_num(_location(scale.reshape(flat)).reshape(BUCKETS, width)) * trust
    return shift, np.clip(np.exp(log_ratio), 1.0 / RATIO_MAX, RATIO_MAX)
