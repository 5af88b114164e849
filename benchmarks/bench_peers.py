"""One pre-trade check of other engines and of ours, on one core, in one run: how many times slower is each?

Invariant: the same loop (``benchmarks.peers.rounds``) times every engine call by call, and the engines take turns in short
rounds on one pinned core, so a busy minute of the machine falls on all of them. Only orders that pass are timed; an
engine that refuses one ends the run. The timer's own cost is in every figure and weighs most on the quickest, so ``*_ratio`` are
lower bounds; ``*_net_ratio`` are without it. Each peer runs in its own interpreter with its own pins
(``locks/peers.lock``), and every doubt was settled in its favour (see its module).
Rejected: figures from a peer's own pages, which come from other machines and other loads.
Run by ``make bench-peers``; the last line is JSON.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NamedTuple, Self

from benchmarks.machine import machine

ROOT: Final = Path(__file__).parents[1]
PEERS_PYTHON: Final = ROOT / "build/peers-venv/bin/python"
PEERS: Final = ("nautilus", "vnpy")
SHARES: Final = {"p50": 0.5, "p99": 0.99, "p999": 0.999}


class PeerError(Exception):
    """An engine could not be started, or ended in the middle of a round."""


class Contender(NamedTuple):
    """An engine and what runs it."""

    key: str
    python: str
    module: str
    arguments: tuple[str, ...] = ()


class Histograms(NamedTuple):
    """How often a check, and an empty span between two clock reads, took how many nanoseconds."""

    checks: Counter[int]
    floor: Counter[int]


CONTENDERS: Final = (
    Contender("nautilus", str(PEERS_PYTHON), "benchmarks.peers.nautilus"),
    Contender("vnpy", str(PEERS_PYTHON), "benchmarks.peers.vnpy"),
    Contender("tidegate", sys.executable, "benchmarks.peers.tidegate"),
    Contender("tidegate_submit", sys.executable, "benchmarks.peers.tidegate", ("--books",)),
)


def main(argv: list[str] | None = None) -> int:
    """Measure, print; exit 1 when a ratio is below ``--at-least``, 2 when an engine does not run."""
    parser = argparse.ArgumentParser(prog="benchmarks.bench_peers", description="Our check beside other engines'.")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--checks", type=int, default=20_000, help="per engine and round")
    parser.add_argument("--at-least", type=float, default=0.0, help="fail when a peer is fewer times slower than this")
    arguments = parser.parse_args(argv)
    if not PEERS_PYTHON.exists():
        print(f"{PEERS_PYTHON.relative_to(ROOT)} is missing: `make bench-peers` makes it", file=sys.stderr)
        return 2
    core = max(os.sched_getaffinity(0))
    print(f"{machine()}; core {core}, {arguments.rounds} rounds of {arguments.checks} checks an engine, in turns")
    try:
        measured = measure(CONTENDERS, core=core, rounds=arguments.rounds, checks=arguments.checks)
    except PeerError as error:
        print(error, file=sys.stderr)
        return 2
    figures = report(measured)
    print(f"load at the end: {os.getloadavg()[0]:.2f}")
    print(json.dumps(figures))
    return int(min(figures[f"{key}_ratio"] for key in PEERS) < arguments.at_least)


def measure(contenders: tuple[Contender, ...], *, core: int, rounds: int, checks: int) -> dict[str, Histograms]:
    """Return the histograms of each engine, by its key.

    Raises:
        PeerError: an engine did not start, refused an order or ended early; its last words are in the message.
    """
    measured = {one.key: Histograms(Counter(), Counter()) for one in contenders}
    with ExitStack() as stack:
        running = [stack.enter_context(Running(one, core)) for one in contenders]
        for engine in running:
            engine.wait_ready()
        for _ in range(rounds):
            for engine in running:
                checks_ns, floor_ns = engine.round(checks)
                measured[engine.key].checks.update(checks_ns)
                measured[engine.key].floor.update(floor_ns)
    return measured


class Running:
    """An engine in a process and a folder of its own, both gone after the ``with`` block."""

    def __init__(self, contender: Contender, core: int) -> None:
        self.key = contender.key
        self._folder = tempfile.TemporaryDirectory()
        self._words = Path(self._folder.name) / "stderr"
        command = [contender.python, "-m", contender.module, "--core", str(core), *contender.arguments]
        with self._words.open("w") as words:
            self._process = subprocess.Popen(
                command,
                cwd=self._folder.name,
                env={**os.environ, "HOME": self._folder.name, "PYTHONPATH": str(ROOT)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=words,
                text=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._folder.cleanup()

    def wait_ready(self) -> None:
        """Wait until the engine has been made and warmed."""
        if (line := self._line()) != "ready":
            raise PeerError(f"{self.key}: ready was expected, {line!r} came")

    def round(self, checks: int) -> tuple[dict[int, int], dict[int, int]]:
        """Time so many checks, then as many empty spans."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{checks}\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise PeerError(f"{self.key} ended: {self._last_words()}") from error
        counts = json.loads(self._line())
        checks_ns, floor_ns = ({int(ns): often for ns, often in counts[name].items()} for name in ("checks", "floor"))
        return checks_ns, floor_ns

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise PeerError(f"{self.key} ended: {self._last_words()}")
        return line.rstrip("\n")

    def _last_words(self) -> str:
        self._process.wait()
        words = self._words.read_text().strip().splitlines()
        return words[-1] if words else f"exit status {self._process.returncode}, without a word"


def percentile_ns(histogram: Counter[int], share: float) -> int:
    """Return the smallest length that at least this share of the samples does not exceed."""
    wanted, seen = share * histogram.total(), 0
    for length_ns in sorted(histogram):
        seen += histogram[length_ns]
        if seen >= wanted:
            return length_ns
    raise ValueError("no samples")


def report(measured: dict[str, Histograms]) -> dict[str, float]:
    """Print a row for each engine and return the figures.

    ``<engine>_p50_ns`` and the like have the timer in them, ``<engine>_floor_ns`` is the timer alone. Of the peers,
    ``<peer>_ratio`` is against our check, ``<peer>_net_ratio`` the same without the timer's floors, and ``<peer>_submit_ratio``
    against our check with booking and evidence.
    """
    figures: dict[str, float] = {}
    for key, (checks, floor) in measured.items():
        figures |= {f"{key}_{name}_ns": percentile_ns(checks, share) for name, share in SHARES.items()}
        figures[f"{key}_floor_ns"] = percentile_ns(floor, SHARES["p50"])
    ours_net_ns = max(1, figures["tidegate_p50_ns"] - figures["tidegate_floor_ns"])
    for key in PEERS:
        median_ns = figures[f"{key}_p50_ns"]
        figures[f"{key}_ratio"] = round(median_ns / figures["tidegate_p50_ns"], 2)
        figures[f"{key}_net_ratio"] = round((median_ns - figures[f"{key}_floor_ns"]) / ours_net_ns, 2)
        figures[f"{key}_submit_ratio"] = round(median_ns / figures["tidegate_submit_p50_ns"], 2)
    columns = {"p50": "p50_ns", "p99": "p99_ns", "p99.9": "p999_ns", "timer floor": "floor_ns", "/ our check": "ratio",
               "less floors": "net_ratio", "/ our submit": "submit_ratio"}  # fmt: skip
    print(f"{'one check, ns':16}" + "".join(f"{title:>13}" for title in columns))
    for key in measured:
        cells = [figures.get(f"{key}_{name}", "") for name in columns.values()]
        print(f"{key:16}" + "".join(f"{cell:>13.2f}" if isinstance(cell, float) else f"{cell:>13}" for cell in cells))
    return figures


if __name__ == "__main__":
    raise SystemExit(main())
