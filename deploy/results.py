"""What a run of the evaluation leaves for others to read: a small file with its command, date and machine, and README's table.

Invariant: README's table follows from the kept files alone, byte for byte, so a test can say that it is not stale. Rejected:
figures typed into README (they outlive what they were measured on).
"""

import json
import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

BEGIN: Final = "<!-- results: begin; written by `make results` -->"
END: Final = "<!-- results: end -->"
FOLDER: Final = Path("benchmarks/results")


class ResultsError(Exception):
    """Kept results or a page that are not what they should be; the message names the file."""


@dataclass(slots=True)
class Started:
    """When and on what a run began.

    Attributes:
        command: As typed.
        at: Wall clock, UTC.
        load: One-minute load average before it.
    """

    command: str
    at: datetime
    load: float

    @classmethod
    def now(cls, command: str) -> "Started":
        """Return the start of a run."""
        return cls(command, datetime.now(UTC), os.getloadavg()[0])

    def told(self) -> dict[str, Any]:
        """Return what a kept file says of its run."""
        ended = datetime.now(UTC)
        return {
            "command": self.command,
            "date": f"{self.at:%Y-%m-%d}",
            "seconds": round((ended - self.at).total_seconds()),
            "machine": _machine(),
            "load_before": round(self.load, 2),
            "load_after": round(os.getloadavg()[0], 2),
        }


def keep(folder: Path, name: str, started: Started, *, found: dict[str, Any], page: str) -> None:
    """Write ``name`` as JSON and Markdown."""
    run = started.told()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps({"run": run, **found}, indent=1, allow_nan=False) + "\n")
    (folder / f"{name}.md").write_text(f"{page.rstrip()}\n\n{ran(run)}\n")


def ran(run: dict[str, Any]) -> str:
    """Return in words where figures come from."""
    return (
        f"`{run['command']}`, {run['date']}, {run['seconds']} s on {run['machine']}, load {run['load_before']:g} before and "
        f"{run['load_after']:g} after."
    )


def kept(folder: Path, pattern: str) -> list[dict[str, Any]]:
    """Return kept results by name.

    Raises:
        ResultsError: A file that is none.
    """
    found = []
    for path in sorted(folder.glob(pattern)):
        try:
            found.append(json.loads(path.read_text()))
        except ValueError as error:
            raise ResultsError(f"{path}: {error}") from error
    return found


def rewritten(page: str, section: str, *, path: Path) -> str:
    """Return ``page`` with ``section`` between its markers.

    Raises:
        ResultsError: Not one marker of each, in order.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end) or BEGIN in rest or END in after:
        raise ResultsError(f"{path}: needs the lines {BEGIN} and {END}, once each")
    return f"{before}{BEGIN}\n{section.strip()}\n{END}{after}"


def _machine() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} processors"
