"""The answering threads of the process that holds the store: read-only SQL for local processes.

One thread waits on all sockets and hands a connection that has something to say to one of a few readers, each with a handle of
its own: an inquiry of a minute holds up neither inserts nor the risk desk's next look. Invariant: a question is answered, or told
why not: past ``waiting_max`` waiting questions the answer is "busy" at once. Rejected: a thread per connection (a handle
each, and nothing would bound them), one thread for all (measured: a small question waited for the largest).
"""

import contextlib
import json
import logging
import queue
import selectors
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from history import wire
from history.database import StoreError
from history.read_only import BusyError, QueryError
from history.statement import Value

log = logging.getLogger("tidegate.history")

SILENCE_S: Final = 10.0
"""A reader that stops in mid-message is dropped after this time."""
LOOK_S: Final = 0.2
"""Longest time until a thread sees that it should stop."""
CLOSE_S: Final = SILENCE_S + LOOK_S
"""Longest wait for the questions in hand when the owner closes."""


class Answering(Protocol):
    """What the owner needs of a reading handle; :class:`history.database.Reader` is one."""

    def json(self, sql: str, parameters: Mapping[str, Value]) -> bytes:
        """Return the answer as JSONCompact."""

    def arrow(self, sql: str, parameters: Mapping[str, Value]) -> bytes:
        """Return the answer as an Arrow IPC stream."""

    def close(self) -> None:
        """Close the handle."""


@dataclass(frozen=True, slots=True)
class Pool:
    """How many questions are answered at once, and how many may wait."""

    readers: int = 1
    waiting_max: int = 64


class OwnerSocket:
    """Answers on a Unix-domain socket until :meth:`close`."""

    def __init__(self, path: Path, open_reader: Callable[[], Answering], pool: Pool | None = None) -> None:
        """Listen on ``path``; ``open_reader`` is called once in each answering thread."""
        self.path = path
        self.answered = 0
        self._counting = threading.Lock()
        self._open_reader = open_reader
        self._pool = pool or Pool()
        self._stopping = threading.Event()
        self._asking: queue.Queue[socket.socket] = queue.Queue(self._pool.waiting_max)
        self._quiet: queue.SimpleQueue[socket.socket] = queue.SimpleQueue()
        self._wake, self._woken = socket.socketpair()
        self._woken.setblocking(False)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)  # left by a killed owner: the store's own lock has already said that none runs
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        path.chmod(0o600)
        self._listener.listen(64)
        self._threads = [threading.Thread(target=self._wait, name="history-owner", daemon=True)]
        self._readers = [
            threading.Thread(target=self._read, name=f"history-reader-{number}", daemon=True)
            for number in range(self._pool.readers)
        ]
        self._threads += self._readers
        for thread in self._threads:
            thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether questions are answered."""
        return self._threads[0].is_alive() and any(reader.is_alive() for reader in self._readers)

    def close(self) -> None:
        """Stop answering, after the questions in hand."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(CLOSE_S)
        self._listener.close()
        self._wake.close()
        self._woken.close()
        self.path.unlink(missing_ok=True)

    def _wait(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            try:
                while not self._stopping.is_set():
                    for key, _ in selector.select(LOOK_S):
                        self._turn(selector, key.fileobj)
                    if not any(reader.is_alive() for reader in self._readers):
                        self._listener.close()  # no handle could be opened: readers must not wait in the queue for ever
                        return
            finally:
                for key in list(selector.get_map().values()):
                    if key.fileobj not in {self._listener, self._woken}:
                        _drop(key.fileobj)

    def _turn(self, selector: selectors.BaseSelector, ready: object) -> None:
        assert isinstance(ready, socket.socket)
        if ready is self._listener:
            connection, _ = self._listener.accept()
            connection.settimeout(SILENCE_S)
            selector.register(connection, selectors.EVENT_READ)
        elif ready is self._woken:
            with contextlib.suppress(BlockingIOError):
                self._woken.recv(4096)
            with contextlib.suppress(queue.Empty):
                while True:
                    selector.register(self._quiet.get_nowait(), selectors.EVENT_READ)
        else:
            selector.unregister(ready)  # one thread at a time reads a connection
            try:
                self._asking.put_nowait(ready)
            except queue.Full:
                _refuse(ready)

    def _read(self) -> None:
        try:
            reader = self._open_reader()
        except StoreError:
            log.exception("reader_not_opened")
            return
        try:
            while not self._stopping.is_set():
                with contextlib.suppress(queue.Empty):
                    self._answer(reader, self._asking.get(timeout=LOOK_S))
        finally:
            reader.close()

    def _answer(self, reader: Answering, connection: socket.socket) -> None:
        try:
            question = wire.receive(connection, wire.QUESTION_BYTES_MAX)
            if question is None:
                _drop(connection)
                return
            wire.send(connection, _reply(question, reader))
        except OSError as error:
            log.warning("reader_dropped detail=%s", error)
            _drop(connection)
            return
        with self._counting:
            self.answered += 1
        self._quiet.put(connection)
        with contextlib.suppress(OSError):  # closing: nobody waits
            self._wake.send(b"\0")


def _reply(question: bytes, reader: Answering) -> bytes:
    try:
        plain = json.loads(question)
        if not isinstance(plain["sql"], str):
            raise TypeError("sql is no text")
        ask = {"json": reader.json, "arrow": reader.arrow}[plain.get("form", "json")]
        raw = ask(plain["sql"], plain.get("parameters", {}))
    except QueryError as error:
        return wire.error(error)
    except StoreError as error:  # no new handle after a failed query: the next question tries again
        return wire.error(QueryError(str(error)))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        form = '{"sql": text, "parameters": {name: value}, "form": "json" or "arrow"}'
        return wire.error(QueryError(f"a question is {form}: {error!r}"))
    return raw


def _refuse(connection: socket.socket) -> None:
    """Tell a reader that too many wait; its question stays unread, so the connection ends."""
    try:
        connection.settimeout(LOOK_S)
        wire.send(connection, wire.error(BusyError("too many questions wait at the history: ask again")))
    except OSError as error:
        log.warning("reader_dropped detail=%s", error)
    _drop(connection)


def _drop(connection: Any) -> None:
    connection.close()
