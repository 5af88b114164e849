"""The report as one figure: how often each feature stayed, what it knows, and how the folds did. Equal reports, equal bytes."""

import io
from typing import Any, Final

import numpy as np

from features.select.report import FeatureReport, SelectionReport
from features.select.stability import FREQUENCY_MIN

ROWS_MAX: Final = 30
"""Features shown; the report has them all."""

CHOSEN: Final = "#0b6e4f"
OTHER: Final = "#9aa5b1"
CANARY: Final = "#c1553b"
INK: Final = "#22303c"


def plot(report: SelectionReport, *, title: str) -> dict[str, bytes]:
    """Return the figure as ``png`` and ``svg``, without times or versions of the day.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    import matplotlib as mpl  # noqa: PLC0415 - matplotlib is not in the runtime group
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    shown = (*report.features[:ROWS_MAX], *report.canaries)
    with mpl.rc_context({"svg.hashsalt": "tidegate", "font.family": "DejaVu Sans", "font.size": 9}):
        figure = Figure(figsize=(13.0, 2.2 + 0.22 * len(shown)), layout="constrained")
        FigureCanvasAgg(figure)
        stayed, known, folds = figure.subplots(1, 3, width_ratios=(1.2, 1.2, 0.9))
        _stayed(stayed, shown)
        _known(known, shown)
        _folds(folds, report)
        figure.suptitle(f"{title}\n{report.verdict()}", x=0.01, ha="left", fontsize=11, color=INK)
        made = {}
        for form, metadata in (("png", {"Software": None}), ("svg", {"Date": None, "Creator": None})):
            out = io.BytesIO()
            figure.savefig(out, format=form, dpi=110, metadata=metadata)
            made[form] = out.getvalue()
    return made


def _stayed(axes: Any, shown: tuple[FeatureReport, ...]) -> None:
    places = np.arange(len(shown))
    axes.barh(places, [one.cluster_frequency for one in shown], color="#e4e8ec", label="its cluster")
    axes.barh(
        places, [one.frequency for one in shown], height=0.5, color=[_colour(one) for one in shown], label="itself"
    )
    axes.axvline(FREQUENCY_MIN, color=INK, linewidth=1, linestyle="--", label=f"needed: {FREQUENCY_MIN:g}")
    worst = max(one.frequency for one in shown if one.name.startswith("canary"))
    axes.axvline(worst, color=CANARY, linewidth=1, linestyle=":", label=f"worst canary: {worst:.2f}")
    axes.set_yticks(places, [f"{one.name}  ({one.cluster})" for one in shown])
    axes.set_xlim(0, 1)
    _finish(axes, "Share of resampled runs in which it stayed", len(shown))
    axes.set_ylabel("feature (cluster)")
    axes.legend(loc="lower right", fontsize=8, framealpha=0.9)


def _known(axes: Any, shown: tuple[FeatureReport, ...]) -> None:
    places = np.arange(len(shown))
    spread = [one.mi_spread_nats for one in shown]
    axes.barh(places, [one.mi_nats for one in shown], xerr=spread, color=[_colour(one) for one in shown], ecolor=INK)
    axes.plot([one.mi_chance_nats for one in shown], places, "|", color="black", markersize=11, label="by chance alone")
    axes.set_yticks(places, [""] * len(shown))
    axes.set_xlim(left=0)
    _finish(axes, "Mutual information with the target, nats", len(shown))
    axes.legend(loc="lower right", fontsize=8, framealpha=0.9)


def _folds(axes: Any, report: SelectionReport) -> None:
    numbers = np.arange(1, len(report.folds) + 1)
    kinds = (("chosen before", "score", CHOSEN, -0.15), ("all features", "score_all", OTHER, 0.0),
             ("shuffled future", "score_canary", CANARY, 0.15))  # fmt: skip
    for label, name, colour, shift in kinds:
        scores = [getattr(fold, name) for fold in report.folds]
        r2, error = [score.r2 for score in scores], [score.r2_error for score in scores]
        axes.errorbar(numbers + shift, r2, yerr=error, fmt="o", color=colour, capsize=3, label=label)
    axes.axhline(0.0, color=INK, linewidth=1)
    axes.set_xticks(numbers)
    axes.set_xlabel("fold, in time order")
    axes.set_title("Out-of-fold R² ± standard error", fontsize=10, loc="left", color=INK)
    axes.legend(loc="best", fontsize=8, framealpha=0.9)
    axes.spines[["top", "right"]].set_visible(False)


def _finish(axes: Any, title: str, count: int) -> None:
    axes.set_ylim(count - 0.5, -0.5)
    axes.set_title(title, fontsize=10, loc="left", color=INK)
    axes.spines[["top", "right"]].set_visible(False)


def _colour(one: FeatureReport) -> str:
    if one.name.startswith("canary"):
        return CANARY
    return CHOSEN if one.chosen else OTHER
