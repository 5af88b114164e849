"""Everything that is compared: each measure alone, the stack without the network, the whole stack. Training lives here.

All are views of one fitted stack, so scaling, training and calibration happen once however many of them an evaluation asks,
and differences between them are differences of the measures. One thing they share that a lone detector would not:
adaptation is frozen by the whole stack's score.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from models.detectors.clusters import ClusterNovelty
from models.detectors.combining import cauchy_combination, strangeness
from models.detectors.interface import F64, Measure
from models.detectors.linear import ForecastResidual, LargestScore, Length, Mahalanobis, PcaResidual
from models.detectors.stack import Stack
from models.detectors.vae import Train, VaeLikelihood
from models.evaluation.blocks import TickBlock
from models.evaluation.protocol import Detector
from models.train import train_window_vae

SEED: Final = 7
SESSIONS_KEPT: Final = 512
"""Scored sessions whose p's are kept for the other views; the oldest goes first."""


class SharedStack:
    """A stack that is fitted once for the same past and scores a session once for all its views."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self._past: tuple[TickBlock, ...] = ()
        self._found: dict[int, tuple[TickBlock, F64]] = {}

    def fit(self, past: Sequence[TickBlock]) -> None:
        """Fit, unless it was fitted on these very blocks."""
        same = len(past) == len(self._past) and all(a is b for a, b in zip(past, self._past, strict=True))
        if not same or not past:
            self.stack.fit(past)
            self._past = tuple(past)
            self._found.clear()

    def p(self, block: TickBlock) -> F64:
        """Return ``(n, m)`` p of each measure, NaN = no opinion."""
        held = self._found.get(id(block))
        if held is None or held[0] is not block:
            if len(self._found) >= SESSIONS_KEPT:
                self._found.pop(next(iter(self._found)))
            held = self._found[id(block)] = (block, self.stack.session(block).p)
        return held[1]


class StackView:
    """Some measures of a shared stack as a detector."""

    def __init__(self, name: str, shared: SharedStack, columns: Sequence[int]) -> None:
        self.name = name
        self._shared = shared
        self._columns = list(columns)

    def fit(self, past: Sequence[TickBlock]) -> None:
        """Learn from past sessions, in time order."""
        self._shared.fit(past)

    def score(self, block: TickBlock) -> F64:
        """Return ``(n,)`` S = -log10 of the combined p, NaN = no opinion."""
        return strangeness(cauchy_combination(self._shared.p(block)[:, self._columns]))


def simple_measures() -> list[Measure]:
    """Return new measures that need no network."""
    return [LargestScore(), Length(), Mahalanobis(), PcaResidual(), ForecastResidual(), ClusterNovelty()]


def detectors(
    seed: int = SEED, *, train: Train = train_window_vae, groups: Mapping[int, str] | None = None
) -> list[Detector]:
    """Return each measure alone, ``simple_stack`` (all but the network) and ``stack``, over one shared stack."""
    measures = [*simple_measures(), VaeLikelihood(train)]
    shared = SharedStack(Stack(measures, seed, groups))
    alone: list[Detector] = [StackView(measure.name, shared, [n]) for n, measure in enumerate(measures)]
    every = range(len(measures))
    return [*alone, StackView("simple_stack", shared, every[:-1]), StackView("stack", shared, every)]


class SimpleStackDetector(StackView):
    """The stack without the network, to be named as ``module:Class``."""

    def __init__(self) -> None:
        measures = simple_measures()
        super().__init__("simple_stack", SharedStack(Stack(measures, SEED)), range(len(measures)))


class StackDetector(StackView):
    """The whole stack, to be named as ``module:Class``."""

    def __init__(self) -> None:
        measures = [*simple_measures(), VaeLikelihood(train_window_vae)]
        super().__init__("stack", SharedStack(Stack(measures, SEED)), range(len(measures)))
