"""Synthetic ticks and a small model folder that needs no network: what every test of this room starts from."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from features.spec import SCORED, SCORED_NAMES, SPEC_HASH
from models.calibrate import Tail, fit_tail
from models.folder import ModelFolder
from models.scaling import Prior
from models.tiers import TierLevels
from schemas.ticks import Ticks
from schemas.units import TICK_NS

FEATURE_COUNT = len(SCORED)


@pytest.fixture(scope="session")
def tail() -> Tail:
    return fit_tail(np.exp(np.random.Generator(np.random.PCG64(3)).normal(1.0, 0.5, 20_000)))


@pytest.fixture
def model(tail: Tail, tmp_path: Path) -> ModelFolder:
    """Instruments 1 and 2 are known, with location 2 and scale 0.5 throughout."""
    prior = Prior(np.full(FEATURE_COUNT, 2.0), np.full(FEATURE_COUNT, 0.5))
    levels = TierLevels(enter=(0.0, 3.0, 5.0, 8.0), leave=(0.0, 2.0, 3.0, 5.0))
    return ModelFolder("test", tmp_path / "model", {1: prior, 2: prior}, tail, tail, levels)


@pytest.fixture
def make_ticks() -> Callable[..., Ticks]:
    """``make_ticks(values, ...)``: ``(ticks, instruments, features)`` to a message."""

    def make(
        values: npt.NDArray[np.float64],
        *,
        instrument_ids: tuple[int, ...] = (1,),
        first: int = 1,
        status: int = 0,
        spec_hash: str = SPEC_HASH,
    ) -> Ticks:
        count, instruments, _ = values.shape
        rows = count * instruments
        return Ticks(
            channel_id="TEST",
            epoch=1,
            spec_hash=spec_hash,
            feature_names=SCORED_NAMES,
            tick_ns=np.repeat(np.arange(first, first + count, dtype=np.int64) * TICK_NS, instruments),
            instrument_id=np.tile(np.array(instrument_ids, dtype=np.uint32), count),
            status=np.full(rows, status, dtype=np.uint32),
            ref_price=np.full(rows, 100_000_000_000, dtype=np.int64),
            values=np.ascontiguousarray(values.reshape(rows, -1), dtype=np.float64),
        )

    return make
