import array
import os
from collections.abc import Sequence
from types import TracebackType
from typing import Final, NamedTuple, Self, TypeAlias

import numpy as np
import numpy.typing as npt

ORDER_NEW: Final = 0
ORDER_REPLACE: Final = 1
ORDER_CANCEL: Final = 2
ORDER_BUY: Final = 1
ORDER_SELL: Final = 2
ORDER_LIMIT: Final = 1
ORDER_MARKET: Final = 2
ORDER_POST_ONLY: Final = 1
ORDER_REDUCE_ONLY: Final = 2
VERDICT_ACCEPT: Final = 0
VERDICT_REJECT: Final = 1
VERDICT_PEND: Final = 2
SET_BLOCKED: Final = 0
SET_APPROVED: Final = 1
SET_REARMED: Final = 2
SET_LOCATED: Final = 3

SET_CAPACITY: Final[int]
UNLIMITED: Final[int]
BPS_MAX: Final[int]
TICKS_MAX: Final[int]
WEIGHT_MAX: Final[int]
MARGIN_MAX: Final[int]
OPEN_ORDERS_MAX: Final[int]
REPEATS_MAX: Final[int]
QTY_STEP_MAX: Final[int]
PERIOD_MIN_NS: Final[int]
PERIOD_MAX_NS: Final[int]
MODEL_ID_BYTES_MAX: Final[int]
ROW_BYTES: Final[int]
ACCOUNT_ROW_BYTES: Final[int]
SLOT_BYTES: Final[int]
ACCOUNT_SLOT_BYTES: Final[int]
HEADER_BYTES: Final[int]
REASONS: Final[tuple[str, ...]]
RULES: Final[tuple[str, ...]]

class LimitTableError(Exception): ...

# Rows are the bytes that gate.rows packs and unpacks. Opening raises OSError or LimitTableError, use after close ValueError,
# writing through a reader's table LimitTableError, and so does a read of what will not stand still.
class LimitTable:
    @classmethod
    def create(cls, path: str | os.PathLike[str], /, instruments: int, accounts: int = 256) -> Self: ...
    @classmethod
    def attach(cls, path: str | os.PathLike[str], /) -> Self: ...
    @classmethod
    def private(cls, instruments: int, accounts: int = 256) -> Self: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...
    def put(self, row: bytes, /) -> bool: ...
    def put_account(self, row: bytes, /) -> bool: ...
    def read(self, instrument_id: int, /) -> bytes | None: ...
    def read_account(self, account: int, /) -> bytes | None: ...
    def instrument_ids(self) -> list[int]: ...
    def accounts(self) -> list[int]: ...
    def kill_firm(self, killed: bool, /) -> None: ...
    def set_put(self, kind: int, hash: int, number: int, /) -> bool: ...  # noqa: A002
    def set_drop(self, kind: int, hash: int, /) -> None: ...  # noqa: A002
    def set_fit(self, kind: int, /) -> None: ...
    def set_find(self, kind: int, hash: int, /) -> int | None: ...  # noqa: A002
    def set_members(self, kind: int, /) -> dict[int, int]: ...
    def set_overflowed(self, kind: int, /) -> bool: ...
    def heartbeat(self, now_ns: int, epoch: int, /) -> None: ...
    def writer_dead(self, now_ns: int, /) -> bool: ...
    @property
    def heartbeat_ttl_ns(self) -> int: ...
    @heartbeat_ttl_ns.setter
    def heartbeat_ttl_ns(self, ttl_ns: int) -> None: ...
    @property
    def epoch(self) -> int: ...
    @property
    def writer_pid(self) -> int: ...
    @property
    def writer_heartbeat_ns(self) -> int: ...
    @property
    def row_count(self) -> int: ...
    @property
    def capacity(self) -> int: ...
    @property
    def account_count(self) -> int: ...
    @property
    def account_capacity(self) -> int: ...
    @property
    def firm_killed(self) -> bool: ...

# Built in C as a structure sequence: a tuple with names, like a NamedTuple.
class Decision(NamedTuple):
    reason: int
    verdict: int
    warned: bool
    stale: bool
    limit: int | None
    observed: int | None
    worst_price: int | None
    tier: int
    epoch: int
    tick_ns: int
    model_id: str
    score: float
    ref_price: int | None
    position_before: int | None
    working_buy_before: int | None
    working_sell_before: int | None

# Positional: instrument_id, order_id, action, side, order_type, flags, qty, price, now_ns, then target_id, parent, basket;
# of submit also the order's id as text, which goes into the ring with the decision.
class Route:
    def check(
        self,
        instrument_id: int,
        order_id: int,
        action: int,
        side: int,
        order_type: int,
        flags: int,
        qty: int,
        price: int,
        now_ns: int,
        target_id: int = 0,
        parent: int = 0,
        basket: int = 0,
        /,
    ) -> int: ...
    def decide(
        self,
        instrument_id: int,
        order_id: int,
        action: int,
        side: int,
        order_type: int,
        flags: int,
        qty: int,
        price: int,
        now_ns: int,
        target_id: int = 0,
        parent: int = 0,
        basket: int = 0,
        /,
    ) -> Decision: ...
    def submit(
        self,
        instrument_id: int,
        order_id: int,
        action: int,
        side: int,
        order_type: int,
        flags: int,
        qty: int,
        price: int,
        now_ns: int,
        target_id: int = 0,
        parent: int = 0,
        basket: int = 0,
        order_text: str | None = None,
        /,
    ) -> Decision: ...

# Of a position: account, instrument_id, position, working_buy, working_sell, cash (1e-18 currency).
_Position: TypeAlias = tuple[int, int, int, int, int, int]
# Of a working order: account, order_id, trader, desk, strategy, venue, session, instrument_id, open_qty, price, side, blocked.
_Working: TypeAlias = tuple[int, int, int, int, int, int, int, int, int, int, int, bool]

class Gate:
    def __new__(
        cls,
        table: LimitTable,
        ledger_path: str | os.PathLike[str] | None = None,
        *,
        ring: DecisionRing | None = None,
        accounts: int = 256,
        positions: int = 8192,
        orders: int = 65536,
        snapshot: bytes | None = None,
    ) -> Self: ...
    def route(
        self, account: int, trader: int = 0, desk: int = 0, strategy: int = 0, venue: int = 0, session: int = 0
    ) -> Route: ...
    def filled(self, account: int, order_id: int, qty: int, price: int, /) -> bool: ...
    def closed(self, account: int, order_id: int, /) -> bool: ...
    def replaced(self, account: int, order_id: int, /) -> bool: ...
    def executed(self, account: int, instrument_id: int, side: int, qty: int, price: int, /) -> bool: ...
    def parent(self, account: int, parent: int, qty: int, /) -> bool: ...
    def session(self, session: int, up: bool, /) -> bool: ...
    def reconcile(self, account: int, instrument_id: int, position: int, done: bool, /) -> int | None: ...
    def new_day(self) -> None: ...
    def new_day_account(self, account: int, /) -> None: ...
    def mark(self) -> None: ...
    def mark_account(self, account: int, instruments: Sequence[int], /) -> None: ...
    def positions(self) -> list[_Position]: ...
    def working(self) -> list[_Working]: ...
    def counters(self) -> dict[str, int]: ...
    def snapshot(self) -> bytes: ...
    # bench.h: mode, orders as C's structs, 32-bit samples -> ended as they should, ns per clock unit, ns of all.
    def measure(
        self, mode: int, orders: bytes, samples: npt.NDArray[np.uint32] | memoryview, /
    ) -> tuple[int, float, int]: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...

def scope_hash(scope: str, /) -> int: ...
def pair_hash(account: int, instrument_id: int, /) -> int: ...

RECORD_BYTES: Final[int]

class DecisionRing:
    @classmethod
    def create(cls, path: str | os.PathLike[str] | None, capacity: int, identity: int = 0, /) -> Self: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...
    def push(self, record: bytes, order_text: bytes, /) -> bool: ...
    def read(self, count_max: int, /) -> bytes: ...
    def release(self, count: int, /) -> None: ...
    def rewind(self) -> None: ...
    def set_wall_offset(self, wall_offset_ns: int, /) -> None: ...
    def counters(self) -> dict[str, int]: ...
    def lost_by_reason(self) -> dict[int, int]: ...
    def measure_pushes(
        self, samples: npt.NDArray[np.uint32] | array.array[int], batch: int, drains: bool, /
    ) -> int: ...
    @classmethod
    def layout(cls) -> dict[str, int]: ...
    @property
    def identity(self) -> int: ...
    @property
    def capacity(self) -> int: ...
