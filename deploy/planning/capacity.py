"""What was measured, as costs of each event, frame, row and tick; read from ``benchmarks/results``, never written here by hand.

Invariant: a cost is a fit over several measured loads, and the file says which, when, on what and under which load of the machine.
A cost cannot be negative. The fit is least squares of relative errors, so small loads count like large ones. Rejected: figures
in code.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

import numpy as np

from deploy.planning.load import Load
from deploy.planning.measure import Measured
from schemas.units import NS_PER_S, TICK_NS

FILE: Final = Path("benchmarks") / "results" / "capacity.json"
TICKS_PER_S: Final = NS_PER_S // TICK_NS
FACTORS: Final = {
    "features_cpu": ("events", "frames", "rows"),
    "score_cpu": ("ticks", "rows"),
    "frame_bytes": ("events", "frames"),
    "tick_bytes": ("ticks", "rows"),
    "state_bytes": ("rows",),
    "score_bytes": ("ticks", "rows"),
    "snapshot_bytes": ("one", "instruments"),
}
"""What drives each quantity."""


class CapacityError(ValueError):
    """The file of measured figures cannot be used; the message names it."""


@dataclass(frozen=True, slots=True)
class Around:
    """What Kafka and Flink take around the machines, measured on the whole path.

    Attributes:
        events_per_s: Largest rate through one TaskManager of each job, full frames.
        cores: Processors that everything ran on, broker and load among it.
        taskmanager_gib: Memory of a TaskManager.
        jobmanager_gib: Of the JobManager.
        history_rows_per_cpu_s: Rows that a CPU second of the history writer stores.
        history_bytes_per_row: Of a row of ticks, compressed.
    """

    events_per_s: float
    cores: float
    taskmanager_gib: float
    jobmanager_gib: float
    history_rows_per_cpu_s: float
    history_bytes_per_row: float


@dataclass(frozen=True, slots=True)
class Capacity:
    """Costs by quantity and factor, and what the path adds.

    Attributes:
        costs: Quantity → factor → cost of one.
        path: Kafka, Flink and history.
        about: Date, machine, load, command: for people.
    """

    costs: Mapping[str, Mapping[str, float]]
    path: Around
    about: Mapping[str, Any]

    def predict(self, *, instruments: float, events_per_s: float, frames_per_s: float) -> Measured:
        """Return what one channel of this size costs for each second."""
        drivers = drivers_of(instruments, events_per_s, frames_per_s)
        told = {
            quantity: sum(cost * drivers[factor] for factor, cost in costs.items())
            for quantity, costs in self.costs.items()
        }
        return Measured(frames_per_s=frames_per_s, **told)


def drivers_of(instruments: float, events_per_s: float, frames_per_s: float) -> dict[str, float]:
    """Return each factor of a channel, for a second; every instrument has a row in every tick."""
    return {
        "one": 1.0,
        "instruments": instruments,
        "events": events_per_s,
        "frames": frames_per_s,
        "ticks": float(TICKS_PER_S),
        "rows": instruments * TICKS_PER_S,
    }


def fit(runs: Sequence[tuple[Load, Measured]]) -> dict[str, dict[str, float]]:
    """Return the costs that explain ``runs`` best.

    Raises:
        CapacityError: Fewer runs than a quantity has factors.
    """
    if len(runs) < max(map(len, FACTORS.values())):
        raise CapacityError(f"{len(runs)} runs do not tell three costs apart")
    drivers = [drivers_of(load.instruments, load.events_per_s, found.frames_per_s) for load, found in runs]
    return {
        quantity: _fitted(factors, drivers, [getattr(found, quantity) for _, found in runs])
        for quantity, factors in FACTORS.items()
    }


def read_capacity(path: Path) -> Capacity:
    """Return what a file of measured figures says.

    Raises:
        CapacityError: It cannot be read or lacks a figure.
    """
    try:
        raw = json.loads(path.read_text())
        costs = {
            quantity: {factor: float(raw["costs"][quantity][factor]) for factor in FACTORS[quantity]}
            for quantity in FACTORS
        }
        around = Around(**{each.name: float(raw["path"][each.name]) for each in fields(Around)})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CapacityError(f"{path}: {error!r}: `python -m benchmarks.bench_capacity` writes it") from error
    return Capacity(costs, around, raw.get("about", {}))


def as_json(runs: Sequence[tuple[Load, Measured]], around: Around, about: Mapping[str, Any]) -> str:
    """Return the file's text: the fit, and the runs behind it."""
    plain = {
        "about": dict(about),
        "costs": fit(runs),
        "path": asdict(around),
        "runs": [{"load": asdict(load), "measured": asdict(found)} for load, found in runs],
    }
    return json.dumps(plain, indent=1) + "\n"


def _fitted(
    factors: tuple[str, ...], drivers: Sequence[Mapping[str, float]], values: Sequence[float]
) -> dict[str, float]:
    """Return non-negative costs: a factor whose cost would be negative is left out, and the rest is fitted again."""
    used = list(factors)
    while used:
        matrix = np.array([[each[name] for name in used] for each in drivers])
        goal = np.maximum(np.array(values), 1e-12)
        found = np.linalg.lstsq(matrix / goal[:, None], np.ones(len(goal)), rcond=None)[0]
        if (found >= 0).all():
            break
        del used[int(np.argmin(found * matrix.mean(axis=0)))]
    else:
        found = np.zeros(0)
    costs = dict(zip(used, found.tolist(), strict=True))
    return {name: costs.get(name, 0.0) for name in factors}
