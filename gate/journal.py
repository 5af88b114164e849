"""What a trading process must know again after its end, beside the ledger's file: names, what it has counted, what it has seen.

Invariant: a line is in the file before what it tells is sent anywhere, so a process that dies may have noted what was never
sent, and never the other way round; the last line of a dead process may be cut short and is then ignored. At each start
the file is written anew with what still counts. Rejected: names in the ledger itself (its records have one size), a
database (an order would wait for it).
"""

import json
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

REQUEST: Final = "r"
REPORT: Final = "x"
_BASE: Final = "b"


class Journal:
    """An append-only file of lines.

    Args:
        path: The file; its folder exists.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.base, self.lines = _read(path)
        self._lock = threading.Lock()
        self._file = path.open("ab")

    def begin(self, base: dict[str, Any]) -> None:
        """Start the file anew from what counts now."""
        self._file.close()
        fresh = self._path.with_suffix(self._path.suffix + ".new")
        fresh.write_bytes(_line([_BASE, base]))
        fresh.replace(self._path)
        self._file = self._path.open("ab")
        self.base, self.lines = base, []

    def note(self, kind: str, *parts: Any) -> None:
        """Append a line of plain values; it is with the system before this returns, so it survives the process.

        Any thread may: a line is never cut by another.
        """
        line = _line([kind, *parts])
        with self._lock:
            self._file.write(line)
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _line(parts: Iterable[Any]) -> bytes:
    return json.dumps(list(parts), separators=(",", ":")).encode() + b"\n"


def _read(path: Path) -> tuple[dict[str, Any], list[list[Any]]]:
    base: dict[str, Any] = {}
    lines: list[list[Any]] = []
    if path.exists():
        for raw in path.read_bytes().split(b"\n")[:-1]:  # what follows the last end of a line is cut short
            parts = json.loads(raw)
            if parts[0] == _BASE:
                base = parts[1]
            else:
                lines.append(parts)
    return base, lines
