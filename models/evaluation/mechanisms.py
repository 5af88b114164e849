"""What a detector finds of each mechanism, and which harmless ones alarm it: a crisis table hides in one recall.

At one false alarm a day, equal rate. Mechanisms stand in the order of their names, detectors in that of the leaderboard.
"""

import math
from dataclasses import dataclass

from models.evaluation.benchmark import Comparison, Result
from models.evaluation.measures import AtThreshold


@dataclass(frozen=True, slots=True)
class Cell:
    """One detector on one mechanism.

    Attributes:
        sessions: Events of the mechanism, or sessions of a harmless one.
        alarmed: Of them found; of harmless ones, falsely alarmed.
        median_lead_s: Over those found; NaN where none was, and for harmless ones.
    """

    sessions: int
    alarmed: int
    median_lead_s: float

    @property
    def share(self) -> float:
        """Which part was alarmed."""
        return self.alarmed / self.sessions


@dataclass(frozen=True, slots=True)
class ByMechanism:
    """The whole table.

    Attributes:
        crises: Mechanisms that are worth a warning.
        harmless: Mechanisms that are not.
        rows: Detector's name, its role and a cell for each of ``crises``, then of ``harmless``.
    """

    crises: tuple[str, ...]
    harmless: tuple[str, ...]
    rows: tuple[tuple[Result, tuple[Cell, ...]], ...]


def by_mechanism(comparison: Comparison) -> ByMechanism | None:
    """Return the table, or None where nothing is labelled."""
    heads = [(one, one.headline(past=False)) for one in comparison.results]
    crises = tuple(sorted({name for _, head in heads for name in head.by_mechanism if name != "recorded"}))
    harmless = tuple(sorted({name for _, head in heads for name in head.hard_by_mechanism}))
    if not crises and not harmless:
        return None
    return ByMechanism(crises, harmless, tuple((one, _cells(head, crises, harmless)) for one, head in heads))


def markdown(table: ByMechanism) -> str:
    """Return the table in Markdown: found of all and median lead; for harmless mechanisms, alarmed of all."""
    head = ["found, median lead s", *table.crises, *(f"{name} (harmless)" for name in table.harmless)]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for one, cells in table.rows:
        name = f"*{one.name}*" if one.role == "canary" else one.name
        lines.append(f"| {' | '.join([name, *(text_of(cell, ', ') for cell in cells)])} |")
    return "\n".join(lines) + "\n"


def text_of(cell: Cell, between: str) -> str:
    """Return a cell as text; ``between`` parts the count from the lead."""
    count = f"{cell.alarmed}/{cell.sessions}"
    return count if math.isnan(cell.median_lead_s) else f"{count}{between}{cell.median_lead_s:.1f}"


def _cells(head: AtThreshold, crises: tuple[str, ...], harmless: tuple[str, ...]) -> tuple[Cell, ...]:
    found = [head.by_mechanism[name] for name in crises]
    alarmed = [head.hard_by_mechanism[name] for name in harmless]
    return (
        *(Cell(own.events, own.found, own.median_lead_s) for own in found),
        *(Cell(sessions, raised, math.nan) for sessions, raised in alarmed),
    )
