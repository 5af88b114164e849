"""The accounts' rows of the limit table: what people granted each account, the firm as a whole, and sessions. Pure.

Invariant: the table holds what follows from the grants; an account that nobody granted anything has no row, or one that
blocks. A session is the other way round: it sends for accounts that are bounded, so without a row it has no rate of its own.
Rejected: a default account (a mistyped account id would trade under it).
"""

from typing import Final

from gate._native import LimitTable
from gate.errors import TableFullError
from gate.policy.administrators import NO_ACCOUNT, NO_SESSION
from gate.policy.commands import FIRM, CommandRefusedError, Scope, scope_of
from gate.policy.grants import Grants
from gate.policy.limits import account_fault, instrument_value_of, session_fault
from gate.rows import AccountRow
from schemas.records import AccountEnvelope, RiskCommand
from schemas.units import NS_PER_MS

SESSION: Final = "session"
_KINDS: Final = (FIRM, "account", SESSION)


class AccountBook:
    """The grants of every account, of the firm, and of the sessions that have a rate.

    Args:
        table: A table open for writing.
    """

    def __init__(self, table: LimitTable) -> None:
        self._table = table
        self._grants: dict[Scope, Grants[AccountEnvelope]] = {}

    def __len__(self) -> int:
        return len(self._grants)

    def change(self, command: RiskCommand, at_ns: int) -> str:
        """Apply ``SET_ACCOUNT`` and return what is in force, for a person.

        Raises:
            CommandRefusedError: See its causes.
            TableFullError: A new account has no room.
        """
        scope = scope_of(command, *_KINDS)
        if command.account is None:
            raise CommandRefusedError("no_account", "the command brings no account limits")
        is_session = scope.kind == SESSION
        if fault := account_fault(command.account) or (session_fault(command.account) if is_session else None):
            raise CommandRefusedError("bad_account", fault)
        nothing = NO_SESSION if is_session else NO_ACCOUNT
        held = self._grants.get(scope) or Grants(nothing, nothing)
        self._keep(scope, held.changed(command, command.account, at_ns))
        return f"limits of {scope} are set"

    def end(self, command: RiskCommand) -> bool:
        """End the loosening that ``command`` brought; false when a later one has taken its place."""
        scope = scope_of(command, *_KINDS)
        held = self._grants[scope]
        if not held.ends_with(command):
            return False
        self._keep(scope, held.ended(command))
        return True

    def move_to(self, table: LimitTable) -> None:
        """Write every account into ``table``, unset those of a past life, and go on with it.

        Raises:
            TableFullError: ``table`` is too small.
        """
        self._table = table
        for scope, grants in self._grants.items():
            self._keep(scope, grants)
        for unknown in set(table.accounts()) - {scope.hash for scope in self._grants}:
            table.put_account(AccountRow(unknown).pack())

    def _keep(self, scope: Scope, grants: Grants[AccountEnvelope]) -> None:
        if not self._table.put_account(_row(scope, grants.in_force()).pack()):
            raise TableFullError(str(scope), self._table.account_capacity)
        self._grants[scope] = grants


def _row(scope: Scope, limits: AccountEnvelope) -> AccountRow:
    return AccountRow(
        account=scope.hash,
        gross_value=limits.gross_value,
        net_value=limits.net_value,
        instrument_value=instrument_value_of(limits),
        credit=limits.credit,
        day_loss=limits.day_loss,
        drawdown=limits.drawdown,
        period_value=limits.period_value,
        basket_value=limits.basket_value,
        open_orders=limits.open_orders,
        messages_per_s=limits.messages_per_s,
        message_burst=limits.message_burst,
        repeats_max=limits.repeats_max,
        period_ns=None if limits.period_ms is None else limits.period_ms * NS_PER_MS,
        duplicate_ns=None if limits.duplicate_ms is None else limits.duplicate_ms * NS_PER_MS,
        class_mask=sum(1 << class_id for class_id in limits.class_ids or ()),
    )
