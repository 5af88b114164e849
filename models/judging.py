"""A fitted stack at work on a channel's instruments, where the network is asked elsewhere: errors, p, S, and what made it.

Invariants: a row is judged by what was known before it, and learned from only when the caller says so (the tier machine
freezes). The network's column is NaN where it did not answer, and the measures that did are combined: so the simple
stack takes over within the tick. Features that make a row strange are re-checked by imputation with the measures at
hand, which need no call to the network.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from features.spec import FEATURES
from models.detectors.calibration import Calibrator, Slots
from models.detectors.combining import cauchy_combination, strangeness
from models.detectors.erosion import Erosion, Silence
from models.detectors.explain import TOP
from models.detectors.vae import VaeLikelihood
from models.detectors.views import F32, F64, SILENCE, VIEWED_NAMES, Ids, Views
from models.folder import ModelFolder
from models.viewed import ViewedTicks

TINY: Final = 1e-300
DIRECTED_PART_MIN: Final = 0.2
"""An anomaly has a direction when at least this part of it lies in features that have one."""

LEANING_Z: Final = 1.0
SLOW_LEAN: Final = 1
"""A feature lies where its newest tick does from so many deviations on, else where its 5 s average does."""

_OF_NAME: Final = {feature.name: feature for feature in FEATURES}
_DIRECTION: Final = np.array([_OF_NAME[name].adverse for name in VIEWED_NAMES])


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Rows that were judged.

    Attributes:
        slots: ``(k,)`` places of the instruments in the calibrator.
        errors: ``(k, measures)`` NaN = no answer.
        strange: ``(k,)`` S.
        share: ``(k, viewed features)`` parts of the error, each row sums to 1 (or is 0).
        adverse_share: ``(k,)`` part of what has a direction that points in the dangerous one; 0 when too little has one.
    """

    slots: Slots = field(repr=False)
    errors: F64 = field(repr=False)
    strange: F64 = field(repr=False)
    share: F64 = field(repr=False)
    adverse_share: F64 = field(repr=False)


class Judge:
    """A model's stack with the calibration of a channel's instruments."""

    def __init__(self, model: ModelFolder, state: bytes | None = None) -> None:
        self.model = model
        stack, start = model.stack, model.stack.start
        self._calibrator = Calibrator(start) if state is None else Calibrator.from_bytes(state, start)
        self._networks = np.array([isinstance(measure, VaeLikelihood) for measure in stack.measures])
        self._one_sided = np.array([isinstance(measure, (Erosion, Silence)) for measure in stack.measures])
        self._rechecked = np.flatnonzero(stack.combined & ~self._networks)

    @property
    def needs_network(self) -> bool:
        """Whether S is another without the network."""
        return bool((self.model.stack.combined & self._networks).any())

    def slots(self, instrument_id: Ids) -> Slots:
        """Return the places of instruments, new ones added."""
        return self._calibrator.slots(instrument_id)

    def judge(self, viewed: ViewedTicks, rows: npt.NDArray[np.intp], network: F32 | None) -> Judged:
        """Return what the stack says of rows of distinct instruments that have an opinion.

        Args:
            viewed: Ticks.
            rows: Which of them.
            network: ``(k, features)`` parts of the network's error; None = it did not answer.
        """
        slots = self._calibrator.slots(viewed.ticks.instrument_id[rows])
        views = viewed.views.of(rows)
        parts = self._parts(views, network)
        errors = np.asarray(parts.sum(axis=2).T)
        p = self._calibrator.p(slots, errors)
        stack = self.model.stack
        # No measure has an opinion: nothing is strange, and nothing is claimed.
        strange = np.nan_to_num(stack.strange(p))
        return Judged(slots, errors, strange, stack.shares(p, parts), self._adverse(views, p, parts))

    def learn(self, judged: Judged, kept: npt.NDArray[np.bool_]) -> None:
        """Learn from rows that were judged; ``(k,)`` which."""
        self._calibrator.learn(judged.slots[kept], judged.errors[kept])

    def leading(self, viewed: ViewedTicks, rows: npt.NDArray[np.intp], share: F64) -> npt.NDArray[np.intp]:
        """Return ``(k, TOP)`` features of rows, those first without which the row would be the least strange.

        The largest parts are candidates; each is set to its own calm middle in all views, and the row is scored again.

        Args:
            viewed: Ticks.
            rows: Which of them.
            share: ``(k, features)`` parts of their errors.
        """
        candidates = np.argsort(-share, axis=1, kind="stable")[:, :TOP]
        if not len(rows) or not len(self._rechecked):
            return candidates
        imputed = viewed.views.of(np.repeat(rows, TOP))  # copies
        row, feature = np.arange(len(imputed)), candidates.ravel()
        imputed.slow[row, :, feature] = 0.0  # 0 is the feature's own calm middle, in robust scores and in slow views
        scored, silent = feature < imputed.window.shape[2], feature == SILENCE
        imputed.window[row[scored], :, feature[scored]] = 0.0
        imputed.missed[row[silent]] = 0.0
        parts = self._parts(imputed, None)
        slots = self._calibrator.slots(imputed.instrument_id)
        p = self._calibrator.p(slots, np.asarray(parts.sum(axis=2).T))
        left = np.nan_to_num(strangeness(cauchy_combination(p[:, self._rechecked]))).reshape(-1, TOP)
        # Equal ones stay in the order of their parts.
        return np.take_along_axis(candidates, np.argsort(left, axis=1, kind="stable"), axis=1)

    def to_bytes(self) -> bytes:
        """Return the state: all that was learned since the start."""
        return self._calibrator.to_bytes()

    def _adverse(self, views: Views, p: F64, parts: F64) -> F64:
        """Return ``(k,)`` adverse part of what has a direction: all of a one-sided measure, of others what lies that way."""
        combined = self.model.stack.combined
        two_sided = (combined & ~self._one_sided).nonzero()[0]
        alone = np.nan_to_num(strangeness(p[:, combined & self._one_sided])).sum(axis=1)
        weight = strangeness(p[:, two_sided]).T / np.maximum(parts[two_sided].sum(axis=2), TINY)
        weighed = np.nan_to_num(weight[:, :, None] * parts[two_sided]).sum(axis=0)
        pointing = leaning(views) * _DIRECTION
        adverse = alone + np.where(pointing > 0, weighed, 0.0).sum(axis=1)
        directed = adverse + np.where(pointing < 0, weighed, 0.0).sum(axis=1)
        enough = directed >= DIRECTED_PART_MIN * np.maximum(alone + weighed.sum(axis=1), TINY)
        return np.where(enough, adverse / np.maximum(directed, TINY), 0.0)

    def _parts(self, views: Views, network: F32 | None) -> F64:
        """Return ``(measures, k, viewed features)`` parts; NaN for a network that did not answer, and for what S does not ask."""
        measures = self.model.stack.measures
        found = np.full((len(measures), len(views), views.slow.shape[2]), np.nan)
        for column, measure in enumerate(measures):
            if not self._networks[column]:
                if self.model.stack.combined[column]:
                    found[column] = measure.parts(views)
            elif network is not None:
                found[column] = 0.0
                found[column, :, : network.shape[1]] = network
        return found


def leaning(views: Views) -> F64:
    """Return ``(k, viewed features)`` which way each feature lies: by its newest tick where that says something, else slowly."""
    lean = views.slow[:, SLOW_LEAN].astype(np.float64)
    z = views.window[:, -1]
    lean[:, : z.shape[1]] = np.where(np.abs(z) >= LEANING_Z, z, lean[:, : z.shape[1]])
    return np.nan_to_num(lean)
