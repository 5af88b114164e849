"""What something costs by number of instruments, as a small picture written by hand: no plotting library."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

RESULTS: Final = Path(__file__).parent / "results"
WIDTH: Final = 560
HEIGHT: Final = 280
LEFT: Final = 56
BASE: Final = 230
LOWEST: Final = 10
COLOURS: Final = (("#1f6f8b", 16), ("#b5542c", -6))
"""Of the lower line and of the upper one, and where their numbers stand: below and above."""


def plot(name: str, title: str, rows: Sequence[dict[str, Any]], *, lines: dict[str, str]) -> Path:
    """Write ``results/<name>.svg`` and return its path.

    Args:
        name: Of the file.
        title: Above the picture, with unit and load.
        rows: ``instruments`` and the fields of ``lines``, of each measurement.
        lines: Two fields and what they are called, the lower line first.
    """
    top = 10 ** math.ceil(math.log10(max(row[field] for row in rows for field in lines)))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="18" font-size="14">{title}</text>',
    ]
    for power in range(int(math.log10(LOWEST)), int(math.log10(top)) + 1):
        y = _y(10**power, top)
        parts.append(f'<path d="M{LEFT} {y:.0f}H{WIDTH - 16}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.0f}" text-anchor="end">{10**power}</text>')
    xs = [LEFT + 24 + n * (WIDTH - LEFT - 80) / max(1, len(rows) - 1) for n in range(len(rows))]
    for x, row in zip(xs, rows, strict=True):
        parts.append(f'<text x="{x:.0f}" y="{BASE + 18}" text-anchor="middle">{row["instruments"]:,.0f}</text>')
    for n, ((field, label), (colour, beside)) in enumerate(zip(lines.items(), COLOURS, strict=True)):
        points = [(x, _y(row[field], top), row[field]) for x, row in zip(xs, rows, strict=True)]
        line = " ".join(f"{x:.0f},{y:.0f}" for x, y, _ in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [
            f'<text x="{x:.0f}" y="{y + beside:.0f}" text-anchor="middle" fill="{colour}">{value:.0f}</text>'
            for x, y, value in points
        ]
        parts.append(f'<text x="{LEFT + 200 * n}" y="{BASE + 40}" fill="{colour}">{label}</text>')
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.svg"
    path.write_text("\n".join([*parts, "</svg>"]) + "\n")
    return path


def _y(value: float, top: float) -> float:
    return BASE - (BASE - 40) * math.log10(max(value, LOWEST) / LOWEST) / math.log10(top / LOWEST)
