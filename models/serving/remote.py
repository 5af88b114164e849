"""The network on an inference server: one exchange per tick on a connection that stands already, and a hard deadline.

Invariant: ``score`` returns by the deadline, and never what belongs to another tick. Ticks never connect, resolve names or
try again; a thread of its own makes the connection, proves with two inferences that the server knows this very network and keeps
the deadline, and hands it over. A tick whose exchange is late or fails closes the connection, so that a late answer has
nobody to reach, and wakes that thread; until it has made another, ticks are told *no answer* at once. While a server is away it
is tried again every ``PROBE_EVERY_S``. *Not taken:* asking on a thread that is left behind when it is late; they pile up.
"""

import threading
import time
from typing import Final

import numpy as np

from features.spec import SCORED
from models.detectors.views import F32, WINDOW, Ids
from models.serving.connection import Address, Answer, Connection, address_of
from models.serving.interface import ServingCounts, ServingError
from models.serving.network import NetworkInputs, WindowNetwork
from models.serving.protocol_v2 import (
    HEAD_LENGTH,
    HEAD_LENGTH_MAX,
    Request,
    answer_length_max,
    check_metadata,
    path_of,
    read_answer,
    write_request,
)

PROBE_EVERY_S: Final = 1.0
PROBE_TIMEOUT_S: Final = 1.0
"""Of each step of a probe but its last, which must keep the deadline."""

WORDS_MAX: Final = 300


class RemoteWindowScorer:
    """A server that speaks the Open Inference Protocol v2 with binary tensors, such as Triton.

    Args:
        network: The network that the server must hold, under its served name.
        url: ``http[s]://host:port``.
        deadline_ms: Longest time of a tick's exchange.

    Raises:
        ServingError: A url that is none.
    """

    def __init__(self, network: WindowNetwork, url: str, deadline_ms: float = 20.0) -> None:
        self._address: Address = address_of(url)
        self._name = network.served_name
        self._inputs = NetworkInputs(network.instruments)
        self._number_max = len(network.instruments)
        self._deadline_s = deadline_ms / 1000.0
        self._counts = ServingCounts()
        self._asked = 0
        self._rows_last = 1
        self._state = threading.Condition()
        self._connection: Connection | None = None
        self._wanted = True
        self._closed = False
        self._trouble = "not connected yet"
        self._thread = threading.Thread(target=self._keep_connected, name="score-probe", daemon=True)
        self._thread.start()

    @property
    def counts(self) -> ServingCounts:
        """Return what became of the ticks so far."""
        return self._counts

    @property
    def trouble(self) -> str:
        """Return why the last probe or tick failed; empty while all is well."""
        return self._trouble

    def wait(self, timeout_s: float) -> bool:
        """Wait until the server can be asked; return whether it can. For the start of a job, never for a tick."""
        with self._state:
            return self._state.wait_for(lambda: self._connection is not None, timeout_s)

    def score(self, windows: F32, instrument_id: Ids) -> F32 | None:
        """Return ``(k, features)`` parts, or ``None`` when the server gave none by the deadline."""
        end = time.monotonic() + self._deadline_s
        inputs = self._inputs.make(windows, instrument_id)
        if not len(instrument_id):
            self._counts.answers += 1
            return np.zeros((0, len(SCORED)), dtype=np.float32)
        self._rows_last = len(instrument_id)
        connection = self._take()
        if connection is None:
            self._counts.absent += 1
            return None
        self._asked += 1
        try:
            parts = self._infer(connection, write_request(self._name, str(self._asked), inputs), end)
        except TimeoutError:
            self._counts.deadlines_missed += 1
            self._drop(connection, f"no answer within {self._deadline_s * 1000:g} ms")
            return None
        except Exception as error:  # noqa: BLE001 - whatever a server sends, the tick must be scored
            self._counts.errors += 1
            self._drop(connection, f"{type(error).__name__}: {error}")
            return None
        if connection.kept:
            self._put_back(connection)
        else:
            self._drop(connection, "the server hung up after its answer")
        self._counts.answers += 1
        return parts

    def close(self) -> None:
        """Hang up and end the thread."""
        with self._state:
            self._closed = True
            if self._connection is not None:
                self._connection.close()
                self._connection = None
            self._state.notify_all()
        self._thread.join(4 * PROBE_TIMEOUT_S)

    def _infer(self, connection: Connection, request: Request, end: float) -> F32:
        headers = {"Content-Type": "application/octet-stream", HEAD_LENGTH: str(request.head_length)}
        path = path_of(request.served_name, "infer")
        answer = connection.exchange(path, (request.body, headers), end=end, length_max=answer_length_max(request))
        parts = read_answer(request, _header(_accepted(answer), HEAD_LENGTH), answer.body)
        if time.monotonic() > end:
            raise TimeoutError("read too late")
        return parts

    def _take(self) -> Connection | None:
        with self._state:
            connection, self._connection = self._connection, None
            return connection

    def _put_back(self, connection: Connection, *, found: bool = False) -> None:
        with self._state:
            if self._closed:
                connection.close()
                return
            self._connection = connection
            if found:
                self._wanted, self._trouble = False, ""
                self._state.notify_all()

    def _drop(self, connection: Connection, trouble: str) -> None:
        connection.close()
        with self._state:
            self._trouble = trouble
            self._wanted = True
            self._state.notify_all()

    def _keep_connected(self) -> None:
        while True:
            with self._state:
                self._state.wait_for(lambda: self._wanted or self._closed)
                if self._closed:
                    return
            try:
                connection = self._probe()
            except Exception as error:  # noqa: BLE001 - a server that sends nonsense now may be mended later
                with self._state:
                    self._trouble = f"{type(error).__name__}: {error}"
                    self._state.wait_for(lambda: self._closed, PROBE_EVERY_S)
                continue
            self._put_back(connection, found=True)

    def _probe(self) -> Connection:
        """Return a connection to a server that was seen to answer, as many rows as the last tick had, in time."""
        connection = Connection(self._address, PROBE_TIMEOUT_S)
        try:
            end = time.monotonic() + PROBE_TIMEOUT_S
            answer = connection.exchange(path_of(self._name), None, end=end, length_max=HEAD_LENGTH_MAX)
            check_metadata(self._name, _accepted(answer).body)
            rows = self._rows_last
            windows = np.zeros((rows, WINDOW, len(SCORED)), dtype=np.float32)
            request = write_request(self._name, "probe", (windows, np.full(rows, self._number_max, dtype=np.int64)))
            self._infer(connection, request, time.monotonic() + PROBE_TIMEOUT_S)
            self._infer(connection, request, time.monotonic() + self._deadline_s)
        except BaseException:
            connection.close()
            raise
        return connection


def _accepted(answer: Answer) -> Answer:
    if answer.status != 200:
        words = answer.body[:WORDS_MAX].decode(errors="replace")
        raise ServingError(f"the server says {answer.status}: {words}")
    return answer


def _header(answer: Answer, name: str) -> str | None:
    return next((value for key, value in answer.headers.items() if key.lower() == name.lower()), None)
