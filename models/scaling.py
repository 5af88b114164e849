"""Causal robust scaling: each scored feature of each instrument against its own past, with bounded influence.

Location and scale follow the transformed feature by exponentially weighted steps whose size is clipped, so that a
crisis of seconds cannot drag the ruler it is measured with (its influence is at most ``CLIP`` steps of half-life 30
minutes; no freezing by tier is needed, so no loop leads from tiers back to scaling). Invariant: a tick is scored
against what was known before it. Cold start: an instrument of the model's prior is scored once the features' own
windows are filled, another after a warm-up, or, where earlier sessions are known (``Past``), from its group's prior as
soon, with short-lived trust in it; a feature that was null so long begins its own warm-up with its first value, and scores
0 until then. With a ``Past`` the time of day is taken out first, by what earlier sessions showed of it.

Rejected: a rolling median (O(window) memory per feature) and mean and deviation (one outlier moves them at will).
"""

import itertools
import struct
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, Self

import numpy as np
import numpy.typing as npt

from features.spec import SCORED
from models.wire import ScaledTicks
from schemas.events import TickStatus
from schemas.ticks import Ticks

Vector = npt.NDArray[np.float64]

WARMUP_TICKS: Final = 600
"""One minute of scoreable ticks before an unknown instrument is scored."""

WINDOW_TICKS: Final = 100
"""Ten seconds before an instrument with a prior is scored: until then the features' own windows are filling."""

HALF_LIFE_TICKS: Final = 18_000
"""30 minutes."""

STEP: Final = 1 - 2 ** (-1 / HALF_LIFE_TICKS)
SETTLED_TICKS: Final = 2 * HALF_LIFE_TICKS
"""After so many values a step of 1/n would be below the lasting one."""

CLIP: Final = 3.0
Z_MAX: Final = 20.0
"""Scores are clipped here; the model has seen nothing beyond and calibration works on its error."""

MEAN_ABS_NORMAL: Final = 0.7978845608028654
"""E|z| of a standard normal: the scale is right when the mean absolute score equals it."""
MOVED_MAX: Final = 1e9

SCALE_MIN: Final = 0.1
"""Smallest scale in transformed units: a change of a tenth is never strange by itself, however still it stood."""

_VERSION: Final = 2
_HEADER: Final = struct.Struct("<HHIq")
_ENTRY: Final = struct.Struct("<Iq")
_LOG = np.array([f.transform == "log1p" for f in SCORED])
_ASINH = np.array([f.transform == "asinh" for f in SCORED])


@dataclass(frozen=True, slots=True)
class Prior:
    """Location and scale of an instrument at the start; ``(features,)`` each, transformed units, NaN = never seen."""

    location: Vector = field(repr=False)
    scale: Vector = field(repr=False)


class Past(Protocol):
    """What earlier sessions taught beyond the priors (``models.past``)."""

    def cold_prior(self, instrument_id: int) -> Prior | None:
        """Return where an instrument without a prior of its own starts, or None."""

    def unseason(self, moved: Vector, tick_ns: npt.NDArray[np.int64], instrument_id: npt.NDArray[np.uint32]) -> Vector:
        """Return ``(rows, features)`` transformed values without their time of day."""


def transform(values: Vector) -> Vector:
    """Return ``(rows, scored features)`` raw values in the scale of ``features.spec``, finite; NaN stays NaN."""
    out = np.where(_LOG, np.log1p(np.maximum(values, 0.0)), values)
    return np.clip(np.where(_ASINH, np.arcsinh(values), out), -MOVED_MAX, MOVED_MAX)


class Scaler:
    """The rulers of one channel's instruments: arrays of a row an instrument, stepped a tick at a time.

    ``ticks`` counts an instrument's scoreable ticks, ``seen`` the values of each feature, up to where its step settles.
    """

    def __init__(self, priors: dict[int, Prior], past: Past | None = None) -> None:
        self._priors = priors
        self._past = past
        self._slots: dict[int, int] = {}
        self._ticks = np.zeros(0, dtype=np.int64)
        self._seen, self._location, self._scale = np.zeros((3, 0, len(SCORED)))
        self._last_tick_ns = -1

    def step(self, ticks: Ticks) -> ScaledTicks:
        """Return the rows with their scores, and learn from them; ticks seen before are left out.

        A stale row is neither scored nor learned from. A null feature scores 0. Only the scored features go on.
        """
        keep = np.flatnonzero(ticks.tick_ns > self._last_tick_ns)
        values, tick_ns, instrument_id = (
            ticks.values[keep, : len(SCORED)],
            ticks.tick_ns[keep],
            ticks.instrument_id[keep],
        )
        moved = transform(values)
        if self._past is not None:
            moved = self._past.unseason(moved, tick_ns, instrument_id)
        z = np.zeros(values.shape, dtype=np.float32)
        scored = np.zeros(len(keep), dtype=np.bool_)
        live = np.flatnonzero(ticks.status[keep] & TickStatus.STALE == 0)
        slots = self._slots_of(instrument_id[live])
        cuts = np.flatnonzero(np.diff(tick_ns[live])) + 1
        for first, end in itertools.pairwise((0, *cuts.tolist(), len(live))):
            for group in _distinct(slots[first:end]):
                rows = live[first:end][group]
                scored[rows], z[rows] = self._tick(slots[first:end][group], moved[rows])
        if len(keep):
            self._last_tick_ns = int(tick_ns[-1])
        return ScaledTicks(
            channel_id=ticks.channel_id,
            tick_ns=tick_ns,
            instrument_id=instrument_id,
            status=ticks.status[keep],
            ref_price=ticks.ref_price[keep],
            values=values,
            z=z,
            scored=scored,
        )

    def ruler(self, instrument_id: int) -> Prior:
        """Return a copy of what an instrument is measured with now.

        Raises:
            KeyError: No tick of it was learned from.
        """
        slot = self._slots[instrument_id]
        return Prior(self._location[slot].copy(), self._scale[slot].copy())

    def to_bytes(self) -> bytes:
        """Return the whole state."""
        parts = [_HEADER.pack(_VERSION, len(SCORED), len(self._slots), self._last_tick_ns)]
        for instrument_id, slot in self._slots.items():
            parts.append(_ENTRY.pack(instrument_id, int(self._ticks[slot])))
            parts += [column[slot].tobytes() for column in (self._seen, self._location, self._scale)]
        return b"".join(parts)

    @classmethod
    def from_bytes(cls, raw: bytes, priors: dict[int, Prior], past: Past | None = None) -> Self:
        """Return the scaler that wrote ``raw``.

        Raises:
            ValueError: Another version, other features, or cut short.
        """
        if len(raw) < _HEADER.size:
            raise ValueError("scaler state is cut short")
        version, features, count, last_tick_ns = _HEADER.unpack_from(raw)
        if version != _VERSION or features != len(SCORED):
            raise ValueError(f"scaler state of version {version} with {features} features")
        size = _ENTRY.size + 24 * features
        if len(raw) != _HEADER.size + count * size:
            raise ValueError("scaler state is cut short")
        made = cls(priors, past)
        made._last_tick_ns = last_tick_ns
        made._grow(count)
        for slot, start in enumerate(range(_HEADER.size, len(raw), size)):
            instrument_id, made._ticks[slot] = _ENTRY.unpack_from(raw, start)
            rows = np.frombuffer(raw, np.float64, 3 * features, start + _ENTRY.size).reshape(3, features)
            made._seen[slot], made._location[slot], made._scale[slot] = rows
            made._slots[instrument_id] = slot
        return made

    def _tick(self, slots: npt.NDArray[np.intp], moved: Vector) -> tuple[npt.NDArray[np.bool_], Vector]:
        """Score and learn one row each of distinct instruments; return which are scored, and the scores."""
        # A view where all instruments are there in order, as they nearly always are: no copies in and out.
        whole = len(slots) == len(self._slots) and bool((slots == np.arange(len(slots))).all())
        rows: Any = slice(0, len(slots)) if whole else slots
        seen, location, scale = self._seen[rows], self._location[rows], self._scale[rows]
        known = ~np.isnan(moved)
        first = known & (seen == 0)
        if first.any():
            location, scale = np.where(first, moved, location), np.where(first, SCALE_MIN, scale)
        z = np.where(known, (moved - location) / scale, 0.0)
        scored = self._ticks[rows] >= WARMUP_TICKS
        judged = scored[:, None] & (seen >= WARMUP_TICKS)
        unsettled = seen.min(axis=1) < SETTLED_TICKS
        step: Any = _learning_steps(seen) if unsettled.any() else STEP
        bounded = np.clip(z, -CLIP, CLIP)
        self._location[rows] = location + np.where(known, step * bounded * scale, 0.0)
        grown = scale * np.where(known, np.exp(step * (np.abs(bounded) - MEAN_ABS_NORMAL)), 1.0)
        self._scale[rows] = np.maximum(grown, SCALE_MIN)
        self._seen[rows] += known & unsettled[:, None]
        self._ticks[rows] += 1
        return scored, np.where(judged, np.clip(z, -Z_MAX, Z_MAX), 0.0)

    def _slots_of(self, instrument_id: npt.NDArray[np.uint32]) -> npt.NDArray[np.intp]:
        ids = instrument_id.tolist()
        new = [i for i in dict.fromkeys(ids) if i not in self._slots]
        if new:
            self._grow(len(self._slots) + len(new))
        for one in new:
            slot = self._slots[one] = len(self._slots)
            self._ticks[slot], self._seen[slot], self._location[slot], self._scale[slot] = self._start(one)
        return np.array([self._slots[i] for i in ids], dtype=np.intp)

    def _grow(self, count: int) -> None:
        more = count - len(self._ticks)
        if more > 0:
            more = max(more, len(self._ticks))
            self._ticks = np.concatenate([self._ticks, np.zeros(more, dtype=np.int64)])
            rows = np.zeros((more, len(SCORED)))
            self._seen, self._location, self._scale = (
                np.concatenate([column, rows]) for column in (self._seen, self._location, self._scale)
            )

    def _start(self, instrument_id: int) -> tuple[int, Vector, Vector, Vector]:
        """Return ticks, seen, location and scale of an instrument at its first tick."""
        prior, worth = self._priors.get(instrument_id), float(SETTLED_TICKS)
        if prior is None and self._past is not None:
            prior, worth = self._past.cold_prior(instrument_id), float(WARMUP_TICKS)
        if prior is None:
            nothing = np.zeros(len(SCORED))
            return 0, nothing, nothing, np.full(len(SCORED), SCALE_MIN)
        fitted = np.isfinite(prior.location) & np.isfinite(prior.scale)
        return (
            WARMUP_TICKS - WINDOW_TICKS,
            np.where(fitted, worth, 0.0),
            np.where(fitted, prior.location, 0.0),
            np.where(fitted, prior.scale, SCALE_MIN),
        )


def _distinct(slots: npt.NDArray[np.intp]) -> list[Any]:
    """Return selections of rows in which no instrument comes twice: all of them, or each alone in a malformed tick."""
    if len(set(slots.tolist())) == len(slots):
        return [slice(None)] if len(slots) else []
    return [[row] for row in range(len(slots))]


def _learning_steps(seen: Vector) -> Vector:
    """Return the step per feature after ``seen`` values: large at first, then 1/n, at least the lasting one."""
    return np.where(seen < WARMUP_TICKS, 1.0 / (5.0 + seen / 4.0), np.maximum(STEP, 1.0 / np.maximum(seen, 1.0)))
