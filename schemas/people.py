"""Who must stand behind a command: one person to tighten, two and a reason to loosen. Pure.

Invariant: nobody is two people by writing his name in another case or with other spaces. The scorer (releases) and the gate (all
else) ask the same questions. Rejected: trusting the sender of a command to have asked them (the topic has several writers).
"""

from enum import StrEnum
from typing import NamedTuple, Protocol

from schemas.orders import FactKind, OrderFact
from schemas.records import RiskCommand


class Fault(NamedTuple):
    """Why a command must not be applied: ``no_maker``, ``same_person``, ``no_checker``, ``no_reason`` or ``no_expiry``."""

    cause: str
    detail: str


class Signed(Protocol):
    """What people stand behind: a command, or a position set by hand."""

    @property
    def kind(self) -> StrEnum:
        """What they want."""

    @property
    def maker(self) -> str:
        """Who asked."""

    @property
    def checker(self) -> str | None:
        """The second person."""

    @property
    def reason(self) -> str:
        """Why."""


def message_key(command: RiskCommand) -> str:
    """Return what tells messages of a command apart: what a maker proposed and what a checker approved bear one id."""
    return f"{command.command_id}\n{command.checker or ''}"


def fault_of_one(command: Signed) -> Fault | None:
    """Return what is wrong with the people behind a command that one person may give; ``None`` = nothing."""
    maker = _identity(command.maker)
    if not maker:
        return Fault("no_maker", f"{command.kind} needs a maker")
    if command.checker is not None and _identity(command.checker) == maker:
        return Fault("same_person", f"maker and checker are both {command.maker}")
    return None


def fault_of_two(command: Signed, what: str) -> Fault | None:
    """Return what is wrong with the people behind a command that needs two; ``what`` says what it would do."""
    if fault := fault_of_one(command):
        return fault
    if command.checker is None or not _identity(command.checker):
        return Fault("no_checker", f"{what} needs a second person")
    if not command.reason.strip():
        return Fault("no_reason", f"{what} needs a reason")
    return None


def fault_of_fact(fact: OrderFact) -> Fault | None:
    """Return what is wrong with the people behind a fact; only a position set by hand needs any."""
    return fault_of_two(fact, "a position set by hand") if fact.kind is FactKind.POSITION_SET else None


def fault_of_expiry(command: RiskCommand, what: str) -> Fault | None:
    """Return a fault when the command has no end."""
    return Fault("no_expiry", f"{what} needs an end (expires_ns)") if command.expires_ns is None else None


def _identity(person: str) -> str:
    return " ".join(person.split()).casefold()
