"""The load of the gate's benchmark: every control on with a finite limit, a position in every instrument, random orders.

Invariant: no limit is so near that it refuses, and none is unlimited, so that every question is asked and answered.
"""

import struct
import time
from typing import Final

import numpy as np

from gate import _native
from gate._native import Gate, LimitTable, Route, scope_hash
from gate.rows import AccountRow, InstrumentRow, Limits

REF: Final = 50 * 10**9
TICK: Final = 10**7
FOREVER_NS: Final = 2**62
LARGE: Final = 2**60
"""1e-6 currency: finite, and far."""
LIMITS: Final = Limits(500, 10**12, 10**6, 10**6, 500, 100_000, 1000, 0, 1000, 100)
ROUTE: Final = {
    "account": scope_hash("account:DESK-1"), "trader": scope_hash("trader:ann"), "desk": scope_hash("desk:one"),
    "strategy": scope_hash("strategy:maker"), "venue": scope_hash("venue:XNAS"), "session": scope_hash("session:1"),
}  # fmt: skip
_ORDER: Final = struct.Struct("@q10Q2q4B4x")


def row(instrument_id: int, tick_ns: int = 1) -> InstrumentRow:
    """Return the row of an instrument; ``tick_ns`` is evidence."""
    return InstrumentRow(
        instrument_id, LIMITS, LIMITS, LIMITS, ref_price=REF, ref_low=REF - TICK, ref_high=REF + TICK,
        ref_until_ns=FOREVER_NS, valid_until_ns=FOREVER_NS, tick_size=TICK, lot_nano=10**9, qty_min=1, qty_step=1,
        epoch=1, tick_ns=tick_ns, written_ns=tick_ns, score=0.5, model_id="default-7",
    )  # fmt: skip


def grant(account: int) -> AccountRow:
    """Return finite limits of an account."""
    return AccountRow(
        account, gross_value=LARGE, net_value=LARGE, instrument_value=LARGE, credit=LARGE, day_loss=LARGE, drawdown=LARGE,
        period_value=LARGE, basket_value=LARGE, open_orders=100_000, messages_per_s=10**9, message_burst=10**9,
        repeats_max=10**9, period_ns=10**9, duplicate_ns=1000, class_mask=1,
    )  # fmt: skip


def fill(table: LimitTable, instruments: int, accounts: tuple[int, ...] = (ROUTE["account"],)) -> None:
    """Write the rows of instruments 1 to ``instruments``, of the accounts, of the firm and of the session."""
    for instrument_id in range(1, instruments + 1):
        table.put(row(instrument_id).pack())
    for account in (*accounts, scope_hash("firm")):
        table.put_account(grant(account).pack())
    table.put_account(AccountRow(ROUTE["session"], messages_per_s=10**9, message_burst=10**9).pack())
    table.heartbeat_ttl_ns = 60 * 10**9
    table.heartbeat(time.monotonic_ns(), 1)


def take_positions(gate: Gate, instruments: int, account: int = ROUTE["account"]) -> None:
    """Hold something in every instrument."""
    for instrument_id in range(1, instruments + 1):
        gate.executed(account, instrument_id, _native.ORDER_BUY, 1 + instrument_id % 400, REF)


def orders(instruments: int, count: int, seed: int, *, account: int = ROUTE["account"]) -> bytes:
    """Return ``count`` of C's ``struct order`` in random instruments, within all limits."""
    generator = np.random.default_rng(seed)
    ids = generator.integers(1, instruments + 1, size=count)
    quantities, sides = generator.integers(1, 100, size=count), generator.integers(1, 3, size=count)
    who = [account, *(ROUTE[name] for name in ("trader", "desk", "strategy", "venue", "session"))]
    return b"".join(
        _ORDER.pack(
            int(ids[n]), n + 1, 0, *who, 0, 0, int(quantities[n]), REF, _native.ORDER_NEW, int(sides[n]),
            _native.ORDER_LIMIT, 0,
        )
        for n in range(count)
    )  # fmt: skip


def route(gate: Gate) -> Route:
    """Return who sends, with a scope of every kind."""
    return gate.route(**ROUTE)
