"""Processes of a stack: started in their own session, written down before anything can go wrong, ended by identity.

Invariant: a process is known by its pid *and* its kernel start time, so a crashed stack's leftovers are ended exactly
and a pid that the system has given to someone else is never signalled.
"""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

TERM_TIMEOUT_S = 15.0

FAST_START = "-XX:TieredStopAtLevel=1"
"""For JVMs that live minutes on a small machine: the second compiler would take a core from the loop to earn it back
after an hour. Measured on two cores: total p50 13 → 10 ms. A deployment leaves it out."""


@dataclass(frozen=True, slots=True)
class Started:
    """A process that this stack started.

    Attributes:
        name: Part of the stack, for example ``broker``.
        pid: Process id, also the id of its session.
        start_ticks: Kernel start time (clock ticks since boot), which tells a reused pid apart.
        log: Its output.
    """

    name: str
    pid: int
    start_ticks: int
    log: str


class ProcessBook:
    """The processes of one stack, kept in ``processes.json`` of its state folder."""

    def __init__(self, state: Path) -> None:
        self._path = state / "processes.json"
        self._logs = state / "logs"

    def start(
        self, name: str, argv: list[str], *, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> Started:
        """Start ``argv`` with its output in ``logs/<name>.log`` and write it down."""
        self._logs.mkdir(parents=True, exist_ok=True)
        log = self._logs / f"{name}.log"
        with log.open("ab") as out:
            child = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env, cwd=cwd, start_new_session=True
            )
        started = Started(name, child.pid, start_ticks(child.pid) or 0, str(log))
        self._save([*(p for p in self.all() if p.name != name), started])
        return started

    def all(self) -> list[Started]:
        """Return what was started, oldest first, alive or not."""
        if not self._path.exists():
            return []
        return [Started(**plain) for plain in json.loads(self._path.read_text())]

    def find(self, name: str) -> Started | None:
        """Return the process of this name, or ``None``."""
        return next((p for p in self.all() if p.name == name), None)

    def stop(self, name: str) -> None:
        """End one process and forget it."""
        if found := self.find(name):
            end([found])
            self._save([p for p in self.all() if p.name != name])

    def stop_all(self) -> list[str]:
        """End everything, newest first; return the names of what was still alive."""
        everything = self.all()[::-1]
        living = [p.name for p in everything if alive(p)]
        end(everything)
        self._path.unlink(missing_ok=True)
        return living

    def _save(self, processes: list[Started]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_suffix(".tmp")
        fresh.write_text(json.dumps([asdict(p) for p in processes], indent=1))
        fresh.replace(self._path)


def alive(process: Started) -> bool:
    """Return whether exactly this process still runs."""
    return start_ticks(process.pid) == process.start_ticks


def kill(process: Started) -> None:
    """Send SIGKILL to exactly this process and wait until it is gone."""
    _signal(process, signal.SIGKILL)
    _wait_gone([process], TERM_TIMEOUT_S)


def end(processes: list[Started]) -> None:
    """Ask each to end, in order, then kill what has not gone in time."""
    for process in processes:
        _signal(process, signal.SIGTERM)
    for process in _wait_gone(processes, TERM_TIMEOUT_S):
        _signal(process, signal.SIGKILL)
    _wait_gone(processes, TERM_TIMEOUT_S)


def start_ticks(pid: int) -> int | None:
    """Return the kernel start time of a living process, ``None`` for one that is gone or a zombie."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)  # reap our own child, so that it does not linger as a zombie
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if after_name[0] in {"Z", "X"} else int(after_name[19])


def _signal(process: Started, number: signal.Signals) -> None:
    if alive(process):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)


def _wait_gone(processes: list[Started], timeout_s: float) -> list[Started]:
    deadline = time.monotonic() + timeout_s
    left = [p for p in processes if alive(p)]
    while left and time.monotonic() < deadline:
        time.sleep(0.02)
        left = [p for p in left if alive(p)]
    return left
