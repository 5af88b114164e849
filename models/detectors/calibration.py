"""Errors to tail probabilities, per instrument and measure, streaming: a ruler, the past's ECDF, a tail that SPOT keeps.

The error is standardised against the instrument's own past (the ruler of ``models.calibrate``, here for all streams at
once); below the threshold the past's empirical distribution answers, above it the Pareto tail, and the two meet at the
part of values over the threshold. Errors are sums of squares, whose tails are exponential where scores are normal and
Pareto where they are not: what the tail law can follow. Their logarithm, taken before, falls faster than any law of the
family and made every crisis look likelier than it was. Invariants: a tick is judged by what was known before it, and
``learn`` is a call of its own, so that whoever knows the tier can withhold it: nothing is learned while an instrument is
frozen. An error of NaN (a network that is away) has a p of NaN and teaches nothing.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from models.calibrate import BASELINE_TICKS, TAIL_PART
from models.detectors.spot import STILL, StreamTails, TailStart, start_tail
from models.detectors.views import F64
from models.scaling import CLIP, MEAN_ABS_NORMAL, STEP

Slots = npt.NDArray[np.intp]

BODY_POINTS: Final = 199
SPREAD_MIN: Final = 0.5
"""Smallest scale of an error: half a squared score is never strange by itself, however still it stood."""

KNOWN_TICKS: Final = 18_000
"""What an instrument's own past location and scale are worth, in ticks: half an hour, so that a minute of slow crisis,
below any level that freezes, moves its ruler by next to nothing."""

COLD_TICKS: Final = 3_000
"""What the pooled location and scale are worth to an instrument that the past does not know: five minutes of its own."""

POOLED_SESSIONS: Final = 2
"""Sessions of its own at which an instrument's location and scale count as much as those of all: one day is a day's chance."""

LEARN_EVERY: Final = 10
"""Rulers learn once a second: errors of neighbouring ticks are nearly one another, so nine of ten tell nothing new."""

THINNING: Final = 50
"""Tails learn every so many ticks (5 s), a multiple of the rulers'. SPOT takes values for independent, and ticks are not: a
slow crisis of a minute would be hundreds of excesses, and the tail would have learned that it is normal. Thinning by time
keeps the law of a value as it is and bounds what a minute can teach."""

FREEZE_ENTER: Final = 3.5
FREEZE_LEAVE: Final = 2.2
FREEZE_TICKS: Final = 300
"""Where no tier machine says when to freeze: S at which Elevated is entered by default, and 30 s below where it is left."""


_SETTLING: Final = 8
_VERSION: Final = 1
_HEADER: Final = struct.Struct("<HHI")
_FREEZE: Final = struct.Struct("<H")
_TAIL: Final = ("threshold", "part", "shape", "scale")


@dataclass(frozen=True, slots=True, eq=False)
class CalibrationStart:
    """What past errors taught.

    Attributes:
        location: ``(m,)`` location of the error over all instruments.
        scale: ``(m,)`` its scale.
        own: Instrument to ``(2, m)`` location and scale of its own.
        body: ``(m, BODY_POINTS)`` quantiles of the standardised error below the threshold, evenly spaced.
        tail: Where the tails start.
    """

    location: F64 = field(repr=False)
    scale: F64 = field(repr=False)
    own: dict[int, F64] = field(repr=False)
    body: F64 = field(repr=False)
    tail: TailStart = field(repr=False)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return everything, by name."""
        own = [*self.own.values()]
        return {
            "location": self.location,
            "scale": self.scale,
            "own_instruments": np.array(list(self.own), dtype=np.int64),
            "own": np.array(own) if own else np.zeros((0, 2, len(self.location))),
            "body": self.body,
            **{f"tail_{name}": getattr(self.tail, name) for name in _TAIL},
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, npt.NDArray[Any]]) -> Self:
        """Return the start of :meth:`arrays`.

        Raises:
            KeyError: A name is missing.
        """
        own = dict(zip(arrays["own_instruments"].tolist(), arrays["own"], strict=True))
        tail = TailStart(*(arrays[f"tail_{name}"] for name in _TAIL))
        return cls(arrays["location"], arrays["scale"], own, arrays["body"], tail)


class Rulers:
    """Location and scale of the error of each stream, followed by bounded steps; ``(instruments, m)`` arrays."""

    def __init__(self, width: int) -> None:
        self.seen = np.zeros(0)
        self.location, self.scale = np.zeros((2, 0, width))

    def add(self, seen: float, location: F64, scale: F64) -> None:
        """Add an instrument."""
        self.seen = np.append(self.seen, seen)
        self.location, self.scale = np.vstack([self.location, location]), np.vstack([self.scale, scale])

    def standardise(self, slots: Slots, errors: F64) -> F64:
        """Return ``(k, m)`` standardised errors."""
        return np.asarray((errors - self.location[slots]) / self.scale[slots])

    def learn(self, slots: Slots, standardised: F64) -> None:
        """Move a bounded step, worth ``LEARN_EVERY`` ticks, towards standardised errors of distinct instruments.

        NaN moves nothing. Counting what was seen is the caller's.
        """
        step = LEARN_EVERY * np.maximum(STEP, 1.0 / np.maximum(self.seen[slots], COLD_TICKS))[:, None]
        known = ~np.isnan(standardised)
        bounded = np.where(known, np.clip(standardised, -CLIP, CLIP), 0.0)
        scale = self.scale[slots]
        self.location[slots] += step * bounded * scale
        grown = scale * np.exp(step * np.where(known, np.abs(bounded) - MEAN_ABS_NORMAL, 0.0))
        self.scale[slots] = np.maximum(grown, SPREAD_MIN)


class Calibrator:
    """The calibration of a channel: instruments come as they appear, each at the start that the past gives it."""

    def __init__(self, start: CalibrationStart) -> None:
        self._start = start
        self._slots: dict[int, int] = {}
        self._phase = np.zeros(0, dtype=np.int64)
        """By the instrument's number: not all tails learn in the same tick, and each in the same ticks on any channel."""
        self._rulers = Rulers(len(start.location))
        self._tails = StreamTails(start.tail)
        self._bodies = [_rising(body) for body in start.body]

    def slots(self, instrument_id: npt.NDArray[np.uint32]) -> Slots:
        """Return the places of ``(k,)`` instruments, new ones added."""
        ids = instrument_id.tolist()
        new = [one for one in dict.fromkeys(ids) if one not in self._slots]
        for one in new:
            self._slots[one] = len(self._slots)
            own = self._start.own.get(one)
            location, scale = (self._start.location, self._start.scale) if own is None else own
            self._rulers.add(COLD_TICKS if own is None else KNOWN_TICKS, location, scale)
        if new:
            self._tails.grow(len(new))
            self._phase = np.append(self._phase, np.array(new, dtype=np.int64) % THINNING)
        return np.array([self._slots[one] for one in ids], dtype=np.intp)

    def p(self, slots: Slots, errors: F64) -> F64:
        """Return ``(k, m)`` probabilities that a calm tick's errors exceed these."""
        u = self._rulers.standardise(slots, errors)
        over = self._tails.part(slots)
        below = np.empty_like(u)
        for column, (points, levels) in enumerate(self._bodies):
            below[:, column] = np.interp(u[:, column], points, levels)
        in_body = 1.0 - (1.0 - over) * below
        found = np.where(u <= self._start.tail.threshold, in_body, self._tails.p(slots, u))
        return np.where(np.isnan(u), np.nan, found)

    def learn(self, slots: Slots, errors: F64) -> None:
        """Learn the errors of distinct instruments, none of them frozen: of those whose turn it is, and count all."""
        turn = self._rulers.seen[slots] + self._phase[slots]
        due = turn % LEARN_EVERY == 0
        if due.any():
            own = slots[due]
            u = self._rulers.standardise(own, errors[due])
            thin = turn[due] % THINNING == 0
            if thin.any():
                self._tails.learn(own[thin], u[thin])
            self._rulers.learn(own, u)
        self._rulers.seen[slots] += 1.0

    def rows_to_next(self, slot: int) -> int:
        """Return after how many rows, learned from or counted, an instrument's p's will change: 1 = after the next one."""
        return int(-(self._rulers.seen[slot] + self._phase[slot]) % LEARN_EVERY) + 1

    def pass_by(self, slot: int, rows: int) -> None:
        """Count ``rows`` of an instrument that come before the one to learn from."""
        self._rulers.seen[slot] += rows

    def to_bytes(self) -> bytes:
        """Return the whole state."""
        ids = np.array(list(self._slots), dtype=np.uint32)
        width = self._rulers.location.shape[1]
        return _HEADER.pack(_VERSION, width, len(ids)) + b"".join(
            column.tobytes() for column in (ids, *self._columns())
        )

    @classmethod
    def from_bytes(cls, raw: bytes, start: CalibrationStart) -> Self:
        """Return the calibrator that wrote ``raw``; ``start`` is what it was made with.

        Raises:
            ValueError: Another version, other measures, or cut short.
        """
        made, width = cls(start), len(start.location)
        if len(raw) < _HEADER.size:
            raise ValueError("state of a calibration is cut short")
        version, measures, count = _HEADER.unpack_from(raw)
        if version != _VERSION or measures != width:
            raise ValueError(f"state of a calibration of version {version} with {measures} measures, wanted {width}")
        ids = np.frombuffer(raw[_HEADER.size : _HEADER.size + 4 * count], np.uint32)
        made.slots(ids)
        if len(raw) != _HEADER.size + 4 * count + sum(column.nbytes for column in made._columns()):
            raise ValueError(f"state of a calibration of {count} instruments has {len(raw)} bytes")
        place = _HEADER.size + 4 * count
        for column in made._columns():
            column[...] = np.frombuffer(raw, column.dtype, column.size, place).reshape(column.shape)
            place += column.nbytes
        return made

    def _columns(self) -> list[npt.NDArray[Any]]:
        return [self._rulers.seen, self._rulers.location, self._rulers.scale, *self._tails.columns()]


class Freeze:
    """Which instruments must not be learned from, by their score alone, where no tier machine says it."""

    def __init__(self) -> None:
        self._left = np.zeros(0, dtype=np.int64)

    def step(self, slots: Slots, strange: F64) -> npt.NDArray[np.bool_]:
        """Take ``(k,)`` scores S of distinct instruments and return which are frozen from now."""
        more = int(slots.max(initial=-1)) + 1 - len(self._left)
        if more > 0:
            self._left = np.append(self._left, np.zeros(more, dtype=np.int64))
        left = self._left[slots]
        held = (strange >= FREEZE_ENTER) | ((left > 0) & (strange >= FREEZE_LEAVE))
        left = np.where(held, FREEZE_TICKS, np.maximum(left - 1, 0))
        self._left[slots] = left
        return np.asarray(left > 0)

    def run(self, slot: int, strange: F64) -> npt.NDArray[np.bool_]:
        """Take ``(k,)`` scores of one instrument in order, and return at which it was frozen."""
        one = np.array([slot], dtype=np.intp)
        left = int(self._left[slot]) if slot < len(self._left) else 0
        if not left and not (strange >= FREEZE_ENTER).any():
            return np.zeros(len(strange), dtype=np.bool_)
        return np.array([self.step(one, strange[row : row + 1])[0] for row in range(len(strange))])

    def to_bytes(self) -> bytes:
        """Return the whole state."""
        return _FREEZE.pack(_VERSION) + self._left.tobytes()

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self:
        """Return the freeze that wrote ``raw``.

        Raises:
            ValueError: Another version, or cut short.
        """
        if len(raw) < _FREEZE.size or (len(raw) - _FREEZE.size) % 8 or _FREEZE.unpack_from(raw) != (_VERSION,):
            raise ValueError(f"{len(raw)} bytes are no state of a freeze")
        made = cls()
        made._left = np.frombuffer(raw, np.int64, offset=_FREEZE.size).copy()
        return made


def fit_calibration(
    errors: Sequence[tuple[int, F64]], part: float = TAIL_PART, *, held_out_from: int = 0
) -> CalibrationStart:
    """Return the start of a calibration from past sessions, in time order.

    Args:
        errors: Instrument and ``(n, m)`` errors of each session, one entry a session.
        part: Part of values that the tail begins at.
        held_out_from: Sessions before this one were learned from by the measures: they tell how errors differ from
            instrument to instrument, and nothing of the distribution, which would look narrower than it is.

    Raises:
        ValueError: Fewer than 1000 errors to take the distribution from.
    """
    held_out = [n for n in range(held_out_from, len(errors)) if len(errors[n][1])]
    count = sum(len(errors[n][1]) for n in held_out)
    if count < 1000:
        raise ValueError(f"calibration needs 1000 past errors, was given {count}")
    told = {n: _middle(rows) for n, (_, rows) in enumerate(errors) if len(rows) >= BASELINE_TICKS or n in held_out}
    pooled = _joint([*told.values()])
    own: dict[int, F64] = {}
    for instrument in sorted({errors[n][0] for n in told}):
        its = [n for n in told if errors[n][0] == instrument]
        if sum(len(errors[n][1]) for n in its) >= BASELINE_TICKS:
            own[instrument] = _towards(pooled, [told[n] for n in its])
    followed = []
    for n in held_out:
        start, worth = _start_without(n, [instrument for instrument, _ in errors], told)
        followed.append(_followed(errors[n][1], start, worth))
    standardised = np.concatenate(followed)
    tail = start_tail(standardised, part)
    levels = [np.linspace(0.0, 1.0 - over, BODY_POINTS) for over in tail.part]
    body = [np.quantile(column, level) for column, level in zip(standardised.T, levels, strict=True)]
    return CalibrationStart(pooled[0], pooled[1], own, np.array(body), tail)


def _middle(errors: F64) -> F64:
    """Return ``(2, m)`` location and scale of a session, as a ruler would settle on them."""
    location = np.median(errors, axis=0)
    for _ in range(_SETTLING):  # where bounded steps to either side are in balance
        scale = np.maximum(np.abs(errors - location).mean(axis=0) / MEAN_ABS_NORMAL, SPREAD_MIN)
        location = location + (np.clip((errors - location) / scale, -CLIP, CLIP) * scale).mean(axis=0)
    return np.array([location, scale])


def _joint(middles: Sequence[F64]) -> F64:
    """Return ``(2, m)`` location and scale of sessions together: what lies within them and between them."""
    locations, scales = np.array(middles).transpose(1, 0, 2)
    return np.array([locations.mean(axis=0), np.sqrt((scales**2).mean(axis=0) + locations.var(axis=0))])


def _towards(pooled: F64, middles: Sequence[F64]) -> F64:
    """Return ``(2, m)`` location and scale of an instrument's sessions, drawn to those of all by how few they are."""
    joint, weight = _joint(middles), len(middles) / (len(middles) + POOLED_SESSIONS)
    location = weight * joint[0] + (1 - weight) * pooled[0]
    return np.array([location, np.sqrt(weight * joint[1] ** 2 + (1 - weight) * pooled[1] ** 2)])


def _start_without(session: int, instruments: Sequence[int], told: dict[int, F64]) -> tuple[F64, float]:
    """Return where a session's ruler would have started had it not been seen: by its instrument's others, or by all others.

    Standardised by itself, a session would never look unusual, and the first new one always.
    """
    others = {n: middle for n, middle in told.items() if n != session}
    if not others:
        return told[session], KNOWN_TICKS
    pooled = _joint([*others.values()])
    same = [middle for n, middle in others.items() if instruments[n] == instruments[session]]
    return (_towards(pooled, same), KNOWN_TICKS) if same else (pooled, COLD_TICKS)


def _rising(body: F64) -> tuple[F64, F64]:
    """Return points of a body and the level of each: points that lie closer than ``STILL`` share the level of the first.

    Many equal errors are none of them rare.
    """
    levels, first = np.linspace(0.0, 1.0, len(body)), 0
    points, rising = [], []
    for place, point in enumerate(body):
        if point - body[first] >= STILL:
            first = place
        if place + 1 == len(body) or body[place + 1] - body[first] >= STILL:
            points.append(point)
            rising.append(levels[first])
    points.append(points[-1] + STILL)  # where the tail begins, if nothing lies between
    rising.append(1.0)
    return np.array(points), np.array(rising)


def _followed(errors: F64, start: F64, worth: float) -> F64:
    """Return what a live ruler would have made of a session: calibrated is what will be judged."""
    rulers, slot = Rulers(errors.shape[1]), np.zeros(1, dtype=np.intp)
    rulers.add(worth, start[0], start[1])
    out = np.empty_like(errors)
    for row in range(0, len(errors), LEARN_EVERY):
        rows = errors[row : row + LEARN_EVERY]
        out[row : row + LEARN_EVERY] = rulers.standardise(slot, rows)
        rulers.seen += len(rows)
        rulers.learn(slot, out[row + len(rows) - 1][None])
    return out
