"""The rows of the limit table as Python values, and as the bytes of their C structs. Pure.

Invariants: ``pack`` gives exactly C's ``struct limit_row`` and ``struct account_limits``, and a number that the struct cannot hold
is refused with its field, never cut. ``None`` is unset, which blocks; what is meant to be free says ``UNLIMITED``.
Rejected: keyword arguments of the extension for every field (60 of them, and each named twice).
"""

import struct
from dataclasses import astuple, dataclass, fields
from typing import Any, ClassVar, Final, Self

UNLIMITED: Final = 2**63 - 1
"""Said on purpose: this limit never refuses."""
BPS_MAX: Final = 2**21 - 2
"""Largest ``band_bps``, ``period_band_bps`` and ``quote_offset_bps`` that the table holds."""
TICKS_MAX: Final = 2**20 - 2
"""Largest ``band_ticks``."""
WEIGHT_MAX: Final = 2**20 - 2
"""Largest ``message_weight``, thousandths of a message."""
MARGIN_MAX: Final = 2**20 - 2
"""Largest ``margin``, thousandths of the value."""
COUNT_MAX: Final = 2**32 - 3
"""Largest ``open_orders`` and ``repeats_max`` but for ``UNLIMITED``."""
QTY_STEP_MAX: Final = 2**31 - 1
"""Largest ``qty_min`` and ``qty_step``, lots."""
PERIOD_MIN_NS: Final = 1_000_000
PERIOD_MAX_NS: Final = 3_600_000_000_000
TIER_MAX: Final = 3
CLASS_MAX: Final = 63
PERMILLE_OFF: Final = 1000
"""``warn_permille`` and ``pend_permille``: never."""
MODEL_ID_BYTES_MAX: Final = 24

_ID_MAX: Final = 2**32 - 1
_INT64_MIN: Final = -(2**63)
_UINT64_MAX: Final = 2**64 - 1
_UNSET: Final = -1
_LIMITS: Final = 10
_ROW: Final = struct.Struct("@IBB5?HH30q12qd24s")
_ACCOUNT: Final = struct.Struct("@Q14qQ")
_FLOORS: Final = 7


@dataclass(frozen=True, slots=True)
class Limits:
    """One column of limits of an instrument, in the order of C's ``enum instrument_limit``. ``None`` = unset, which blocks.

    Of the first seven the smaller is the tighter, of the last three the larger. A value above the largest that the table holds
    is brought down to it where that is tighter; where it would be looser (the last three) the table keeps it as unset.

    Attributes:
        order_qty: Lots of one order.
        order_value: 1e-6 currency of one order.
        long: Lots that an account may hold and have working on the buy side.
        short: Lots that an account may be short, working sells included.
        band_bps: Largest aggressive distance from the reference price, bp; up to ``BPS_MAX``.
        band_ticks: The same in ticks; up to ``TICKS_MAX``.
        period_band_bps: Largest distance of a buy above the period's low, of a sell below its high, bp; up to ``BPS_MAX``.
        quote_offset_bps: Smallest distance of a post-only order behind the reference price, bp; up to ``BPS_MAX``.
        message_weight: What an order weighs in the message rate, thousandths of a message; up to ``WEIGHT_MAX``.
        margin: What a position takes of the credit, thousandths of its value; up to ``MARGIN_MAX``.
    """

    order_qty: int | None = None
    order_value: int | None = None
    long: int | None = None
    short: int | None = None
    band_bps: int | None = None
    band_ticks: int | None = None
    period_band_bps: int | None = None
    quote_offset_bps: int | None = None
    message_weight: int | None = None
    margin: int | None = None

    UNSET: ClassVar["Limits"]

    def values(self) -> tuple[int | None, ...]:
        """Return the ten limits in their order."""
        return (self.order_qty, self.order_value, self.long, self.short, self.band_bps, self.band_ticks,
                self.period_band_bps, self.quote_offset_bps, self.message_weight, self.margin)  # fmt: skip


Limits.UNSET = Limits()
LIMIT_NAMES: Final = tuple(field.name for field in fields(Limits))
LARGER_IS_TIGHTER: Final = frozenset(LIMIT_NAMES[_FLOORS:])


def tighter(a: Limits, b: Limits) -> Limits:
    """Return the tighter of every limit; one that either side leaves unset stays unset."""
    return Limits(
        *(
            None if x is None or y is None else _tighter_of(name, x, y)
            for name, x, y in zip(LIMIT_NAMES, a.values(), b.values(), strict=True)
        )
    )


def tighter_where_set(a: Limits, b: Limits) -> Limits:
    """Return the tighter of every limit; one that a side leaves unset is what the other says."""
    return Limits(
        *(
            y if x is None else x if y is None else _tighter_of(name, x, y)
            for name, x, y in zip(LIMIT_NAMES, a.values(), b.values(), strict=True)
        )
    )


@dataclass(frozen=True, slots=True)
class InstrumentRow:
    """What the gate must know of one instrument. Prices are 1e-9 currency, times are ns of the gate's clock.

    Attributes:
        instrument_id: 1 to 2**32 - 1.
        envelope: What people set.
        dynamic: What the tier makes of it.
        stale_limits: In force beside the envelope when the row is stale or expired.
        tier: 0 normal to 3 critical; evidence alone.
        class_id: 0 to 63: the bit of ``AccountRow.class_mask`` that an account needs.
        halted: Every new order that is no exit is blocked.
        killed: A person blocked the instrument.
        stale: The scorer does not trust the book.
        restricted: On the firm's restricted list.
        needs_locate: A short position needs a located quantity.
        warn_permille: Part of a limit above which an order is warned of; 1000 = never.
        pend_permille: Part of a limit above which an order waits for a second person; 1000 = never.
        ref_price: Reference price; at or below 0 = none.
        ref_low: Lowest reference price of the rolling period; at or below 0 = none.
        ref_high: The highest.
        ref_until_ns: The reference price is too old from then on.
        valid_until_ns: The row is expired from then on.
        tick_size: Price step; at or below 0 = unset, which blocks.
        lot_nano: 1e-9 units in a lot; at or below 0 = unset, which blocks.
        qty_min: Smallest order, lots; 0 = unset, which blocks.
        qty_step: Quantities are multiples of it, lots; 0 = unset, which blocks.
        epoch: Of the risk state; 0 = none.
        tick_ns: Of the risk state; 0 = none.
        written_ns: The writer's clock at the write.
        score: Of the risk state.
        model_id: ASCII, at most 24 bytes.
    """

    instrument_id: int
    envelope: Limits = Limits.UNSET
    dynamic: Limits = Limits.UNSET
    stale_limits: Limits = Limits.UNSET
    tier: int = 0
    class_id: int = 0
    halted: bool = False
    killed: bool = False
    stale: bool = False
    restricted: bool = False
    needs_locate: bool = False
    warn_permille: int = PERMILLE_OFF
    pend_permille: int = PERMILLE_OFF
    ref_price: int = 0
    ref_low: int = 0
    ref_high: int = 0
    ref_until_ns: int = 0
    valid_until_ns: int = 0
    tick_size: int = 0
    lot_nano: int = 0
    qty_min: int = 0
    qty_step: int = 0
    epoch: int = 0
    tick_ns: int = 0
    written_ns: int = 0
    score: float = 0.0
    model_id: str = ""

    def pack(self) -> bytes:
        """Return the bytes of C's ``struct limit_row``.

        Raises:
            ValueError: A field is outside what the table can hold; its name and value are said.
        """
        for name, smallest, largest in _ROW_RANGES:
            _check(name, getattr(self, name), smallest=smallest, largest=largest)
        return _ROW.pack(
            self.instrument_id, self.tier, self.class_id,
            self.halted, self.killed, self.stale, self.restricted, self.needs_locate,
            self.warn_permille, self.pend_permille,
            *_packed(self.envelope, "envelope"), *_packed(self.dynamic, "dynamic"),
            *_packed(self.stale_limits, "stale_limits"),
            self.ref_price, self.ref_low, self.ref_high, self.ref_until_ns, self.valid_until_ns,
            self.tick_size, self.lot_nano, self.qty_min, self.qty_step,
            self.epoch, self.tick_ns, self.written_ns, self.score, _model_bytes(self.model_id),
        )  # fmt: skip

    @classmethod
    def unpack(cls, raw: bytes) -> Self:
        """Return the row in the bytes of C's ``struct limit_row``; ``struct.error`` when their number is wrong."""
        values = _ROW.unpack(raw)
        head, limits, rest = values[:10], values[10 : 10 + 3 * _LIMITS], values[10 + 3 * _LIMITS :]
        envelope, dynamic, stale = (_unpacked(limits[at : at + _LIMITS]) for at in range(0, 3 * _LIMITS, _LIMITS))
        model_id = rest[-1].rstrip(b"\0").decode("ascii", "replace")
        in_order: tuple[Any, ...] = (head[0], envelope, dynamic, stale, *head[1:], *rest[:-1], model_id)
        return cls(*in_order)


@dataclass(frozen=True, slots=True)
class AccountRow:
    """What people granted an account. Values are 1e-6 currency; ``None`` = unset, which blocks.

    Attributes:
        account: ``scope_hash`` of ``account:<id>``, of ``firm``, or of ``session:<id>``, whose message rate alone is judged.
        gross_value: Largest sum of the positions' values, working orders on their worst side.
        net_value: Largest difference of long and short.
        instrument_value: Largest gross value in one instrument.
        credit: Largest sum of margins.
        day_loss: Largest loss since the start of the day.
        drawdown: Largest loss since the day's highest.
        period_value: Accepted within ``period_ns``.
        basket_value: Accepted under one basket id.
        open_orders: Working at once; up to ``COUNT_MAX``, which larger ones become, or ``UNLIMITED``.
        messages_per_s: Sustained message rate.
        message_burst: Messages at once.
        repeats_max: Equal orders of one strategy within ``period_ns``; as ``open_orders``.
        period_ns: 1 ms to 1 h.
        duplicate_ns: Two equal orders closer than this are one sent twice; 0 = never.
        class_mask: Bit c: may trade instruments of class c; 0 = none.
    """

    account: int
    gross_value: int | None = None
    net_value: int | None = None
    instrument_value: int | None = None
    credit: int | None = None
    day_loss: int | None = None
    drawdown: int | None = None
    period_value: int | None = None
    basket_value: int | None = None
    open_orders: int | None = None
    messages_per_s: int | None = None
    message_burst: int | None = None
    repeats_max: int | None = None
    period_ns: int | None = None
    duplicate_ns: int | None = None
    class_mask: int = 0

    def pack(self) -> bytes:
        """Return the bytes of C's ``struct account_limits``.

        Raises:
            ValueError: A field is outside what the table can hold; its name and value are said.
        """
        _check("account", self.account, smallest=1, largest=_UINT64_MAX)
        _check("class_mask", self.class_mask, smallest=0, largest=_UINT64_MAX)
        if self.period_ns is not None:
            _check("period_ns", self.period_ns, smallest=PERIOD_MIN_NS, largest=PERIOD_MAX_NS)
        account, *limits, class_mask = astuple(self)
        names = ACCOUNT_LIMIT_NAMES
        return _ACCOUNT.pack(
            account, *(_limit(name, value) for name, value in zip(names, limits, strict=True)), class_mask
        )

    @classmethod
    def unpack(cls, raw: bytes) -> Self:
        """Return the row in the bytes of C's ``struct account_limits``; ``struct.error`` when their number is wrong."""
        values = _ACCOUNT.unpack(raw)
        limits = (None if limit < 0 else limit for limit in values[1:-1])
        in_order: tuple[Any, ...] = (values[0], *limits, values[-1])
        return cls(*in_order)


ACCOUNT_LIMIT_NAMES: Final = tuple(field.name for field in fields(AccountRow))[1:-1]

_ROW_RANGES: Final = (
    ("instrument_id", 1, _ID_MAX),
    ("tier", 0, TIER_MAX),
    ("class_id", 0, CLASS_MAX),
    ("warn_permille", 0, PERMILLE_OFF),
    ("pend_permille", 0, PERMILLE_OFF),
    ("qty_min", 0, QTY_STEP_MAX),
    ("qty_step", 0, QTY_STEP_MAX),
    *(
        (name, _INT64_MIN, UNLIMITED)
        for name in ("ref_price", "ref_low", "ref_high", "ref_until_ns", "valid_until_ns", "tick_size", "lot_nano",
                     "epoch", "tick_ns", "written_ns")
    ),
)  # fmt: skip


def _check(name: str, value: int, *, smallest: int, largest: int) -> None:
    if not smallest <= value <= largest:
        raise ValueError(f"{name} must be {smallest} to {largest}, was {value}")


def _limit(name: str, value: int | None) -> int:
    if value is None:
        return _UNSET
    _check(name, value, smallest=0, largest=UNLIMITED)
    return value


def _packed(limits: Limits, column: str) -> list[int]:
    return [_limit(f"{column}.{name}", value) for name, value in zip(LIMIT_NAMES, limits.values(), strict=True)]


def _unpacked(values: tuple[int, ...]) -> Limits:
    return Limits(*(None if value < 0 else value for value in values))


def _tighter_of(name: str, a: int, b: int) -> int:
    return max(a, b) if name in LARGER_IS_TIGHTER else min(a, b)


def _model_bytes(model_id: str) -> bytes:
    if len(model_id) > MODEL_ID_BYTES_MAX or not model_id.isascii() or "\0" in model_id:
        raise ValueError(f"model_id must be ASCII without NUL, at most {MODEL_ID_BYTES_MAX} bytes, was {model_id!r}")
    return model_id.encode("ascii")
