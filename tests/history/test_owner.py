"""The talk over the socket, with a fake store behind it."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from history import client, queries, wire
from history.owner import OwnerSocket
from history.read_only import QueryError


def answer(sql: str) -> bytes:
    if "boom" in sql:
        raise QueryError("boom was refused")
    return json.dumps({"meta": [{"name": "sql", "type": "String"}], "data": [[sql]]}).encode()


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[OwnerSocket]:
    served = OwnerSocket(wire.usable_socket_path(tmp_path / "h.sock"), lambda: (answer, lambda: None))
    wire.write_owner(tmp_path, wire.Owner("chdb", str(tmp_path / "data"), str(served.path)))
    yield served
    served.close()
    assert not served.path.exists()


def test_reader_gets_columns_types_and_rows(owner: OwnerSocket, tmp_path: Path) -> None:
    result = client.query("SELECT 1;", status_dir=tmp_path)
    assert (result.columns, result.types, result.rows) == (("sql",), ("String",), [("SELECT 1",)])
    assert result.dicts() == [{"sql": "SELECT 1"}]


def test_refusal_of_the_store_reaches_the_reader(owner: OwnerSocket, tmp_path: Path) -> None:
    with pytest.raises(QueryError, match="boom was refused"):
        client.query("SELECT boom", status_dir=tmp_path)


def test_statement_that_writes_is_not_even_sent(owner: OwnerSocket, tmp_path: Path) -> None:
    with pytest.raises(QueryError, match="read-only"):
        client.query("DROP TABLE ticks", status_dir=tmp_path)
    assert owner.answered == 0


@pytest.mark.parametrize("question", [b"", b"no json", b"[]", b"{}", b'{"sql": 1}'])
def test_question_of_another_form_is_answered_with_the_form(owner: OwnerSocket, question: bytes) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(10)
        connection.connect(str(owner.path))
        for _ in range(2):  # the connection stays usable
            wire.send(connection, question)
            assert "error" in json.loads(wire.receive(connection) or b"")


def test_reader_that_asks_too_much_is_dropped_and_others_are_served(owner: OwnerSocket, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(10)
        connection.connect(str(owner.path))
        connection.sendall(b"\xff\xff\xff\xff")
        assert connection.recv(1) == b""
    assert client.query("SELECT 2", status_dir=tmp_path).rows == [("SELECT 2",)]


def test_message_cut_short_is_an_error() -> None:
    left, right = socket.socketpair()
    with left, right:
        left.sendall(b"\x00\x00\x00\x09abc")
        left.close()
        with pytest.raises(wire.WireError, match="mid-message"):
            wire.receive(right)


def test_long_socket_path_moves_to_the_temporary_folder(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 120) / "history.sock"
    short = wire.usable_socket_path(long)
    assert short == wire.usable_socket_path(long)
    assert len(str(short)) <= wire.SOCKET_PATH_BYTES_MAX
    assert wire.usable_socket_path(tmp_path / "h") == tmp_path / "h"


def test_folder_that_no_writer_used_is_told(tmp_path: Path) -> None:
    with pytest.raises(client.StoreError, match="no history writer has run"):
        client.query("SELECT 1", status_dir=tmp_path)


def test_text_in_a_query_cannot_end_its_literal() -> None:
    assert queries.text("a'b\\") == "'a\\'b\\\\'"
