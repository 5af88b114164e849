"""What a container's probe runs: is the status file of a process fresh, and does it say that the process does its work?

Invariant: standard library alone, no network, no settings: a probe costs one small file and some 30 ms. Rejected: an HTTP
port in each process for this alone (a port to secure, and a thread beside the one that must not wait).

``python -m deploy.probe FILE --says caught_up --within-s 10``; exit 0, or 1 with the reason.
"""

import argparse
import json
import sys
import time
from pathlib import Path

from schemas.units import NS_PER_S


def fault_of(path: Path, *, says: str | None, within_s: float, now_ns: int) -> str | None:
    """Return why the process is not well, ``None`` when it is.

    Args:
        path: Status file, JSON with ``wall_ns``, ``ended`` and what the process says of itself.
        says: Key that must be true.
        within_s: The file must be younger.
        now_ns: Wall clock.
    """
    try:
        status = json.loads(path.read_text())
        age_s = (now_ns - int(status["wall_ns"])) / NS_PER_S
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"{path}: {error!r}"
    if status.get("ended"):
        return f"{path}: the process has ended"
    if age_s > within_s:
        return f"{path}: silent for {age_s:.1f} s"
    if says is not None and not status.get(says):
        return f"{path}: {says} is {status.get(says)!r}"
    return None


def main(argv: list[str] | None = None) -> int:
    """Return the exit status of the probe."""
    parser = argparse.ArgumentParser(prog="deploy.probe", description="Is a process well, by its status file?")
    parser.add_argument("file", type=Path, help="status file, for example gate.json")
    parser.add_argument("--says", help="key that must be true")
    parser.add_argument("--within-s", type=float, default=10.0, help="largest age of the file [10]")
    arguments = parser.parse_args(argv)
    fault = fault_of(arguments.file, says=arguments.says, within_s=arguments.within_s, now_ns=time.time_ns())
    if fault is None:
        return 0
    sys.stderr.write(fault + "\n")
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
