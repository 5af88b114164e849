"""What a check found: well, worth a look, or broken, with what mends it.

Invariant: a check that cannot look says so and is no pass; nothing that a check meets ends the others.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is; ``FAIL`` alone makes the command fail."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor.

    Attributes:
        check: What was looked at.
        level: How bad it is.
        says: What was found.
        mend: What to do; empty where all is well.
    """

    check: str
    level: Level
    says: str
    mend: str = ""


Check = Callable[[], Finding]


def ok(check: str, says: str) -> Finding:
    """Return that all is well."""
    return Finding(check, Level.OK, says)


def warn(check: str, says: str, mend: str) -> Finding:
    """Return what is worth a look."""
    return Finding(check, Level.WARN, says, mend)


def fail(check: str, says: str, mend: str) -> Finding:
    """Return what is broken."""
    return Finding(check, Level.FAIL, says, mend)


def judged(check: str, faults: Iterable[str], *, well: str, mend: str) -> Finding:
    """Return a failure that lists ``faults``, or that all is well where there are none."""
    found = list(faults)
    return fail(check, "; ".join(found), mend) if found else ok(check, well)


def looked(name: str, check: Check) -> Finding:
    """Return what ``check`` found; one that cannot look is a failure that says why."""
    try:
        return check()
    except Exception as error:  # noqa: BLE001 - the doctor goes on to the next patient
        return fail(
            name, f"could not look: {type(error).__name__}: {error}", "mend what is named, and run the doctor again"
        )
