"""Synthetic ticks and a small model folder that needs no network: what every test of this room starts from."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from features.spec import FEATURE_NAMES, SCORED, SPEC_HASH
from models.budgets import Budgets
from models.detectors.calibration import BODY_POINTS, CalibrationStart
from models.detectors.erosion import Erosion, Silence
from models.detectors.interface import Measure
from models.detectors.linear import LargestScore, Mahalanobis, PcaResidual
from models.detectors.spot import TailStart
from models.detectors.stack import Stack
from models.detectors.systemic import fit_systemic
from models.evaluation.blocks import blocks_of_ticks
from models.folder import ModelFolder
from models.past import BUCKETS, DayShape, SessionPast
from models.scaling import Prior
from models.systemic_start import SystemicStart
from models.tiers import TierLevels
from schemas.ticks import Ticks
from schemas.units import TICK_NS

FEATURE_COUNT = len(SCORED)


def model_of(path: Path, measures: Sequence[Measure] = (), *, combined: Sequence[str] | None = None) -> ModelFolder:
    """Instruments 1 and 2 are known, with location 2 and scale 0.5 throughout.

    An error e of any measure has S = -log10(0.02) + (e - 9) / (10 ln 10) from 9 on: a z of 3, 7, 10 and 15 in one feature
    alone has S of 1.7, 3.4, 5.7 and 11.1.
    """
    prior = Prior(np.full(FEATURE_COUNT, 2.0), np.full(FEATURE_COUNT, 0.5))
    shape = DayShape({}, np.zeros((1, BUCKETS, FEATURE_COUNT)), np.ones((1, BUCKETS, FEATURE_COUNT)))
    used = list(measures) or [LargestScore()]
    width = len(used)
    tail = TailStart(np.full(width, 9.0), np.full(width, 0.02), np.zeros(width), np.full(width, 10.0))
    own = {one: np.array([np.zeros(width), np.ones(width)]) for one in (1, 2)}
    body = np.tile(np.linspace(0.0, 9.0, BODY_POINTS), (width, 1))
    stack = Stack(used, 0, combined=combined)
    stack.restore(
        SessionPast({1: prior, 2: prior}, {}, {}, shape),
        CalibrationStart(np.zeros(width), np.ones(width), own, body, tail),
    )
    levels = TierLevels(enter=(0.0, 3.0, 5.0, 8.0), leave=(0.0, 2.0, 3.0, 5.0))
    return ModelFolder("test", path, stack, Budgets(), levels)


@pytest.fixture
def model(tmp_path: Path) -> ModelFolder:
    """One measure, the largest score; no network."""
    return model_of(tmp_path / "model")


@pytest.fixture
def priors() -> dict[int, Prior]:
    """Of instruments 1 and 2."""
    prior = Prior(np.full(FEATURE_COUNT, 2.0), np.full(FEATURE_COUNT, 0.5))
    return {1: prior, 2: prior}


@pytest.fixture
def make_ticks() -> Callable[..., Ticks]:
    """``make_ticks(values, ...)``: ``(ticks, instruments, features)`` to a message; features that are not given are null."""

    def make(
        values: npt.NDArray[np.float64],
        *,
        instrument_ids: tuple[int, ...] = (1,),
        first: int = 1,
        status: int = 0,
        spec_hash: str = SPEC_HASH,
    ) -> Ticks:
        count, instruments, given = values.shape
        rows = count * instruments
        every = np.full((rows, len(FEATURE_NAMES)), np.nan)
        every[:, :given] = values.reshape(rows, given)
        return Ticks(
            channel_id="TEST",
            epoch=1,
            spec_hash=spec_hash,
            feature_names=FEATURE_NAMES,
            tick_ns=np.repeat(np.arange(first, first + count, dtype=np.int64) * TICK_NS, instruments),
            instrument_id=np.tile(np.array(instrument_ids, dtype=np.uint32), count),
            status=np.full(rows, status, dtype=np.uint32),
            ref_price=np.full(rows, 100_000_000_000, dtype=np.int64),
            values=every,
        )

    return make


def calm_values(seed: int, count: int, instruments: int = 2) -> npt.NDArray[np.float64]:
    """``(count, instruments, all features)`` raw values that move together and calmly."""
    rng = np.random.Generator(np.random.PCG64(seed))
    mixing = np.random.Generator(np.random.PCG64(0)).normal(size=(4, len(FEATURE_NAMES)))
    factors = rng.normal(size=(count, instruments, 4))
    moved: npt.NDArray[np.float64] = factors @ mixing + 0.3 * rng.normal(size=(count, instruments, len(FEATURE_NAMES)))
    return np.asarray(3.0 + np.abs(moved))


def calm_session(seed: int, count: int = 1_500, instruments: int = 4, *, first: int = 1) -> list[Ticks]:
    """Messages of one tick each."""
    values = calm_values(seed, count, instruments)
    ids = np.arange(1, instruments + 1, dtype=np.uint32)
    return [
        Ticks(
            channel_id="TEST",
            epoch=1,
            spec_hash=SPEC_HASH,
            feature_names=FEATURE_NAMES,
            tick_ns=np.full(instruments, (first + row) * TICK_NS, dtype=np.int64),
            instrument_id=ids,
            status=np.zeros(instruments, dtype=np.uint32),
            ref_price=np.full(instruments, 100_000_000_000, dtype=np.int64),
            values=values[row],
        )
        for row in range(count)
    ]


def calm_books(seed: int, count: int = 1_500, instruments: int = 4, *, first: int = 1) -> list[Ticks]:
    """The same with shares within -1 and 1, as a book has them: for what checks its rows."""
    made = calm_session(seed, count, instruments, first=first)
    shares = [place for place, name in enumerate(FEATURE_NAMES) if "imbalance" in name or "pressure" in name]
    for ticks in made:
        ticks.values[:, shares] = np.clip(ticks.values[:, shares], -1.0, 1.0)
    return made


def fitted(path: Path) -> ModelFolder:
    """A small model without a network, fitted on calm sessions; every part of a folder but the network is in it."""
    stack = Stack([LargestScore(), Mahalanobis(), PcaResidual(), Erosion(1), Silence()], 7, {1: "liquid"})
    stack.fit([block for seed in range(3) for block in blocks_of_ticks(calm_session(seed, 800, 2), f"past-{seed}")])
    rng = np.random.Generator(np.random.PCG64(4))
    start = fit_systemic([rng.exponential(0.43, (2_000, 4)) for _ in range(2)])
    levels = TierLevels(enter=(0.0, 3.0, 5.0, 8.0), leave=(0.0, 2.0, 3.0, 5.0))
    return ModelFolder("fitted", path, stack, Budgets(), levels, SystemicStart(start, levels))
