"""Damage to a recording: records lost, told twice, swapped, edges in numbers, bits, cuts. Pure: the dice is an argument.

A recording is held as records, so that most damage leaves its framing whole and reaches the code behind it; what is done to bytes
is done last. Rejected: bytes alone (nearly every input would end at the first check of a length).
"""

import gzip
import io
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random
from typing import Final

import zstandard

Dice = Random
Fields = tuple[tuple[int, int], ...]
"""``(offset, bytes)`` of the numbers of a binary record."""

INTEGERS: Final = (
    0,
    1,
    -1,
    2,
    2**7,
    2**15,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**62,
    2**62 - 1,
    2**63 - 1,
    2**63,
    2**64 - 1,
    10**18,
)
TEXTS: Final = (
    b"0", b"-1", b"-0", b"1", b"2147483648", b"4294967295", b"4611686018427387904", b"9223372036854775807",
    b"9223372036854775808", b"9999999999", b"-9999999999", b"99999999999999999999999", b"1e5", b"1e400", b"NaN", b"Infinity",
    b"0.0000000001", b"0.1", b".5", b"5.", b"1_0", b" 7", b"+7", b"0x10", b"", b"\xd9\xa3", b"\xff\xfe", b"\x00", b"null", b"true",
    b"[]", b"{}", b'""', b'"x"', b'"', b"9" * 5000,
)  # fmt: skip
_NUMBER: Final = re.compile(rb"-?[0-9]+(?:\.[0-9]+)?")
_TOKEN: Final = re.compile(rb'"[^"]*"|-?[0-9]+(?:\.[0-9]+)?|[A-Za-z]+|[\[\]{},:.]')


@dataclass(frozen=True, slots=True)
class File:
    """One file of a recording.

    Attributes:
        name: File name; its ending says how it is packed, see ``packed``.
        records: Lines, messages or records, the first one being the header where the format has one.
        fields: Record → where its numbers stand; ``None`` for text.
        order: Byte order of the numbers.
        framing: Bytes of the length that stands in front of a record, 0 for none.
    """

    name: str
    records: tuple[bytes, ...]
    fields: Callable[[bytes], Fields] | None = None
    order: str = "big"
    framing: int = 0

    def data(self) -> bytes:
        """Return the bytes before packing."""
        if not self.framing:
            return b"".join(self.records)
        return b"".join(
            len(record).to_bytes(self.framing, "big") + record for record in self.records if len(record) < 65536
        )


@dataclass(frozen=True, slots=True)
class Case:
    """A recording: its files, and the name of the one to open, empty for the folder."""

    files: tuple[File, ...]
    target: str = ""
    archive: str = ""
    """Name of the zip that holds the files, empty where they lie in the folder."""
    beside: dict[str, bytes] = field(default_factory=dict)
    """Files that are written as they stand."""


def damaged(case: Case, dice: Dice) -> dict[str, bytes]:
    """Return file name → bytes of a recording, damaged in up to eight places; one in sixteen is left as it is."""
    files = list(case.files)
    raw_damage: list[int] = []
    for _ in range(0 if dice.random() < 1 / 16 else min(8, 1 + int(dice.expovariate(0.6)))):
        at = dice.randrange(len(files))
        if dice.random() < 0.75:
            files[at] = _of_records(files[at], dice)
        else:
            raw_damage.append(at)
    found = {}
    for at, file in enumerate(files):
        data = file.data()
        for _ in range(raw_damage.count(at)):
            data = _of_bytes(data, dice)
        whole = packed(file.name, data)
        if whole is not data and dice.random() < 1 / 12:
            whole = _of_bytes(whole, dice)
        found[_renamed(file.name, dice) if dice.random() < 1 / 100 else file.name] = whole
    if case.archive:
        whole = _zipped(found)
        found = {case.archive: _of_bytes(whole, dice) if dice.random() < 1 / 8 else whole}
    return found | case.beside


def packed(name: str, data: bytes) -> bytes:
    """Return the bytes of a file of this name."""
    if name.endswith(".gz"):
        return gzip.compress(data, 1, mtime=0)
    if name.endswith(".zst"):
        return zstandard.compress(data, 1)
    if name.endswith(".zip"):
        return _zipped({name.removesuffix(".zip") + ".csv": data})
    return data


def _zipped(files: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return made.getvalue()


def _renamed(name: str, dice: Dice) -> str:
    """Return a name with digits or letters changed: dates that are none, symbols that are not known."""
    letters = list(name)
    for _ in range(dice.randint(1, 2)):
        at = dice.randrange(len(letters))
        letters[at] = dice.choice("09aZ_-. ")
    return "".join(letters).strip(".") or name


def _of_records(file: File, dice: Dice) -> File:
    records = list(file.records)
    if not records:
        return file
    at, other = dice.randrange(len(records)), dice.randrange(len(records))
    match dice.randrange(9):
        case 0:
            records[at:at] = [records[other]] * dice.choice((1, 1, 1, 2, 30))
        case 1:
            records[at], records[other] = records[other], records[at]
        case 2:
            del records[at]
        case 3:
            cut = dice.randint(0, len(records[at]))
            records[at] = records[at][:cut] + records[other][dice.randint(0, len(records[other])) :]
        case 4:
            records[at] = _of_bytes(records[at], dice)
        case _:
            records[at] = _edge(file, records[at], records[other], dice)
    return replace(file, records=tuple(records))


def _edge(file: File, record: bytes, other: bytes, dice: Dice) -> bytes:
    """Return a record with one of its numbers at an edge, near itself, or that of another record."""
    if file.fields is None:
        return _text_edge(record, dice)
    fields = file.fields(record)
    if not fields:
        return _of_bytes(record, dice)
    offset, size = dice.choice(fields)
    order = "little" if file.order == "little" else "big"
    held = int.from_bytes(record[offset : offset + size], order)  # type: ignore[arg-type]
    value = dice.choice(
        (dice.choice(INTEGERS), held + dice.choice((-1, 1, 10**9, -(10**9), 10**11)), dice.randrange(256))
    )
    made = (value % (1 << 8 * size)).to_bytes(size, order)  # type: ignore[arg-type]
    if dice.random() < 0.2:
        made = other[offset : offset + size]
    return record[:offset] + made + record[offset + size :]


def _text_edge(record: bytes, dice: Dice) -> bytes:
    found = list((_NUMBER if dice.random() < 0.7 else _TOKEN).finditer(record))
    if not found:
        return _of_bytes(record, dice)
    hit = dice.choice(found)
    if dice.random() < 0.3 and hit[0].isdigit() and len(hit[0]) < 30:
        made = b"%d" % max(0, int(hit[0]) + dice.choice((-1, 1, -1000, 1000, 10**6)))
    else:
        made = dice.choice(TEXTS) if dice.random() < 0.8 else dice.choice(found)[0]
    return record[: hit.start()] + made + record[hit.end() :]


def _of_bytes(data: bytes, dice: Dice) -> bytes:
    if not data:
        return dice.randbytes(dice.randint(0, 8))
    at, other = dice.randrange(len(data)), dice.randrange(len(data))
    match dice.randrange(7):
        case 0 | 1:
            made = data[:at] + bytes([data[at] ^ 1 << dice.randrange(8)]) + data[at + 1 :]
        case 2:
            made = data[:at] + bytes([dice.choice((0, 1, 9, 10, 13, 32, 44, 127, 128, 255))]) + data[at + 1 :]
        case 3:
            made = data[:at]
        case 4:
            first, last = sorted((at, other))
            made = data[:first] + data[last:]
        case 5:
            made = data[:at] + data[other : other + dice.randint(1, 64)] + data[at:]
        case _:
            made = data[:at] + dice.randbytes(dice.randint(1, 9)) + data[at:]
    return made
