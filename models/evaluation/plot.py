"""The leaderboard as one figure: recall and lead at equal false alarms, and what became of the budget. Equal in, equal bytes."""

import io
from typing import Any, Final

import numpy as np

from models.evaluation.benchmark import Comparison, Result
from models.evaluation.intervals import Estimate
from models.evaluation.measures import RATES_PER_DAY

COLOURS: Final = {"detector": "#0b6e4f", "baseline": "#9aa5b1", "canary": "#c1553b"}
INK: Final = "#22303c"


def plot(comparison: Comparison) -> dict[str, bytes]:
    """Return the figure as ``png`` and ``svg``, without times or versions of the day.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    import matplotlib as mpl  # noqa: PLC0415 - matplotlib is not in the runtime group
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    shown = comparison.results
    with mpl.rc_context({"svg.hashsalt": "tidegate", "font.family": "DejaVu Sans", "font.size": 9}):
        figure = Figure(figsize=(13.0, 1.8 + 0.34 * len(shown)), layout="constrained")
        FigureCanvasAgg(figure)
        recall, lead, budget = figure.subplots(1, 3, sharey=True)
        _bars(recall, shown, [one.headline(past=False).recall for one in shown], title="Recall, 1 false alarm a day")
        _bars(
            lead, shown, [one.headline(past=False).lead_p50_s for one in shown], title="Median lead of those found, s"
        )
        _budget(budget, shown)
        recall.set_yticks(np.arange(len(shown)), [one.name for one in shown])
        recall.set_ylim(len(shown) - 0.5, -0.5)
        recall.set_xlim(0, 1)
        figure.suptitle(comparison.plan.name, x=0.01, ha="left", fontsize=11, color=INK)
        made = {}
        for form, metadata in (("png", {"Software": None}), ("svg", {"Date": None, "Creator": None})):
            out = io.BytesIO()
            figure.savefig(out, format=form, dpi=110, metadata=metadata)
            made[form] = out.getvalue()
    return made


def _bars(axes: Any, shown: tuple[Result, ...], estimates: list[Estimate], *, title: str) -> None:
    values = np.nan_to_num([one.value for one in estimates], nan=0.0)
    low, high = (np.nan_to_num([getattr(one, end) for one in estimates], nan=0.0) for end in ("low", "high"))
    beyond = np.maximum(np.stack([values - low, high - values]), 0.0)
    axes.barh(np.arange(len(shown)), values, xerr=beyond, color=[COLOURS[one.role] for one in shown], ecolor=INK)
    axes.set_title(title, fontsize=10, loc="left", color=INK)
    axes.spines[["top", "right"]].set_visible(False)


def _budget(axes: Any, shown: tuple[Result, ...]) -> None:
    axes.axvspan(0.5, 2.0, color="#e4e8ec")
    for mark, (place, per_day) in zip("os^", enumerate(RATES_PER_DAY), strict=True):
        ratios = [max(one.budget_ratio[place], 0.05) for one in shown]
        axes.plot(ratios, np.arange(len(shown)), mark, color=INK, markersize=5, label=f"{per_day:g} a day")
    axes.set_xscale("log")
    axes.set_title("False alarms over budget, thresholds of the past", fontsize=10, loc="left", color=INK)
    axes.legend(loc="best", fontsize=8, framealpha=0.9)
    axes.spines[["top", "right"]].set_visible(False)
