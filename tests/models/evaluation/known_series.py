"""Series with known anomalies, sorted as TSB-AD sorts them: what is wrong, where, and nothing else. Multivariate, as ticks are.

In the scale that models see, a calm tick is two slow common factors, a season of 8 s on a third of the features, and noise, each
feature with a deviation of about one. So what a kind of anomaly does and does not change is known: a correlation that breaks
leaves every feature's own distribution as it was, a season that jumps leaves each value as likely as before.
"""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from features.spec import FEATURES
from models.evaluation.blocks import TickBlock, Vector
from models.evaluation.vus import Ranges, vus_pr
from schemas.units import TICK_NS

Kind = Literal["spikes", "level", "variance", "season", "correlation"]
KINDS: Final[tuple[Kind, ...]] = ("spikes", "level", "variance", "season", "correlation")

ROWS: Final = 9_000
FIRST: Final = 2_500
EVERY: Final = 1_300
LONG: Final = 150
SHORT: Final = 5
SEASON_TICKS: Final = 80
BUFFER_TICKS: Final = 20
SCALE: Final = 0.3
"""Of a deviation, in the scale that models see: well above their least scale."""
ID: Final = 7

_LOG = np.array([feature.transform == "log1p" for feature in FEATURES])
_ASINH = np.array([feature.transform == "asinh" for feature in FEATURES])
_SCORED = sum(feature.scored for feature in FEATURES)


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """A series and where it is wrong.

    Attributes:
        block: The series.
        ranges: ``(k, 2)`` first and last row of each anomaly.
    """

    block: TickBlock
    ranges: Ranges


def calm_series(seed: int, rows: int = ROWS) -> TickBlock:
    """Return a series with nothing wrong."""
    return _block(_normal(np.random.default_rng([seed, 1]), rows), f"calm-{seed}")


def known_series(kind: Kind, seed: int) -> Known:
    """Return a series with five anomalies of one kind."""
    rng = np.random.default_rng([seed, 2])
    x = _normal(rng, ROWS)
    length = SHORT if kind == "spikes" else LONG
    starts = range(FIRST, ROWS - LONG, EVERY)
    for number, start in enumerate(starts):
        rows = slice(start, start + length)
        if kind == "spikes":
            x[rows, (5 * number) % _SCORED] += 9.0
        elif kind == "level":
            x[rows, :_SCORED] += 2.5 * np.where(np.arange(_SCORED) % 4 == number % 4, 1.0, 0.0)
        elif kind == "variance":
            x[rows] *= 3.0
        elif kind == "season":
            x[rows] = _normal(rng, length, season_ticks=SEASON_TICKS // 8)
        else:
            x[rows] = _unmixed(rng, length)
    ranges = np.array([[start, start + length - 1] for start in starts], dtype=np.int64)
    return Known(_block(x, f"{kind}-{seed}"), ranges)


def judged(scores: Vector, known: Known) -> float:
    """Return VUS-PR from the row on at which detectors have had their warm-up."""
    first = FIRST - 500
    return vus_pr(scores[first:], known.ranges - first, BUFFER_TICKS)


def _loadings(width: int) -> Vector:
    return np.random.default_rng(3).choice([-1.0, 1.0], size=(2, width))


def _normal(rng: np.random.Generator, rows: int, *, season_ticks: int = SEASON_TICKS) -> Vector:
    """Return ``(rows, features)`` of variance one: 0.15 noise, 0.6 season where there is one, and the rest factors."""
    width = len(FEATURES)
    noise = rng.normal(size=(rows + 200, 2))
    factors = np.empty_like(noise)
    factors[0] = noise[0]
    for row in range(1, len(noise)):
        factors[row] = 0.9 * factors[row - 1] + np.sqrt(1 - 0.81) * noise[row]
    place = np.arange(rows)[:, None]
    phase = np.arange(width)[None, :]
    season = np.sqrt(2.0) * np.sin(2 * np.pi * (place / season_ticks + phase / width))
    share = np.where(np.arange(width) % 3 == 0, 0.6, 0.0)
    common = factors[200:] @ _loadings(width) / np.sqrt(2.0)
    out: Vector = (
        np.sqrt(0.85 - share) * common + np.sqrt(share) * season + np.sqrt(0.15) * rng.normal(size=(rows, width))
    )
    return out


def _unmixed(rng: np.random.Generator, rows: int) -> Vector:
    """Return features that each look as ever and have nothing to do with one another."""
    return np.stack([_normal(rng, rows)[:, column] for column in range(len(FEATURES))], axis=1)


def _block(x: Vector, name: str) -> TickBlock:
    moved = SCALE * x
    values = np.where(_LOG, np.expm1(np.maximum(3.0 + moved, 0.0)), np.where(_ASINH, np.sinh(moved), moved))
    rows = len(values)
    ticks = (1 + np.arange(rows, dtype=np.int64)) * TICK_NS
    return TickBlock(name, ID, ticks, values, np.zeros(rows, np.uint32), np.full(rows, 10**11, dtype=np.int64))
