"""Checks of this machine: versions, packages, jars, clock, shared memory, disk.

Invariant: each check judges what it is given; :mod:`deploy.doctor.survey` looks at the machine. So every check has its test,
healthy and broken, on any machine.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deploy.doctor.finding import Finding, fail, judged, ok, warn

PYTHON: Final = (3, 11)
JAVA_MIN: Final = 17
GIB: Final = 2**30
JAR_FOLDERS: Final = ("broker", "flink")
"""What a stack runs with; what the manifests' tests need beside is checked there."""
CLOCK_OFFSET_US_MAX: Final = 10_000
"""A tick is 100 ms, and live mode refuses states that lag the wall clock by the ttl: a tenth of a tick is no matter."""
_LOCKED: Final = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==(\S+?)\s*\\?$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Table:
    """A limit table in shared memory.

    Attributes:
        path: Its file.
        size_bytes: Its size.
        is_kept: A sidecar holds its lock.
    """

    path: Path
    size_bytes: int
    is_kept: bool


@dataclass(frozen=True, slots=True)
class Clock:
    """What the kernel says of its clocks.

    Attributes:
        is_synchronised: Something steers the wall clock.
        offset_us: How far it is off, as far as that is known.
        monotonic_ns: Readings of the monotonic clock, in the order in which they were made.
    """

    is_synchronised: bool
    offset_us: int
    monotonic_ns: tuple[int, ...]


def python_version(found: tuple[int, ...]) -> Finding:
    """Judge the interpreter: apache-flink's wheels and the locks are of one version."""
    said, wanted = ".".join(map(str, found)), ".".join(map(str, PYTHON))
    if found[:2] == PYTHON:
        return ok("python", said)
    return fail("python", f"{said}, wanted {wanted}", "`make setup` with PYTHON=python3.11")


def java_version(said: str | None) -> Finding:
    """Judge what ``java -version`` says."""
    match = re.search(r'version "(?:1\.)?(\d+)[^"]*"', said or "")
    if match and int(match[1]) >= JAVA_MIN:
        return ok("java", match[0].removeprefix("version ").strip('"'))
    return fail("java", f"{said or 'not found'}, wanted {JAVA_MIN} or newer", "apt-get install openjdk-17-jdk-headless")


def tool(name: str, said: str | None, *, mend: str) -> Finding:
    """Judge whether a tool that builds something is there; a running deployment does without."""
    return ok(name, said.splitlines()[0]) if said else warn(name, "not found: nothing can be built here", mend)


def locked_in(text: str) -> dict[str, str]:
    """Return package → version of a lock file."""
    return dict(_LOCKED.findall(text))


def packages(locked: Mapping[str, str], installed: Callable[[str], str | None]) -> Finding:
    """Judge the installed packages against the lock."""
    found = {name: installed(name) for name in sorted(locked)}
    faults = [
        f"{name} is {found[name] or 'missing'}, locked {locked[name]}" for name in found if found[name] != locked[name]
    ]
    return judged("packages", faults, well=f"{len(locked)} as locked", mend="`make setup`")


def jar_lock(folder: Path) -> str:
    """Return the lock of the jars of broker and connector below ``folder``: SHA-256 and path a line."""
    found = sorted(jar for part in JAR_FOLDERS for jar in (folder / part).glob("*.jar"))
    return "".join(f"{_sha256(jar)}  {jar.relative_to(folder).as_posix()}\n" for jar in found)


def jars(folder: Path, lock: str) -> Finding:
    """Judge the jars of broker and connector by their hashes."""
    wanted = {path: digest for digest, path in (line.split() for line in lock.splitlines())}
    found = {path: digest for digest, path in (line.split() for line in jar_lock(folder).splitlines())}
    faults = [f"{path} is missing" for path in sorted(wanted.keys() - found.keys())]
    faults += [f"{path} is none of ours" for path in sorted(found.keys() - wanted.keys())]
    faults += [
        f"{path} has other bytes" for path in sorted(wanted.keys() & found.keys()) if wanted[path] != found[path]
    ]
    return judged("jars", faults, well=f"{len(wanted)} with their hashes", mend="rm -r jars && `make jars`")


def clock(found: Clock) -> Finding:
    """Judge the clocks: the gate's rows expire by the monotonic one, live mode compares event time with the wall clock."""
    if any(later < earlier for earlier, later in zip(found.monotonic_ns, found.monotonic_ns[1:], strict=False)):
        return fail(
            "clock", "the monotonic clock went backwards: rows would live longer than their ttl", "replace the machine"
        )
    if not found.is_synchronised:
        return warn(
            "clock",
            "nothing steers the wall clock",
            "run chrony or systemd-timesyncd; `live = true` refuses late states",
        )
    if abs(found.offset_us) > CLOCK_OFFSET_US_MAX:
        said = f"the wall clock is {found.offset_us / 1000:.1f} ms off"
        return warn("clock", said, "wait for chrony to settle, or look at `chronyc tracking`")
    return ok("clock", f"steered, {found.offset_us / 1000:.1f} ms off")


def shared_memory(free_bytes: int, tables: Iterable[Table], wanted_bytes: int) -> Finding:
    """Judge /dev/shm: room for a table, and no table that nobody keeps."""
    known = list(tables)
    stale = [table.path for table in known if not table.is_kept]
    if free_bytes < wanted_bytes:
        said = f"{free_bytes // 2**20} MiB free in /dev/shm, a table takes {wanted_bytes // 2**20}"
        return fail(
            "shared memory", said, "mount a larger tmpfs (`--shm-size`, or the volume `limits` of the manifests)"
        )
    if stale:
        paths = " ".join(f"{path} {path}.lock" for path in stale)
        said = f"{len(stale)} tables that no sidecar keeps: {', '.join(map(str, stale))}"
        return warn("shared memory", said, f"start the sidecar again, or rm {paths}")
    kept = sum(table.size_bytes for table in known)
    return ok("shared memory", f"{free_bytes // 2**20} MiB free, {len(known)} tables of {kept // 2**20} MiB kept")


def disk(free_bytes: Mapping[str, int], wanted_bytes: int) -> Finding:
    """Judge the free bytes of each folder that grows."""
    faults = [
        f"{folder} has {free / GIB:.1f} GiB left" for folder, free in sorted(free_bytes.items()) if free < wanted_bytes
    ]
    well = ", ".join(f"{folder} {free / GIB:.0f} GiB free" for folder, free in sorted(free_bytes.items()))
    return judged(
        "disk", faults, well=well, mend=f"make room: {wanted_bytes / GIB:.0f} GiB must be free (`tidegate plan`)"
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()
