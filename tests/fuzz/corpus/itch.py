"""TotalView-ITCH: a few seconds of two instruments, in the venue's layout or re-encoded with 8-byte times."""

import json
import struct
from pathlib import Path

from tests.fuzz.damage import Case, Dice, Fields, File

_SIZES = {
    "S": 12, "R": 39, "H": 25, "Y": 20, "L": 26, "V": 35, "W": 12, "K": 28, "J": 35, "h": 21, "A": 36, "F": 40, "E": 31, "C": 36,
    "X": 23, "D": 19, "U": 35, "P": 44, "Q": 40, "B": 19, "I": 50, "N": 20, "O": 48,
}  # fmt: skip
_NUMBERS = {
    "A": ((0, 8), (8, 1), (9, 4), (21, 4)), "F": ((0, 8), (8, 1), (9, 4), (21, 4)), "E": ((0, 8), (8, 4)),
    "C": ((0, 8), (8, 4), (20, 1), (21, 4)), "X": ((0, 8), (8, 4)), "D": ((0, 8),), "U": ((0, 8), (8, 8), (16, 4), (20, 4)),
    "P": ((8, 1), (9, 4), (21, 4)), "Q": ((0, 8), (16, 4)), "H": ((8, 1),), "h": ((8, 1), (9, 1)),
}  # fmt: skip
_NOON_NS = 12 * 3600 * 10**9
_STOCKS = (b"ACME    ", b"TEST    ")
_NAMES = ("12302019.NASDAQ_ITCH50", "07112014.NASDAQ_ITCH50", "S071114-v50.txt.gz")
_HEAD_BYTES = 4_000


def _fields(time_bytes: int) -> "dict[str, Fields]":
    head: Fields = ((0, 1), (1, 2), (5, time_bytes), (5, time_bytes))
    return {kind: (*head, *((5 + time_bytes + at, size) for at, size in _NUMBERS.get(kind, ()))) for kind in _SIZES}


_FIELDS = {6: _fields(6), 8: _fields(8)}


def _fields_6(record: bytes) -> Fields:
    return _FIELDS[6].get(chr(record[0]), ()) if record else ()


def _fields_8(record: bytes) -> Fields:
    return _FIELDS[8].get(chr(record[0]), ()) if record else ()


def _body(kind: str, dice: Dice, stock: bytes) -> bytes:
    order, shares, price = (
        dice.randint(1, 9),
        dice.choice((0, 10, 50, 100)),
        dice.choice((99_900, 100_000, 100_100, 110_000)),
    )
    side = dice.choice((b"B", b"S"))
    body = b""
    match kind:
        case "A" | "F" | "P":
            body = struct.pack(">QcI8sI", order, side, shares, stock, price)
        case "E" | "X":
            body = struct.pack(">QI", order, shares)
        case "C":
            body = struct.pack(">QIQcI", order, shares, 7, dice.choice((b"Y", b"N")), price)
        case "D":
            body = struct.pack(">Q", order)
        case "U":
            body = struct.pack(">QQII", order, dice.randint(1, 9), shares, price)
        case "Q":
            body = struct.pack(">Q8sI", shares, stock, price)
        case "R":
            body = stock
        case "H":
            body = stock + dice.choice((b"H", b"P", b"Q", b"T"))
        case "h":
            body = stock + dice.choice((b"QH", b"QT", b"XH"))
    return body


def sound(dice: Dice) -> Case:
    time_bytes = 8 if dice.random() < 0.25 else 6
    kinds = "".join(_SIZES) + "AAAAAAFEEECXXDDUU"
    ts, made = _NOON_NS, []
    for _ in range(dice.randint(2, 40)):
        ts += dice.choice((0, 1, 1000, 10**6, 10**8))
        kind, locate = dice.choice(kinds), dice.randint(0, 1)
        head = kind.encode() + struct.pack(">HH", 5 + locate, 0) + ts.to_bytes(time_bytes)
        made.append((head + _body(kind, dice, _STOCKS[locate])).ljust(_SIZES[kind] + time_bytes - 6, b"\0"))
    if dice.random() < 0.2:
        made.append(b"")
    return _case(tuple(made), time_bytes, dice.choice(_NAMES))


def _case(records: tuple[bytes, ...], time_bytes: int, name: str) -> Case:
    if time_bytes == 6:
        return Case((File(name, records, _fields_6, framing=2),), target=name)
    described = json.dumps({"source": _NAMES[0], "tick_scale": 100}).encode()
    return Case(
        (File("sample.itch", records, _fields_8, framing=2),),
        "sample.itch",
        beside={"sample.itch.meta.json": described},
    )


def recorded(marketdata: str) -> list[Case]:
    found = []
    for path in sorted(Path(marketdata).glob("itch50/*.itch")):
        with path.open("rb") as opened:
            head = opened.read(_HEAD_BYTES)
        at, records = 0, []
        while at + 2 <= len(head) and at + 2 + (size := int.from_bytes(head[at : at + 2])) <= len(head):
            records.append(head[at + 2 : at + 2 + size])
            at += 2 + size
        if records and records[0][:1].isalpha():
            time_bytes = len(records[0]) - _SIZES.get(chr(records[0][0]), 0) + 6
            found.append(_case(tuple(records), 8 if time_bytes == 8 else 6, _NAMES[0]))
    return found
