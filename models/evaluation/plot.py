"""The leaderboard as figures: recall, lead and budgets; and what is found of each mechanism. Equal in, equal bytes."""

import io
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from models.evaluation.benchmark import Comparison, Result
from models.evaluation.intervals import Estimate
from models.evaluation.measures import RATES_PER_DAY
from models.evaluation.mechanisms import ByMechanism, text_of

COLOURS: Final = {"detector": "#0b6e4f", "baseline": "#9aa5b1", "canary": "#c1553b"}
INK: Final = "#22303c"
DPI: Final = 110


def plot(comparison: Comparison) -> dict[str, bytes]:
    """Return the leaderboard as ``png`` and ``svg``, without times or versions of the day.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """

    def draw(figure: Any) -> None:
        shown = comparison.results
        recall, lead, budget = figure.subplots(1, 3, sharey=True)
        heads = [one.headline(past=False) for one in shown]
        _bars(recall, shown, [one.recall for one in heads], title="Recall at 1 false alarm a day, equal rate")
        _bars(lead, shown, [one.lead_p50_s for one in heads], title="Median lead of what was found, s")
        lead.axvline(0.0, color=INK, linewidth=0.8)
        lead.set_xscale("symlog", linthresh=1.0)  # some lead by a second, some by minutes
        lead.set_xticks([-1, 0, 1, 10, 100], ["-1", "0", "1", "10", "100"])
        _budget(budget, shown)
        recall.set_yticks(np.arange(len(shown)), [one.name for one in shown])
        recall.set_ylim(len(shown) - 0.5, -0.5)
        recall.set_xlim(0, 1)
        for role, colour in COLOURS.items():
            recall.barh([np.nan], [np.nan], color=colour, label=role)
        figure.legend(*recall.get_legend_handles_labels(), loc="outside lower left", ncols=3, fontsize=8, frameon=False)

    return _drawn(draw, comparison.plan.name, size=(13.0, 2.1 + 0.34 * len(comparison.results)))


def plot_mechanisms(table: ByMechanism, title: str) -> dict[str, bytes]:
    """Return the table by mechanism as ``png`` and ``svg``: found is green, a false alarm is red, with counts and leads.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """

    def draw(figure: Any) -> None:
        widths = [max(len(table.crises), 1), max(len(table.harmless), 1)]
        sides = figure.subplots(1, 2, sharey=True, width_ratios=widths)
        crises = [cells[: len(table.crises)] for _, cells in table.rows]
        harmless = [cells[len(table.crises) :] for _, cells in table.rows]
        headed = (
            (sides[0], table.crises, crises, "Greens", "Crises: found of all, median lead of those found in s"),
            (sides[1], table.harmless, harmless, "Reds", "Hard negatives: sessions with an alarm"),
        )
        for axes, names, rows, colours, told in headed:
            shares = np.array([[cell.share for cell in row] for row in rows]).reshape(len(rows), len(names))
            if shares.size:
                axes.imshow(shares, cmap=colours, vmin=0.0, vmax=1.25, aspect="auto")
            for place, row in enumerate(rows):
                for column, cell in enumerate(row):
                    ink = "white" if cell.share > 0.75 else INK
                    text = text_of(cell, "\n")
                    axes.text(column, place, text, ha="center", va="center", fontsize=7.5, color=ink, linespacing=1.1)
            axes.set_xticks(np.arange(len(names)), [name.replace("_", "\n") for name in names], fontsize=8.5)
            axes.tick_params(length=0, top=False)
            axes.set_title(told, fontsize=10, loc="left", color=INK)
            axes.spines[:].set_visible(False)
        sides[0].set_yticks(np.arange(len(table.rows)), [one.name for one, _ in table.rows])
        for label, (one, _) in zip(sides[0].get_yticklabels(), table.rows, strict=True):
            label.set_color(INK if one.role == "detector" else COLOURS["canary"] if one.role == "canary" else "#6b7785")

    return _drawn(draw, title, size=(13.0, 1.9 + 0.42 * len(table.rows)))


def _drawn(draw: Callable[[Any], None], title: str, *, size: tuple[float, float]) -> dict[str, bytes]:
    import matplotlib as mpl  # noqa: PLC0415 - matplotlib is not in the runtime group
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    with mpl.rc_context({"svg.hashsalt": "tidegate", "font.family": "DejaVu Sans", "font.size": 9}):
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure)
        figure.suptitle(title, x=0.01, ha="left", fontsize=11, color=INK)
        made = {}
        for form, metadata in (("png", {"Software": None}), ("svg", {"Date": None, "Creator": None})):
            out = io.BytesIO()
            figure.savefig(out, format=form, dpi=DPI, metadata=metadata)
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
        height = np.arange(len(shown)) + 0.2 * (place - 1)
        axes.plot(ratios, height, mark, color=INK, markersize=4, alpha=0.85, label=f"{per_day:g} a day")
    axes.set_xscale("log")
    axes.set_title(
        "False alarms over budget, thresholds of the past\n(none stands at 0.05; grey: 0.5 to 2)",
        fontsize=10,
        loc="left",
        color=INK,
    )
    axes.legend(loc="lower right", fontsize=8, framealpha=0.9)
    axes.spines[["top", "right"]].set_visible(False)
