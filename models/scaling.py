"""Causal robust scaling: each scored feature of each instrument against its own past, with bounded influence.

Location and scale follow the transformed feature by exponentially weighted steps whose size is clipped, so that a
crisis of seconds cannot drag the ruler it is measured with (its influence is at most ``CLIP`` steps of half-life 30
minutes; no freezing by tier is needed, so no loop leads from tiers back to scaling). Invariant: a tick is scored
against what was known before it. Cold start: an instrument of the model's prior is scored once the features' own
windows are filled, another after a warm-up; a feature that was null so long begins its own warm-up with its first
value, and scores 0 until then.

Rejected: a rolling median (O(window) memory per feature) and mean and deviation (one outlier moves them at will).
"""

import struct
from dataclasses import dataclass, field
from typing import Final, Self

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


@dataclass(slots=True)
class _Ruler:
    """``ticks`` counts scoreable ticks, ``seen`` the values of each feature, up to where its step settles."""

    ticks: int
    seen: Vector
    location: Vector
    scale: Vector
    settled: bool = False


def transform(values: Vector) -> Vector:
    """Return ``(rows, scored features)`` raw values in the scale of ``features.spec``, finite; NaN stays NaN."""
    out = np.where(_LOG, np.log1p(np.maximum(values, 0.0)), values)
    return np.clip(np.where(_ASINH, np.arcsinh(values), out), -MOVED_MAX, MOVED_MAX)


class Scaler:
    """The rulers of one channel's instruments."""

    def __init__(self, priors: dict[int, Prior]) -> None:
        self._priors = priors
        self._rulers: dict[int, _Ruler] = {}
        self._last_tick_ns = -1

    def step(self, ticks: Ticks) -> ScaledTicks:
        """Return the rows with their scores, and learn from them; ticks seen before are left out.

        A stale row is neither scored nor learned from. A null feature scores 0. Only the scored features go on.
        """
        keep = np.flatnonzero(ticks.tick_ns > self._last_tick_ns)
        values = ticks.values[keep, : len(SCORED)]
        moved = transform(values)
        z = np.zeros(values.shape, dtype=np.float32)
        scored = np.zeros(len(keep), dtype=np.bool_)
        for row, source in enumerate(keep):
            if not ticks.status[source] & TickStatus.STALE:
                scored[row] = self._row(int(ticks.instrument_id[source]), moved[row], z[row])
        if len(keep):
            self._last_tick_ns = int(ticks.tick_ns[keep[-1]])
        return ScaledTicks(
            channel_id=ticks.channel_id,
            tick_ns=ticks.tick_ns[keep],
            instrument_id=ticks.instrument_id[keep],
            status=ticks.status[keep],
            ref_price=ticks.ref_price[keep],
            values=values,
            z=z,
            scored=scored,
        )

    def to_bytes(self) -> bytes:
        """Return the whole state."""
        parts = [_HEADER.pack(_VERSION, len(SCORED), len(self._rulers), self._last_tick_ns)]
        for instrument_id, ruler in self._rulers.items():
            parts.append(_ENTRY.pack(instrument_id, ruler.ticks))
            parts += [ruler.seen.tobytes(), ruler.location.tobytes(), ruler.scale.tobytes()]
        return b"".join(parts)

    @classmethod
    def from_bytes(cls, raw: bytes, priors: dict[int, Prior]) -> Self:
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
        made = cls(priors)
        made._last_tick_ns = last_tick_ns
        for start in range(_HEADER.size, len(raw), size):
            instrument_id, ticks = _ENTRY.unpack_from(raw, start)
            rows = np.frombuffer(raw, np.float64, 3 * features, start + _ENTRY.size).reshape(3, features).copy()
            settled = bool(rows[0].min() >= SETTLED_TICKS)
            made._rulers[instrument_id] = _Ruler(ticks, rows[0], rows[1], rows[2], settled)
        return made

    def _row(self, instrument_id: int, moved: Vector, z_out: npt.NDArray[np.float32]) -> bool:
        known = ~np.isnan(moved)
        ruler = self._rulers.get(instrument_id)
        if ruler is None:
            ruler = self._rulers[instrument_id] = self._new_ruler(instrument_id)
        first = known & (ruler.seen == 0)
        if first.any():
            ruler.location[first], ruler.scale[first] = moved[first], SCALE_MIN
        z = np.where(known, (moved - ruler.location) / ruler.scale, 0.0)
        warm = ruler.ticks >= WARMUP_TICKS
        if warm:
            z_out[:] = np.clip(np.where(ruler.seen >= WARMUP_TICKS, z, 0.0), -Z_MAX, Z_MAX)
        step = STEP if ruler.settled else _learning_steps(ruler.seen)
        bounded = np.clip(z, -CLIP, CLIP)
        ruler.location += np.where(known, step * bounded * ruler.scale, 0.0)
        ruler.scale *= np.where(known, np.exp(step * (np.abs(bounded) - MEAN_ABS_NORMAL)), 1.0)
        np.maximum(ruler.scale, SCALE_MIN, out=ruler.scale)
        if not ruler.settled:
            ruler.seen += known
            ruler.settled = bool(ruler.seen.min() >= SETTLED_TICKS)
        ruler.ticks += 1
        return warm

    def _new_ruler(self, instrument_id: int) -> _Ruler:
        prior = self._priors.get(instrument_id)
        if prior is None:
            nothing = np.zeros(len(SCORED))
            return _Ruler(0, nothing, nothing.copy(), np.full(len(SCORED), SCALE_MIN))
        fitted = np.isfinite(prior.location) & np.isfinite(prior.scale)
        return _Ruler(
            WARMUP_TICKS - WINDOW_TICKS,
            np.where(fitted, float(SETTLED_TICKS), 0.0),
            np.where(fitted, prior.location, 0.0),
            np.where(fitted, prior.scale, SCALE_MIN),
        )


def _learning_steps(seen: Vector) -> Vector:
    """Return the step per feature after ``seen`` values: large at first, then 1/n, at least the lasting one."""
    return np.where(seen < WARMUP_TICKS, 1.0 / (5.0 + seen / 4.0), np.maximum(STEP, 1.0 / np.maximum(seen, 1.0)))
