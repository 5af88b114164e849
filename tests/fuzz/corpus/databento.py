"""Databento DBN: orders, levels, trades and definitions of two instruments, plain or zstd."""

from pathlib import Path
from typing import Any

import databento_dbn as dbn
from databento_dbn import Action, MBOMsg, Schema
from databento_dbn import Side as DbnSide

from tests.fuzz.damage import Case, Dice, Fields, File

_TS = 1_715_126_400 * 10**9
_E9 = 10**9
_SIDES = (DbnSide.BID, DbnSide.ASK, DbnSide.NONE)
_ACTIONS = (
    Action.ADD,
    Action.ADD,
    Action.ADD,
    Action.CANCEL,
    Action.MODIFY,
    Action.FILL,
    Action.TRADE,
    Action.NONE,
    Action.CLEAR,
)
_FLAGS = (
    dbn.F_LAST,
    dbn.F_LAST,
    dbn.F_LAST,
    0,
    0,
    dbn.F_SNAPSHOT,
    dbn.F_LAST | dbn.F_SNAPSHOT,
    dbn.F_LAST | dbn.F_TOB,
    dbn.F_MBP,
)
_HEAD: Fields = ((0, 1), (1, 1), (2, 2), (4, 4), (8, 8), (8, 8))
_MBO: Fields = (*_HEAD, (16, 8), (24, 8), (32, 4), (36, 1), (37, 1), (38, 1), (39, 1), (40, 8), (48, 4), (52, 4))
_PRICED: Fields = (
    *_HEAD,
    (16, 8),
    (24, 4),
    (28, 1),
    (29, 1),
    (30, 1),
    (31, 1),
    (32, 8),
    (48, 8),
    (56, 8),
    (64, 4),
    (68, 4),
)
_META: Fields = ((3, 1), (4, 4), (24, 2), (26, 8), (34, 8), (42, 8))
_HEAD_BYTES = 4_000


def _fields(record: bytes) -> Fields:
    if record[:3] == b"DBN":
        return _META
    return _MBO if len(record) == 56 else tuple(one for one in _PRICED if sum(one) <= len(record))


def _mbo(dice: Dice, ts: int) -> dict[str, Any]:
    price = dice.choice((99, 100, 101, 102)) * _E9 if dice.random() < 0.95 else dbn.UNDEF_PRICE
    sides = _SIDES[:2] if dice.random() < 0.9 else _SIDES
    return {
        "publisher_id": 1,
        "instrument_id": dice.choice((7, 7, 8)),
        "ts_event": ts,
        "ts_recv": ts + 1,
        "order_id": dice.randint(1, 9),
        "price": price,
        "size": dice.choice((0, 1, 4, 10)),
        "action": dice.choice(_ACTIONS),
        "side": dice.choice(sides),
        "flags": dice.choice(_FLAGS),
        "sequence": 0,
    }


def _record(schema: str, dice: Dice, ts: int) -> bytes:
    fields = _mbo(dice, ts)
    if schema == "definition":
        return _definition(ts, dice.choice((_E9 // 4, 0, dbn.UNDEF_PRICE)))
    if schema == "mbo":
        return bytes(MBOMsg(**fields))
    del fields["order_id"]
    if schema == "trades":
        return bytes(dbn.TradeMsg(**fields, depth=0))
    count = 1 if schema == "mbp-1" else 10
    pairs: Any = [
        dbn.BidAskPair((99 - n) * _E9, (101 + n) * _E9, dice.randint(0, 9), dice.randint(0, 9), 1, 1)
        for n in range(count)
    ]
    if schema == "mbp-1":
        return bytes(dbn.MBP1Msg(**fields, depth=0, levels=pairs[0]))
    return bytes(dbn.MBP10Msg(**fields, depth=0, levels=pairs))


def _definition(ts: int, tick_size: int) -> bytes:
    numbers: dict[str, Any] = {
        "publisher_id": 1,
        "instrument_id": 7,
        "ts_event": ts,
        "ts_recv": ts,
        "display_factor": 1,
    }
    texts: dict[str, Any] = {"raw_symbol": "TEST", "asset": "T", "security_type": "FUT"}
    kinds: dict[str, Any] = {
        "instrument_class": dbn.InstrumentClass.FUTURE, "security_update_action": dbn.SecurityUpdateAction.ADD,
    }  # fmt: skip
    return bytes(dbn.InstrumentDefMsg(**numbers, **texts, **kinds, min_price_increment=tick_size))


def _metadata(schema: str | None, symbols: list[str]) -> bytes:
    head: dict[str, Any] = {"partial": [], "not_found": [], "mappings": [], "end": None, "limit": None}
    types: dict[str, Any] = {"stype_in": dbn.SType.RAW_SYMBOL, "stype_out": dbn.SType.INSTRUMENT_ID}
    kind = Schema.from_str(schema) if schema else None
    return bytes(dbn.Metadata("X.TEST", _TS, schema=kind, symbols=symbols, **types, **head))


def sound(dice: Dice) -> Case:
    schema = dice.choice(("mbo", "mbo", "mbo", "mbo", "mbp-1", "mbp-10", "trades", "definition"))
    mixed = dice.random() < 0.1
    ts, made = _TS, [_metadata(None if mixed else schema, ["TEST"])]
    for _ in range(dice.randint(1, 25)):
        ts += dice.choice((0, 1, 1000, 10**6, 10**8))
        made.append(_record(dice.choice(("mbo", "mbp-1", "trades", "definition")) if mixed else schema, dice, ts))
    name = dice.choice(("day.dbn", "day.dbn", "day.dbn.zst"))
    files = [File(name, tuple(made), _fields, "little")]
    if dice.random() < 0.2:
        defined = (_metadata("definition", ["TEST"]), _definition(_TS, _E9 // 4))
        files.append(File("beside.dbn", defined, _fields, "little"))
    return Case(tuple(files), target=name)


def recorded(marketdata: str) -> list[Case]:
    """The codec's own samples, every version: cut by the length in front of each record."""
    found = []
    for path in sorted(Path(marketdata).glob("databento/dbn_codec_fixtures/test_data.*.dbn")):
        data = path.read_bytes()[:_HEAD_BYTES]
        at = 8 + int.from_bytes(data[4:8], "little")
        records = [data[:at]]
        while at < len(data) and data[at] and at + data[at] * 4 <= len(data):
            records.append(data[at : at + data[at] * 4])
            at += data[at] * 4
        found.append(Case((File("day.dbn", tuple(records), _fields, "little"),), target="day.dbn"))
    return found
