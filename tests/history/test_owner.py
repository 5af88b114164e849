"""The talk over the socket, with a fake store behind it."""

import io
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pytest

from history import client, wire
from history.database import StoreError
from history.owner import OwnerSocket, Pool
from history.queries import text
from history.read_only import BusyError, QueryError, QueryTimeoutError, ResultTooLargeError
from history.statement import NO_PARAMETERS, Statement, Value

WAIT_S = 10


class FakeReader:
    """Answers the statement itself; ``wait`` waits for the gate, ``boom`` and other words fail."""

    gate = threading.Event()
    waiting = threading.Semaphore(0)

    def json(self, sql: str, parameters: Mapping[str, Value] = NO_PARAMETERS) -> bytes:
        if "boom" in sql:
            raise QueryError("boom was refused")
        if "slow" in sql:
            raise QueryTimeoutError("slower than allowed")
        if "large" in sql:
            raise ResultTooLargeError("more than allowed")
        if "wait" in sql:
            FakeReader.waiting.release()
            assert FakeReader.gate.wait(WAIT_S)
        row = [sql, *(parameters[name] for name in sorted(parameters))]
        return json.dumps({"meta": [{"name": "sql", "type": "String"}] * len(row), "data": [row]}).encode()

    def arrow(self, sql: str, parameters: Mapping[str, Value] = NO_PARAMETERS) -> bytes:
        self.json(sql, parameters)
        table = pa.table({"sql": [sql]})
        sink = io.BytesIO()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        return sink.getvalue()

    def close(self) -> None:
        """Nothing to close."""


def serve(folder: Path, pool: Pool) -> OwnerSocket:
    FakeReader.gate.clear()
    served = OwnerSocket(wire.usable_socket_path(folder / "h.sock"), FakeReader, pool)
    wire.write_owner(folder, wire.Owner("chdb", str(folder / "data"), str(served.path)))
    return served


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[OwnerSocket]:
    served = serve(tmp_path, Pool(readers=2, waiting_max=2))
    yield served
    FakeReader.gate.set()
    served.close()
    assert not served.path.exists()
    assert not served.is_alive


def test_reader_gets_columns_types_and_rows(owner: OwnerSocket, tmp_path: Path) -> None:
    result = client.query("SELECT 1;", status_dir=tmp_path)
    assert (result.columns, result.types, result.rows) == (("sql",), ("String",), [("SELECT 1",)])
    assert result.dicts() == [{"sql": "SELECT 1"}]


def test_reader_gets_an_arrow_table(owner: OwnerSocket, tmp_path: Path) -> None:
    assert client.History(tmp_path).table("SELECT 1").to_pylist() == [{"sql": "SELECT 1"}]


def test_values_travel_beside_the_statement(owner: OwnerSocket, tmp_path: Path) -> None:
    asked = Statement("SELECT {a:String}, {b:Array(UInt8)}", {"a": "'; DROP TABLE ticks --", "b": [1, 2]})
    (row,) = client.History(tmp_path).query(asked).rows
    assert row == (asked.sql, "'; DROP TABLE ticks --", [1, 2])


@pytest.mark.parametrize("form", ["query", "table"])
@pytest.mark.parametrize(
    ("sql", "kind"),
    [("SELECT boom", QueryError), ("SELECT slow", QueryTimeoutError), ("SELECT large", ResultTooLargeError)],
)
def test_refusal_of_the_store_reaches_the_reader_with_its_kind(
    owner: OwnerSocket, tmp_path: Path, *, sql: str, kind: type[QueryError], form: str
) -> None:
    with pytest.raises(QueryError) as caught:
        getattr(client.History(tmp_path), form)(sql)
    assert type(caught.value) is kind


def test_statement_that_writes_is_not_even_sent(owner: OwnerSocket, tmp_path: Path) -> None:
    with pytest.raises(QueryError, match="read-only"):
        client.query("DROP TABLE ticks", status_dir=tmp_path)
    assert owner.answered == 0


def test_small_question_does_not_wait_for_a_large_one(owner: OwnerSocket, tmp_path: Path) -> None:
    large = threading.Thread(target=client.query, args=("SELECT wait",), kwargs={"status_dir": tmp_path})
    large.start()
    assert FakeReader.waiting.acquire(timeout=WAIT_S)
    assert client.query("SELECT 2", status_dir=tmp_path).rows == [("SELECT 2",)]
    assert large.is_alive()
    FakeReader.gate.set()
    large.join(WAIT_S)
    assert not large.is_alive()


def test_more_questions_than_may_wait_are_told_to_come_again_and_the_others_are_answered(tmp_path: Path) -> None:
    served = serve(tmp_path, Pool(readers=1, waiting_max=1))
    answers: list[object] = []
    answered = threading.Semaphore(0)

    def ask(number: int) -> None:
        try:
            answers.append(client.query(f"SELECT wait, {number}", status_dir=tmp_path).rows[0][0])
        except BusyError as error:
            answers.append(error)
        answered.release()

    first = threading.Thread(target=ask, args=(0,))
    first.start()
    assert FakeReader.waiting.acquire(timeout=WAIT_S)  # the one reader is busy; one more may wait
    others = [threading.Thread(target=ask, args=(number,)) for number in (1, 2)]
    for other in others:
        other.start()
    assert answered.acquire(timeout=WAIT_S)
    assert isinstance(answers[0], BusyError)
    FakeReader.gate.set()
    for thread in (first, *others):
        thread.join(WAIT_S)
    assert sum(isinstance(answer, str) for answer in answers) == 2
    served.close()


def test_reader_that_waits_longer_than_it_will_is_told_so(owner: OwnerSocket, tmp_path: Path) -> None:
    with pytest.raises(QueryTimeoutError, match="no answer within"):
        client.History(tmp_path, timeout_s=0.05).table("SELECT wait")
    FakeReader.gate.set()
    assert client.query("SELECT 2", status_dir=tmp_path).rows == [("SELECT 2",)]  # the answer to nobody harms nobody


def test_owner_whose_store_cannot_be_read_lets_nobody_wait(tmp_path: Path) -> None:
    def fails() -> FakeReader:
        raise StoreError("gone")

    served = OwnerSocket(wire.usable_socket_path(tmp_path / "h.sock"), fails)
    served._threads[0].join(WAIT_S)
    assert not served.is_alive
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection, pytest.raises(ConnectionRefusedError):
        connection.connect(str(served.path))
    served.close()


@pytest.mark.parametrize(
    "question", [b"", b"no json", b"[]", b"{}", b'{"sql": 1}', b'{"sql": "SELECT 1", "form": "x"}']
)
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
    assert text("a'b\\") == "'a\\'b\\\\'"
