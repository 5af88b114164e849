"""Both parts, one after the other, and one JSON line of both: ``python -m tests.fuzz --seconds 60``, as ``make fuzz`` runs it."""

import argparse
import json
import subprocess
import sys
from typing import Any

from tests.fuzz.native_build import ROOT


def _part(module: str, *arguments: str) -> dict[str, Any]:
    """Run a part in a process of its own; return its last line."""
    command = [sys.executable, "-m", f"tests.fuzz.{module}", *arguments]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    lines = done.stdout.splitlines()
    if done.returncode not in (0, 1) or not lines:
        raise SystemExit(f"fuzz: {module} ended with status {done.returncode}")
    found: dict[str, Any] = json.loads(lines[-1])
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--seconds", type=float, default=60, help="for the kernel, the gate and each format")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    bounds = "--seconds", str(given.seconds), "--seed", str(given.seed)
    cores, readers = _part("kernel", *bounds), _part("readers", *bounds)
    findings = [*cores["findings"], *readers["findings"]]
    for finding in findings:
        print(
            f"[{finding['part']}] {finding['count']} x {finding['fault']}: {finding['detail'][:160]}\n    {finding['repeat']}"
        )
    names = "kernel_events", "gate_checks"
    counted = {name: cores[name] for name in names} | {"inputs": readers["inputs"], "crashes": len(findings)}
    leaks = all(core["leaks_looked_for"] for core in cores["cores"])
    print(json.dumps({**counted, "leaks_looked_for": leaks, "seconds_per_part": given.seconds, "seed": given.seed}))
    return int(bool(findings))


if __name__ == "__main__":
    raise SystemExit(main())
