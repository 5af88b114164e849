"""LOBSTER: a second of one instrument, with or without the book after each message."""

from pathlib import Path

from tests.fuzz.damage import Case, Dice, File

_MESSAGES = "ACME_2012-06-21_34200000_34201000_message_2.csv"
_HEAD_LINES = 30


def sound(dice: Dice) -> Case:
    lines, rows = [], []
    ts_ns = 34_200 * 10**9
    for _ in range(dice.randint(3, 30)):
        ts_ns += dice.choice((0, 1, 1000, 10**6, 2 * 10**7))
        kind = dice.choice((1, 1, 1, 2, 3, 4, 4, 5, 6, 7))
        side = dice.choice((1, -1))
        price = 5_853_300 - side * 100 * dice.randint(1, 5) if kind != 7 else dice.choice((-1, 0, 1))
        message = (
            f"{ts_ns // 10**9}.{ts_ns % 10**9:09d},{kind},{dice.randint(1, 9)},{dice.randint(1, 200)},{price},{side}\n"
        )
        lines.append(message.encode())
        asks = [f"{5_853_400 + 100 * level},{dice.randint(1, 500)}" for level in range(2)]
        bids = [f"{5_853_200 - 100 * level},{dice.randint(1, 500)}" for level in range(2)]
        if dice.random() < 0.1:
            asks[1], bids[1] = "9999999999,0", "-9999999999,0"
        rows.append((",".join(f"{ask},{bid}" for ask, bid in zip(asks, bids, strict=True)) + "\n").encode())
    files = [File(_MESSAGES, tuple(lines))]
    if dice.random() < 0.7:
        files.append(File(_MESSAGES.replace("message", "orderbook"), tuple(rows)))
    return Case(tuple(files), "day.zip", "day.zip") if dice.random() < 0.2 else Case(tuple(files))


def recorded(marketdata: str) -> list[Case]:
    found = []
    for messages in sorted(Path(marketdata).glob("lobster/*/*_message_*.csv")):
        books = messages.with_name(messages.name.replace("message", "orderbook"))
        named = [_MESSAGES, _MESSAGES.replace("message", "orderbook")]
        heads = [
            tuple(one.read_bytes().splitlines(keepends=True)[:_HEAD_LINES])
            for one in (messages, books)
            if one.is_file()
        ]
        found.append(Case(tuple(File(name, head) for name, head in zip(named, heads, strict=False))))
    return found
