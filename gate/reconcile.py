"""The ledger against the drop copy: what we believe each account holds, and what the venue says on a line of its own. Pure.

Invariant: what the drop copy and the order session both reported leaves no difference; a difference that stays (one line may
be ahead of the other for a while) is told with both numbers, and again whenever it has changed. Rejected: comparing the
reports of both lines alone (the ledger could have lost one and nobody would see it).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from schemas.records import AlertKind, ExecutionKind, ExecutionSource, OrderExecution, OrderSide, RiskAlert, Tier
from schemas.units import NS_PER_S

SOURCE: Final = "gate.reconcile"
SETTLE_NS: Final = 2 * NS_PER_S
"""How long one line may be ahead of the other."""
_SEEN_MAX: Final = 65_536
_NAMED_MAX: Final = 3

Where = tuple[str, int]
"""Account and instrument."""


@dataclass(slots=True)
class _Pair:
    """One account in one instrument."""

    copied_lots: int = 0  # bought less sold, according to the drop copy
    differs_since_ns: int | None = None
    told_lots: int = 0
    alone: dict[str, None] = field(default_factory=dict)  # executions that one line alone has reported


class Reconciler:
    """Compares, from the positions that the ledger held at its start.

    Args:
        held: The ledger's positions before the first report, lots; what is missing is 0.
        settle_ns: How long one line may be ahead, on the clock of :meth:`check`.
    """

    def __init__(self, held: Mapping[Where, int], *, settle_ns: int = SETTLE_NS) -> None:
        self._base = dict(held)
        self._settle_ns = settle_ns
        self._pairs: dict[Where, _Pair] = {}
        self._seen: dict[tuple[bool, str, str, str], None] = {}
        self.mismatches = 0

    def take(self, execution: OrderExecution) -> None:
        """Take a report of either line, once however often it comes; fills count."""
        if execution.kind is not ExecutionKind.FILLED:
            return
        is_copy = execution.source is ExecutionSource.DROP_COPY
        key = (is_copy, execution.account_id, execution.venue_id, execution.exec_id)
        if key in self._seen:
            return
        self._seen[key] = None
        if len(self._seen) > _SEEN_MAX:
            del self._seen[next(iter(self._seen))]
        pair = self._pairs.setdefault((execution.account_id, execution.instrument_id), _Pair())
        if is_copy:
            pair.copied_lots += execution.qty if execution.side is OrderSide.BUY else -execution.qty
            if not execution.order_id:
                return  # the ledger books it from this line: there is no other
        name = f"{execution.venue_id}/{execution.exec_id}"
        if name in pair.alone:
            del pair.alone[name]
        elif len(pair.alone) < _SEEN_MAX:
            pair.alone[name] = None

    def set_position(self, where: Where, lots: int) -> None:
        """Take a position from the books of record: ledger and drop copy agree on it."""
        pair = self._pairs.setdefault(where, _Pair())
        self._base[where] = lots - pair.copied_lots
        pair.alone.clear()

    def check(self, positions: Mapping[Where, int], now_ns: int, *, wall_ns: int) -> list[RiskAlert]:
        """Return an alert for each difference that has stayed, or has changed since it was told.

        Args:
            positions: The ledger's positions, lots; what is missing is 0.
            now_ns: A clock that does not go back.
            wall_ns: Time of the alerts.
        """
        alerts = []
        for where, pair in self._pairs.items():
            booked, copied = positions.get(where, 0), self._base.get(where, 0) + pair.copied_lots
            if booked == copied:
                pair.differs_since_ns, pair.told_lots = None, 0
                continue
            if pair.differs_since_ns is None:
                pair.differs_since_ns = now_ns
            if now_ns - pair.differs_since_ns >= self._settle_ns and booked - copied != pair.told_lots:
                pair.told_lots = booked - copied
                self.mismatches += 1
                alerts.append(_alert(where, (booked, copied), list(pair.alone), wall_ns=wall_ns))
        return alerts


def _alert(where: Where, lots: tuple[int, int], alone: list[str], *, wall_ns: int) -> RiskAlert:
    account_id, instrument_id = where
    booked, copied = lots
    names = ", ".join(alone[:_NAMED_MAX]) + (f" and {len(alone) - _NAMED_MAX} more" if len(alone) > _NAMED_MAX else "")
    message = f"account {account_id}, instrument {instrument_id}: the ledger says {booked} lots, the drop copy {copied}"
    return RiskAlert(
        alert_id=f"{AlertKind.POSITION_MISMATCH}:{account_id}:{instrument_id}:{booked}:{copied}:{wall_ns}",
        kind=AlertKind.POSITION_MISMATCH,
        instrument_id=instrument_id,
        ts_ns=wall_ns,
        epoch=0,
        tier=Tier.NORMAL,
        message=f"{message} (reported by one side alone: {names or 'none'})",
        source=SOURCE,
    )
