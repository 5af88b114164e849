"""Streaming tails: a generalised Pareto distribution over a threshold, kept up to date by SPOT (Siffer et al. 2017).

Per stream: of ``n`` values so far ``n_t`` exceeded the threshold t, and a Pareto law of shape g and scale s was fitted to the
excesses; then P(X > x) = (n_t / n) (1 + g (x - t) / s)^(-1 / g). A value rarer than ``RARE`` is an anomaly and teaches nothing; one
over t adds an excess; one below only counts. Differences from the paper: values are standardised before they come
here (its drift variant subtracts a moving mean), the last ``EXCESSES`` are kept instead of all, the law is fitted again after
every ``REFIT`` new ones, counts are halved at ``COUNT_MAX`` so that long ago does not outvote the present, and the shape is
bounded (``models.calibrate``). All streams of a channel are arrays; each behaves as if alone.
"""

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from models.calibrate import P_MIN, SHAPE_MAX, SHAPE_MIN
from models.detectors.views import F64

EXCESSES: Final = 128
REFIT: Final = 16
RARE: Final = 1e-4
COUNT_MAX: Final = 8_640.0
PRIOR_COUNT: Final = 1_440.0
"""Values that a stream remembers at most, and what the tail of past sessions is worth: 12 h and 2 h at a value each 5 s."""

STILL: Final = 0.05
"""Standardised values closer than this count as equal: one that hardly ever moves must not find its own place rare."""

EXPONENTIAL: Final = 1e-9
"""Shapes closer to zero than this are the exponential law."""

_GRID: Final = 32
_HALVINGS: Final = 26
_SHAPE_FITTED_MIN: Final = -0.5
"""Below it the likelihood has no proper maximum (Grimshaw 1993)."""


def fit_pareto(excesses: F64) -> tuple[F64, F64]:
    """Return shape and scale, ``(rows,)`` each, of the generalised Pareto laws of ``(rows, n)`` positive excesses.

    Maximum likelihood by Grimshaw's reduction to one unknown x = shape / scale: with g(x) = mean log(1 + x y) the profile
    likelihood per excess is -log(g(x) / x) - g(x) - 1, whose stationary points solve
    mean(1 / (1 + x y)) (1 + mean log(1 + x y)) = 1. The best point of a grid is refined by halving on that equation; the
    exponential law is the limit x = 0 and wins where nothing beats it.
    """
    mean, largest = excesses.mean(axis=1), excesses.max(axis=1)
    grid = _grid(mean, largest)
    shape_at = np.log(1.0 + grid[:, :, None] * excesses[:, None, :]).mean(axis=2)
    likelihood = -np.log(np.maximum(shape_at / grid, 1e-300)) - shape_at - 1.0
    likelihood[shape_at < _SHAPE_FITTED_MIN] = -np.inf
    rows = np.arange(len(excesses))
    best = likelihood.argmax(axis=1)
    low = grid[rows, np.maximum(best - 1, 0)]
    high = grid[rows, np.minimum(best + 1, grid.shape[1] - 1)]
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        inside = 1.0 + middle[:, None] * excesses
        # The likelihood's slope, (u v - 1) / (x g), has the sign of u v - 1, as x and g have the same.
        slope = (1.0 / inside).mean(axis=1) * (1.0 + np.log(inside).mean(axis=1)) - 1.0
        low, high = np.where(slope > 0, middle, low), np.where(slope > 0, high, middle)
    root = 0.5 * (low + high)
    shape = np.log1p(root[:, None] * excesses).mean(axis=1)
    flat = np.abs(shape) < EXPONENTIAL
    scale = np.where(flat, mean, shape / np.where(flat, 1.0, root))
    fitted = -np.log(np.maximum(scale, 1e-300)) - shape - 1.0
    exponential = (fitted <= -np.log(mean) - 1.0) | (shape < _SHAPE_FITTED_MIN)
    return np.where(exponential, 0.0, shape), np.where(exponential, mean, scale)


def pareto_tail(over: F64, shape: F64, scale: F64) -> F64:
    """Return P(Y > over) of generalised Pareto laws; arrays that broadcast together, ``over`` not negative."""
    flat = np.abs(shape) < EXPONENTIAL
    safe = np.where(flat, 1.0, shape)
    inside = np.maximum(1.0 + safe * over / scale, 0.0)
    with np.errstate(divide="ignore"):
        log_p = np.where(flat, -over / scale, -np.log(inside) / safe)
    return np.asarray(np.exp(np.where(np.isnan(log_p), -np.inf, log_p)))


def pareto_quantiles(shape: F64, scale: F64, count: int) -> F64:
    """Return ``(..., count)`` quantiles of the laws at the plotting positions (i - 1/2) / count."""
    log_q = np.log1p(-(np.arange(count) + 0.5) / count)
    bent, wide = np.asarray(shape)[..., None], np.asarray(scale)[..., None]
    flat = np.abs(bent) < EXPONENTIAL
    return np.asarray(wide * np.where(flat, -log_q, np.expm1(-bent * log_q) / np.where(flat, 1.0, bent)))


@dataclass(frozen=True, slots=True, eq=False)
class TailStart:
    """Where the streams of every instrument start, by column (one a measure).

    Attributes:
        threshold: ``(m,)`` t; fixed, as in the paper.
        part: ``(m,)`` part of past values over it.
        shape: ``(m,)`` Pareto shape of past excesses.
        scale: ``(m,)`` Pareto scale.
    """

    threshold: F64 = field(repr=False)
    part: F64 = field(repr=False)
    shape: F64 = field(repr=False)
    scale: F64 = field(repr=False)


def start_tail(values: F64, part: float) -> TailStart:
    """Return the start of streams whose past values were ``(n, m)``; some less than ``part`` of them lie over the threshold.

    Raises:
        ValueError: Fewer than 1000 values: the tail would hold next to none.
    """
    if len(values) < 1000:
        raise ValueError(f"a tail needs 1000 past values, was given {len(values)}")
    threshold = np.quantile(values, 1.0 - part, axis=0) + STILL
    shape, scale, over_part = (
        np.zeros(len(threshold)),
        np.ones(len(threshold)),
        np.full(len(threshold), 1.0 / len(values)),
    )
    for column, bound in enumerate(threshold):
        over = values[values[:, column] > bound, column] - bound
        if len(over) > 1:  # else a clipped score whose ceiling the past reached too: the mildest tail there is
            bounded = _bounded(*fit_pareto(over[None]), over[None].mean(axis=1))
            shape[column], scale[column] = bounded[0][0], bounded[1][0]
            over_part[column] = len(over) / len(values)
    return TailStart(threshold, over_part, shape, scale)


class StreamTails:
    """The tails of a channel: a row an instrument, a column a measure."""

    def __init__(self, start: TailStart) -> None:
        self._start = start
        width = len(start.threshold)
        self.count, self.over = np.zeros((2, 0, width))
        self.shape, self.scale = np.zeros((2, 0, width))
        self._excesses = np.zeros((0, width, EXCESSES))
        self._next, self._fresh = np.zeros((2, 0, width), dtype=np.int64)
        # The prior tail is a full ring of its own quantiles: every new excess replaces one, so no stream is ever short.
        self._quantiles = pareto_quantiles(start.shape, start.scale, EXCESSES)

    def grow(self, rows: int) -> None:
        """Add ``rows`` instruments, each at the start."""
        start, width = self._start, len(self._start.threshold)
        part = np.broadcast_to(start.part, (rows, width))
        self.count = np.concatenate([self.count, np.full((rows, width), PRIOR_COUNT)])
        self.over = np.concatenate([self.over, PRIOR_COUNT * part])
        self.shape = np.concatenate([self.shape, np.broadcast_to(start.shape, (rows, width))])
        self.scale = np.concatenate([self.scale, np.broadcast_to(start.scale, (rows, width))])
        self._excesses = np.concatenate([self._excesses, np.broadcast_to(self._quantiles, (rows, width, EXCESSES))])
        zeros = np.zeros((rows, width), dtype=np.int64)
        self._next, self._fresh = np.concatenate([self._next, zeros]), np.concatenate([self._fresh, zeros])

    def columns(self) -> list[npt.NDArray[Any]]:
        """Return everything that learns, in the order of a state's bytes."""
        return [self.count, self.over, self.shape, self.scale, self._excesses, self._next, self._fresh]

    def part(self, rows: npt.NDArray[np.intp]) -> F64:
        """Return ``(k, m)`` parts of values over the threshold."""
        return np.asarray(self.over[rows] / self.count[rows])

    def p(self, rows: npt.NDArray[np.intp], values: F64) -> F64:
        """Return ``(k, m)`` P(X > value) where the value is over its threshold, the part over it elsewhere."""
        over = np.maximum(values - self._start.threshold, 0.0)
        tail = self.part(rows) * pareto_tail(over, self.shape[rows], self.scale[rows])
        return np.asarray(np.maximum(tail, P_MIN))

    def learn(self, rows: npt.NDArray[np.intp], values: F64) -> None:
        """Learn ``(k, m)`` values of distinct instruments; the rare ones are left out."""
        usual = self.p(rows, values) > RARE
        above = usual & (values > self._start.threshold)
        self.count[rows] += usual
        if not above.any():
            return
        self.over[rows] += above
        full = self.count[rows] >= COUNT_MAX
        if full.any():
            halved = np.where(full, 0.5, 1.0)
            self.count[rows] *= halved
            self.over[rows] *= halved
        row, column = np.nonzero(above)
        place = rows[row], column
        self._excesses[*place, self._next[place]] = values[row, column] - self._start.threshold[column]
        self._next[place] = (self._next[place] + 1) % EXCESSES
        self._fresh[place] += 1
        due = self._fresh[place] >= REFIT
        if due.any():
            self._refit((place[0][due], column[due]))

    def _refit(self, place: tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]) -> None:
        excesses = self._excesses[place]
        self.shape[place], self.scale[place] = _bounded(*fit_pareto(excesses), excesses.mean(axis=1))
        self._fresh[place] = 0


def _bounded(shape: F64, scale: F64, mean: F64) -> tuple[F64, F64]:
    """Return the laws with shapes within bounds; a bounded one keeps the mean of its excesses, scale / (1 - shape)."""
    kept = np.clip(shape, SHAPE_MIN, SHAPE_MAX)
    return kept, np.where(kept == shape, scale, mean * (1.0 - kept))


def _grid(mean: F64, largest: F64) -> F64:
    """Return ``(rows, grid)`` rising candidates of x: up to just above -1 / largest on one side, far out on the other."""
    below = -(1.0 - np.geomspace(1e-6, 1.0 - 1e-3, _GRID // 2)) / largest[:, None]
    above = np.geomspace(1e-4, 1e3, _GRID) / mean[:, None]
    return np.concatenate([below, above], axis=1)
