"""Measures run together: views in, one S per row out, with each measure's own p beside it.

``Stack`` is what was learned: scaling, measures and where their calibration starts. ``Channel`` is a stack at work on the
instruments of a channel, tick by tick; a session of one instrument is scored by the same steps (``Stack.session``), only
that measures, being pure, see all its views in one call. All measures are calibrated; S combines those that are named, the
others stand beside it. Invariant: a row is judged by rows up to it alone, and learned from after it was judged, unless its
instrument is frozen.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from features.spec import FEATURE_NAMES, SPEC_HASH
from models.detectors.calibration import LEARN_EVERY, CalibrationStart, Calibrator, Freeze, fit_calibration
from models.detectors.combining import cauchy_combination, strangeness
from models.detectors.interface import Measure
from models.detectors.views import F64, VIEWED_NAMES, ViewedBlock, Views, views_of
from models.evaluation.blocks import TickBlock
from models.past import SessionPast, fit_past
from models.scaling import Scaler
from schemas.ticks import Ticks

LEARNED_PART: Final = 0.6
"""Past rows that measures learn from; the later rest calibrates them."""

TINY: Final = 1e-300

_LENGTH: Final = struct.Struct("<I")

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class StackScores:
    """What a stack says of rows.

    Attributes:
        strange: ``(k,)`` S = -log10 of the combined p; NaN = no opinion.
        p: ``(k, m)`` p of each measure; NaN = no opinion.
        share: ``(k, viewed features)`` parts of the error, each row sums to 1 (or is 0); each combined measure weighs by its
            own S.
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
        combined: Names of the measures that S combines; None: all.

    Raises:
        ValueError: A name of no measure, or none at all.
    """

    def __init__(
        self,
        measures: Sequence[Measure],
        seed: int,
        groups: Mapping[int, str] | None = None,
        *,
        combined: Sequence[str] | None = None,
    ) -> None:
        self.measures = tuple(measures)
        names = [measure.name for measure in measures]
        wanted = names if combined is None else list(combined)
        if unknown := set(wanted) - set(names) or (not wanted and "no measure"):
            raise ValueError(f"a stack of {names} cannot combine {unknown}")
        self.combined = np.array([name in wanted for name in names])
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
        viewed = [self.viewed(block) for block in learned]
        if sum(int(block.opined.sum()) for block in viewed) < 1000:
            raise ValueError("a stack needs 1000 past rows to learn from")
        for measure in self.measures:
            measure.fit(viewed, self._seed)
        viewed += [self.viewed(block) for block in held_out]
        errors = [(block.instrument_id, self._session_errors(block)) for block in viewed]
        self._start = fit_calibration(errors, held_out_from=len(learned))

    def restore(self, past: SessionPast, start: CalibrationStart) -> None:
        """Take what an equal stack's ``past`` and ``start`` were; the measures load theirs themselves."""
        self._past, self._start = past, start

    def viewed(self, block: TickBlock) -> ViewedBlock:
        """Return a session as measures see it, by a scaler that starts with it, as a fresh deployment would."""
        return views_of(Scaler(self.past.priors, self.past).step(ticks_of(block)), block.values)

    def parts(self, views: Views) -> F64:
        """Return ``(m, k, viewed features)`` parts of every measure."""
        if not len(views):
            return np.zeros((len(self.measures), 0, len(VIEWED_NAMES)))
        return np.array([measure.parts(views) for measure in self.measures])

    def strange(self, p: F64) -> F64:
        """Return ``(k,)`` S of ``(k, m)`` p's of the measures."""
        return strangeness(cauchy_combination(p[:, self.combined]))

    def shares(self, p: F64, parts: F64) -> F64:
        """Return ``(k, viewed features)`` parts of the combined measures' errors, each weighing by its own S."""
        own = parts[self.combined]
        own = np.where(np.isnan(own), 0.0, own)
        weight = strangeness(p[:, self.combined]).T / np.maximum(own.sum(axis=2), TINY)
        weighed = np.einsum("mk,mkf->kf", np.where(np.isnan(weight), 0.0, weight), own)
        return np.asarray(weighed / np.maximum(weighed.sum(axis=1), TINY)[:, None])

    def _session_errors(self, block: ViewedBlock) -> F64:
        """Return ``(n, m)`` errors of the rows of which every measure has one."""
        pieces = [errors_of(self.parts(views)) for views in block.pieces()]
        errors = np.concatenate(pieces) if pieces else np.zeros((0, len(self.measures)))
        return np.asarray(errors[np.isfinite(errors).all(axis=1)])

    def session(self, block: TickBlock) -> StackScores:
        """Return the scores of a session of one instrument, ``(n,)`` rows."""
        viewed = self.viewed(block)
        calibrator, freeze = Calibrator(self.start), Freeze()
        slots = calibrator.slots(np.full(LEARN_EVERY, block.instrument_id, dtype=np.uint32))
        slot = int(slots[0])
        strange, p, share = _blank(len(block), len(self.measures))
        ends = np.flatnonzero(viewed.opined)
        for views in viewed.pieces():
            parts = self.parts(views)
            errors = errors_of(parts)
            found = np.empty_like(errors)
            row = 0
            while row < len(errors):  # as many at once as are judged by one state of the calibration
                some = errors[row : row + calibrator.rows_to_next(slot)]
                p_of = found[row : row + len(some)] = calibrator.p(slots[: len(some)], some)
                still = ~freeze.run(slot, self.strange(p_of))
                calibrator.pass_by(slot, int(still[:-1].sum()))
                if still[-1]:
                    calibrator.learn(slots[:1], some[-1:])
                row += len(some)
            rows, ends = ends[: len(views)], ends[len(views) :]
            p[rows], strange[rows], share[rows] = found, self.strange(found), self.shares(found, parts)
        return StackScores(strange, p, share)


class Channel:
    """A fitted stack at work on a channel's instruments."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._calibrator = Calibrator(stack.start)
        self._freeze = Freeze()

    def step(self, views: Views, frozen: Bools | None = None) -> StackScores:
        """Judge one tick's rows, an instrument each, and learn from those that are not frozen.

        Args:
            views: Views of one tick.
            frozen: ``(k,)`` instruments at Elevated or above, as the tier machine has it after the tick before; without
                it the score itself decides.
        """
        opined = views.opined
        seen = views if opined.all() else views.of(opined)
        rows = self._calibrator.slots(seen.instrument_id)
        parts = self._stack.parts(seen)
        errors = errors_of(parts)
        p = self._calibrator.p(rows, errors)
        found = self._stack.strange(p)
        still = self._freeze.step(rows, found) if frozen is None else frozen[opined]
        self._calibrator.learn(rows[~still], errors[~still])
        strange, every, share = _blank(len(opined), len(self._stack.measures))
        strange[opined], every[opined], share[opined] = found, p, self._stack.shares(p, parts)
        return StackScores(strange, every, share)

    def score(self, views: Views) -> F64:
        """Return S of ``(k,)`` views of known instruments as of now, learning nothing; an instrument may come often."""
        slots = self._calibrator.slots(views.instrument_id)
        return self._stack.strange(self._calibrator.p(slots, errors_of(self._stack.parts(views))))

    def to_bytes(self) -> bytes:
        """Return the whole state."""
        calibrator = self._calibrator.to_bytes()
        return _LENGTH.pack(len(calibrator)) + calibrator + self._freeze.to_bytes()

    @classmethod
    def from_bytes(cls, raw: bytes, stack: Stack) -> Self:
        """Return the channel that wrote ``raw``; ``stack`` is what it was made with.

        Raises:
            ValueError: Another version, another stack, or cut short.
        """
        if len(raw) < _LENGTH.size:
            raise ValueError("state of a channel is cut short")
        cut = _LENGTH.size + _LENGTH.unpack_from(raw)[0]
        made = cls(stack)
        made._calibrator = Calibrator.from_bytes(raw[_LENGTH.size : cut], stack.start)
        made._freeze = Freeze.from_bytes(raw[cut:])
        return made


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


def errors_of(parts: F64) -> F64:
    """Return ``(k, m)`` errors of ``(m, k, features)`` parts."""
    return np.asarray(parts.sum(axis=2).T)


def _blank(rows: int, measures: int) -> tuple[F64, F64, F64]:
    return np.full(rows, np.nan), np.full((rows, measures), np.nan), np.zeros((rows, len(VIEWED_NAMES)))
