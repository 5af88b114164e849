"""The audit log: every attempt to command, before it is handled, and how it ended.

One JSON line per entry, each with the hash of the line before it, so a line that was changed or taken out shows. Invariant: an
attempt is on disk before it is handled; when it cannot be, it is refused. Rejected: the process log (it rotates, and it may be
lost with the machine's last second).
"""

import hashlib
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

FIRST: Final = "0" * 64


class AuditError(RuntimeError):
    """The log cannot be written, or was changed."""


class AuditLog:
    """Appends entries to one file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._last = FIRST
        whole = 0
        if path.exists():
            with path.open("rb") as lines:
                for line in lines:
                    if not line.endswith(b"\n"):
                        break  # cut off by a crash: the attempt was never handled
                    self._last = _hash(line)
                    whole += len(line)
            os.truncate(path, whole)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write(self, entry: dict[str, Any]) -> None:
        """Append one entry and return when it is on disk.

        Raises:
            AuditError: It could not be written.
        """
        with self._lock:
            line = json.dumps({**entry, "previous": self._last}, sort_keys=True).encode() + b"\n"
            try:
                written = os.write(self._file, line)
                os.fsync(self._file)
            except OSError as error:
                raise AuditError(f"{self._path}: {error}") from error
            if written != len(line):
                raise AuditError(f"{self._path}: {written} of {len(line)} bytes were written")
            self._last = _hash(line)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def read(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the entries of a log.

    Raises:
        AuditError: A line does not follow from the one before it; its number is said.
    """
    last = FIRST
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            entry = json.loads(line)
            if entry["previous"] != last:
                raise AuditError(f"{path}:{number}: does not follow from the line before it")
            last = _hash(line)
            yield entry


def _hash(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()
