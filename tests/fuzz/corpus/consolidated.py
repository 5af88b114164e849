"""Lean tick files: quotes and trades of two instruments, each in its own file of a day."""

import zipfile
from pathlib import Path

from tests.fuzz.damage import Case, Dice, File

_HEAD_LINES = 25
_CONDITIONS = ("0", "1", "1", "1", "20000", "200", "40", "2000000", "20002020")


def _quotes(dice: Dice) -> tuple[bytes, ...]:
    ms, made = 34_200_000, []
    for _ in range(dice.randint(0, 20)):
        ms += dice.choice((0, 0, 1, 30, 200))
        bid = (490_000 + 100 * dice.randint(0, 9), 100 * dice.randint(1, 9)) if dice.random() < 0.7 else (0, 0)
        ask = (491_000 + 100 * dice.randint(0, 9), 100 * dice.randint(1, 9)) if dice.random() < 0.7 else (0, 0)
        made.append(
            f"{ms},{bid[0]},{bid[1]},{ask[0]},{ask[1]},{dice.choice('QPZ')},{dice.choice(_CONDITIONS)},0\n".encode()
        )
    return tuple(made)


def _trades(dice: Dice) -> tuple[bytes, ...]:
    ms, made = 34_200_000, []
    for _ in range(dice.randint(0, 20)):
        ms += dice.choice((0, 1, 30, 200))
        price = 490_500 + 100 * dice.randint(0, 9)
        made.append(f"{ms},{price},{dice.randint(1, 300)},{dice.choice('QPZ')},{dice.choice(_CONDITIONS)},0\n".encode())
    return tuple(made)


def sound(dice: Dice) -> Case:
    end = dice.choice((".csv", ".csv", ".zip"))
    quotes, trades = f"acme_20131007_quote{end}", f"acme_20131007_trade{end}"
    files = [File(quotes, _quotes(dice)), File(trades, _trades(dice))]
    if dice.random() < 0.2:
        files.append(File(f"test_20131007_trade{end}", _trades(dice)))
    if dice.random() < 0.1:
        files.append(File(f"acme_20131008_quote{end}", _quotes(dice)))
    return Case(tuple(files), target=dice.choice(("", quotes, trades)))


def recorded(marketdata: str) -> list[Case]:
    found = []
    for path in sorted(Path(marketdata).glob("us_equity_ticks_2013/*_20131007_*.zip")):
        with zipfile.ZipFile(path) as archive, archive.open(archive.namelist()[0]) as opened:
            lines = tuple(opened.readline() for _ in range(_HEAD_LINES))
        found.append(Case((File(path.name.replace(".zip", ".csv"), lines),)))
    return found
