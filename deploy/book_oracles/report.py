"""What `tidegate verify book` found."""

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(slots=True)
class BookReport:
    """Comparison of the kernel's books with a venue's own.

    Attributes:
        states: Venue states compared.
        exact: States that are equal on everything the venue shows.
        adopted: Levels that had to be taken from the venue, because they lay beyond what it had shown before.
        first_mismatch: Place and both values of the first state that differs, ``None`` where there is none.
        counts: What else there is to say: events, unknown orders, gaps, end state.
    """

    states: int = 0
    exact: int = 0
    adopted: int = 0
    first_mismatch: str | None = None
    counts: dict[str, Any] = field(default_factory=dict)

    def compare(self, place: str, ours: object, theirs: object) -> None:
        """Count one state."""
        self.states += 1
        if ours == theirs:
            self.exact += 1
        elif self.first_mismatch is None:
            self.first_mismatch = f"{place}: book {ours}, venue {theirs}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as printed."""
        return asdict(self)
