"""The suite as one figure: a panel a mechanism, cost over its trailing median, aligned at the onset. Equal in, equal bytes."""

import io
from typing import Any, Final

import numpy as np

from deploy.stress_curves import Curves

COLOURS: Final = {"crisis": "#c1553b", "hard_negative": "#2a6f97", "calm": "#0b6e4f"}
INK: Final = "#22303c"
PRICE: Final = "#9aa5b1"
SHOWN_MAX: Final = 10
"""Sessions in a panel."""

AFTER_S: Final = {"slow_crisis": 600.0}
BEFORE_S: Final = 120.0
STRESS: Final = 3.0


def plot(curves: list[Curves], *, title: str) -> bytes:
    """Return the figure as PNG, without times or versions of the day.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    import matplotlib as mpl  # noqa: PLC0415 - matplotlib is not in the runtime group
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    mechanisms = list(dict.fromkeys(one.mechanism for one in sorted(curves, key=_order)))
    rows = -(-len(mechanisms) // 3)
    with mpl.rc_context({"font.family": "DejaVu Sans", "font.size": 9}):
        figure = Figure(figsize=(13.5, 2.6 * rows + 0.9), layout="constrained")
        FigureCanvasAgg(figure)
        panels = figure.subplots(rows, 3, squeeze=False).ravel()
        for panel in panels[len(mechanisms) :]:
            panel.set_visible(False)
        for panel, mechanism in zip(panels, mechanisms, strict=False):
            _panel(panel, [one for one in curves if one.mechanism == mechanism])
        figure.suptitle(
            f"{title}\nCost of the standard clip over its trailing median (colour; bold: the first session, with its price in "
            f"grey). 0 = onset; dashed: bold session's break; dotted: {STRESS:g}, what the truth calls stress",
            x=0.01,
            ha="left",
            fontsize=10,
            color=INK,
        )
        out = io.BytesIO()
        figure.savefig(out, format="png", dpi=100, metadata={"Software": None})
    return out.getvalue()


def _order(one: Curves) -> tuple[int, str]:
    return list(COLOURS).index(one.kind), one.mechanism


def _panel(axes: Any, shown: list[Curves]) -> None:
    first = shown[0]
    colour = COLOURS[first.kind]
    after = AFTER_S.get(first.mechanism, 240.0)
    price = axes.twinx()
    price.plot(first.seconds, first.moved, color=PRICE, linewidth=1.0)
    price.tick_params(colors=PRICE, labelsize=7)
    inside = first.moved[(first.seconds >= -BEFORE_S) & (first.seconds <= after)]
    price.set_ylim(*_around(inside))
    price.set_ylabel("price, %", color=PRICE, fontsize=7)
    price.spines[["top"]].set_visible(False)
    axes.set_zorder(price.get_zorder() + 1)
    axes.patch.set_visible(False)
    for one in shown[1:SHOWN_MAX]:
        axes.plot(one.seconds, one.cost_ratio, color=colour, linewidth=0.6, alpha=0.45)
    axes.plot(first.seconds, first.cost_ratio, color=colour, linewidth=1.6)
    axes.axhline(STRESS, color=INK, linewidth=0.8, linestyle=":")
    axes.axvline(0.0, color=INK, linewidth=0.8)
    if np.isfinite(first.precursor_s):
        axes.axvline(first.precursor_s, color=INK, linewidth=0.8, linestyle="--")
    axes.set_yscale("log")
    axes.set_ylim(0.3, 150)
    axes.set_yticks([1, 3, 10, 100], ["1", "3", "10", "100"])
    axes.set_xlim(-BEFORE_S, after)
    axes.set_title(f"{first.mechanism} ({first.kind.replace('_', ' ')})", fontsize=10, loc="left", color=INK)
    axes.spines[["top"]].set_visible(False)
    axes.set_xlabel("s since onset", fontsize=8)


def _around(moved: Any) -> tuple[float, float]:
    low, high = float(np.nanmin(moved)), float(np.nanmax(moved))
    room = max(0.1 * (high - low), 0.05)
    return low - room, high + room
