"""The scenario language: a TOML file says what a session looks like; this module reads it and answers "at time t?".

A scenario has instruments with calibrated rates, and *shapes*: piecewise-linear curves over time that multiply a rate or
move a target. Everything that is not mentioned stays calm. Own orders of the firm are listed by time.

Times are ``HH:MM:SS[.fff]`` UTC on the scenario's date. A shape is a list of ``[time, value]`` corners: before the first
corner its neutral value holds, after the last one the last value.
"""

import bisect
import itertools
import tomllib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from schemas.records import OrderSide
from schemas.units import NS_PER_MS, NS_PER_S

FOLDER: Final = Path(__file__).parent / "scenarios"

NEUTRAL: Final = {
    "bid_limit": 1.0,  # rate of new bids
    "ask_limit": 1.0,
    "bid_cancel": 1.0,  # rate at which each resting bid is cancelled
    "ask_cancel": 1.0,
    "market": 1.0,  # rate of market orders
    "bid_width": 1.0,  # mean distance of new bids from the best ask
    "ask_width": 1.0,
    "gap": 0.0,  # ticks that makers keep clear in front of the opposite side
    "target": 0.0,  # price move that the large trader works towards, as a fraction
    "clip_rate": 0.0,  # clips per second that the large trader may send
}


class ScenarioError(ValueError):
    """A scenario that cannot be used; the message names file and key."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A piecewise-linear curve."""

    times_ns: tuple[int, ...]
    values: tuple[float, ...]
    neutral: float

    def at(self, ts_ns: int) -> float:
        """Return the value at ``ts_ns``."""
        index = bisect.bisect_right(self.times_ns, ts_ns)
        if index == 0:
            return self.neutral
        if index == len(self.times_ns):
            return self.values[-1]
        left, right = self.times_ns[index - 1], self.times_ns[index]
        part = (ts_ns - left) / (right - left)
        return self.values[index - 1] + part * (self.values[index] - self.values[index - 1])


@dataclass(frozen=True, slots=True)
class Instrument:
    """Calibration of one instrument; rates per second, sizes in lots, prices in 1e-9 currency.

    Attributes:
        id: Instrument id.
        symbol: Name.
        price: Opening mid.
        tick_size: Tick.
        limit_rate: New limit orders per second and side.
        cancel_rate: Cancels per second and resting order.
        market_rate: Market orders per second.
        width_ticks: Mean distance of a new order behind the best possible price.
        qty_mean: Mean size of limit orders.
        market_qty_mean: Mean size of market orders.
        shapes: Curves by name.
    """

    id: int
    symbol: str
    price: int
    tick_size: int
    limit_rate: float
    cancel_rate: float
    market_rate: float
    width_ticks: float
    qty_mean: float
    market_qty_mean: float
    shapes: dict[str, Shape] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OwnOrder:
    """An order of the firm; ``offset_ticks`` from the mid towards the aggressive side, ``None`` = market order."""

    order_id: str
    account_id: str
    instrument_id: int
    ts_ns: int
    side: OrderSide
    qty: int
    offset_ticks: int | None


@dataclass(frozen=True, slots=True)
class Scenario:
    """A session to simulate.

    Attributes:
        name: File name without ending.
        channel_id: Channel of all instruments.
        start_ns: Start, UTC.
        end_ns: End, UTC.
        clip_qty: Lots per clip of the large trader.
        marks: Named times, for those who judge the run.
        instruments: Instruments in the channel.
        orders: The firm's own orders, in time order.
    """

    name: str
    channel_id: str
    start_ns: int
    end_ns: int
    clip_qty: int
    marks: dict[str, int]
    instruments: tuple[Instrument, ...]
    orders: tuple[OwnOrder, ...]


def load_scenario(name: str, *, duration_s: float | None = None) -> Scenario:
    """Return a scenario of the folder, cut or stretched to ``duration_s`` when given.

    Raises:
        ScenarioError: There is no such scenario, or the file has a mistake.
    """
    path = FOLDER / f"{name}.toml"
    if not path.exists():
        raise ScenarioError(
            f"no scenario {name!r}; there are: {', '.join(sorted(p.stem for p in FOLDER.glob('*.toml')))}"
        )
    raw = tomllib.loads(path.read_text())
    rates = tomllib.loads((FOLDER.parent / "instruments.toml").read_text())
    try:
        return _build(name, raw, rates, duration_s=duration_s)
    except (KeyError, TypeError, ValueError) as error:
        raise ScenarioError(f"{path.name}: {type(error).__name__}: {error}") from error


def _build(name: str, raw: dict[str, Any], rates: dict[str, Any], *, duration_s: float | None) -> Scenario:
    clock = _Clock(raw["date"])
    shapes = raw.get("shapes", {})
    instruments = tuple(
        Instrument(symbol=symbol, shapes=_shapes(shapes.get(symbol, {}), clock), **values)
        for symbol, values in rates.items()
    )
    ids = {instrument.symbol: instrument.id for instrument in instruments}
    if unknown := set(shapes) - set(ids):
        raise ValueError(f"shapes of unknown instruments {sorted(unknown)}")
    start_ns = clock.ns(raw["start"])
    end_ns = start_ns + int(duration_s * NS_PER_S) if duration_s is not None else clock.ns(raw["end"])
    orders = sorted(_orders(raw.get("orders", []), ids, clock), key=lambda order: order.ts_ns)
    marks = {mark: clock.ns(text) for mark, text in raw.get("marks", {}).items()}
    return Scenario(name, raw["channel"], start_ns, end_ns, raw.get("clip_qty", 100), marks, instruments, tuple(orders))


@dataclass(frozen=True, slots=True)
class _Clock:
    date: str

    def ns(self, text: str) -> int:
        at = datetime.fromisoformat(f"{self.date}T{text}").replace(tzinfo=UTC)
        return int(at.timestamp()) * NS_PER_S + at.microsecond * 1_000


def _shapes(raw: dict[str, list[list[Any]]], clock: _Clock) -> dict[str, Shape]:
    if unknown := set(raw) - set(NEUTRAL):
        raise ValueError(f"unknown shapes {sorted(unknown)}; known: {sorted(NEUTRAL)}")
    made = {}
    for name, corners in raw.items():
        times = tuple(clock.ns(time) for time, _ in corners)
        if any(a >= b for a, b in itertools.pairwise(times)):
            raise ValueError(f"corners of {name} are not in time order")
        made[name] = Shape(times, tuple(float(value) for _, value in corners), NEUTRAL[name])
    return made


def _orders(raw: list[dict[str, Any]], ids: dict[str, int], clock: _Clock) -> list[OwnOrder]:
    """Read orders; one with ``every_s`` and ``until`` stands for a series whose sides alternate and whose sizes cycle."""
    made = []
    for entry in raw:
        at_ns = clock.ns(entry["at"])
        step_ns = int(entry.get("every_s", 0) * 1_000) * NS_PER_MS
        until_ns = clock.ns(entry["until"]) if step_ns else at_ns
        sizes = entry["qty"] if isinstance(entry["qty"], list) else [entry["qty"]]
        for number in range((until_ns - at_ns) // step_ns + 1 if step_ns else 1):
            series = f"-{number:03d}" if step_ns else ""
            side = OrderSide(entry["side"])
            if step_ns and number % 2:
                side = OrderSide.SELL if side is OrderSide.BUY else OrderSide.BUY
            made.append(
                OwnOrder(
                    order_id=entry["id"] + series,
                    account_id=entry["account"],
                    instrument_id=ids[entry["symbol"]],
                    ts_ns=at_ns + number * step_ns,
                    side=side,
                    qty=sizes[number % len(sizes)],
                    offset_ticks=entry.get("offset_ticks"),
                )
            )
    return made
