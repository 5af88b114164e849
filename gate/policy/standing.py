"""What people blocked, approved, re-enabled and located: the firm's switch and the sets of the limit table. Pure.

Invariants: a scope is blocked as long as any administrator blocks it; a block that finds no room blocks everybody, and a
permission that finds none is refused. Rejected: one switch per scope (a client could end what his broker blocked).
"""

from collections.abc import Collection

from gate import _native
from gate._native import LimitTable
from gate.policy.commands import (
    FIRM,
    HASHED,
    CommandRefusedError,
    pair_of,
    require_expiry,
    require_maker,
    require_two,
    scope_of,
)
from gate.policy.set_keeper import SetKeeper
from gate.rows import UNLIMITED
from schemas.records import CommandKind, RiskCommand


def named(administrators: Collection[str]) -> str:
    """Return administrators as words."""
    return ", ".join(name or "the firm" for name in sorted(administrators))


class Blocks:
    """Who blocks or restricts what."""

    def __init__(self) -> None:
        self._by: dict[str, frozenset[str]] = {}

    def by(self, scope: str) -> frozenset[str]:
        """Return the administrators who block ``scope``."""
        return self._by.get(scope, frozenset())

    def set(self, scope: str, administrators: frozenset[str]) -> None:
        """Note who blocks ``scope`` from now on."""
        if administrators:
            self._by[scope] = administrators
        else:
            self._by.pop(scope, None)


class Standing:
    """Everything of people that is no limit.

    Args:
        table: A table open for writing.
    """

    def __init__(self, table: LimitTable) -> None:
        self._table = table
        self.kills = Blocks()
        self.restrictions = Blocks()
        self._blocked = SetKeeper(table, _native.SET_BLOCKED)
        self._approved = SetKeeper(table, _native.SET_APPROVED)
        self._rearmed = SetKeeper(table, _native.SET_REARMED)
        self._located = SetKeeper(table, _native.SET_LOCATED)
        self._located_until: dict[int, int] = {}

    @property
    def firm_killed(self) -> bool:
        """Every account is blocked."""
        return bool(self.kills.by(FIRM))

    def kill(self, command: RiskCommand) -> str:
        """Apply ``KILL`` or ``REARM`` of anything but an instrument; return what is in force, for a person."""
        scope = scope_of(command, FIRM, *HASHED)
        if command.kind is CommandKind.KILL:
            require_maker(command)
            return self._block(self.kills, command, (str(scope), scope.hash))
        require_two(command, f"re-arming {scope}")
        if scope.kind == "strategy":
            self._permit(self._rearmed, scope.hash, self._rearmed.members.get(scope.hash, 0) + 1)
        return self._unblock(self.kills, command, (str(scope), scope.hash))

    def restrict_pair(self, command: RiskCommand) -> str:
        """Apply ``RESTRICT`` or ``UNRESTRICT`` of an account in one instrument; return what is in force, for a person."""
        scope = scope_of(command, "account")
        what = (f"{scope} in instrument {command.instrument_id}", pair_of(command, scope))
        if command.kind is CommandKind.RESTRICT:
            require_maker(command)
            return self._block(self.restrictions, command, what)
        require_two(command, f"ending the restriction of {what[0]}")
        return self._unblock(self.restrictions, command, what)

    def approve(self, command: RiskCommand, until_ns: int | None) -> str:
        """Apply ``APPROVE_ORDER``; ``until_ns`` is its end on the clock of orders, ``None`` = its own."""
        scope = scope_of(command, "order")
        require_two(command, f"approving {scope}")
        ends_ns = require_expiry(command, f"approving {scope}")
        self._permit(self._approved, scope.hash, ends_ns if until_ns is None else until_ns)
        return f"{scope} is approved"

    def locate(self, command: RiskCommand, until_ns: int | None) -> str:
        """Apply ``LOCATE``; ``until_ns`` as for :meth:`approve`."""
        scope = scope_of(command, "account")
        pair, qty = pair_of(command, scope), command.qty
        what = f"locating for {scope} in instrument {command.instrument_id}"
        if qty is None or not 0 <= qty <= UNLIMITED:
            raise CommandRefusedError("bad_qty", f"qty was {qty}, must be 0 to {UNLIMITED}")
        if qty > self._located.members.get(pair, 0):
            require_two(command, what)
            ends_ns = require_expiry(command, what)
            self._permit(self._located, pair, qty)
            self._located_until[pair] = ends_ns if until_ns is None else until_ns
        else:
            require_maker(command)
            self._located.put(pair, qty)
            if qty == 0:
                self._drop_located(pair)
        return f"{scope} may sell {qty} lots of instrument {command.instrument_id} short"

    def end(self, command: RiskCommand, until_ns: int) -> bool:
        """End what ``command`` permitted until ``until_ns``; false when a later one has taken its place."""
        if command.kind is CommandKind.APPROVE_ORDER:
            order = scope_of(command, "order").hash
            is_it = self._approved.members.get(order) == until_ns
            if is_it:
                self._approved.drop(order)
            return is_it
        pair = pair_of(command, scope_of(command, "account"))
        is_it = self._located_until.get(pair) == until_ns
        if is_it:
            self._drop_located(pair)
        return is_it

    def move_to(self, table: LimitTable) -> None:
        """Make the sets of ``table`` equal to these and go on with it; the firm's switch is left to the book."""
        self._table = table
        for keeper in (self._blocked, self._approved, self._rearmed, self._located):
            keeper.move_to(table)

    def _block(self, blocks: Blocks, command: RiskCommand, what: tuple[str, int]) -> str:
        name, scope_hash = what
        blocks.set(name, blocks.by(name) | {command.administrator})
        if name == FIRM:
            self._table.kill_firm(True)
        elif not self._blocked.put(scope_hash):
            return f"more than {_native.SET_CAPACITY} scopes are blocked, so everything is"
        return f"{name} is blocked by {named(blocks.by(name))}"

    def _unblock(self, blocks: Blocks, command: RiskCommand, what: tuple[str, int]) -> str:
        name, scope_hash = what
        blocks.set(name, blocks.by(name) - {command.administrator})
        if left := blocks.by(name):
            return f"{name} stays blocked by {named(left)}"
        if name == FIRM:
            self._table.kill_firm(False)
        elif not self._blocked.drop(scope_hash):
            return f"{name} is open, but more than {_native.SET_CAPACITY} scopes are blocked, so everything is"
        return f"{name} is open"

    def _permit(self, keeper: SetKeeper, scope_hash: int, number: int) -> None:
        before = keeper.members.get(scope_hash)
        if keeper.put(scope_hash, number):
            return
        keeper.drop(scope_hash)
        if before is not None:
            keeper.put(scope_hash, before)
        raise CommandRefusedError("table_full", f"the limit table holds {_native.SET_CAPACITY} of these at once")

    def _drop_located(self, pair: int) -> None:
        self._located_until.pop(pair, None)
        self._located.drop(pair)
