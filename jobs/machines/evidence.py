"""What orders were judged by, kept next to them: the rows of the limit table that changed since the last order.

A restored operator must book again what the lost one booked, but rules go on changing and come from another topic. So each
kept message brings the rows that it was judged by. Invariant: a table to which the evidence of all messages was applied, in
order, answers every one of them as the live table did. Rejected: keeping the rules themselves (every risk state of every
instrument, for orders that mostly concern a few).
"""

import struct
from collections.abc import Iterable, Sequence
from typing import Final

from gate import _native
from gate._native import LimitTable

_ROW: Final = b"i"
_ACCOUNT: Final = b"a"
_POLICY: Final = b"p"
_SETS: Final = (_native.SET_BLOCKED, _native.SET_APPROVED, _native.SET_REARMED, _native.SET_LOCATED)
_MEMBER: Final = struct.Struct("<BQq")


class Evidence:
    """Which rows of a live table have changed since they were last put down."""

    def __init__(self, table: LimitTable) -> None:
        self._table = table
        self._changed: set[int] = set()
        self._policy_changed = True
        self._everything = True

    def note_row(self, instrument_id: int) -> None:
        """Note that an instrument's row was written."""
        self._changed.add(instrument_id)

    def note_policy(self) -> None:
        """Note that anything may have been written: a command, or the end of one."""
        self._everything = self._policy_changed = True

    def start_anew(self) -> None:
        """Forget what was put down: what comes next stands on nothing before it."""
        self.note_policy()

    def collect(self, instruments: Iterable[int]) -> list[bytes]:
        """Return what must be put down before messages about ``instruments`` are judged."""
        parts = []
        if self._policy_changed:
            parts = [_policy(self._table), *(_ACCOUNT + raw for raw in _accounts(self._table))]
        if self._everything:
            self._changed = set(self._table.instrument_ids())
        self._everything = self._policy_changed = False
        due = self._changed.intersection(instruments)
        self._changed -= due
        for instrument_id in sorted(due):
            raw = self._table.read(instrument_id)
            if raw is not None:
                parts.append(_ROW + raw)
        return parts


def apply(parts: Sequence[bytes], table: LimitTable) -> None:
    """Write what was put down into ``table``."""
    for part in parts:
        tag, raw = part[:1], part[1:]
        if tag == _ROW:
            table.put(raw)
        elif tag == _ACCOUNT:
            table.put_account(raw)
        else:
            _apply_policy(raw, table)


def _accounts(table: LimitTable) -> Iterable[bytes]:
    found = (table.read_account(account) for account in table.accounts())
    return [raw for raw in found if raw is not None]


def _policy(table: LimitTable) -> bytes:
    """Return firm switch, overflows and members of the sets."""
    overflowed = sum(1 << kind for kind in _SETS if table.set_overflowed(kind))
    members = [
        _MEMBER.pack(kind, member, number)
        for kind in _SETS
        for member, number in sorted(table.set_members(kind).items())
    ]
    return _POLICY + bytes([table.firm_killed, overflowed]) + b"".join(members)


def _apply_policy(raw: bytes, table: LimitTable) -> None:
    table.kill_firm(bool(raw[0]))
    wanted: dict[int, dict[int, int]] = {kind: {} for kind in _SETS}
    for kind, member, number in _MEMBER.iter_unpack(raw[2:]):
        wanted[kind][member] = number
    for kind, members in wanted.items():
        for gone in table.set_members(kind).keys() - members.keys():
            table.set_drop(kind, gone)
        for member, number in members.items():
            table.set_put(kind, member, number)
        if raw[1] >> kind & 1:
            table.set_put(kind, 0, 0)  # hash 0 never fits: the set is overflowed, as it was
        else:
            table.set_fit(kind)
