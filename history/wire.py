"""The talk between the owner of a store and local readers: length-prefixed messages over a Unix-domain socket.

A message is a 4-byte big-endian length and that many bytes. Question: ``{"sql": text, "parameters": {name: value}, "form": "json"
or "arrow"}``. Answer: ClickHouse's JSONCompact or an Arrow IPC stream as it comes, or ``{"error": text, "kind": word}``. The owner
writes ``history.owner.json`` into its status folder, which says where to ask and which folder it holds. Rejected: a port on
localhost (the socket's file mode says who may ask).
"""

import hashlib
import json
import os
import socket
import struct
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from history.read_only import KINDS, QueryError, kind_of
from schemas.process import write_status

OWNER_FILE: Final = "history.owner.json"
MESSAGE_BYTES_MAX: Final = 1 << 30
QUESTION_BYTES_MAX: Final = 1 << 20
SOCKET_PATH_BYTES_MAX: Final = 100
"""Room in the system's address structure is 104 to 108 bytes."""


_ERROR: Final = b'{"error": '


class WireError(ConnectionError):
    """The other side closed in mid-message, or sent something too long."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Who holds a store.

    Attributes:
        interface: ``chdb``, ``http`` or ``https``.
        data_dir: Folder of the embedded database, absolute.
        socket_path: Where questions are answered while the owner runs, absolute.
    """

    interface: str
    data_dir: str
    socket_path: str


def error(failure: QueryError) -> bytes:
    """Return the answer that tells a failure."""
    return _ERROR + json.dumps(str(failure)).encode() + b', "kind": ' + json.dumps(kind_of(failure)).encode() + b"}"


def raise_error(answer: bytes) -> None:
    """Raise the failure that an answer tells, if it tells one."""
    if answer.startswith(_ERROR):
        plain = json.loads(answer)
        raise KINDS.get(plain["kind"], QueryError)(plain["error"])


def send(connection: socket.socket, payload: bytes) -> None:
    """Send one message."""
    connection.sendall(struct.pack(">I", len(payload)) + payload)


def receive(connection: socket.socket, bytes_max: int = MESSAGE_BYTES_MAX) -> bytes | None:
    """Return one message, ``None`` when the other side closed between messages.

    Raises:
        WireError: Closed in mid-message, or longer than ``bytes_max``.
    """
    head = _take(connection, 4)
    if not head:
        return None
    (length,) = struct.unpack(">I", head)
    if length > bytes_max:
        raise WireError(f"a message of {length} bytes is longer than {bytes_max}")
    payload = _take(connection, length)
    if len(head) < 4 or len(payload) < length:
        raise WireError("the other side closed in mid-message")
    return payload


def usable_socket_path(wanted: Path) -> Path:
    """Return ``wanted`` made absolute, or a short path made from it in the temporary folder when it is too long."""
    path = Path(os.path.abspath(wanted))  # noqa: PTH100 (a symlink that shortens the path is kept)
    if len(os.fsencode(path)) <= SOCKET_PATH_BYTES_MAX:
        return path
    name = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"tidegate-{os.getuid()}-{name}.sock"


def write_owner(status_dir: Path, owner: Owner) -> None:
    """Record the owner of the store."""
    known = {"interface": owner.interface, "data_dir": owner.data_dir, "socket_path": owner.socket_path}
    write_status(status_dir / OWNER_FILE, known)


def read_owner(status_dir: Path) -> Owner | None:
    """Return the last owner of the store, running or not; ``None`` when there never was one."""
    path = status_dir / OWNER_FILE
    if not path.exists():
        return None
    plain: dict[str, Any] = json.loads(path.read_text())
    return Owner(**plain)


def _take(connection: socket.socket, length: int) -> bytes:
    parts = bytearray()
    while len(parts) < length and (part := connection.recv(min(length - len(parts), 1 << 20))):
        parts += part
    return bytes(parts)
