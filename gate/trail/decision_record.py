"""One entry of the decision ring, and the published decision that it becomes. Pure: bytes in, records out.

Invariant: every entry that is not torn becomes a decision, whatever is in it: an order is refused for being invalid, and its
refusal must be readable all the same. What has no name here keeps its hash as ``#`` and 16 hexadecimal digits.
"""

import struct
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from gate._native import REASONS, RULES
from schemas.orders import OrderAction, OrderDecision, OrderSide, OrderType, Verdict, decision_id
from schemas.tiers import Tier

ENFORCER: Final = "gate"
TEXT_BYTES: Final = 64
"""Longest order id that an entry holds whole; a longer one is cut and its hash is put behind it."""

WARNED: Final = 1
HAS_NUMBERS: Final = 2
STALE: Final = 4
HAS_LEDGER: Final = 8
TORN: Final = 16
_POST_ONLY: Final = 1
_REDUCE_ONLY: Final = 2

_ACTIONS: Final = {0: OrderAction.NEW, 1: OrderAction.REPLACE, 2: OrderAction.CANCEL}
_SIDES: Final = {1: OrderSide.BUY, 2: OrderSide.SELL}
_TYPES: Final = {1: OrderType.LIMIT, 2: OrderType.MARKET}
_VERDICTS: Final = {0: Verdict.ACCEPT, 1: Verdict.REJECT, 2: Verdict.PEND}


class DecisionEntry(NamedTuple):
    """``struct decision_record`` of ``decision_ring.h``, field for field; those of the order stand in a row.

    Ids are hashes of scopes, 0 = none; ``marks`` are the flags above; ``wall_offset_ns`` is epoch time less ``now_ns``.
    """

    seq: int = 0
    now_ns: int = 0
    wall_offset_ns: int = 0
    instrument_id: int = 0
    order_id: int = 0
    target_id: int = 0
    account: int = 0
    trader: int = 0
    desk: int = 0
    strategy: int = 0
    venue: int = 0
    session: int = 0
    parent: int = 0
    basket: int = 0
    qty: int = 0
    price: int = 0
    action: int = 0
    side: int = 0
    type: int = 0
    flags: int = 0
    limit: int = 0
    observed: int = 0
    worst_price: int = 0
    ref_price: int = 0
    epoch: int = 0
    tick_ns: int = 0
    score: float = 0.0
    position_before: int = 0
    working_buy_before: int = 0
    working_sell_before: int = 0
    model_id: bytes = b""
    reason: int = 0
    text_length: int = 0
    verdict: int = 0
    tier: int = 0
    marks: int = 0
    order_text: bytes = b""


RECORD: Final = struct.Struct(f"@Qqqq10Qqq4Bqqqqqqdqqq24sHHBBB{TEXT_BYTES}sx")
"""Native alignment, as the compiler lays the structure out; a test compares every offset with C's."""


def entries_of(raw: bytes) -> Iterator[DecisionEntry]:
    """Yield the entries in what ``DecisionRing.read`` returned."""
    return map(DecisionEntry._make, RECORD.iter_unpack(raw))


def is_torn(entry: DecisionEntry) -> bool:
    """Return whether the process died while it wrote the entry, so that nothing else in it means anything."""
    return bool(entry.marks & TORN)


def to_decision(entry: DecisionEntry, accounts: Mapping[int, str], *, instance: str) -> OrderDecision:
    """Return what an entry says as the record that is published.

    Args:
        entry: An entry that is not torn.
        accounts: Account id by its hash.
        instance: Which ring of which process; ``seq`` is unique within it.
    """
    account_id, order_id = accounts.get(entry.account) or _unnamed(entry.account), _order_id(entry)
    has_numbers, has_ledger = bool(entry.marks & HAS_NUMBERS), bool(entry.marks & HAS_LEDGER)
    order_type = _TYPES.get(entry.type)
    return OrderDecision(
        order_id=order_id,
        account_id=account_id,
        instrument_id=entry.instrument_id,
        ts_event_ns=decided_at_ns(entry),
        enforcer=ENFORCER,
        verdict=_VERDICTS.get(entry.verdict, Verdict.REJECT),
        reason=REASONS[entry.reason] if entry.reason < len(REASONS) else f"reason_{entry.reason}",
        limit=entry.limit if has_numbers else None,
        observed=entry.observed if has_numbers else None,
        tier=Tier(entry.tier & 3),
        stale=bool(entry.marks & STALE),
        epoch=entry.epoch,
        tick_ns=entry.tick_ns,
        model_id=entry.model_id.rstrip(b"\0").decode("ascii", "replace"),
        score=entry.score,
        decision_id=decision_id(account_id, order_id, enforcer=ENFORCER, instance=instance, seq=entry.seq),
        instance=instance,
        seq=entry.seq,
        decided_ns=entry.now_ns,
        rule_id=RULES[entry.reason] if entry.reason < len(RULES) else "",
        warned=bool(entry.marks & WARNED),
        ref_price=entry.ref_price if entry.ref_price > 0 else None,
        worst_price=entry.worst_price or None,
        action=_ACTIONS.get(entry.action),
        side=_SIDES.get(entry.side),
        order_type=order_type,
        qty=entry.qty,
        price=None if order_type is OrderType.MARKET and not entry.price else entry.price,
        post_only=bool(entry.flags & _POST_ONLY),
        reduce_only=bool(entry.flags & _REDUCE_ONLY),
        position_before=entry.position_before if has_ledger else None,
        working_buy_before=entry.working_buy_before if has_ledger else None,
        working_sell_before=entry.working_sell_before if has_ledger else None,
    )


def decided_at_ns(entry: DecisionEntry) -> int:
    """Return the epoch time of a decision, ns."""
    return entry.now_ns + entry.wall_offset_ns


def _unnamed(number: int) -> str:
    return f"#{number:016x}"


def _order_id(entry: DecisionEntry) -> str:
    if entry.text_length == 0:
        return _unnamed(entry.order_id)
    text = entry.order_text[: entry.text_length].decode("utf-8", "replace")
    return text if entry.text_length <= TEXT_BYTES else f"{text}{_unnamed(entry.order_id)}"
