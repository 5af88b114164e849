"""Is the prediction true? A small load through the machines here, compared with what the fitted costs say of it.

Invariant: the load that is checked is none of those that the costs were fitted to (another size and seed). Bytes must agree within
``BYTES_TOLERANCE``. CPU time is this machine's; where it is not the machine of the file, a ratio says how much faster or slower
it is, and only the *shape* is judged: two loads of different size must show the same ratio within ``CPU_TOLERANCE``.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from deploy.planning.capacity import Capacity
from deploy.planning.load import Load
from deploy.planning.measure import Measured, measure

BYTES_TOLERANCE: Final = 0.15
CPU_TOLERANCE: Final = 0.5
ROUNDS: Final = 3
"""The loads take turns, so that a busy minute of the machine meets both."""
LOADS: Final = (Load(20, 2_000, 18.0, seed=11), Load(60, 12_000, 18.0, seed=12))
BYTES: Final = ("frame_bytes", "tick_bytes", "state_bytes", "score_bytes", "snapshot_bytes")
CPU: Final = ("features_cpu", "score_cpu")


@dataclass(frozen=True, slots=True)
class Compared:
    """One quantity of one load.

    Attributes:
        quantity: Which; ``… shape`` compares two loads' ratios.
        predicted: By the costs.
        measured: Here.
        tolerance: Largest relative difference.
    """

    quantity: str
    predicted: float
    measured: float
    tolerance: float

    @property
    def error(self) -> float:
        """Return the relative difference."""
        return self.measured / self.predicted - 1.0 if self.predicted else float(self.measured != 0)

    @property
    def holds(self) -> bool:
        """Return whether the difference is within its tolerance."""
        return abs(self.error) <= self.tolerance


def check(
    capacity: Capacity, model_dir: Path, *, run: Callable[[Load, Path], Measured] | None = None
) -> list[Compared]:
    """Run the loads and compare.

    Raises:
        ModelError: The model folder cannot be used.
    """
    run = run or _once
    rows: list[Compared] = []
    ratios: dict[str, list[float]] = {name: [] for name in CPU}
    rounds = [[run(load, model_dir) for load in LOADS] for _ in range(ROUNDS)]
    for number, load in enumerate(LOADS):
        found = _least([each[number] for each in rounds])
        told = capacity.predict(
            instruments=load.instruments, events_per_s=load.events_per_s, frames_per_s=found.frames_per_s
        )
        size = f"{load.instruments} instruments, {load.events_per_s} events/s"
        rows += [
            Compared(f"{name} at {size}", getattr(told, name), getattr(found, name), BYTES_TOLERANCE) for name in BYTES
        ]
        for name in CPU:
            ratios[name].append(getattr(found, name) / getattr(told, name))
    rows += [Compared(f"{name} shape", small, large, CPU_TOLERANCE) for name, (small, large) in ratios.items()]
    return rows


def _once(load: Load, model_dir: Path) -> Measured:
    return measure(load, model_dir, repeats=1)


def _least(runs: list[Measured]) -> Measured:
    """Return a run with the least CPU times of all: what neighbours on the machine add is never negative."""
    return replace(runs[0], **{name: min(getattr(run, name) for run in runs) for name in CPU})
