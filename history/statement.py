"""A statement and the values bound to it: what a reader sends, and what named queries return.

Invariant: a value never becomes text of the statement: SQL names it ``{since:Int64}``, the database binds it by that type.
Rejected: quoting (one forgotten call is an injection, and an id may hold any character).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

Value = int | float | str | bool | list[int] | list[str] | None
NO_PARAMETERS: Final[Mapping[str, Value]] = {}


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of SQL.

    Attributes:
        sql: Text with placeholders ``{name:Type}`` (types of ClickHouse).
        parameters: A value for each placeholder; ``None`` needs a ``Nullable`` type.
    """

    sql: str
    parameters: Mapping[str, Value] = field(default_factory=dict)


def statement_of(question: str | Statement) -> Statement:
    """Return plain SQL as a statement without parameters."""
    return Statement(question) if isinstance(question, str) else question
