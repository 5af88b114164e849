"""Tapes: trades with a header in one layout, Binance's aggregated trades in the other."""

import gzip
import zipfile
from pathlib import Path

from feeds.tape.parse import TRADES_HEADER
from tests.fuzz.damage import Case, Dice, File

_HEAD_LINES = 40
_TRADES = "coinbase_trades_2025-10-10_ADA-USD.csv"
_AGGREGATES = "BTCUSDC-aggTrades-2025-10-04"


def sound(dice: Dice) -> Case:
    if dice.random() < 0.5:
        name = _TRADES + dice.choice(("", "", ".gz"))
        return Case((File(name, (TRADES_HEADER + b"\n", *_trades(dice))),), target=name)
    name = _AGGREGATES + dice.choice((".csv", ".zip"))
    return Case((File(name, _aggregates(dice)),), target=name)


def _trades(dice: Dice) -> tuple[bytes, ...]:
    us, made = 1_760_054_400_000_000, []
    for number in range(dice.randint(0, 25)):
        us += dice.choice((0, 0, 900, 30_000, 2_000_000))
        side, amount = dice.choice(("buy", "sell", "unknown")), dice.choice(("3.63373375", "8e-8", "1.0E2", "12"))
        price = f"0.81{dice.randint(10, 99)}"
        made.append(f"coinbase,ADA-USD,{us},{us + 40_000},{number},{side},{price},{amount}\n".encode())
    return tuple(made)


def _aggregates(dice: Dice) -> tuple[bytes, ...]:
    us, made = 1_759_536_000_061_015, []
    for number in range(dice.randint(0, 25)):
        us += dice.choice((0, 0, 900, 30_000, 2_000_000))
        time = us if dice.random() < 0.8 else us // 1_000
        price, amount = f"1223{dice.randint(10, 99)}.79000000", f"0.000{dice.randint(10, 99)}000"
        made.append(
            f"{number},{price},{amount},{number},{number},{time},{dice.choice(('True', 'False'))},True\n".encode()
        )
    return tuple(made)


def recorded(marketdata: str) -> list[Case]:
    found = []
    for path in sorted(Path(marketdata).glob("crypto_2025-10-10/*")):
        if path.name.endswith(".csv.gz"):
            with gzip.open(path) as opened:
                lines = tuple(opened.readline() for _ in range(_HEAD_LINES))
            found.append(Case((File(path.name.removesuffix(".gz"), lines),), target=path.name.removesuffix(".gz")))
        elif path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive, archive.open(archive.namelist()[0]) as opened:
                lines = tuple(opened.readline() for _ in range(_HEAD_LINES))
            found.append(Case((File(f"{path.stem}.csv", lines),), target=f"{path.stem}.csv"))
    return found
