"""Binance: a snapshot, updates that follow it, trades and quotes, by the second, on one day or two."""

import gzip
import json
from itertools import islice
from pathlib import Path
from typing import Any

from tests.fuzz.damage import Case, Dice, File

_MS = 1_680_652_800_000
"""2023-04-05 00:00 UTC."""
_DAY_MS = 24 * 3_600_000
_NAMES = ("usdm_btcusdt_20230405", "spot_btcusdt_20230405", "usdm_btcusdt_20230405.dat.gz", "usdm_ethusdt_20230405.gz")
_HEAD_LINES = 12
_HEAD_LINE_BYTES_MAX = 4_000


def _line(event: dict[str, Any], stream: str = "") -> bytes:
    return f"{_MS}000 {json.dumps({'stream': stream, 'data': event} if stream else event)}\n".encode()


class _Venue:
    """Where the stream stands."""

    def __init__(self, dice: Dice, name: str) -> None:
        self.dice, self.is_spot, self.symbol = dice, name.startswith("spot"), name.split("_")[1].upper()
        self.update_id, self.ms = dice.randint(100, 120), _MS

    def levels(self, first: float) -> list[list[str]]:
        step = 1 if first > 100.5 else -1
        rows = range(self.dice.randint(0, 4))
        return [[f"{first + step * n * 0.5:.2f}", f"{self.dice.choice((0, 1, 5, 70)) / 10:.3f}"] for n in rows]

    def snapshot(self) -> bytes:
        return _line(
            {
                "lastUpdateId": self.update_id + self.dice.randint(-2, 2),
                "bids": self.levels(100),
                "asks": self.levels(101),
            }
        )

    def update(self) -> bytes:
        before, self.update_id = self.update_id, self.update_id + self.dice.randint(1, 9)
        event = {"e": "depthUpdate", "E": self.ms, "s": self.symbol, "U": before + 1, "u": self.update_id}
        event |= {} if self.is_spot else {"T": self.ms, "pu": before}
        stream = self.dice.choice(("", "", f"{self.symbol.lower()}@depth@100ms", f"{self.symbol.lower()}@depth5@100ms"))
        return _line(event | {"b": self.levels(100), "a": self.levels(101)}, stream)

    def trade(self) -> bytes:
        kind, origin = self.dice.choice(("trade", "aggTrade")), self.dice.choice(("MARKET", "MARKET", "ADL"))
        return _line(
            {
                "e": kind,
                "E": self.ms,
                "s": self.symbol,
                "p": "100.5",
                "q": "0.002",
                "X": origin,
                "m": self.dice.random() < 0.5,
            }
        )

    def quote(self) -> bytes:
        event = {"u": self.update_id, "s": self.symbol, "b": "100.0", "B": "1", "a": "101.0", "A": "2"}
        return _line(
            event | ({} if self.is_spot else {"e": "bookTicker", "E": self.ms}), f"{self.symbol.lower()}@bookTicker"
        )

    def other(self) -> bytes:
        return _line({"e": "markPriceUpdate", "E": self.ms, "s": self.symbol}, f"{self.symbol.lower()}@markPrice@1s")


def sound(dice: Dice) -> Case:
    name = dice.choice(_NAMES)
    venue = _Venue(dice, name)
    of_chance = (
        venue.update,
        venue.update,
        venue.update,
        venue.update,
        venue.trade,
        venue.quote,
        venue.snapshot,
        venue.other,
    )

    def lines(count: int) -> tuple[bytes, ...]:
        made = []
        for _ in range(count):
            venue.ms += dice.choice((0, 1, 20, 60))
            made.append(dice.choice(of_chance)())
        return tuple(made)

    files = [File(name, (venue.snapshot(), venue.update(), *lines(dice.randint(1, 20))))]
    if dice.random() < 0.1:
        venue.ms = _MS + _DAY_MS
        files.append(File(name.replace("20230405", "20230406"), lines(dice.randint(1, 5))))
    return Case(tuple(files), target=dice.choice(("", name)))


def recorded(marketdata: str) -> list[Case]:
    found = []
    for path in sorted(Path(marketdata).glob("binance/*_20230405.*gz")):
        with gzip.open(path) as opened:
            lines = [line for line in islice(opened, 10 * _HEAD_LINES) if len(line) < _HEAD_LINE_BYTES_MAX][
                :_HEAD_LINES
            ]
        found.append(Case((File(path.name.removesuffix(".gz"), tuple(lines)),)))
    return found
