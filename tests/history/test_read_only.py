"""The text check in front of the reader's handle."""

import pytest

from history.read_only import QueryError, check_read_only


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        "  select count() from ticks_once ; ",
        "WITH 1 AS a SELECT a",
        "-- how many?\nSELECT 1",
        "/* ; */ SHOW TABLES",
        "describe ticks",
        "EXPLAIN SELECT 1",
        "EXISTS TABLE ticks",
        "SELECT ';', 'insert into outfile', \"FORMAT x\", `a;b`",
        "SELECT 'it''s; \\' fine'",
        "SELECT 1 -- done;",
    ],
)
def test_statement_that_reads_passes(sql: str) -> None:
    assert check_read_only(sql)


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("", "empty"),
        ("-- nothing", "empty"),
        ("INSERT INTO ticks VALUES (1)", "INSERT"),
        ("drop table ticks", "DROP"),
        ("SET readonly = 0", "SET"),
        ("USE system", "USE"),
        ("SELECT 1; DROP TABLE ticks", "one statement"),
        ("SELECT 1 INTO OUTFILE 'x'", "OUTFILE"),
        ("SELECT 1 into/* */outfile 'x'", "OUTFILE"),
        ("SELECT 1 FORMAT Arrow", "FORMAT"),
        ("/* SELECT */ TRUNCATE TABLE ticks", "TRUNCATE"),
    ],
)
def test_statement_that_does_not_only_read_is_refused(sql: str, why: str) -> None:
    with pytest.raises(QueryError, match=why):
        check_read_only(sql)
