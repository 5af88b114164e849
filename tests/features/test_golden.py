"""Ticks of a small session, kept in words: what changes a feature shows as a readable difference.

Integers must be equal and floats equal to 1e-12, because `log` and `exp` may differ by a bit between processors.

``TIDEGATE_WRITE_GOLDEN=1 python -m pytest tests/features/test_golden.py`` writes the file anew; commit it with the reason.
The session lasts just over a minute, so that no feature is null to its end; each 20th tick is kept.
"""

import math
import os
from pathlib import Path

import numpy as np
import pytest

from features.channel import ChannelKernel
from features.spec import FEATURE_NAMES, SPEC_HASH
from feeds.framing import frames_of
from feeds.merging import with_signals
from feeds.simulator.session import simulate
from schemas.signals import Signal, SignalKind
from schemas.units import NS_PER_MS, NS_PER_S, TICK_NS

GOLDEN = Path(__file__).parents[1] / "golden" / "features" / "flash_crash.seed7.62s.csv"
FIXED = ("tick_ns", "instrument_id", "status", "ref_price")
EVERY_NS = 20 * TICK_NS


def signals(start_ns: int) -> list[Signal]:
    """Return a headline of each minute before, and an own order each two seconds, half of it filled 150 ms later."""
    found = [Signal(start_ns - n * 60 * NS_PER_S, 1 + n % 3, SignalKind.HEADLINE, 10**9 // n) for n in range(9, 0, -1)]
    for n in range(30):
        at_ns, id_ = start_ns + 2 * n * NS_PER_S, 1 + n % 2
        found.append(Signal(at_ns, id_, SignalKind.ORDER, order_qty=10))
        found.append(Signal(at_ns + 150 * NS_PER_MS, id_, SignalKind.EXECUTION, order_qty=10, fill_qty=5))
    return found


def lines() -> list[str]:
    """Return hash, head and one line per kept tick and instrument; floats as the shortest text that reads back equal."""
    session = simulate("flash_crash", 7, duration_s=62)
    plan = session.scenario
    kernel = ChannelKernel("SIM")
    found = [f"# spec_hash {SPEC_HASH}", ",".join((*FIXED, *FEATURE_NAMES))]
    market = frames_of([session.block], "SIM", start_ns=plan.start_ns, end_ns=plan.end_ns)
    for frame in with_signals(market, signals(plan.start_ns)):
        rows = kernel.apply(frame)
        fixed = np.stack([getattr(rows, name).astype(np.int64) for name in FIXED], axis=1).tolist()
        found += [
            ",".join([*map(str, head), *("" if math.isnan(value) else repr(value) for value in values)])
            for head, values in zip(fixed, rows.values.tolist(), strict=True)
            if head[0] % EVERY_NS == 0
        ]
    return found


def test_ticks_of_a_seeded_session_are_golden() -> None:
    found = lines()
    if os.environ.get("TIDEGATE_WRITE_GOLDEN"):
        GOLDEN.write_text("\n".join(found) + "\n")
        pytest.skip(f"wrote {GOLDEN}: nothing was compared")
    wanted = GOLDEN.read_text().splitlines()
    assert found[:2] == wanted[:2]
    assert len(found) == len(wanted) == 2 + 31 * 4
    different = [(number, a, b) for number, (a, b) in enumerate(zip(found, wanted, strict=True), 1) if not same(a, b)]
    assert not different, different[0]


def same(found: str, wanted: str) -> bool:
    return found == wanted or all(
        a == b or (n >= len(FIXED) and a != "" != b and math.isclose(float(a), float(b), rel_tol=1e-12))
        for n, (a, b) in enumerate(zip(found.split(","), wanted.split(","), strict=True))
    )


def test_golden_ticks_leave_no_feature_untested() -> None:
    rows = [line.split(",") for line in GOLDEN.read_text().splitlines()[2:]]
    columns = dict(zip(FEATURE_NAMES, zip(*(row[len(FIXED) :] for row in rows), strict=True), strict=True))
    assert not [name for name, values in columns.items() if len(set(values) - {""}) < 2]
