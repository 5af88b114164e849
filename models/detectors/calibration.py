"""Errors to tail probabilities, per instrument and measure, streaming: a ruler, the past's ECDF, a tail that SPOT keeps.

The log error is standardised against the instrument's own past (the ruler of ``models.calibrate``, here for all streams at
once); below the threshold the past's empirical distribution answers, above it the Pareto tail, and the two meet at the
part of values over the threshold. Invariant: a tick is judged by what was known before it, and ``learn`` is a call of its
own, so that whoever knows the tier can withhold it: nothing is learned while an instrument is frozen.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from models.calibrate import BASELINE_TICKS, ERROR_MIN, TAIL_PART
from models.detectors.interface import F64
from models.detectors.spot import StreamTails, TailStart, start_tail
from models.scaling import CLIP, MEAN_ABS_NORMAL, STEP, WARMUP_TICKS

Slots = npt.NDArray[np.intp]

BODY_POINTS: Final = 199
SPREAD_MIN: Final = 0.01
"""Smallest scale of a log error: a hundredth of it is never strange by itself. Sums over many values lie close together."""

KNOWN_TICKS: Final = 18_000
"""What an instrument's own past location and scale are worth, in ticks: half an hour, so that a minute of slow crisis,
below any level that freezes, moves its ruler by next to nothing."""

COLD_TICKS: Final = 100
"""What the pooled location and scale are worth to an instrument that the past does not know, in ticks of its own."""

THINNING: Final = 50
"""Tails learn every so many ticks (5 s). SPOT takes values for independent, and ticks are not: a slow crisis of a minute
would be hundreds of excesses, and the tail would have learned that it is normal. Thinning by time keeps the law of a
value as it is and bounds what a minute can teach."""

FREEZE_ENTER: Final = 3.5
FREEZE_LEAVE: Final = 2.2
FREEZE_TICKS: Final = 300
"""Where no tier machine says when to freeze: S at which Elevated is entered by default, and 30 s below where it is left."""


@dataclass(frozen=True, slots=True, eq=False)
class CalibrationStart:
    """What past errors taught.

    Attributes:
        location: ``(m,)`` location of the log error over all instruments.
        scale: ``(m,)`` its scale.
        own: Instrument to ``(2, m)`` location and scale of its own.
        body: ``(m, BODY_POINTS)`` quantiles of the standardised log error below the threshold, evenly spaced.
        tail: Where the tails start.
    """

    location: F64 = field(repr=False)
    scale: F64 = field(repr=False)
    own: dict[int, F64] = field(repr=False)
    body: F64 = field(repr=False)
    tail: TailStart = field(repr=False)


class Rulers:
    """Location and scale of the log error of each stream, followed by bounded steps; ``(instruments, m)`` arrays."""

    def __init__(self, width: int) -> None:
        self.seen = np.zeros(0)
        self.location, self.scale = np.zeros((2, 0, width))

    def add(self, seen: float, location: F64, scale: F64) -> None:
        """Add an instrument."""
        self.seen = np.append(self.seen, seen)
        self.location, self.scale = np.vstack([self.location, location]), np.vstack([self.scale, scale])

    def standardise(self, slots: Slots, errors: F64) -> F64:
        """Return ``(k, m)`` standardised log errors."""
        return np.asarray((np.log(np.maximum(errors, ERROR_MIN)) - self.location[slots]) / self.scale[slots])

    def learn(self, slots: Slots, standardised: F64) -> None:
        """Move one bounded step towards the standardised log errors of distinct instruments."""
        seen = self.seen[slots]
        step = np.where(seen < WARMUP_TICKS, 1.0 / (5.0 + seen / 4.0), np.maximum(STEP, 1.0 / np.maximum(seen, 1.0)))[
            :, None
        ]
        bounded = np.clip(standardised, -CLIP, CLIP)
        scale = self.scale[slots]
        self.location[slots] += step * bounded * scale
        self.scale[slots] = np.maximum(scale * np.exp(step * (np.abs(bounded) - MEAN_ABS_NORMAL)), SPREAD_MIN)
        self.seen[slots] = seen + 1.0


class Calibrator:
    """The calibration of a channel: instruments come as they appear, each at the start that the past gives it."""

    def __init__(self, start: CalibrationStart) -> None:
        self._start = start
        self._slots: dict[int, int] = {}
        self._phase = np.zeros(0, dtype=np.int64)
        """By the instrument's number: not all tails learn in the same tick, and each in the same ticks on any channel."""
        self._rulers = Rulers(len(start.location))
        self._tails = StreamTails(start.tail)

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
        levels = np.linspace(0.0, 1.0, BODY_POINTS)
        for column, body in enumerate(self._start.body):
            below[:, column] = np.interp(u[:, column], body, levels)
        in_body = 1.0 - (1.0 - over) * below
        return np.where(u <= self._start.tail.threshold, in_body, self._tails.p(slots, u))

    def learn(self, slots: Slots, errors: F64) -> None:
        """Learn the errors of distinct instruments, none of them frozen."""
        if len(slots):
            u = self._rulers.standardise(slots, errors)
            due = (self._rulers.seen[slots] + self._phase[slots]) % THINNING == 0
            if due.any():
                self._tails.learn(slots[due], u[due])
            self._rulers.learn(slots, u)


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


def fit_calibration(errors: Sequence[tuple[int, F64]], part: float = TAIL_PART) -> CalibrationStart:
    """Return the start of a calibration from past sessions, in time order, that the measures did not learn from.

    Args:
        errors: Instrument and ``(n, m)`` errors of each session, one entry a session.
        part: Part of values that the tail begins at.

    Raises:
        ValueError: Fewer than 1000 errors in all.
    """
    logs = [(instrument, np.log(np.maximum(rows, ERROR_MIN))) for instrument, rows in errors if len(rows)]
    count = sum(len(rows) for _, rows in logs)
    if count < 1000:
        raise ValueError(f"calibration needs 1000 past errors, was given {count}")
    middles = [_middle(rows) for _, rows in logs]
    own: dict[int, F64] = {}
    for instrument in sorted({instrument for instrument, _ in logs}):
        its = [n for n, (one, _) in enumerate(logs) if one == instrument]
        if sum(len(logs[n][1]) for n in its) >= BASELINE_TICKS:
            own[instrument] = _joint([middles[n] for n in its])
    standardised = np.concatenate(
        [_followed(rows, *_start_without(n, [one for one, _ in logs], middles)) for n, (_, rows) in enumerate(logs)]
    )
    tail = start_tail(standardised, part)
    levels = np.linspace(0.0, 1.0 - part, BODY_POINTS)
    location, scale = _joint(middles)
    return CalibrationStart(location, scale, own, np.quantile(standardised, levels, axis=0).T, tail)


def _middle(logs: F64) -> F64:
    """Return ``(2, m)`` location and scale of a session, as a ruler would settle on them."""
    location = np.median(logs, axis=0)
    scale = np.abs(logs - location).mean(axis=0) / MEAN_ABS_NORMAL
    return np.array([location, np.maximum(scale, SPREAD_MIN)])


def _joint(middles: Sequence[F64]) -> F64:
    """Return ``(2, m)`` location and scale of sessions together: what lies within them and between them."""
    locations, scales = np.array(middles).transpose(1, 0, 2)
    return np.array([locations.mean(axis=0), np.sqrt((scales**2).mean(axis=0) + locations.var(axis=0))])


def _start_without(session: int, instruments: Sequence[int], middles: Sequence[F64]) -> tuple[F64, float]:
    """Return where a session's ruler would have started had it not been seen: by its instrument's others, or by all others.

    Standardised by itself, a session would never look unusual, and the first new one always.
    """
    others = [n for n in range(len(middles)) if n != session]
    same = [middles[n] for n in others if instruments[n] == instruments[session]]
    if same:
        return _joint(same), KNOWN_TICKS
    if others:
        return _joint([middles[n] for n in others]), COLD_TICKS
    return middles[session], KNOWN_TICKS


def _followed(logs: F64, start: F64, worth: float) -> F64:
    """Return what a live ruler would have made of a session: calibrated is what will be judged."""
    rulers, slot = Rulers(logs.shape[1]), np.zeros(1, dtype=np.intp)
    rulers.add(worth, start[0], start[1])
    out = np.empty_like(logs)
    for row, errors in enumerate(np.exp(logs)):
        out[row] = rulers.standardise(slot, errors[None])[0]
        rulers.learn(slot, out[row][None])
    return out
