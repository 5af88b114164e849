"""The check that a statement of a reader only reads.

It is the second lock: the reader's handle has ``readonly = 1`` set for good, which the database holds by itself. The
text is checked as well for what changes no table and still acts: ``INTO OUTFILE`` writes a file, ``USE`` the session.
"""

import re
from typing import Final

FIRST_WORDS: Final = frozenset({"SELECT", "WITH", "SHOW", "DESCRIBE", "DESC", "EXPLAIN", "EXISTS"})
_QUIET: Final = re.compile(
    r"--[^\n]*|\#[ !][^\n]*|/\*.*?\*/|'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.|\"\")*\"|`(?:[^`\\]|\\.|``)*`",
    re.DOTALL,
)


class QueryError(ValueError):
    """A query that was refused or failed; the message says why."""


class QueryTimeoutError(QueryError):
    """A query ran longer than its store allows."""


class ResultTooLargeError(QueryError):
    """An answer has more rows or bytes than its store allows: narrow the question, or page."""


class BusyError(QueryError):
    """As many readers wait as the store's owner lets wait; try again."""


KINDS: Final = {"timeout": QueryTimeoutError, "too_large": ResultTooLargeError, "busy": BusyError}
"""Kinds of failure by their word on the wire; any other is a plain :class:`QueryError`."""


def kind_of(error: QueryError) -> str:
    """Return the word of an error on the wire."""
    return next((word for word, kind in KINDS.items() if type(error) is kind), "query")


def check_read_only(sql: str) -> str:
    """Return the statement without a closing semicolon.

    Raises:
        QueryError: It is empty, several statements, or does not only read.
    """
    statement = sql.strip().rstrip(";").rstrip()
    # What is quoted or commented out cannot act; a space in its place keeps words apart.
    bare = _QUIET.sub(lambda found: " " if found[0][0] in "-#/" else "''", statement)
    words = re.findall(r"[A-Za-z_]+", bare)
    if not words:
        raise QueryError("the statement is empty")
    if ";" in bare:
        raise QueryError("one statement at a time")
    if words[0].upper() not in FIRST_WORDS:
        raise QueryError(f"read-only: {words[0].upper()} is none of {', '.join(sorted(FIRST_WORDS))}")
    if re.search(r"\bINTO\s+OUTFILE\b", bare, re.IGNORECASE):
        raise QueryError("read-only: INTO OUTFILE writes a file")
    if re.search(r"\bFORMAT\s+\w+\s*$", bare, re.IGNORECASE):
        raise QueryError("leave FORMAT out: the reader chooses the format")
    return statement
