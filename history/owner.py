"""The answering thread of the process that holds the store: read-only SQL for local processes.

One thread with its own reading handle answers one question at a time, so inserts never wait for a reader's socket and a
reader never shares the writer's handle. Rejected: a thread per connection (a handle each, and an embedded engine gains
nothing from many heavy queries at once).
"""

import contextlib
import json
import logging
import selectors
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from history import wire
from history.database import StoreError
from history.read_only import QueryError

log = logging.getLogger("tidegate.history")

SILENCE_S: Final = 10.0
"""A reader that stops in mid-message is dropped after this time."""
LOOK_S: Final = 0.2
"""Longest time until the thread sees that it should stop."""

Answer = Callable[[str], bytes]


class OwnerSocket:
    """Answers on a Unix-domain socket until :meth:`close`."""

    def __init__(self, path: Path, open_reader: Callable[[], tuple[Answer, Callable[[], None]]]) -> None:
        """Listen on ``path``; ``open_reader`` is called in the thread and returns a query function and its close."""
        self.path = path
        self.answered = 0
        self._open_reader = open_reader
        self._stopping = threading.Event()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)  # left by a killed owner: the store's own lock has already said that none runs
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        path.chmod(0o600)
        self._listener.listen(16)
        self._thread = threading.Thread(target=self._serve, name="history-owner", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether questions are answered."""
        return self._thread.is_alive()

    def close(self) -> None:
        """Stop answering, after the question in hand."""
        self._stopping.set()
        self._thread.join(SILENCE_S + LOOK_S)
        self._listener.close()
        self.path.unlink(missing_ok=True)

    def _serve(self) -> None:
        try:
            answer, close_reader = self._open_reader()
        except StoreError:
            self._listener.close()  # else readers would wait in its queue for ever
            raise
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self._listener, selectors.EVENT_READ)
                try:
                    while not self._stopping.is_set():
                        for key, _ in selector.select(LOOK_S):
                            self._turn(selector, key.fileobj, answer)
                finally:
                    for key in list(selector.get_map().values()):
                        if key.fileobj is not self._listener:
                            _drop(selector, key.fileobj)
        finally:
            close_reader()

    def _turn(self, selector: selectors.BaseSelector, ready: object, answer: Answer) -> None:
        assert isinstance(ready, socket.socket)
        if ready is self._listener:
            connection, _ = self._listener.accept()
            connection.settimeout(SILENCE_S)
            selector.register(connection, selectors.EVENT_READ)
            return
        try:
            question = wire.receive(ready, wire.QUESTION_BYTES_MAX)
            if question is None:
                _drop(selector, ready)
                return
            wire.send(ready, _reply(question, answer))
            self.answered += 1
        except OSError as error:
            log.warning("reader_dropped detail=%s", error)
            _drop(selector, ready)


def _reply(question: bytes, answer: Answer) -> bytes:
    try:
        plain = json.loads(question)
        return answer(plain["sql"])
    except QueryError as error:
        return json.dumps({"error": str(error)}).encode()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return json.dumps({"error": f'a question is {{"sql": text}}: {error!r}'}).encode()


def _drop(selector: selectors.BaseSelector, connection: object) -> None:
    assert isinstance(connection, socket.socket)
    with contextlib.suppress(KeyError):
        selector.unregister(connection)
    connection.close()
