"""The accounts' rows of the limit table: what people granted each account, and the firm as a whole. Pure.

Invariant: the table holds what follows from the grants; an account that nobody granted anything has no row, or one that
blocks. Rejected: a default account (a mistyped account id would trade under it).
"""

from gate._native import LimitTable
from gate.errors import TableFullError
from gate.policy.administrators import NO_ACCOUNT
from gate.policy.commands import CommandRefusedError, Scope, scope_of
from gate.policy.grants import Grants
from gate.policy.limits import account_fault, instrument_value_of
from gate.rows import AccountRow
from schemas.records import AccountEnvelope, RiskCommand
from schemas.units import NS_PER_MS


class AccountBook:
    """The grants of every account.

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
        scope = scope_of(command, "firm", "account")
        if command.account is None:
            raise CommandRefusedError("no_account", "the command brings no account limits")
        if fault := account_fault(command.account):
            raise CommandRefusedError("bad_account", fault)
        held = self._grants.get(scope) or Grants(NO_ACCOUNT, NO_ACCOUNT)
        self._keep(scope, held.changed(command, command.account, at_ns))
        return f"limits of {scope} are set"

    def end(self, command: RiskCommand) -> bool:
        """End the loosening that ``command`` brought; false when a later one has taken its place."""
        scope = scope_of(command, "firm", "account")
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
