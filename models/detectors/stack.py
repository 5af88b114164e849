"""Measures run together: scaled windows in, one S per row out, with each measure's own p beside it.

``Stack`` is what was learned: scaling, measures and where their calibration starts. ``Channel`` is a stack at work on the
instruments of a channel, tick by tick; a session of one instrument is scored by the same steps (``Stack.session``), only
that measures, being pure, see all its windows in one call. Invariant: a row is judged by rows up to it alone, and learned
from after it was judged, unless its instrument is frozen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from features.spec import FEATURE_NAMES, SCORED, SPEC_HASH
from models.detectors.calibration import CalibrationStart, Calibrator, Freeze, fit_calibration
from models.detectors.combining import cauchy_combination, strangeness
from models.detectors.interface import F32, F64, WINDOW, Ids, Measure, ScaledBlock
from models.evaluation.blocks import TickBlock
from models.past import SessionPast, fit_past
from models.scaling import Scaler
from models.wire import ScaledTicks
from schemas.ticks import Ticks

LEARNED_PART: Final = 0.6
"""Past rows that measures learn from; the later rest calibrates them."""

TINY: Final = 1e-300

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class StackScores:
    """What a stack says of rows.

    Attributes:
        strange: ``(k,)`` S = -log10 of the combined p; NaN = no opinion.
        p: ``(k, m)`` p of each measure; NaN = no opinion.
        share: ``(k, features)`` parts of the error, each row sums to 1 (or is 0); each measure weighs by its own S.
    """

    strange: F64 = field(repr=False)
    p: F64 = field(repr=False)
    share: F64 = field(repr=False)


class Stack:
    """Measures with one scaling and one calibration.

    Args:
        measures: New measures; ``fit`` teaches them.
        seed: Of whatever chance a measure uses.
        groups: Instrument to group, for the priors of instruments that the past does not know.
    """

    def __init__(self, measures: Sequence[Measure], seed: int, groups: Mapping[int, str] | None = None) -> None:
        self.measures = tuple(measures)
        self._seed = seed
        self._groups = groups
        self._past: SessionPast | None = None
        self._start: CalibrationStart | None = None

    @property
    def past(self) -> SessionPast:
        """What scaling learned.

        Raises:
            ValueError: Before ``fit``.
        """
        if self._past is None:
            raise ValueError("the stack is asked before it was fitted")
        return self._past

    @property
    def start(self) -> CalibrationStart:
        """Where calibration starts.

        Raises:
            ValueError: Before ``fit``.
        """
        if self._start is None:
            raise ValueError("the stack is asked before it was fitted")
        return self._start

    def fit(self, past: Sequence[TickBlock]) -> None:
        """Learn from past sessions in time order; the caller leaves out what it knows, by a causal rule, not to be calm.

        Raises:
            ValueError: Too few rows to learn from or to calibrate on.
        """
        learned, held_out = split(past)
        self._past = fit_past(learned, self._groups)
        scaled = [self.scaled(block) for block in learned]
        if sum(int(block.opined.sum()) for block in scaled) < 1000:
            raise ValueError("a stack needs 1000 past rows to learn from")
        for measure in self.measures:
            measure.fit(scaled, self._seed)
        calibrating = [self.scaled(block) for block in held_out]
        self._start = fit_calibration([(block.instrument_id, self._session_errors(block)) for block in calibrating])

    def scaled(self, block: TickBlock) -> ScaledBlock:
        """Return a session scaled by a scaler that starts with it, as a fresh deployment would."""
        scaled = Scaler(self.past.priors, self.past).step(ticks_of(block))
        full = np.cumsum(scaled.scored) >= WINDOW
        return ScaledBlock(block.instrument_id, scaled.z, scaled.scored & full)

    def parts(self, windows: F32, instrument_id: Ids) -> F64:
        """Return ``(m, k, features)`` parts of every measure."""
        if not len(windows):
            return np.zeros((len(self.measures), 0, len(SCORED)))
        return np.array([measure.parts(windows, instrument_id) for measure in self.measures])

    def _session_errors(self, block: ScaledBlock) -> F64:
        pieces = [_errors(self.parts(windows, ids)) for windows, ids in block.pieces()]
        return np.concatenate(pieces) if pieces else np.zeros((0, len(self.measures)))

    def session(self, block: TickBlock) -> StackScores:
        """Return the scores of a session of one instrument, ``(n,)`` rows."""
        scaled = self.scaled(block)
        calibrator, freeze = Calibrator(self.start), Freeze()
        slot = calibrator.slots(np.array([block.instrument_id], dtype=np.uint32))
        strange, p, share = _blank(len(block), len(self.measures))
        ends = np.flatnonzero(scaled.opined)
        for windows, ids in scaled.pieces():
            parts = self.parts(windows, ids)
            errors = _errors(parts)
            found = np.empty_like(errors)
            for row in range(len(errors)):
                one = errors[row : row + 1]
                found[row] = calibrator.p(slot, one)[0]
                if not freeze.step(slot, strangeness(cauchy_combination(found[row][None])))[0]:
                    calibrator.learn(slot, one)
            rows, ends = ends[: len(ids)], ends[len(ids) :]
            p[rows], strange[rows], share[rows] = found, strangeness(cauchy_combination(found)), _shares(found, parts)
        return StackScores(strange, p, share)


class Channel:
    """A fitted stack at work on a channel's instruments."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._calibrator = Calibrator(stack.start)
        self._freeze = Freeze()
        self._windows = np.zeros((0, WINDOW, len(SCORED)), dtype=np.float32)
        self._rows = np.zeros(0, dtype=np.int64)

    def step(self, ticks: ScaledTicks, frozen: Bools | None = None) -> StackScores:
        """Judge one tick's rows, an instrument each, and learn from those that are not frozen.

        Args:
            ticks: Scaled rows of one tick.
            frozen: ``(k,)`` instruments at Elevated or above, as the tier machine has it after the tick before; without
                it the score itself decides.
        """
        slots = self._calibrator.slots(ticks.instrument_id)
        self._turn(slots, ticks)
        opined = ticks.scored & (self._rows[slots] >= WINDOW)
        rows = slots[opined]
        whole = bool(opined.all()) and len(rows) == len(self._rows) and bool((rows == np.arange(len(rows))).all())
        windows = self._windows if whole else self._windows[rows]
        parts = self._stack.parts(windows, ticks.instrument_id[opined])
        errors = _errors(parts)
        p = self._calibrator.p(rows, errors)
        still = self._freeze.step(rows, strangeness(cauchy_combination(p))) if frozen is None else frozen[opined]
        self._calibrator.learn(rows[~still], errors[~still])
        strange, every, share = _blank(len(opined), len(self._stack.measures))
        strange[opined], every[opined], share[opined] = strangeness(cauchy_combination(p)), p, _shares(p, parts)
        return StackScores(strange, every, share)

    def window(self, instrument_id: int) -> F32:
        """Return a copy of the instrument's ``(WINDOW, features)`` window."""
        slot = self._calibrator.slots(np.array([instrument_id], dtype=np.uint32))
        return np.asarray(self._windows[slot[0]].copy())

    def score(self, windows: F32, instrument_id: int) -> F64:
        """Return S of ``(k, WINDOW, features)`` windows of an instrument as of now, learning nothing."""
        ids = np.full(len(windows), instrument_id, dtype=np.uint32)
        slots = self._calibrator.slots(ids)
        return strangeness(cauchy_combination(self._calibrator.p(slots, _errors(self._stack.parts(windows, ids)))))

    def _turn(self, slots: npt.NDArray[np.intp], ticks: ScaledTicks) -> None:
        more = int(slots.max(initial=-1)) + 1 - len(self._rows)
        if more > 0:
            fresh = np.zeros((more, WINDOW, len(SCORED)), dtype=np.float32)
            self._windows = np.concatenate([self._windows, fresh])
            self._rows = np.append(self._rows, np.zeros(more, dtype=np.int64))
        turned = self._windows[slots]
        turned[:, :-1] = turned[:, 1:]
        turned[:, -1] = ticks.z
        self._windows[slots] = turned
        self._rows[slots] += ticks.scored


def ticks_of(block: TickBlock) -> Ticks:
    """Return a session as a message of ticks."""
    rows = len(block.tick_ns)
    return Ticks(
        channel_id=block.name,
        epoch=0,
        spec_hash=SPEC_HASH,
        feature_names=FEATURE_NAMES,
        tick_ns=block.tick_ns,
        instrument_id=np.full(rows, block.instrument_id, dtype=np.uint32),
        status=block.status,
        ref_price=block.ref_price,
        values=block.values,
    )


def split(past: Sequence[TickBlock]) -> tuple[list[TickBlock], list[TickBlock]]:
    """Return what to learn from and what to calibrate on: the first sessions and the rest, or one session's two parts.

    Raises:
        ValueError: No session.
    """
    if not past:
        raise ValueError("a detector needs at least one past session")
    if len(past) == 1:
        middle = round(len(past[0]) * LEARNED_PART)
        return [past[0].part(0, middle)], [past[0].part(middle, len(past[0]))]
    rows = np.cumsum([len(block) for block in past])
    at = int(np.searchsorted(rows, LEARNED_PART * rows[-1])) + 1
    at = min(max(at, 1), len(past) - 1)
    return list(past[:at]), list(past[at:])


def _errors(parts: F64) -> F64:
    """Return ``(k, m)`` errors of ``(m, k, features)`` parts."""
    return np.asarray(parts.sum(axis=2).T)


def _shares(p: F64, parts: F64) -> F64:
    """Return ``(k, features)`` parts of all measures' errors, each measure weighing by its own S; rows sum to 1, or 0."""
    weight = strangeness(p).T / np.maximum(parts.sum(axis=2), TINY)
    weighed = np.einsum("mk,mkf->kf", weight, parts)
    return np.asarray(weighed / np.maximum(weighed.sum(axis=1), TINY)[:, None])


def _blank(rows: int, measures: int) -> tuple[F64, F64, F64]:
    return np.full(rows, np.nan), np.full((rows, measures), np.nan), np.zeros((rows, len(SCORED)))
