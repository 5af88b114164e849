"""One kept-alive HTTP connection whose exchanges end by an absolute time, whatever the other side does.

Invariant: sending and receiving together end by the deadline. A socket's own timeout starts again with each call, so a
server that sends a byte now and then would hold a tick for ever; here the time left is set before every call. After any
exception the connection must be closed: what is still on its way belongs to a question that nobody asks any more.
"""

import http.client
import io
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from models.serving.interface import ServingError

PIECE: Final = 65_536


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens.

    Attributes:
        host: Name or number.
        port: TCP port.
        secure: TLS, checked against the system's authorities.
    """

    host: str
    port: int
    secure: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Attributes:
        status: HTTP status.
        headers: As sent.
        body: Whole.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


def address_of(url: str) -> Address:
    """Return the address in ``http[s]://host:port``.

    Raises:
        ServingError: Anything else.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ServingError(f"score url {url!r}: {error}") from error
    plain = not (parts.path.strip("/") or parts.query or parts.fragment or parts.username)
    if parts.scheme not in {"http", "https"} or not parts.hostname or port is None or not plain:
        raise ServingError(f"score url {url!r}: wanted http://host:port or https://host:port")
    return Address(parts.hostname, port, parts.scheme == "https")


class Connection:
    """A connection, made at once.

    Raises:
        OSError: It cannot be made within ``timeout_s``.
    """

    def __init__(self, address: Address, timeout_s: float) -> None:
        bare = socket.create_connection((address.host, address.port), timeout_s)
        try:
            bare.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # head and body are two writes
            context = ssl.create_default_context() if address.secure else None
            self._line = _Line(context.wrap_socket(bare, server_hostname=address.host) if context else bare)
        except BaseException:
            bare.close()
            raise
        self._http = http.client.HTTPConnection(address.host, address.port)
        self._http.auto_open = 0
        self._http.sock = self._line

    def exchange(
        self, path: str, request: tuple[bytes, Mapping[str, str]] | None, *, end: float, length_max: int
    ) -> Answer:
        """Send one request and return its answer.

        Args:
            path: On the server.
            request: Body and headers of a POST; ``None`` for a GET.
            end: ``time.monotonic()`` at which it must be over.
            length_max: Longest body that is read.

        Raises:
            TimeoutError: Not over by then.
            OSError: The connection broke.
            ServingError: What came is no HTTP, or too long.
        """
        self._line.end = end
        try:
            if request is None:
                self._http.request("GET", path)
            else:
                self._http.request("POST", path, body=request[0], headers=dict(request[1]))
            response = self._http.getresponse()
            body = response.read(length_max + 1)
        except http.client.HTTPException as error:
            raise ServingError(f"no answer of HTTP: {type(error).__name__}: {error}") from error
        if len(body) > length_max:
            raise ServingError(f"an answer of more than {length_max} bytes")
        return Answer(response.status, dict(response.getheaders()), body)

    @property
    def kept(self) -> bool:
        """Return whether another exchange is possible: the server did not say that it hangs up."""
        return self._http.sock is not None

    def close(self) -> None:
        """Hang up."""
        self._line.hang_up()


class _Line:
    """As much of a socket as ``http.client`` uses, with a time at which every call ends."""

    def __init__(self, bare: socket.socket) -> None:
        self._bare = bare
        self.end = 0.0

    def sendall(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[self._bounded().send(left[:PIECE]) :]

    def makefile(self, mode: str) -> io.BufferedReader:
        assert mode == "rb"
        return io.BufferedReader(_Incoming(self), PIECE)

    def receive_into(self, buffer: Any) -> int:
        return self._bounded().recv_into(buffer)

    def close(self) -> None:
        """Called by ``http.client`` before the body is read, where the server says that it hangs up after it."""

    def hang_up(self) -> None:
        self._bare.close()

    def _bounded(self) -> socket.socket:
        left = self.end - time.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline has passed")
        self._bare.settimeout(left)
        return self._bare


class _Incoming(io.RawIOBase):
    def __init__(self, line: _Line) -> None:
        self._line = line

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._line.receive_into(buffer)
