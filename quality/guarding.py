"""Sessions of ticks before a model learns from them: the suite of ticks on every row, by the compiled checks.

Invariant: a session that breaks a critical law is named with the law, how many rows, and the first of them; nothing is cut out and
nothing repaired, because a model must not depend on what a repair guessed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from quality.rows import findings, with_derived
from quality.ticks import SUITE, columns_of_ticks
from quality.verdicts import described
from schemas.ticks import Ticks

EXAMPLES_SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class Fault:
    """What one law found in one session.

    Attributes:
        session: Number of the session, from 0.
        law: Name of the law.
        is_critical: A model may not learn from it.
        unexpected: Rows that break it.
        rows: Rows of the session.
        detail: One sentence with the first rows: instrument and tick.
    """

    session: int
    law: str
    is_critical: bool
    unexpected: int
    rows: int
    detail: str

    def __str__(self) -> str:
        return f"session {self.session}: {self.law}: {self.detail}"


def faults_of(sessions: Iterable[Sequence[Ticks]]) -> list[Fault]:
    """Return what breaks the laws of ticks, critical ones first, then by session.

    Args:
        sessions: Messages of ticks of one channel each; a session without rows has no faults.
    """
    found = []
    for number, session in enumerate(sessions):
        if not sum(message.row_count for message in session):
            continue
        columns = columns_of_ticks(session)
        broken = [one for one in findings(SUITE, columns) if not one.passed]
        whole = with_derived(SUITE, columns, [one.law for one in broken])
        found += [
            Fault(
                session=number,
                law=one.law.name,
                is_critical=one.law.severity == "critical",
                unexpected=len(one.unexpected),
                rows=one.rows,
                detail=described(SUITE, one, whole, examples=EXAMPLES_SHOWN),
            )
            for one in broken
        ]
    return sorted(found, key=lambda fault: (not fault.is_critical, fault.session, fault.law))


def counts_of(faults: Sequence[Fault]) -> dict[str, int]:
    """Return rows by law, over all sessions."""
    counts: dict[str, int] = {}
    for fault in faults:
        counts[fault.law] = counts.get(fault.law, 0) + fault.unexpected
    return dict(sorted(counts.items()))
