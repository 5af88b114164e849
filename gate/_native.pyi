import array
import os
from types import TracebackType
from typing import Final, NamedTuple, Self

import numpy as np
import numpy.typing as npt

ORDER_NEW: Final = 0
ORDER_REPLACE: Final = 1
ORDER_CANCEL: Final = 2
ORDER_BUY: Final = 1
ORDER_SELL: Final = 2
ORDER_LIMIT: Final = 1
ORDER_MARKET: Final = 2

ACCOUNTS_MAX: Final[int]
BAND_BPS_MAX: Final[int]
MODEL_ID_BYTES_MAX: Final[int]
ROW_BYTES: Final[int]
REASONS: Final[tuple[str, ...]]

class LimitTableError(Exception): ...

# Built in C as a structure sequence: a tuple with names, like a NamedTuple.
class LimitRow(NamedTuple):
    instrument_id: int
    envelope_qty: int | None
    dynamic_qty: int | None
    stale_qty: int | None
    envelope_band_bps: int | None
    dynamic_band_bps: int | None
    stale_band_bps: int | None
    halted: bool
    killed: bool
    stale: bool
    tier: int
    ref_price: int
    valid_until_ns: int
    epoch: int
    tick_ns: int
    model_id: str
    score: float
    written_ns: int

class Decision(NamedTuple):
    reason: int
    limit: int | None
    observed: int | None
    stale: bool
    tier: int
    epoch: int
    tick_ns: int
    model_id: str
    score: float

class LimitTable:
    @classmethod
    def create(cls, path: str | os.PathLike[str], capacity: int, /) -> Self: ...
    @classmethod
    def attach(cls, path: str | os.PathLike[str], /) -> Self: ...
    @classmethod
    def private(cls, capacity: int, /) -> Self: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...
    def put(
        self,
        instrument_id: int,
        *,
        envelope_qty: int | None = None,
        dynamic_qty: int | None = None,
        stale_qty: int | None = None,
        envelope_band_bps: int | None = None,
        dynamic_band_bps: int | None = None,
        stale_band_bps: int | None = None,
        halted: bool = False,
        killed: bool = False,
        stale: bool = False,
        tier: int = 0,
        ref_price: int = 0,
        valid_until_ns: int = 0,
        epoch: int = 0,
        tick_ns: int = 0,
        model_id: str = "",
        score: float = 0.0,
        written_ns: int = 0,
    ) -> bool: ...
    def read(self, instrument_id: int, /) -> LimitRow | None: ...
    def check(
        self,
        instrument_id: int,
        account_hash: int,
        action: int,
        side: int,
        order_type: int,
        qty: int,
        price: int,
        now_ns: int,
        /,
    ) -> int: ...
    def decide(
        self,
        instrument_id: int,
        account_hash: int,
        action: int,
        side: int,
        order_type: int,
        qty: int,
        price: int,
        now_ns: int,
        /,
    ) -> Decision: ...
    def instrument_ids(self) -> list[int]: ...
    def kill_firm(self, killed: bool, /) -> None: ...
    def kill_account(self, account_hash: int, /) -> bool: ...
    def rearm_account(self, account_hash: int, /) -> None: ...
    def killed_accounts(self) -> list[int]: ...
    def accounts_fit(self) -> None: ...
    def heartbeat(self, now_ns: int, epoch: int, /) -> None: ...
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
    def firm_killed(self) -> bool: ...
    @property
    def accounts_overflowed(self) -> bool: ...

def account_hash(account: str, /) -> int: ...
def measure_checks(
    table: LimitTable,
    orders: list[tuple[int, int, int, int, int, int, int, int]],
    samples: npt.NDArray[np.uint32] | array.array[int],
    floor: npt.NDArray[np.uint32] | array.array[int],
    /,
) -> tuple[float, int, int]: ...
