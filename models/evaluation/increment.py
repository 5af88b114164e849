"""Does a score say more than volume, volatility and spread do? A nested logit (after Andersen and Bondarenko 2014).

Two logits of "cost stress is ahead": one holds what anybody can look at now, the other the score as well. Judged on rows that
neither was fitted on; blocks are drawn anew for the interval. Each variable enters twice, as it is and as its rank in the tail
of the rows that were learnt from, so that the controls are not beaten merely for being linear. Of trades without a book, volume
is the only control that is known.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from models.evaluation.blocks import TICKS_PER_S, Vector
from models.evaluation.episodes import Judged
from models.evaluation.intervals import CHUNK_TICKS, DRAWS, NOTHING, Estimate, around

CONTROLS: Final = ("trade_rate", "realised_vol_60s", "spread_bps")
FOLDS: Final = 5
RIDGE: Final = 1.0
BINS: Final = 256
STEPS_MAX: Final = 30


@dataclass(frozen=True, slots=True)
class Increment:
    """What a score adds.

    Attributes:
        auc: Of the score alone, on calm ticks; 0.5 = chance.
        auc_controls: Of the controls alone.
        delta_auc: Gain by the score.
        delta_log_loss: Fall of the log loss by the score, nats a row; above 0 is better.
        rows: Rows judged.
        ahead: Of them before stress.
    """

    auc: Estimate
    auc_controls: float
    delta_auc: Estimate
    delta_log_loss: Estimate
    rows: int
    ahead: int


def increment(judged: Sequence[Judged], *, groups: Sequence[int] | None, seed: int) -> Increment:
    """Return what the score adds, on one row a second.

    Args:
        judged: Blocks with scores.
        groups: Fold of each block, in time order: each is foretold by those before it. None: sessions stand apart, and each of
            ``FOLDS`` shares is foretold by the others.
        seed: Of the bootstrap.
    """
    parts = [_rows(one) for one in judged]
    x, y = np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])
    block = np.repeat(np.arange(len(parts)), [len(part[1]) for part in parts])
    chunk = np.unique(np.stack([block, np.concatenate([part[2] for part in parts])]), axis=1, return_inverse=True)[
        1
    ].reshape(-1)
    fold = block % FOLDS if groups is None else np.asarray(groups)[block]
    base, full = np.full(len(y), np.nan), np.full(len(y), np.nan)
    for number in np.unique(fold):
        learn = fold != number if groups is None else fold < number
        test = fold == number
        if not 0 < y[learn].sum() < learn.sum():
            continue
        design, designed = _design(x[learn], x[learn]), _design(x[learn], x[test])
        controls = 1 + 2 * len(CONTROLS)
        base[test] = designed[:, :controls] @ logit(design[:, :controls], y[learn])
        full[test] = designed @ logit(design, y[learn])
    kept = ~np.isnan(full)
    if not 0 < y[kept].sum() < kept.sum():
        return Increment(NOTHING, float("nan"), NOTHING, NOTHING, int(kept.sum()), int(y[kept].sum()))
    of_blocks = _Blocks(y[kept], chunk[kept], seed)
    auc, auc_draws = of_blocks.auc(x[kept, -1])
    auc_base, base_draws = of_blocks.auc(base[kept])
    auc_full, full_draws = of_blocks.auc(full[kept])
    better, better_draws = of_blocks.mean(_log_loss(base[kept], y[kept]) - _log_loss(full[kept], y[kept]))
    return Increment(
        auc=around(auc, auc_draws),
        auc_controls=auc_base,
        delta_auc=around(auc_full - auc_base, full_draws - base_draws),
        delta_log_loss=around(better, better_draws),
        rows=int(kept.sum()),
        ahead=int(y[kept].sum()),
    )


def logit(x: Vector, y: Vector) -> Vector:
    """Return the coefficients of a logistic regression with a small ridge on all but the first, by Newton's method."""
    ridge = np.full(x.shape[1], RIDGE)
    ridge[0] = 1e-9
    beta = np.zeros(x.shape[1])
    for _ in range(STEPS_MAX):
        p = 1.0 / (1.0 + np.exp(-np.clip(x @ beta, -30, 30)))
        step = np.linalg.solve((x * (p * (1 - p) + 1e-9)[:, None]).T @ x + np.diag(ridge), x.T @ (y - p) - ridge * beta)
        beta += step * min(1.0, 4.0 / max(float(np.abs(step).max()), 1e-12))
        if float(np.abs(step).max()) < 1e-8:
            break
    return beta


def _rows(one: Judged) -> tuple[Vector, Vector, npt.NDArray[np.int64]]:
    """Return the columns, the truth and the number of the chunk of each row that is used."""
    picked = np.arange(TICKS_PER_S - 1, len(one.block), TICKS_PER_S)
    controls = np.stack([one.block.column(name)[picked] for name in CONTROLS], axis=1)
    controls[:, np.isnan(controls).all(axis=0)] = 0.0  # a recording without a book: what is left of the controls
    ahead = one.truth.ahead[picked]
    kept = ~np.isnan(ahead) & ~np.isnan(controls).any(axis=1)
    x = np.concatenate([np.log1p(np.maximum(controls, 0.0)), one.support[picked, None]], axis=1)
    return x[kept], ahead[kept], picked[kept] // CHUNK_TICKS


def _design(learnt: Vector, x: Vector) -> Vector:
    """Return the intercept, and of each column its bounded z and its tail rank among the rows learnt from."""
    columns = [np.ones(len(x))]
    for past, now in zip(learnt.T, x.T, strict=True):
        finite = past[np.isfinite(past)]
        low, middle, high = np.quantile(finite, [0.001, 0.5, 0.999]) if len(finite) else (0.0, 0.0, 0.0)
        spread = max(float(np.clip(finite, low, high).std()) if len(finite) else 0.0, 1e-9)
        columns.append((np.clip(np.nan_to_num(now, nan=low, neginf=low, posinf=high), low, high) - middle) / spread)
        rank = np.searchsorted(np.sort(past), now, side="left") / max(len(past), 1)
        columns.append(-np.log10(np.maximum(1.0 - rank, 1.0 / (len(past) + 1))))
    return np.stack(columns, axis=1)


def _log_loss(logits: Vector, y: Vector) -> Vector:
    loss: Vector = np.logaddexp(0.0, np.clip(logits, -30, 30)) - y * np.clip(logits, -30, 30)
    return loss


class _Blocks:
    """The same draws of blocks for every statistic, so that differences are paired."""

    def __init__(self, y: Vector, block: npt.NDArray[np.int64], seed: int) -> None:
        names, self._block = np.unique(block, return_inverse=True)
        self._y, self._count = y, len(names)
        self._draws = np.random.default_rng(seed).multinomial(self._count, np.full(self._count, 1 / self._count), DRAWS)

    def auc(self, score: Vector) -> tuple[float, Vector]:
        """Return the area under the ROC curve, ties half, and of each draw."""
        edges = np.unique(np.quantile(score, np.linspace(0, 1, BINS + 1), method="inverted_cdf"))
        place = np.searchsorted(edges, score)
        shape = (self._count, len(edges) + 1)
        good, bad = np.zeros(shape), np.zeros(shape)
        np.add.at(good, (self._block, place), self._y)
        np.add.at(bad, (self._block, place), 1.0 - self._y)
        weights = np.concatenate([np.ones((1, self._count)), self._draws])
        return _split(_auc(weights @ good, weights @ bad))

    def mean(self, values: Vector) -> tuple[float, Vector]:
        """Return the mean, and of each draw."""
        sums, counts = np.bincount(self._block, values), np.bincount(self._block)
        return _split(np.append(values.mean(), self._draws @ sums / (self._draws @ counts)))


def _auc(good: Vector, bad: Vector) -> Vector:
    below = np.cumsum(bad, axis=1) - bad / 2
    with np.errstate(invalid="ignore"):
        area: Vector = (good * below).sum(axis=1) / (good.sum(axis=1) * bad.sum(axis=1))
    return area


def _split(values: Vector) -> tuple[float, Vector]:
    return float(values[0]), values[1:]
