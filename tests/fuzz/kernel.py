"""Random events through the C cores under ASan, UBSan and LSan: ``python -m tests.fuzz.kernel --events 10000000``.

The kernel gets random, malformed and extreme frames, restores and damaged snapshots; the gate's core random rows, orders, kill
switches and damaged table files. Each process takes a slice with its own seed, so that a fault repeats within seconds. The last
line is JSON; the exit status is 1 where anything was found.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.fuzz.findings import FOUND, Finding, keep, listed
from tests.fuzz.native_build import ROOT, build_driver

SLICE: Final = 250_000
SLICE_TIMEOUT_S: Final = 300
FRAMES: Final = 400
"""Frames of a round of the kernel's driver: snapshots grow with it, and are compared after each frame."""
FAILED_MAX: Final = 20
"""Slices that ended with a fault: then more say nothing new."""

_DRIVERS: Final = {
    "kernel": ROOT / "tests/features/native/kernel_fuzz.c",
    "gate": ROOT / "tests/fuzz/native/gate_fuzz.c",
}
_ROOMS: Final = {"kernel": "features", "gate": "gate"}
_NUMBER: Final = re.compile(r"(\w+)=(\d+)")
_NO_LEAK_CHECK: Final = "LeakSanitizer has encountered a fatal error"


@dataclass(slots=True)
class Slices:
    """The slices of one core.

    Attributes:
        part: ``kernel`` or ``gate``.
        driver: The program.
        folder: For its files.
        looks_for_leaks: False where this machine does not let the leak check trace.
        counts: What the programs counted, added up.
        findings: Faults.
    """

    part: str
    driver: Path
    folder: Path
    looks_for_leaks: bool
    counts: Counter[str]
    findings: list[Finding]

    @property
    def failed(self) -> int:
        """Slices that ended with a fault."""
        return sum(finding.count for finding in self.findings)

    def run(self, seed: int, wanted: int) -> None:
        """Run one slice."""
        arguments = (
            [str(seed), str(FRAMES), str(wanted)]
            if self.part == "kernel"
            else [str(seed), str(wanted), str(self.folder / "table")]
        )
        leaks = int(self.looks_for_leaks)
        environment = os.environ | {
            "ASAN_OPTIONS": f"detect_leaks={leaks}:quarantine_size_mb=16",
            "UBSAN_OPTIONS": "print_stacktrace=1",
        }
        try:
            done = subprocess.run(
                [str(self.driver), *arguments],
                env=environment,
                capture_output=True,
                text=True,
                timeout=SLICE_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return self._found(f"no end within {SLICE_TIMEOUT_S} s", "", seed)
        self.counts.update({name: int(value) for name, value in _NUMBER.findall(done.stdout)})
        if done.returncode == 0:
            return None
        if _NO_LEAK_CHECK in done.stderr:
            self.looks_for_leaks = False
            return self.run(seed, wanted)
        return self._found(_summary(done.stderr, done.returncode), done.stderr[-6000:], seed)

    def _found(self, fault: str, output: str, seed: int) -> None:
        same = next((finding for finding in self.findings if finding.fault == fault), None)
        if same is not None:
            same.count += 1
            return
        repeat = f"python -m tests.fuzz.kernel --part {self.part} --seed {seed} --events {SLICE}"
        self.findings.append(Finding(self.part, fault, f"slice of seed {seed}", repeat))
        keep(self.findings[-1], {"output.txt": output.encode()})


def _summary(output: str, status: int) -> str:
    """Return the line that names the fault: a sanitizer's summary, a broken law, or the exit status."""
    for pattern in (r"SUMMARY: (.*)", r"runtime error: (.*)", r"(broken: .*)"):
        if found := re.search(pattern, output):
            return found[1].replace(str(ROOT), "")
    return f"ended with status {status}: {output.strip()[:100]}"


def run(part: str, *, seed: int, wanted: int, seconds: float) -> dict[str, Any]:
    """Run one core over at least ``wanted`` events, for at most ``seconds`` and the slice that is then running."""
    FOUND.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        built = Path(folder) / f"{part}_fuzz"
        build_driver(_DRIVERS[part], _ROOMS[part], built)
        slices = Slices(part, built, Path(folder), looks_for_leaks=True, counts=Counter(), findings=[])
        started, number, counted = time.monotonic(), 0, "events" if part == "kernel" else "checks"
        while (
            slices.counts[counted] < wanted
            and time.monotonic() - started < seconds
            and number - len(slices.findings) < 4 * wanted
        ):
            slices.run(seed + number, min(SLICE, wanted))
            number += 1
        return {
            "part": part, **slices.counts, "slices": number, "seed": seed, "seconds": round(time.monotonic() - started, 1),
            "leaks_looked_for": slices.looks_for_leaks, "crashes": len(slices.findings), "findings": listed(slices.findings),
        }  # fmt: skip


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", action="append", choices=sorted(_DRIVERS), help="default: both")
    parser.add_argument("--events", type=int, default=10_000_000, help="of the kernel, and checks of the gate")
    parser.add_argument("--seconds", type=float, default=1e9, help="for each part")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    parts = given.part or ["kernel", "gate"]
    ran = [run(part, seed=given.seed, wanted=given.events, seconds=given.seconds) for part in parts]
    findings = [finding for one in ran for finding in one.pop("findings")]
    crashes = sum(one["crashes"] for one in ran)
    counted = {"kernel_events": 0, "gate_checks": 0}
    for one in ran:
        counted["kernel_events"] += one.get("events", 0)
        counted["gate_checks"] += one.get("checks", 0)
    print(json.dumps({**counted, "crashes": crashes, "cores": ran, "findings": findings}))
    return int(crashes > 0)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
