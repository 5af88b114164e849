"""What analysts look at first, drawn from history: a session of one instrument, calibration, refusals, slippage, what came.

Every panel asks a named question (``docs/analyst.md``) or one that the console asks, so a picture shows what the SQL says. Equal
histories give equal bytes. The colours of tiers differ in lightness too, for those who do not see hues.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from history.client import History
from history.queries import Span, market_timeline, orders_on_timeline, risk_timeline, tier_changes
from history.queries.analyst import question
from history.statement import Value
from schemas.units import NS_PER_S, PRICE_SCALE

INK: Final = "#22303c"
GREY: Final = "#9aa5b1"
BLUE: Final = "#2a6f97"
RED: Final = "#a4343a"
GREEN: Final = "#0b6e4f"
TIER_COLOURS: Final = {"ELEVATED": "#f7e3a1", "HIGH_ALERT": "#eda65d", "CRITICAL": "#b5524a"}
MODEL_COLOURS: Final = (INK, BLUE, GREEN, RED)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the pictures are about.

    Attributes:
        history: Where to ask.
        instrument_id: Instrument of the session.
        since: First time, UTC, as text.
        until: First time after, UTC, as text.
        span: The same in ns.
    """

    history: History
    instrument_id: int
    since: str
    until: str
    span: Span

    def rows(self, name: str) -> list[dict[str, Any]]:
        """Return the answer to a named question."""
        one = question(name)
        known: dict[str, Value] = {"instrument": self.instrument_id, "since": self.since, "until": self.until}
        statement = one.statement(**{key: value for key, value in known.items() if key in one.parameters})
        return self.history.query(statement).dicts()


def pictures(asked: Asked) -> dict[str, bytes]:
    """Return every picture as PNG by name.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
        QueryError: A question failed.
    """
    drawn: dict[str, tuple[tuple[float, float], int, Callable[[Any, Asked], None]]] = {
        "session": ((13, 9), 4, _session),
        "calibration": ((6.5, 5), 1, _calibration),
        "refusals": ((9, 4), 1, _refusals),
        "slippage": ((7, 4), 1, _slippage),
        "what_came": ((8, 4), 1, _what_came),
    }
    return {name: _figure(size, panels, draw, asked=asked) for name, (size, panels, draw) in drawn.items()}


def _figure(size: tuple[float, float], panels: int, draw: Callable[[Any, Asked], None], *, asked: Asked) -> bytes:
    import matplotlib as mpl  # noqa: PLC0415 - matplotlib is not in the runtime group
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    with mpl.rc_context({"font.family": "DejaVu Sans", "font.size": 9, "axes.edgecolor": GREY, "text.color": INK}):
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(panels, 1, sharex=True, squeeze=False)[:, 0]
        for axis in axes:
            axis.spines[["top", "right"]].set_visible(False)
        draw(axes, asked)
        sink = io.BytesIO()
        figure.savefig(sink, dpi=110, metadata={"Software": None})
    return sink.getvalue()


def _session(axes: Any, asked: Asked) -> None:
    """Price with tiers, orders and refusals; spread and depth; score; the limit in force."""
    price, book, score, limit = axes
    market = market_timeline(asked.history, asked.instrument_id, asked.span)
    if not market.num_rows:
        price.set_title("no ticks of this instrument in this time", loc="left")
        return
    zero_ns = int(_ns(market["time_ns"])[0])
    at = (_ns(market["time_ns"]) - zero_ns) / NS_PER_S + 1  # a second ends there
    price.plot(at, _floats(market["price_last"]) / PRICE_SCALE, color=INK, lw=1.2, label="mid")
    _tier_bands((price, score), asked, zero_ns, until_s=float(at[-1]))
    _orders(price, asked, zero_ns)
    price.set_ylabel("price")
    price.legend(loc="lower left", ncols=4, frameon=False)
    price.set_title(
        f"Instrument {asked.instrument_id} from {np.datetime64(zero_ns, 'ns').astype('datetime64[s]')} UTC; shades: tier",
        loc="left",
    )
    book.plot(at, _floats(market["spread_bps"]), color=RED, lw=1, label="spread, bp (left)")
    book.set_ylabel("bp")
    depth = book.twinx()
    depth.spines[["top"]].set_visible(False)
    depth.plot(at, _floats(market["depth_total_10"]), color=BLUE, lw=1, label="depth of 10 levels, lots (right)")
    lines = [*book.get_lines(), *depth.get_lines()]
    book.legend(lines, [line.get_label() for line in lines], loc="upper left", ncols=2, frameon=False)
    states = risk_timeline(asked.history, asked.instrument_id, asked.span)
    score.step((_ns(states["tick_ns"]) - zero_ns) / NS_PER_S, _floats(states["score"]), where="post", color=INK, lw=1)
    score.set_ylabel("score, -log10 p")
    _limit_steps(limit, asked, zero_ns)
    limit.set_ylabel("lots")
    limit.set_xlabel("seconds")


def _tier_bands(axes: Any, asked: Asked, zero_ns: int, *, until_s: float) -> None:
    changes = tier_changes(asked.history, asked.instrument_id, asked.span)
    starts = [*((_ns(changes["tick_ns"]) - zero_ns) / NS_PER_S).tolist(), until_s]
    for number, tier in enumerate(changes["tier"].to_pylist()):
        if tier in TIER_COLOURS:
            for axis in axes:
                axis.axvspan(starts[number], starts[number + 1], color=TIER_COLOURS[tier], lw=0, alpha=0.75)


def _orders(axis: Any, asked: Asked, zero_ns: int) -> None:
    """Fills where they were filled; refusals at the foot, because a market order has no price."""
    orders = orders_on_timeline(asked.history, asked.instrument_id, asked.span).to_pylist()
    for side, mark in (("BUY", "^"), ("SELL", "v")):
        filled = [one for one in orders if one["what"] == "FILLED" and one["side"] == side]
        places = [(one["ts_event_ns"].value - zero_ns) / NS_PER_S for one in filled]
        axis.plot(
            places, [one["price"] / PRICE_SCALE for one in filled], mark, ms=4, color=GREEN, label=f"filled {side}"
        )
    refused = [(one["ts_event_ns"].value - zero_ns) / NS_PER_S for one in orders if one["what"] == "REJECT"]
    foot = axis.get_xaxis_transform()
    axis.plot(refused, [0.03] * len(refused), "x", ms=5, mew=1.2, color=RED, transform=foot, label="refused")


def _limit_steps(axis: Any, asked: Asked, zero_ns: int) -> None:
    """Sizes of orders, and the limit on size where one decided."""
    orders = orders_on_timeline(asked.history, asked.instrument_id, asked.span).to_pylist()
    sized = [one for one in orders if one["what"] in {"ACCEPT", "REJECT"} and one["qty"] is not None]
    for what, colour, name in (("ACCEPT", GREEN, "accepted"), ("REJECT", RED, "refused")):
        shown = [one for one in sized if one["what"] == what]
        places = [(one["ts_event_ns"].value - zero_ns) / NS_PER_S for one in shown]
        axis.plot(places, [one["qty"] for one in shown], ".", ms=6, color=colour, label=f"order {name}")
    decided = [one for one in sized if one["reason"] == "max_order_size"]
    places = [(one["ts_event_ns"].value - zero_ns) / NS_PER_S for one in decided]
    axis.plot(places, [one["limit"] for one in decided], "_", ms=12, mew=2, color=INK, label="limit that refused")
    axis.margins(y=0.25)
    axis.legend(loc="upper left", ncols=3, frameon=False)


def _calibration(axes: Any, asked: Asked) -> None:
    (axis,) = axes
    rows = asked.rows("calibration")
    for number, model in enumerate(dict.fromkeys(row["model_id"] for row in rows)):
        shown = [row for row in rows if row["model_id"] == model]
        label = f"{model} ({shown[0]['ticks']} ticks)"
        seen = [
            (row["p_below"], row["share"]) for row in shown if row["seen"] > 0
        ]  # none seen has no place on a log axis
        axis.loglog(*zip(*seen, strict=True), "o-", ms=4, color=MODEL_COLOURS[number % len(MODEL_COLOURS)], label=label)
    edges = [1e-5, 1]
    axis.loglog(edges, edges, color=GREY, lw=1, ls="--", label="as promised")
    axis.set_xlabel("p below")
    axis.set_ylabel("share of calm ticks")
    axis.set_title("Is p what it says? Below the line: careful; above: cries too often", loc="left")
    axis.legend(frameon=False)


def _refusals(axes: Any, asked: Asked) -> None:
    (axis,) = axes
    rows = asked.rows("reject_reasons_by_desk")
    labels = list(dict.fromkeys(f"{row['desk']}: {row['reason']}" for row in reversed(rows)))
    left = dict.fromkeys(labels, 0)
    for tier, colour in {"NORMAL": "#c9d1d9", **TIER_COLOURS}.items():
        shown = [row for row in rows if row["tier"] == tier]
        if not shown:
            continue
        names = [f"{row['desk']}: {row['reason']}" for row in shown]
        axis.barh([labels.index(name) for name in names], [row["orders"] for row in shown],
                  left=[left[name] for name in names], color=colour, edgecolor=INK, lw=0.4, label=tier)  # fmt: skip
        for name, row in zip(names, shown, strict=True):
            left[name] += row["orders"]
    axis.set_yticks(range(len(labels)), labels)
    axis.set_xlabel("orders refused")
    axis.set_title("What desks are refused for, by tier", loc="left")
    if rows:
        axis.legend(frameon=False, loc="lower right")


def _slippage(axes: Any, asked: Asked) -> None:
    (axis,) = axes
    rows = asked.rows("slippage_around_episodes")
    places = np.arange(len(rows))
    axis.bar(places - 0.2, [row["mean_bps"] for row in rows], 0.4, color=BLUE, label="mean, by lots")
    axis.bar(places + 0.2, [row["p95_bps"] for row in rows], 0.4, color="#9ec3da", label="95th percentile")
    axis.set_xticks(places, [f"{row['when']}\n{row['fills']} fills" for row in rows])
    axis.set_ylabel("bp against the mid")
    axis.set_title("What fills cost, around episodes", loc="left")
    axis.legend(frameon=False)


def _what_came(axes: Any, asked: Asked) -> None:
    (axis,) = axes
    rows = asked.rows("score_and_what_came")
    buckets = sorted({row["score"] for row in rows})
    models = list(dict.fromkeys(row["model_id"] for row in rows))
    width = 0.8 / max(1, len(models))
    for number, model in enumerate(models):
        shown = [row for row in rows if row["model_id"] == model]
        places = np.array([buckets.index(row["score"]) for row in shown]) + (number - (len(models) - 1) / 2) * width
        bars = axis.bar(places, [row["mean_move_bps"] for row in shown], width, label=model,
                        color=MODEL_COLOURS[number % len(MODEL_COLOURS)])  # fmt: skip
        axis.bar_label(bars, [f"{row['ticks']}" for row in shown], fontsize=7, color=GREY)
    axis.set_xticks(range(len(buckets)), buckets)
    axis.set_xlabel("score now")
    axis.set_ylabel("bp")
    axis.set_title("Mean of the largest move in the next 10 s, by score; grey: ticks", loc="left")
    if rows:
        axis.legend(frameon=False)


def _ns(column: Any) -> npt.NDArray[np.int64]:
    return np.asarray(column.cast("int64").to_numpy(), np.int64)


def _floats(column: Any) -> npt.NDArray[np.float64]:
    return np.asarray(column.to_numpy(), np.float64)
