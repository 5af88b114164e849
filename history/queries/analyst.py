"""The analysts' questions: a file of SQL each in ``history/analyst``, whose first line says what is asked.

Invariant: a question takes only the parameters of ``DEFAULTS``, and each has a default where one makes sense, so every question can
be asked by its name alone but those about one instrument. ``docs/analyst.md`` shows each with what it answers, and a test runs it.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from history.statement import Statement, Value

FOLDER: Final = Path(__file__).parents[1] / "analyst"
DEFAULTS: Final[dict[str, Value]] = {
    "instrument": None,
    "since": "1970-01-02 00:00:00",  # reference data is of the first of January
    "until": "2100-01-01 00:00:00",
}
_PLACE: Final = re.compile(r"\{(\w+):")


class QuestionError(ValueError):
    """There is no such question, or a parameter is missing or unknown; the message says which."""


@dataclass(frozen=True, slots=True)
class Question:
    """One question.

    Attributes:
        name: Its name.
        asks: What is asked, one sentence.
        sql: SQL with placeholders.
    """

    name: str
    asks: str
    sql: str

    @property
    def parameters(self) -> frozenset[str]:
        """Names of its parameters."""
        return frozenset(_PLACE.findall(self.sql))

    def statement(self, **given: Value) -> Statement:
        """Return it with values: ``instrument`` an id, ``since`` and ``until`` times in UTC as text.

        Raises:
            QuestionError: A parameter is missing, or the question has none of that name.
        """
        if unknown := sorted(given.keys() - self.parameters):
            raise QuestionError(f"{self.name} has no {', '.join(unknown)}; it has {', '.join(sorted(self.parameters))}")
        values = {name: given.get(name, DEFAULTS.get(name)) for name in sorted(self.parameters)}
        if missing := [name for name, value in values.items() if value is None]:
            raise QuestionError(f"{self.name} needs {', '.join(missing)}")
        return Statement(self.sql, values)


def questions() -> dict[str, Question]:
    """Return every question by name."""
    return {path.stem: _read(path) for path in sorted(FOLDER.glob("*.sql"))}


def question(name: str) -> Question:
    """Return one question.

    Raises:
        QuestionError: There is none of that name.
    """
    found = questions()
    if name not in found:
        raise QuestionError(f"no question {name}; there are {', '.join(found)}")
    return found[name]


def _read(path: Path) -> Question:
    text = path.read_text().strip()
    asks, _, sql = text.partition("\n")
    return Question(path.stem, asks.removeprefix("--").strip(), sql)
