from typing import Any, Final, Self

import numpy.typing as npt

FEATURE_COUNT: Final[int]

class Kernel:
    def __new__(cls) -> Self: ...
    def apply(
        self,
        ts_event_ns: npt.NDArray[Any],
        instrument_id: npt.NDArray[Any],
        kind: npt.NDArray[Any],
        side: npt.NDArray[Any],
        order_id: npt.NDArray[Any],
        price: npt.NDArray[Any],
        qty: npt.NDArray[Any],
        seq_first: int,
        seq_last: int,
        ts_last_ns: int,
        flags: int,
        /,
    ) -> tuple[int, int, bytes, bytes, bytes, bytes, bytes]: ...
    def apply_timed(
        self,
        ts_event_ns: npt.NDArray[Any],
        instrument_id: npt.NDArray[Any],
        kind: npt.NDArray[Any],
        side: npt.NDArray[Any],
        order_id: npt.NDArray[Any],
        price: npt.NDArray[Any],
        qty: npt.NDArray[Any],
        seq_first: int,
        seq_last: int,
        ts_last_ns: int,
        flags: int,
        /,
    ) -> tuple[bytes, bytes]: ...
    def snapshot(self) -> bytes: ...
    @classmethod
    def restore(cls, raw: bytes, /) -> Self: ...
    def counters(self) -> dict[str, int]: ...
    def levels(self, instrument_id: int, levels_max: int, /) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]: ...
    @property
    def last_seq(self) -> int: ...
    @property
    def last_ts_ns(self) -> int: ...
