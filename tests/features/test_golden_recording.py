"""Features of the small LOBSTER fixture, kept as a summary per feature: the recording itself is not the project's to copy.

``TIDEGATE_WRITE_GOLDEN=1 python -m pytest tests/features/test_golden_recording.py`` writes the summary anew.
"""

import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from features.channel import ChannelKernel
from features.spec import FEATURE_NAMES
from feeds.framing import frames_of
from feeds.lobster.reader import open_session
from schemas.units import NS_PER_S

GOLDEN = Path(__file__).parents[1] / "golden" / "features" / "lobster_aapl_head.json"
SECONDS = 90


def summary(recording: Path) -> dict[str, Any]:
    """Return, per feature, how many ticks have it, its mean, and its last value."""
    session = open_session(recording)
    kernel = ChannelKernel(session.channel_id)
    end_ns = session.start_ns + SECONDS * NS_PER_S
    frames = frames_of(session.blocks(), session.channel_id, start_ns=session.start_ns, end_ns=end_ns)
    values = np.concatenate([kernel.apply(frame).values for frame in frames])
    found: dict[str, Any] = {"ticks": len(values)}
    for name, column in zip(FEATURE_NAMES, values.T, strict=True):
        known = column[np.isfinite(column)]
        mean, last = (float(known.mean()), float(known[-1])) if len(known) else (math.nan, math.nan)
        found[name] = {"known": len(known), "mean": mean, "last": last}
    return found


@pytest.mark.marketdata
def test_features_of_the_recorded_fixture_are_golden(marketdata: Path) -> None:
    found = summary(marketdata / "lobster" / "AAPL_head")
    if os.environ.get("TIDEGATE_WRITE_GOLDEN"):
        GOLDEN.write_text(json.dumps(found, indent=1) + "\n")
        pytest.skip(f"wrote {GOLDEN}: nothing was compared")
    wanted = json.loads(GOLDEN.read_text())
    assert list(found) == list(wanted)
    assert found["ticks"] == wanted["ticks"]
    for name in FEATURE_NAMES:
        assert found[name]["known"] == wanted[name]["known"], name
        assert found[name] == pytest.approx(wanted[name], rel=1e-9, nan_ok=True), name
