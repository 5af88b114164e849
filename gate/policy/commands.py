"""Commands of people: which causes refuse them, who must stand behind them, and what their scopes mean. Pure.

Invariant: what loosens has two people behind it and a reason; what tightens has one (``schemas.people``).
"""

from dataclasses import dataclass
from typing import Final

from gate._native import pair_hash, scope_hash
from schemas.people import Fault, fault_of_expiry, fault_of_one, fault_of_two
from schemas.records import RiskCommand

INSTRUMENT_ID_MAX: Final = 2**32 - 1
FIRM: Final = "firm"
INSTRUMENT: Final = "instrument"
HASHED: Final = ("account", "desk", "trader", "strategy", "venue", "session")
"""What can be blocked by the hash of its scope."""


@dataclass(frozen=True, slots=True)
class CommandOutcome:
    """What became of a command.

    Attributes:
        applied: It is in force.
        cause: ``applied``, ``ignored`` (not the gate's business), ``duplicate``, ``expired``, ``bad_scope``,
            ``no_envelope``, ``bad_envelope``, ``no_account``, ``bad_account``, ``bad_instrument``, ``bad_qty``,
            ``no_maker``, ``no_checker``, ``same_person``, ``no_reason``, ``no_expiry`` or ``table_full``.
        detail: One sentence for a person.
    """

    applied: bool
    cause: str
    detail: str


class CommandRefusedError(ValueError):
    """A command that must not be applied; ``cause`` is that of its outcome."""

    def __init__(self, cause: str, detail: str) -> None:
        super().__init__(detail)
        self.cause = cause


@dataclass(frozen=True, slots=True)
class Scope:
    """A scope taken apart: ``firm``, or a kind and the name of one of that kind."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}" if self.name else self.kind

    @property
    def hash(self) -> int:
        """The hash under which orders carry it."""
        return scope_hash(str(self))


def scope_of(command: RiskCommand, *kinds: str) -> Scope:
    """Return the scope of ``command``, which must be of one of ``kinds``.

    Raises:
        CommandRefusedError: ``bad_scope``.
    """
    kind, _, name = command.scope.partition(":")
    if kind not in kinds or bool(name) == (kind == FIRM) or command.scope != str(Scope(kind, name)):
        raise CommandRefusedError("bad_scope", f"scope was {command.scope!r}, must be of {' or '.join(kinds)}")
    return Scope(kind, name)


def instrument_id_of(scope: Scope) -> int:
    """Return the instrument that a scope names.

    Raises:
        CommandRefusedError: ``bad_scope``.
    """
    name = scope.name
    if not (name.isascii() and name.isdigit() and len(name) <= 10 and 1 <= int(name) <= INSTRUMENT_ID_MAX):
        raise CommandRefusedError("bad_scope", f"instrument id was {name!r}, must be 1 to {INSTRUMENT_ID_MAX}")
    return int(name)


def pair_of(command: RiskCommand, scope: Scope) -> int:
    """Return the hash of an account in the instrument that the command names.

    Raises:
        CommandRefusedError: ``bad_instrument``.
    """
    instrument_id = command.instrument_id
    if instrument_id is None or not 1 <= instrument_id <= INSTRUMENT_ID_MAX:
        raise CommandRefusedError(
            "bad_instrument", f"instrument id was {instrument_id}, must be 1 to {INSTRUMENT_ID_MAX}"
        )
    return pair_hash(scope.hash, instrument_id)


def require_maker(command: RiskCommand) -> None:
    """Demand somebody behind the command, and that its checker, where it has one, is somebody else.

    Raises:
        CommandRefusedError: ``no_maker`` or ``same_person``.
    """
    _refuse(fault_of_one(command))


def require_two(command: RiskCommand, what: str) -> None:
    """Demand maker, checker and reason of a command that loosens; ``what`` says what.

    Raises:
        CommandRefusedError: ``no_maker``, ``same_person``, ``no_checker`` or ``no_reason``.
    """
    _refuse(fault_of_two(command, what))


def require_expiry(command: RiskCommand, what: str) -> int:
    """Demand an end, and return it.

    Raises:
        CommandRefusedError: ``no_expiry``.
    """
    _refuse(fault_of_expiry(command, what))
    assert command.expires_ns is not None, "an end was demanded"
    return command.expires_ns


def _refuse(fault: Fault | None) -> None:
    if fault is not None:
        raise CommandRefusedError(*fault)
