"""The cost of a check by number of instruments, as a small picture written by hand: no plotting library."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final

RESULTS: Final = Path(__file__).parent / "results"
WIDTH: Final = 560
HEIGHT: Final = 280
LEFT: Final = 56
BASE: Final = 230
LINES: Final = (("p50_ns", "median", "#1f6f8b", 16), ("p99_ns", "99 %", "#b5542c", -6))
"""Field, label, colour, and where its numbers stand: below the lower line, above the upper."""
LOWEST: Final = 10


def plot(rows: Sequence[dict[str, float]], *, load: float) -> Path:
    """Write ``gate_instruments.svg`` and return its path.

    Args:
        rows: ``instruments``, ``p50_ns`` and ``p99_ns`` of each measurement.
        load: Load of the machine, printed above the picture.
    """
    top = 10 ** math.ceil(math.log10(max(row["p99_ns"] for row in rows)))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="18" font-size="14">One check by number of instruments, ns, timer included (load {load:.1f})</text>',
    ]
    for power in range(int(math.log10(LOWEST)), int(math.log10(top)) + 1):
        y = _y(10**power, top)
        parts.append(f'<path d="M{LEFT} {y:.0f}H{WIDTH - 16}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.0f}" text-anchor="end">{10**power}</text>')
    xs = [LEFT + 24 + n * (WIDTH - LEFT - 80) / max(1, len(rows) - 1) for n in range(len(rows))]
    for x, row in zip(xs, rows, strict=True):
        parts.append(f'<text x="{x:.0f}" y="{BASE + 18}" text-anchor="middle">{row["instruments"]:,.0f}</text>')
    for n, (name, label, colour, beside) in enumerate(LINES):
        points = [(x, _y(row[name], top), row[name]) for x, row in zip(xs, rows, strict=True)]
        line = " ".join(f"{x:.0f},{y:.0f}" for x, y, _ in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [
            f'<text x="{x:.0f}" y="{y + beside:.0f}" text-anchor="middle" fill="{colour}">{value:.0f}</text>'
            for x, y, value in points
        ]
        parts.append(f'<text x="{LEFT + 200 * n}" y="{BASE + 40}" fill="{colour}">{label}</text>')
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / "gate_instruments.svg"
    path.write_text("\n".join([*parts, "</svg>"]) + "\n")
    return path


def _y(value: float, top: float) -> float:
    return BASE - (BASE - 40) * math.log10(max(value, LOWEST) / LOWEST) / math.log10(top / LOWEST)
