"""From error to tail probability: how rare is this error among calm ticks?

The logarithm of the error is standardised (per instrument, against its own past) and looked up in one tail that was
fitted on held-out calm ticks: the empirical distribution for the body, a generalised Pareto tail above its threshold
(Siffer et al. 2017), continuous and strictly falling, so a worse error always scores higher. Pure numpy.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

TAIL_PART: Final = 0.02
SHAPE_MIN: Final = 0.0
SHAPE_MAX: Final = 0.15
"""Bounds of the tail's shape: a heavier tail fitted on calm days alone would make every crisis look likely."""

ERROR_MIN: Final = 1e-12
P_MIN: Final = 1e-300
BODY_POINTS: Final = 99


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
        return max(TAIL_PART * (1.0 + self.shape * over) ** (-1.0 / self.shape), P_MIN)

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
    rank = (np.arange(len(over)) + 0.65) / len(over)
    first, second = float(over.mean()), float((over * (1 - rank)).mean())
    shape = min(max(2.0 - first / (first - 2.0 * second), SHAPE_MIN), SHAPE_MAX)
    body = np.quantile(u, np.arange(1, BODY_POINTS + 1) / (BODY_POINTS + 1))
    return Tail(location, scale, threshold, shape, first * (1.0 - shape), tuple(float(q) for q in body))
