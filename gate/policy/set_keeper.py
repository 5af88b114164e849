"""What this writer wants in one set of the limit table, and how it gets it there.

Invariant: a set that does not hold every member is overflowed, which readers take as the worst; the book knows all
members, so the set heals as soon as there is room. Rejected: refusing the member that does not fit (a kill that is
refused would be worse than one that reaches too far).
"""

from gate._native import LimitTable


class SetKeeper:
    """One set.

    Args:
        table: A table open for writing.
        kind: ``SET_BLOCKED``, ``SET_APPROVED``, ``SET_REARMED`` or ``SET_LOCATED``.
    """

    def __init__(self, table: LimitTable, kind: int) -> None:
        self._table = table
        self._kind = kind
        self.members: dict[int, int] = {}

    def put(self, scope_hash: int, number: int = 0) -> bool:
        """Keep a member and its number; false when the set does not hold all members."""
        self.members[scope_hash] = number
        return self._table.set_put(self._kind, scope_hash, number) and not self._table.set_overflowed(self._kind)

    def drop(self, scope_hash: int) -> bool:
        """Forget a member; false when the set does not hold all others."""
        self.members.pop(scope_hash, None)
        self._table.set_drop(self._kind, scope_hash)
        return not self._table.set_overflowed(self._kind) or self._list_all()

    def move_to(self, table: LimitTable) -> bool:
        """Make the set of ``table`` equal to this one and go on with it; false when it does not hold all members."""
        self._table = table
        for unknown in table.set_members(self._kind).keys() - self.members.keys():
            table.set_drop(self._kind, unknown)
        return self._list_all()

    def _list_all(self) -> bool:
        listed = [self._table.set_put(self._kind, member, number) for member, number in self.members.items()]
        if all(listed):
            self._table.set_fit(self._kind)
        return all(listed)
