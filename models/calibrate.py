"""From error to tail probability: how rare is this error among calm ticks?

The logarithm of the error is standardised (an ``ErrorRuler`` per instrument, against its own past) and looked up in
one tail that was fitted on held-out calm ticks: the empirical distribution for the body, a generalised Pareto tail
above its threshold (Siffer et al. 2017), continuous and strictly falling there, so a worse error always scores higher.
Pure numpy.
"""

import math
import struct
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from models.scaling import CLIP, MEAN_ABS_NORMAL, SCALE_MIN, STEP, WARMUP_TICKS

TAIL_PART: Final = 0.02
SHAPE_MIN: Final = 0.0
SHAPE_MAX: Final = 0.15
"""Bounds of the tail's shape: a heavier tail fitted on calm days alone would make every crisis look likely."""

ERROR_MIN: Final = 1e-12
P_MIN: Final = 1e-300
BODY_POINTS: Final = 99

BASELINE_TICKS: Final = 600
"""What the pooled location and scale are worth to an instrument of the prior, in ticks of its own; the errors of
another are only learned from until it has as many."""

_RULER: Final = struct.Struct("<qdd")
RULER_BYTES: Final = _RULER.size


@dataclass(slots=True)
class ErrorRuler:
    """Location and scale of one instrument's log error, followed by bounded steps.

    Attributes:
        seen: Ticks learned from; a prior counts as ``BASELINE_TICKS``.
        location: In log error.
        scale: Not below ``SCALE_MIN``.
    """

    seen: int
    location: float
    scale: float

    @classmethod
    def start(cls, tail: "Tail", *, known: bool) -> Self:
        """Return the ruler of an instrument at its first tick; ``known``: the model was fitted on it."""
        return cls(BASELINE_TICKS if known else 0, tail.location, tail.scale)

    @property
    def ready(self) -> bool:
        """Whether what it says may be judged."""
        return self.seen >= BASELINE_TICKS

    def standardise(self, error: float) -> float:
        """Return the standardised log error."""
        return (math.log(max(error, ERROR_MIN)) - self.location) / self.scale

    def learn(self, error: float) -> None:
        """Move one bounded step towards ``error``."""
        if self.seen == 0:
            self.location = math.log(max(error, ERROR_MIN))
        bounded = min(max(self.standardise(error), -CLIP), CLIP)
        # As the scaler: large steps find the place, then 1/n, never below the lasting step.
        step = 1.0 / (5.0 + self.seen / 4.0) if self.seen < WARMUP_TICKS else max(STEP, 1.0 / self.seen)
        self.location += step * bounded * self.scale
        self.scale = max(self.scale * math.exp(step * (abs(bounded) - MEAN_ABS_NORMAL)), SCALE_MIN)
        self.seen += 1

    def to_bytes(self) -> bytes:
        """Return the state."""
        return _RULER.pack(self.seen, self.location, self.scale)

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self:
        """Return the ruler that wrote ``raw``."""
        return cls(*_RULER.unpack(raw))


@dataclass(frozen=True, slots=True)
class Tail:
    """Calibration of one back end.

    Attributes:
        location: Median of the log error of calm ticks, where an instrument has no past of its own.
        scale: Median absolute deviation of the same, as a normal standard deviation.
        threshold: Standardised log error where the Pareto tail begins.
        shape: Pareto shape.
        spread: Pareto scale.
        body: Quantiles of the standardised log error at 1 % to 99 %.
    """

    location: float
    scale: float
    threshold: float
    shape: float
    spread: float
    body: tuple[float, ...]

    def p(self, u: float) -> float:
        """Return the probability that a calm tick's standardised log error exceeds ``u``."""
        if u <= self.threshold:
            below = float(np.interp(u, self.body, np.arange(1, BODY_POINTS + 1) / (BODY_POINTS + 1)))
            return max(1.0 - below, TAIL_PART)
        over = (u - self.threshold) / self.spread
        if self.shape < 1e-9:
            return max(TAIL_PART * math.exp(-over), P_MIN)
        return max(TAIL_PART * math.pow(1.0 + self.shape * over, -1.0 / self.shape), P_MIN)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> Self:
        """Return the tail of :meth:`to_dict`."""
        return cls(**{**raw, "body": tuple(raw["body"])})


def fit_tail(errors: npt.NDArray[np.float64]) -> Tail:
    """Return the calibration of errors of calm ticks, ``(n,)``, n at least 1000.

    The Pareto tail is fitted by probability-weighted moments (Hosking and Wallis 1987), its shape bounded.

    Raises:
        ValueError: Too few errors.
    """
    if len(errors) < 1000:
        raise ValueError(f"calibration needs 1000 calm errors, was given {len(errors)}")
    log_error = np.log(np.maximum(errors, ERROR_MIN))
    location = float(np.median(log_error))
    scale = max(float(np.median(np.abs(log_error - location))) * 1.4826, 1e-6)
    u = np.sort((log_error - location) / scale)
    threshold = float(np.quantile(u, 1 - TAIL_PART))
    over = u[u > threshold] - threshold
    body = tuple(float(q) for q in np.quantile(u, np.arange(1, BODY_POINTS + 1) / (BODY_POINTS + 1)))
    if not len(over):
        # A bounded score (a clipped z) whose ceiling calm ticks reach too: beyond it, the mildest tail there is.
        return Tail(location, scale, threshold, SHAPE_MIN, 1.0, body)
    rank = (np.arange(len(over)) + 0.65) / len(over)
    first, second = float(over.mean()), float((over * (1 - rank)).mean())
    shape = min(max(2.0 - first / (first - 2.0 * second), SHAPE_MIN), SHAPE_MAX)
    return Tail(location, scale, threshold, shape, first * (1.0 - shape), body)
