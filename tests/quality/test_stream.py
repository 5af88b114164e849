"""The stream's check of ticks breaks exactly the rows that the suite's range laws break."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from features.spec import FEATURE_NAMES
from models.detectors.views import VIEWED_NAMES
from quality.rows import findings
from quality.stream import RowRanges
from quality.ticks import SUITE, columns_of_ticks
from schemas.ticks import Ticks

RANGES = RowRanges(FEATURE_NAMES, VIEWED_NAMES)
LAWS = [law for law in SUITE.laws if law.name in {f"{name}_range" for name in VIEWED_NAMES}]


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(1, 20), st.floats(0, 0.02))
def test_the_same_rows_as_the_suite(seed: int, rows: int, share: float) -> None:
    chance = np.random.default_rng(seed)
    values = chance.random((rows, len(FEATURE_NAMES)))
    strange = chance.random(values.shape) < share
    values[strange] = chance.choice(
        [np.nan, np.inf, -np.inf, -1.0, -2.0, 1e16, 5_001.0, 2.0], int(np.count_nonzero(strange))
    )
    ticks = Ticks(
        "C", 0, "", FEATURE_NAMES, np.arange(rows), np.ones(rows, np.uint32), np.zeros(rows, np.uint32),
        np.zeros(rows, np.int64), values,
    )  # fmt: skip
    wanted = np.unique(np.concatenate([found.unexpected for found in findings(SUITE, columns_of_ticks([ticks]), LAWS)]))
    assert np.flatnonzero(RANGES.broken(values)).tolist() == wanted.tolist()
    assert all("_range" in RANGES.told(values[row]) for row in wanted.astype(int))
